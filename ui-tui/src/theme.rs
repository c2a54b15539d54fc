//! Colours and glyphs: what a screen means (a [`Role`]) and how this terminal shows it.
//!
//! Widgets name roles, never colours; a test looks for `Color::` outside this file. `NO_COLOR` and
//! terminals without colour get [`ThemeName::Mono`], which sets no colour at all and tells things
//! apart by bold, dim, underline and reverse. Whoever draws it must call
//! `crossterm::style::force_color_output(true)` first: crossterm otherwise turns each change of colour into a
//! full reset, which wipes the reverse video of the selection.

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Style};
use termprofile::TermProfile;

pub mod glyphs;
mod palettes;
pub mod svg;
#[cfg(test)]
mod tests;

pub use glyphs::Glyphs;
use palettes::Palette;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Text; also what the whole screen is filled with first.
    Text,
    /// Text that matters less: units, ages, hints, data that is being replaced.
    Dim,
    /// What is emphasised: titles, the active tab.
    Title,
    /// What can be followed: links, keys in hints, crumbs.
    Accent,
    /// Frames of panes.
    Border,
    /// The frame of the pane that has the keys.
    Focus,
    /// Head of a table.
    Head,
    /// The row, cell or node under the cursor.
    Cursor,
    /// A marked row, a rectangle, a range.
    Marked,
    /// What a search found.
    Match,
    /// Good.
    Ok,
    /// Degraded, waiting, not settled.
    Warn,
    /// Failed.
    Error,
    /// New since something.
    New,
    /// Bars on the critical path.
    Critical,
    /// Bars off it.
    OffPath,
    /// Time spent waiting.
    Waiting,
    /// Asynchronous children and links.
    Async,
    /// Events and exemplars.
    Event,
    /// One of several series, 0 to 7; larger numbers wrap.
    Series(u8),
    /// A step of a sequential scale, 0 (little) to 9 (much).
    Ramp(u8),
    /// A step of a diverging scale: 0 much better, 2 no change, 4 much worse.
    Change(u8),
}

/// Number of different styles a theme has.
const STYLES: usize = 19 + SERIES + RAMP + CHANGE;
/// Series that can be told apart.
pub const SERIES: usize = 8;
/// Steps of [`Role::Ramp`].
pub const RAMP: usize = 10;
/// Steps of [`Role::Change`].
pub const CHANGE: usize = 5;

/// The roles that are no scale, with the names they have in a theme file.
const PLAIN: [(&str, Role); 19] = [
    ("text", Role::Text),
    ("dim", Role::Dim),
    ("title", Role::Title),
    ("accent", Role::Accent),
    ("border", Role::Border),
    ("focus", Role::Focus),
    ("head", Role::Head),
    ("cursor", Role::Cursor),
    ("marked", Role::Marked),
    ("match", Role::Match),
    ("ok", Role::Ok),
    ("warn", Role::Warn),
    ("error", Role::Error),
    ("new", Role::New),
    ("critical", Role::Critical),
    ("off_path", Role::OffPath),
    ("waiting", Role::Waiting),
    ("async", Role::Async),
    ("event", Role::Event),
];

impl Role {
    /// Every role.
    pub fn all() -> impl Iterator<Item = Role> {
        let scale = |n: usize, role: fn(u8) -> Role| (0..n).map(move |i| role(i as u8));
        let scales = scale(SERIES, Role::Series)
            .chain(scale(RAMP, Role::Ramp))
            .chain(scale(CHANGE, Role::Change));
        PLAIN.iter().map(|(_, role)| *role).chain(scales)
    }

