//! What is on the screen as an SVG picture: for documents, and to pass on.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, CellWidth};
use ratatui::style::{Color, Modifier};

const CELL_WIDTH: u16 = 8;
const CELL_HEIGHT: u16 = 16;

/// Ink and ground where the terminal's own are meant.
const INK: u32 = 0xd7dae0;
const GROUND: u32 = 0x15181e;

/// The cells as a picture.
pub fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (area.width * CELL_WIDTH, area.height * CELL_HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#{GROUND:06x}\"/>\n"
    );
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let cell = &buffer[(area.x + x, area.y + y)];
            let wide = cell.symbol().cell_width().max(1);
            let (ink, ground) = colours(cell.fg, cell.bg, cell.modifier);
            let (left, top) = (x * CELL_WIDTH, y * CELL_HEIGHT);
            // Writing into a String cannot fail.
            if ground != GROUND {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{CELL_HEIGHT}\" fill=\"#{ground:06x}\"/>",
                    wide * CELL_WIDTH
                );
            }
            if cell.symbol() != " " {
                let weight = if cell.modifier.contains(Modifier::BOLD) {
                    " font-weight=\"bold\""
                } else {
                    ""
                };
                let line = if cell.modifier.contains(Modifier::UNDERLINED) {
                    " text-decoration=\"underline\""
                } else {
                    ""
                };
                let _ = writeln!(
                    out,
                    "<text x=\"{left}\" y=\"{}\" fill=\"#{ink:06x}\"{weight}{line}>{}</text>",
                    top + 12,
                    escaped(cell.symbol())
                );
            }
            x += wide;
        }
    }
    out.push_str("</svg>\n");
    out
}

fn colours(fg: Color, bg: Color, modifier: Modifier) -> (u32, u32) {
    let (ink, ground) = (rgb(fg, INK), rgb(bg, GROUND));
    let ink = if modifier.contains(Modifier::DIM) { between(ink, ground) } else { ink };
    if modifier.contains(Modifier::REVERSED) { (ground, ink) } else { (ink, ground) }
}

/// Halfway between two colours.
fn between(a: u32, b: u32) -> u32 {
    ((a & 0xfe_fe_fe) >> 1) + ((b & 0xfe_fe_fe) >> 1)
}

fn rgb(colour: Color, otherwise: u32) -> u32 {
    match colour {
        Color::Rgb(r, g, b) => u32::from_be_bytes([0, r, g, b]),
        Color::Black => 0x000000,
        Color::Red => 0xcd3131,
        Color::Green => 0x0dbc79,
        Color::Yellow => 0xe5e510,
        Color::Blue => 0x2472c8,
        Color::Magenta => 0xbc3fbc,
        Color::Cyan => 0x11a8cd,
        Color::Gray => 0xc0c0c0,
        Color::DarkGray => 0x666666,
        Color::LightRed => 0xf14c4c,
        Color::LightGreen => 0x23d18b,
        Color::LightYellow => 0xf5f543,
        Color::LightBlue => 0x3b8eea,
        Color::LightMagenta => 0xd670d6,
        Color::LightCyan => 0x29b8db,
        Color::White => 0xffffff,
        Color::Indexed(n) => indexed(n),
        Color::Reset => otherwise,
    }
}

/// The fixed part of the 256 colours.
fn indexed(n: u8) -> u32 {
    let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * u32::from(v) };
    match n {
        232.. => (8 + 10 * u32::from(n - 232)) * 0x01_01_01,
        16.. => {
            let n = n - 16;
            level(n / 36) << 16 | level(n / 6 % 6) << 8 | level(n % 6)
        }
        _ => 0xc0c0c0,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
