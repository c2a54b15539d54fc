//! Themes are readable, differ where meaning differs, and no colour stands outside this module.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use super::*;

fn theme(name: ThemeName) -> Theme {
    Theme::new(name, Depth::TrueColor, Glyphs::default())
}

/// Relative luminance of WCAG 2.
fn luminance(colour: Color) -> f64 {
    let Color::Rgb(r, g, b) = colour else { panic!("{colour:?} has no fixed luminance") };
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

const FIXED: [ThemeName; 4] =
    [ThemeName::Dark, ThemeName::Light, ThemeName::HighContrast, ThemeName::Cvd];

#[test]
fn every_text_can_be_read_on_its_ground() {
    let mut poor = Vec::new();
    for name in FIXED {
        let theme = theme(name);
        let ground = theme.style(Role::Text).bg.unwrap();
        let marked = theme.style(Role::Marked).bg.unwrap();
        for role in Role::all().filter(|r| !matches!(r, Role::Ramp(_))) {
            let Some(fg) = theme.style(role).fg else { continue };
            let found = contrast(fg, ground);
            if found < 4.5 {
                poor.push(format!("{name:?} {role:?}: {found:.2}"));
            }
        }
        let found = contrast(theme.style(Role::Text).fg.unwrap(), marked);
        if found < 4.5 {
            poor.push(format!("{name:?} text on marked: {found:.2}"));
        }
    }
    assert!(poor.is_empty(), "contrast under 4.5:1\n{}", poor.join("\n"));
}

#[test]
fn the_scale_rises_evenly_in_lightness() {
    for name in FIXED {
        let theme = theme(name);
        let steps: Vec<f64> =
            (0..10).map(|n| luminance(theme.style(Role::Ramp(n)).fg.unwrap())).collect();
        let rising = name != ThemeName::Light;
        assert!(steps.windows(2).all(|w| (w[0] < w[1]) == rising), "{name:?}: {steps:?}");
    }
}

#[test]
fn an_error_differs_from_what_is_good_in_every_theme_and_depth() {
    for (_, name) in THEMES {
        for depth in [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::TrueColor] {
            let theme = Theme::new(name, depth, Glyphs::default());
            for good in [Role::Ok, Role::Text, Role::Dim, Role::Warn] {
                assert_ne!(theme.style(Role::Error), theme.style(good), "{name:?} {depth:?}");
            }
            let steps: Vec<Style> = [0, 2, 4].map(|n| theme.style(Role::Change(n))).to_vec();
            assert!(steps[0] != steps[1] && steps[1] != steps[2] && steps[0] != steps[2]);
            assert_ne!(theme.style(Role::Cursor), theme.style(Role::Text));
        }
    }
}

#[test]
fn mono_sets_no_colour() {
    let theme = Theme::new(ThemeName::Dark, Depth::None, Glyphs::default());
    for role in Role::all() {
        let style = theme.style(role);
        assert_eq!((style.fg, style.bg, style.underline_color), (None, None, None), "{role:?}");
    }
    assert_eq!(theme.heat(), Heat::Weights);
}

#[test]
fn ansi_keeps_to_the_users_colours() {
    let theme = Theme::new(ThemeName::Ansi, Depth::TrueColor, Glyphs::default());
    for role in Role::all() {
        let style = theme.style(role);
        for colour in [style.fg, style.bg].into_iter().flatten() {
            assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_)), "{role:?} {colour:?}");
            let unreadable = [Color::Black, Color::White, Color::Gray, Color::DarkGray];
            assert!(!unreadable.contains(&colour), "{role:?} {colour:?}");
        }
    }
}

#[test]
fn poorer_terminals_get_the_nearest_colours() {
    let theme = Theme::new(ThemeName::Dark, Depth::Ansi256, Glyphs::default());
    for role in Role::all() {
        assert!(!matches!(theme.style(role).fg, Some(Color::Rgb(..))), "{role:?}");
    }
    assert_eq!(theme.heat(), Heat::Halves);
    assert_eq!(Theme::new(ThemeName::Dark, Depth::Ansi16, Glyphs::default()).heat(), Heat::Shades);
    assert_eq!(Theme::new(ThemeName::Dark, Depth::TrueColor, Glyphs::ASCII).heat(), Heat::Weights);
}

#[test]
fn a_theme_file_recolours_roles() {
    let read = |text| Theme::from_toml(text, Depth::TrueColor, Glyphs::default());
    let theme = read("base = \"dark\"\nerror = \"#010203\"\nseries2 = \"blue\"").unwrap();
    assert_eq!(theme.style(Role::Error).fg, Some(Color::Rgb(1, 2, 3)));
    assert_eq!(theme.style(Role::Series(2)).fg, Some(Color::Blue));
    let says = |text| read(text).unwrap_err().to_string();
    assert_eq!(says("eror = \"red\""), "theme file: no role `eror`");
    assert_eq!(says("series8 = \"red\""), "theme file: no role `series8`");
    assert!(says("ok = \"reddish\"").contains("`ok` is `reddish`"));
    assert!(says("base = \"solarized\"").contains("no theme `solarized`"));
}

#[test]
fn every_role_has_its_own_place() {
    let mut places: Vec<usize> = Role::all().map(Role::index).collect();
    places.sort_unstable();
    assert_eq!(places, (0..STYLES).collect::<Vec<_>>());
    for (name, role) in PLAIN {
        assert_eq!(Role::named(name), Some(role));
    }
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    for (locale, ascii) in
        [(None, true), (Some("C"), true), (Some("en_GB.UTF-8"), false), (Some("C.utf8"), false)]
    {
        assert_eq!(Glyphs::for_locale(locale) == Glyphs::ASCII, ascii, "{locale:?}");
    }
    for glyph in "─│┌╪═█▓▒░▁▂▃▄▅▆▇▏▌◆·…╳⠉┄↵".chars()
    {
        let plain = Glyphs::ASCII.pick(glyph);
        assert!(plain.is_ascii() && plain != '?', "{glyph} is {plain}");
        assert_eq!(Glyphs::default().pick(glyph), glyph);
    }
}

#[test]
fn colours_stand_in_the_theme_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if text.ends_with(".rs") && !text.contains("theme") {
                let source = std::fs::read_to_string(&path).unwrap();
                if source.contains("Color::") {
                    found.push(text);
                }
            }
        }
    }
    assert!(found.is_empty(), "name a role instead of a colour: {found:?}");
}