    /// The role a theme file calls so: `error`, `series3`, `ramp0`, `change4`.
    fn named(name: &str) -> Option<Role> {
        let step = |prefix: &str, steps: usize| {
            let step = name.strip_prefix(prefix)?.parse::<u8>().ok()?;
            (usize::from(step) < steps).then_some(step)
        };
        PLAIN
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, role)| *role)
            .or_else(|| step("series", SERIES).map(Role::Series))
            .or_else(|| step("ramp", RAMP).map(Role::Ramp))
            .or_else(|| step("change", CHANGE).map(Role::Change))
    }

    fn index(self) -> usize {
        let scales = PLAIN.len();
        match self {
            Role::Series(n) => scales + usize::from(n) % SERIES,
            Role::Ramp(n) => scales + SERIES + usize::from(n).min(RAMP - 1),
            Role::Change(n) => scales + SERIES + RAMP + usize::from(n).min(CHANGE - 1),
            plain => PLAIN.iter().position(|(_, role)| *role == plain).unwrap_or(0),
        }
    }
}

/// The themes that are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// Only the sixteen colours the user chose for the terminal; right on light and dark.
    #[default]
    Ansi,
    /// Light on dark.
    Dark,
    /// Dark on light.
    Light,
    /// Black, white and few strong colours.
    HighContrast,
    /// Series of Okabe and Ito, a scale like cividis: for any colour vision.
    Cvd,
    /// No colour.
    Mono,
}

/// Names of the themes that are built in.
pub const THEMES: [(&str, ThemeName); 6] = [
    ("ansi", ThemeName::Ansi),
    ("dark", ThemeName::Dark),
    ("light", ThemeName::Light),
    ("high-contrast", ThemeName::HighContrast),
    ("cvd", ThemeName::Cvd),
    ("mono", ThemeName::Mono),
];

impl FromStr for ThemeName {
    type Err = ThemeError;

    fn from_str(name: &str) -> Result<Self, ThemeError> {
        let found = THEMES.iter().find(|(n, _)| *n == name);
        found.map(|(_, theme)| *theme).ok_or_else(|| ThemeError::Unknown(name.to_owned()))
    }
}

/// Why there is no such theme.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// No theme is called so.
    #[error("no theme `{0}`; there are ansi, dark, light, high-contrast, cvd and mono")]
    Unknown(String),
    /// The theme file is no TOML, or not of that shape.
    #[error("theme file: {0}")]
    File(#[from] toml::de::Error),
    /// The theme file colours something that does not exist.
    #[error("theme file: no role `{0}`")]
    Role(String),
    /// A colour that is none.
    #[error("theme file: `{role}` is `{colour}`; wanted `#rrggbb`, a colour's name or 0 to 255")]
    Colour {
        /// Which role.
        role: String,
        /// What stands there.
        colour: String,
    },
}

/// Colours the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None, or the user wants none.
    None,
    /// Sixteen.
    Ansi16,
    /// 256.
    Ansi256,
    /// All.
    TrueColor,
}

impl From<TermProfile> for Depth {
    fn from(profile: TermProfile) -> Self {
        match profile {
            TermProfile::NoTty | TermProfile::NoColor => Depth::None,
            TermProfile::Ansi16 => Depth::Ansi16,
            TermProfile::Ansi256 => Depth::Ansi256,
            TermProfile::TrueColor => Depth::TrueColor,
        }
    }
}

impl Depth {
    fn profile(self) -> TermProfile {
        match self {
            Depth::None => TermProfile::NoColor,
            Depth::Ansi16 => TermProfile::Ansi16,
            Depth::Ansi256 => TermProfile::Ansi256,
            Depth::TrueColor => TermProfile::TrueColor,
        }
    }
}

/// How a scale is drawn here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heat {
    /// Two rows a cell, each with its colour.
    Halves,
    /// Shades of one hue.
    Shades,
    /// Shades without a hue, or signs of growing weight where there are no shades.
    Weights,
}

/// The style of every role, and the glyphs to draw with.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: [Style; STYLES],
    depth: Depth,
    /// The glyphs to draw with.
    pub glyphs: Glyphs,
}

