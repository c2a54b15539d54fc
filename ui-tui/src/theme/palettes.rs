//! The colours of the themes that are built in.

use ratatui::style::{Color, Modifier, Style};

use super::{CHANGE, PLAIN, RAMP, Role, SERIES, STYLES};

/// Colours as `0xrrggbb`. Text has a contrast of 4.5 or more against the ground (tested).
pub(super) struct Palette {
    ground: u32,
    text: u32,
    dim: u32,
    title: u32,
    accent: u32,
    border: u32,
    focus: u32,
    marked_ground: u32,
    matched: u32,
    ok: u32,
    warn: u32,
    error: u32,
    new: u32,
    off_path: u32,
    waiting: u32,
    asynchronous: u32,
    event: u32,
    series: [u32; SERIES],
    ramp: [u32; RAMP],
    change: [u32; CHANGE],
}

/// Lightness rises evenly from blue to yellow, as in cividis.
const BLUE_TO_YELLOW: [u32; RAMP] = [
    0x1f3a6b, 0x2f4a74, 0x47587a, 0x5c667e, 0x717580, 0x87847e, 0x9f9577, 0xb8a86b, 0xd4bd59,
    0xf5d840,
];

/// The same for a light ground, on which much is dark.
const YELLOW_TO_BLUE: [u32; RAMP] = [
    0xe9d56a, 0xd4bd59, 0xb8a86b, 0x9f9577, 0x87847e, 0x717580, 0x5c667e, 0x47587a, 0x2f4a74,
    0x00224e,
];

pub(super) const DARK: Palette = Palette {
    ground: 0x15181e,
    text: 0xd7dae0,
    dim: 0x8b93a1,
    title: 0xffffff,
    accent: 0x6cb6ff,
    border: 0x7d8594,
    focus: 0x6cb6ff,
    marked_ground: 0x2c3a52,
    matched: 0xf2cc60,
    ok: 0x6bc46d,
    warn: 0xe0a83e,
    error: 0xff7b72,
    new: 0xc297ff,
    off_path: 0x7f9cc0,
    waiting: 0xc9a35c,
    asynchronous: 0x9d8fd6,
    event: 0xf2cc60,
    series: [0x6cb6ff, 0xe0a83e, 0x6bc46d, 0xff7b72, 0xc297ff, 0x56d4dd, 0xf69d50, 0xb4bac5],
    ramp: BLUE_TO_YELLOW,
    change: [0x56d4dd, 0x7fb9c4, 0x9aa2af, 0xe0a83e, 0xff7b72],
};

pub(super) const LIGHT: Palette = Palette {
    ground: 0xfbfbfa,
    text: 0x22272e,
    dim: 0x626a76,
    title: 0x000000,
    accent: 0x0757b8,
    border: 0x6b7380,
    focus: 0x0757b8,
    marked_ground: 0xcfe0f5,
    matched: 0x7d4e00,
    ok: 0x1a6b2b,
    warn: 0x8a5200,
    error: 0xb3201c,
    new: 0x6a3fb5,
    off_path: 0x4f6b91,
    waiting: 0x84610f,
    asynchronous: 0x5f52a3,
    event: 0x7d4e00,
    series: [0x0757b8, 0x8a5200, 0x1a6b2b, 0xb3201c, 0x6a3fb5, 0x0b6870, 0x9a4a07, 0x4a525e],
    ramp: YELLOW_TO_BLUE,
    change: [0x0b6870, 0x3c6a70, 0x626a76, 0x8a5200, 0xb3201c],
};

pub(super) const HIGH_CONTRAST: Palette = Palette {
    ground: 0x000000,
    text: 0xffffff,
    dim: 0xc0c0c0,
    title: 0xffffff,
    accent: 0x7fd4ff,
    border: 0xffffff,
    focus: 0xffff00,
    marked_ground: 0x003a70,
    matched: 0xffff00,
    ok: 0x5fff5f,
    warn: 0xffd700,
    error: 0xff8f8f,
    new: 0xff9fff,
    off_path: 0xa8c8ff,
    waiting: 0xffd700,
    asynchronous: 0xd0b0ff,
    event: 0xffff00,
    series: [0x7fd4ff, 0xffd700, 0x5fff5f, 0xff8f8f, 0xff9fff, 0x5fffff, 0xffaf5f, 0xffffff],
    ramp: BLUE_TO_YELLOW,
    change: [0x5fffff, 0xa8e8e8, 0xc0c0c0, 0xffd700, 0xff8f8f],
};

/// Okabe and Ito, with white for black; better is blue and worse is orange, never green and red.
pub(super) const CVD: Palette = Palette {
    ground: 0x15181e,
    text: 0xd7dae0,
    dim: 0x8b93a1,
    title: 0xffffff,
    accent: 0x56b4e9,
    border: 0x7d8594,
    focus: 0x56b4e9,
    marked_ground: 0x2c3a52,
    matched: 0xf0e442,
    ok: 0x56b4e9,
    warn: 0xf0e442,
    error: 0xf08030,
    new: 0xd98fba,
    off_path: 0x7f9cc0,
    waiting: 0xe69f00,
    asynchronous: 0xd98fba,
    event: 0xf0e442,
    series: [0xe69f00, 0x56b4e9, 0x12ad80, 0xf0e442, 0x4a9ad0, 0xf08030, 0xd98fba, 0xe8e8e8],
    ramp: BLUE_TO_YELLOW,
    change: [0x56b4e9, 0x8fb4cc, 0x9aa2af, 0xe69f00, 0xf08030],
};

