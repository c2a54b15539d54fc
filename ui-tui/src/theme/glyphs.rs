//! Which glyphs the terminal's font has, and the plain signs that stand for the others.

/// Classes of glyphs, each on or off. Octants and icons are never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Lines and corners of frames: `─│┌`.
    pub boxes: bool,
    /// Eighths of a block: `▏▎▍` and `▁▂▃`.
    pub eighths: bool,
    /// Half blocks and shades: `▀░▒▓█`.
    pub halves: bool,
    /// Braille dots for lines of charts.
    pub braille: bool,
    /// Any text beyond ASCII; without it the signs of telemetry are replaced too.
    pub unicode: bool,
}

impl Default for Glyphs {
    fn default() -> Self {
        Self { boxes: true, eighths: true, halves: true, braille: true, unicode: true }
    }
}

impl Glyphs {
    /// Nothing but ASCII.
    pub const ASCII: Self =
        Self { boxes: false, eighths: false, halves: false, braille: false, unicode: false };

    /// What a locale allows: ASCII unless it is UTF-8. The value is that of the first of `LC_ALL`,
    /// `LC_CTYPE`, `LANG` which is set and not empty.
    pub fn for_locale(locale: Option<&str>) -> Self {
        let utf8 = |l: &str| {
            let l = l.to_ascii_lowercase();
            l.contains("utf-8") || l.contains("utf8")
        };
        if locale.is_some_and(utf8) { Self::default() } else { Self::ASCII }
    }

    /// The glyph, or its plain stand-in.
    pub fn pick(&self, glyph: char) -> char {
        let has = match glyph {
            ' '..='~' => true,
            '\u{2500}'..='\u{257f}' => self.boxes,
            '▀' | '▄' | '█' | '░' | '▒' | '▓' => self.halves,
            '\u{2581}'..='\u{2590}' => self.eighths,
            '\u{2800}'..='\u{28ff}' => self.braille,
            _ => self.unicode,
        };
        if has { glyph } else { plain(glyph) }
    }

    /// What a text that was cut ends in.
    pub fn ellipsis(&self) -> char {
        self.pick('…')
    }
}

/// The sign of ASCII that comes nearest.
fn plain(glyph: char) -> char {
    match glyph {
        '─' | '┄' | '╌' | '╴' | '╶' => '-',
        '│' | '┊' | '╎' | '╵' | '╷' | '▏' | '▎' | '▍' | '▌' | '▐' => '|',
        '═' => '=',
        '║' => '|',
        '━' => '=',
        '┃' => '|',
        '╳' => 'X',
        '\u{2500}'..='\u{257f}' => '+',
        '█' | '▇' | '▆' => '#',
        '▓' => '=',
        '▒' => '~',
        '░' => '.',
        '▅' | '▄' => '=',
        '▃' | '▀' => '-',
        '▁' | '▂' => '_',
        '◆' | '●' | '•' => '*',
        '·' => '.',
        '…' => '~',
        '▲' | '△' => '^',
        '▼' | '▽' => 'v',
        '▶' | '→' | '▸' => '>',
        '◀' | '←' | '◂' => '<',
        '\u{2801}'..='\u{28ff}' => '*',
        '\u{2800}' => ' ',
        '↵' => '$',
        _ => '?',
    }
}