impl Theme {
    /// A theme as a terminal of that depth can show it. Without colour every theme is `mono`.
    pub fn new(name: ThemeName, depth: Depth, glyphs: Glyphs) -> Self {
        let (styles, depth) = match (name, depth) {
            (ThemeName::Mono, _) | (_, Depth::None) => (palettes::mono(), Depth::None),
            (ThemeName::Ansi, _) => (palettes::ansi(), Depth::Ansi16),
            (ThemeName::Dark, _) => (styles_of(&palettes::DARK, depth), depth),
            (ThemeName::Light, _) => (styles_of(&palettes::LIGHT, depth), depth),
            (ThemeName::HighContrast, _) => (styles_of(&palettes::HIGH_CONTRAST, depth), depth),
            (ThemeName::Cvd, _) => (styles_of(&palettes::CVD, depth), depth),
        };
        Self { styles, depth, glyphs }
    }

    /// A theme file: `base = "dark"`, then `error = "#ff5f5f"` and the like.
    pub fn from_toml(text: &str, depth: Depth, glyphs: Glyphs) -> Result<Self, ThemeError> {
        let mut roles: BTreeMap<String, String> = toml::from_str(text)?;
        let base = roles.remove("base").unwrap_or_else(|| "ansi".to_owned()).parse()?;
        let mut theme = Self::new(base, depth, glyphs);
        for (name, colour) in roles {
            let role = Role::named(&name).ok_or_else(|| ThemeError::Role(name.clone()))?;
            let colour = Color::from_str(&colour)
                .map_err(|_| ThemeError::Colour { role: name.clone(), colour: colour.clone() })?;
            theme.recolour(role, colour, depth);
        }
        Ok(theme)
    }

    fn recolour(&mut self, role: Role, colour: Color, depth: Depth) {
        if depth > Depth::None {
            self.depth = self.depth.max(depth);
            let style = &mut self.styles[role.index()];
            style.fg = depth.profile().adapt_color(colour).or(style.fg);
        }
    }

    /// How that is drawn.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role.index()]
    }

    /// Upper and lower half of a cell, each with the colour of its role.
    pub fn halves(&self, upper: Role, lower: Role) -> Style {
        Style { bg: self.style(lower).fg, ..self.style(upper) }
    }

    /// How a scale is drawn.
    pub fn heat(&self) -> Heat {
        match self.depth {
            _ if !self.glyphs.halves => Heat::Weights,
            Depth::None => Heat::Weights,
            Depth::Ansi16 => Heat::Shades,
            Depth::Ansi256 | Depth::TrueColor => Heat::Halves,
        }
    }

    /// Colours in use.
    pub fn depth(&self) -> Depth {
        self.depth
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(ThemeName::Ansi, Depth::Ansi16, Glyphs::default())
    }
}

/// The colours of a palette as a terminal of that depth has them.
fn styles_of(palette: &Palette, depth: Depth) -> [Style; STYLES] {
    let mut styles = palettes::truecolor(palette);
    for style in &mut styles {
        *style = depth.profile().adapt_style(*style);
    }
    styles
}

/// A foreground as an image shows it on dark: the sixteen colours in their usual tones.
pub(crate) fn svg_colour(colour: Option<Color>) -> String {
    match colour {
        Some(Color::Rgb(r, g, b)) => format!("#{r:02x}{g:02x}{b:02x}"),
        Some(Color::Red | Color::LightRed) => "#e06c75".to_owned(),
        Some(Color::Green | Color::LightGreen) => "#98c379".to_owned(),
        Some(Color::Yellow | Color::LightYellow) => "#e5c07b".to_owned(),
        Some(Color::Blue | Color::LightBlue) => "#61afef".to_owned(),
        Some(Color::Magenta | Color::LightMagenta) => "#c678dd".to_owned(),
        Some(Color::Cyan | Color::LightCyan) => "#56b6c2".to_owned(),
        Some(Color::DarkGray) => "#6b7280".to_owned(),
        Some(Color::White) => "#ffffff".to_owned(),
        _ => "#d8dee9".to_owned(),
    }
}