fn rgb(value: u32) -> Color {
    let [_, r, g, b] = value.to_be_bytes();
    Color::Rgb(r, g, b)
}

/// Fills in the style of each role by asking for it.
fn table(style: impl Fn(Role) -> Style) -> [Style; STYLES] {
    let mut styles = [Style::new(); STYLES];
    for role in Role::all() {
        styles[role.index()] = style(role);
    }
    debug_assert_eq!(PLAIN.len() + SERIES + RAMP + CHANGE, STYLES);
    styles
}

/// A palette as a terminal shows it that has all colours.
pub(super) fn truecolor(p: &Palette) -> [Style; STYLES] {
    table(|role| {
        let fg = |value| Style::new().fg(rgb(value));
        match role {
            Role::Text => fg(p.text).bg(rgb(p.ground)),
            Role::Dim => fg(p.dim),
            Role::Title => fg(p.title).add_modifier(Modifier::BOLD),
            Role::Accent => fg(p.accent),
            Role::Border => fg(p.border),
            Role::Focus => fg(p.focus),
            Role::Head => fg(p.dim).add_modifier(Modifier::BOLD),
            Role::Cursor => Style::new().add_modifier(Modifier::REVERSED),
            Role::Marked => Style::new().bg(rgb(p.marked_ground)),
            Role::Match => fg(p.matched).add_modifier(Modifier::UNDERLINED),
            Role::Ok => fg(p.ok),
            Role::Warn => fg(p.warn),
            Role::Error => fg(p.error).add_modifier(Modifier::BOLD),
            Role::New => fg(p.new),
            Role::Critical => fg(p.accent).add_modifier(Modifier::BOLD),
            Role::OffPath => fg(p.off_path),
            Role::Waiting => fg(p.waiting),
            Role::Async => fg(p.asynchronous),
            Role::Event => fg(p.event),
            Role::Series(n) => fg(p.series[usize::from(n) % SERIES]),
            Role::Ramp(n) => fg(p.ramp[usize::from(n).min(RAMP - 1)]),
            Role::Change(n) => fg(p.change[usize::from(n).min(CHANGE - 1)]),
        }
    })
}

/// The user's own sixteen colours. Black, white and the greys are left out, since either is
/// unreadable on some ground; the default colours stand for them.
pub(super) fn ansi() -> [Style; STYLES] {
    let series = [
        Color::Blue,
        Color::Yellow,
        Color::Green,
        Color::Red,
        Color::Magenta,
        Color::Cyan,
        Color::Reset,
        Color::Blue,
    ];
    table(|role| {
        let fg = |colour| Style::new().fg(colour);
        let plain = Style::new();
        match role {
            Role::Text => plain,
            Role::Dim | Role::Border | Role::OffPath => plain.add_modifier(Modifier::DIM),
            Role::Title | Role::Head => plain.add_modifier(Modifier::BOLD),
            Role::Accent | Role::Focus => fg(Color::Cyan),
            Role::Cursor => plain.add_modifier(Modifier::REVERSED),
            Role::Marked => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Match => fg(Color::Yellow).add_modifier(Modifier::UNDERLINED),
            Role::Ok => fg(Color::Green),
            Role::Warn | Role::Waiting | Role::Event => fg(Color::Yellow),
            Role::Error => fg(Color::Red).add_modifier(Modifier::BOLD),
            Role::New | Role::Async => fg(Color::Magenta),
            Role::Critical => fg(Color::Cyan).add_modifier(Modifier::BOLD),
            Role::Series(n) if n % 8 == 7 => fg(Color::Blue).add_modifier(Modifier::BOLD),
            Role::Series(n) => fg(series[usize::from(n) % SERIES]),
            // Two hues: cyan below, yellow above; the shade tells the step.
            Role::Ramp(0..=4) => fg(Color::Cyan),
            Role::Ramp(_) => fg(Color::Yellow),
            Role::Change(0..=1) => fg(Color::Cyan),
            Role::Change(2) => plain,
            Role::Change(3) => fg(Color::Yellow),
            Role::Change(_) => fg(Color::Red).add_modifier(Modifier::BOLD),
        }
    })
}

/// No colour at all.
pub(super) fn mono() -> [Style; STYLES] {
    table(|role| {
        let with = |modifier| Style::new().add_modifier(modifier);
        match role {
            Role::Dim | Role::Border | Role::OffPath | Role::Change(0..=1) => with(Modifier::DIM),
            Role::Title | Role::Head | Role::Focus | Role::Warn | Role::Change(3) => {
                with(Modifier::BOLD)
            }
            Role::Cursor => with(Modifier::REVERSED),
            Role::Accent | Role::Marked | Role::Match => with(Modifier::UNDERLINED),
            Role::Error | Role::Change(4..) => with(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Critical => with(Modifier::BOLD),
            _ => Style::new(),
        }
    })
}
