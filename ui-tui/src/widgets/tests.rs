//! What widgets look like: with all glyphs, in ASCII, without colour, with hostile text, at any size.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bars;
mod charts;
mod maps;
mod tables;
mod trees;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::Pen;
use crate::theme::{Depth, Glyphs, Theme, ThemeName};

/// A theme of full colour with all glyphs.
pub(crate) fn rich() -> Theme {
    Theme::new(ThemeName::Dark, Depth::TrueColor, Glyphs::default())
}

/// No colour, all glyphs.
pub(crate) fn mono() -> Theme {
    Theme::new(ThemeName::Mono, Depth::None, Glyphs::default())
}

/// No colour, ASCII only.
pub(crate) fn ascii() -> Theme {
    Theme::new(ThemeName::Mono, Depth::None, Glyphs::ASCII)
}

/// Draws into a buffer of that size.
pub(crate) fn drawn(
    theme: &Theme,
    (width, height): (u16, u16),
    draw: impl Fn(&mut Pen<'_>),
) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(&mut Pen::new(&mut buffer, area, theme));
    buffer
}

/// The glyphs of a buffer, line by line, without spaces at the ends.
pub(crate) fn glyphs(buffer: &Buffer) -> String {
    let line = |y: u16| {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += ratatui::buffer::CellWidth::cell_width(symbol).max(1);
        }
        line.trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
}

/// One letter a cell for what is not a glyph: `r` reverse, `b` bold, `u` underlined, `d` dim, else a dot.
pub(crate) fn styles(buffer: &Buffer) -> String {
    let letter = |m: Modifier| match m {
        m if m.contains(Modifier::REVERSED) => 'r',
        m if m.contains(Modifier::BOLD | Modifier::UNDERLINED) => 'x',
        m if m.contains(Modifier::BOLD) => 'b',
        m if m.contains(Modifier::UNDERLINED) => 'u',
        m if m.contains(Modifier::DIM) => 'd',
        _ => '.',
    };
    let line = |y: u16| (0..buffer.area.width).map(|x| letter(buffer[(x, y)].modifier)).collect();
    (0..buffer.area.height).map(line).collect::<Vec<String>>().join("\n")
}

/// Compares with a picture, whose lines are indented like the quote that closes it. Spaces at the ends of
/// lines do not count.
#[track_caller]
pub(crate) fn check(actual: &str, expected: &str) {
    let lines: Vec<&str> = expected.lines().collect();
    let (last, body) = lines[1..].split_last().unwrap();
    let cut = |l: &&str| l.get(last.len()..).unwrap_or("").trim_end().to_owned();
    let expected = body.iter().map(cut).collect::<Vec<_>>().join("\n");
    let actual = actual.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert!(actual == expected, "looks otherwise\n--- is\n{actual}\n--- wanted\n{expected}\n---");
}

/// Draws at every small size with every kind of theme; nothing may panic.
pub(crate) fn at_any_size(draw: impl Fn(&mut Pen<'_>)) {
    for theme in [rich(), mono(), ascii()] {
        for width in (0..14).chain([40, 200]) {
            for height in (0..6).chain([30]) {
                drawn(&theme, (width, height), &draw);
            }
        }
    }
}

/// Text that tries to leave its place.
pub(crate) const HOSTILE: &str = "\u{1b}[2Jevil\u{202e}\u{200b}\n\u{7}日本語日本語日本語";
