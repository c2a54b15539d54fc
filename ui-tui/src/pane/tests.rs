//! Frames never draw outside of themselves, at any size.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::theme::Theme;

fn drawn(width: u16, height: u16, title: &str, note: &str) -> Vec<String> {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    let theme = Theme::default();
    let area = buffer.area;
    let mut pen = Pen::new(&mut buffer, area, &theme);
    let frame = Frame { title: title.into(), note: note.into(), focused: true, is_old: false };
    framed(&mut pen, &frame);
    (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect()
}

#[test]
fn titles_make_way() {
    assert_eq!(drawn(30, 2, "Services", "sort: impact v")[0], "┌ Services ── sort: impact v ┐");
    assert_eq!(drawn(24, 2, "Services", "sort: impact v")[0], "┌ Services ────────────┐");
    assert_eq!(drawn(9, 2, "Services", "")[0], "┌ Serv… ┐");
}

#[test]
fn any_size_is_drawn() {
    for width in 0..12 {
        for height in 0..6 {
            drawn(width, height, "Title", "note");
        }
    }
}
