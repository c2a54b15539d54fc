//! A table of any length: only the rows that are seen are asked for.

use super::{Mark, Pen, bars, first_visible, sparkline};
use crate::safe_text::SafeText;
use crate::theme::Role;

/// Columns in front of the first: cursor, mark, a gap.
const MARGIN: u16 = 3;

/// How a column is placed.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its head.
    pub head: SafeText,
    /// Narrowest it may be.
    pub min: u16,
    /// Its part of the room that is left over; 0 keeps it at `min`.
    pub grow: u16,
    /// Numbers stand at the right.
    pub right: bool,
    /// What is left out first when there is little room: the larger, the earlier.
    pub rank: u8,
}

impl Column {
    /// A text that takes the room there is.
    pub fn text(head: &str, min: u16) -> Self {
        Self { head: head.into(), min, grow: 1, right: false, rank: 0 }
    }

    /// A number.
    pub fn number(head: &str, width: u16) -> Self {
        Self { head: head.into(), min: width, grow: 0, right: true, rank: 1 }
    }

    /// Something of a fixed width that begins at the left.
    pub fn fixed(head: &str, width: u16) -> Self {
        Self { right: false, ..Self::number(head, width) }
    }

    /// How early it is left out.
    pub fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// Its part of the room that is left over.
    pub fn grow(self, grow: u16) -> Self {
        Self { grow, ..self }
    }
}

/// What stands in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text.
    Text(SafeText),
    /// The course of a value.
    Spark(Vec<Option<f64>>),
    /// A share as a bar.
    Bar(f64),
    /// A value from -1 to 1 to one side of a middle line.
    BothWays(f64),
}

/// A field.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What stands in it.
    pub content: Content,
    /// What it means.
    pub role: Role,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<SafeText>) -> Self {
        Self { content: Content::Text(text.into()), role: Role::Text }
    }

    /// The course of a value.
    pub fn spark(values: Vec<Option<f64>>) -> Self {
        Self { content: Content::Spark(values), role: Role::Series(0) }
    }

    /// A share as a bar.
    pub fn bar(share: f64) -> Self {
        Self { content: Content::Bar(share), role: Role::Series(0) }
    }

    /// A value from -1 to 1 to one side of a middle line.
    pub fn both_ways(value: f64) -> Self {
        Self { content: Content::BothWays(value), role: Role::Text }
    }

    /// With another meaning.
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What stands in front.
    pub mark: Mark,
    /// The user marked it.
    pub marked: bool,
    /// It matters less: old data, others than the selected.
    pub dim: bool,
    /// Its fields, one a column.
    pub cells: Vec<Cell>,
}

/// By which column the rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Place of the column.
    pub column: usize,
    /// The largest first.
    pub descending: bool,
}

/// Gives a row, or nothing when it is not loaded.
pub type RowSource<'a> = &'a dyn Fn(usize) -> Option<Row>;

/// A table.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    /// Its columns.
    pub columns: &'a [Column],
    /// How many rows there are.
    pub len: usize,
    /// First row to show; moved as far as the cursor needs.
    pub first: usize,
    /// Row under the cursor.
    pub cursor: Option<usize>,
    /// By what it is sorted.
    pub sort: Option<Sort>,
    /// Asked for rows that are seen, and for no others.
    pub rows: RowSource<'a>,
}

impl std::fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("len", &self.len).field("cursor", &self.cursor).finish()
    }
}

/// A column on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which column.
    pub column: usize,
    /// Where it begins.
    pub x: u16,
    /// How wide it is.
    pub width: u16,
}

/// Places columns in `width`: those with the largest rank are left out while there is no room.
pub fn place(columns: &[Column], width: u16) -> Vec<Placed> {
    let room = width.saturating_sub(MARGIN);
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let needed = |shown: &[usize]| {
        let gaps = shown.len().saturating_sub(1) as u16;
        shown.iter().map(|c| columns[*c].min).sum::<u16>() + gaps
    };
    while shown.len() > 1 && needed(&shown) > room {
        let out = (0..shown.len()).max_by_key(|at| (columns[shown[*at]].rank, *at)).unwrap_or(0);
        shown.remove(out);
    }
    let spare = room.saturating_sub(needed(&shown));
    let parts: u16 = shown.iter().map(|c| columns[*c].grow).sum();
    let mut placed = Vec::with_capacity(shown.len());
    let (mut x, mut given, mut parts_seen) = (MARGIN, 0, 0);
    for column in shown {
        parts_seen += columns[column].grow;
        // Shares of the running sum, so that the rounding adds up to the whole.
        let upto = if parts == 0 {
            0
        } else {
            (u32::from(spare) * u32::from(parts_seen) / u32::from(parts)) as u16
        };
        let column_width = (columns[column].min + upto - given).min(width.saturating_sub(x));
        given = upto;
        placed.push(Placed { column, x, width: column_width });
        x = (x + column_width + 1).min(width);
    }
    placed
}

impl Table<'_> {
    /// Rows that fit into `height`, below the head.
    pub fn page(height: u16) -> usize {
        usize::from(height.saturating_sub(1))
    }

    /// The first row that is drawn in `height`.
    pub fn first_drawn(&self, height: u16) -> usize {
        let cursor = self.cursor.unwrap_or(self.first);
        first_visible(self.first, cursor, Self::page(height), self.len)
    }

    /// Draws the head and the rows that are seen.
    pub fn render(&self, pen: &mut Pen<'_>) {
        let placed = place(self.columns, pen.width());
        self.head(pen, &placed);
        let first = self.first_drawn(pen.height());
        let last = self.len.min(first + Self::page(pen.height()));
        for (line, index) in (first..last).enumerate() {
            let y = line as u16 + 1;
            let row = (self.rows)(index);
            match &row {
                Some(row) => draw_row(pen, &placed, self.columns, y, row),
                None => pen.row(MARGIN, y, 1, '·', Role::Dim),
            }
            if self.cursor == Some(index) {
                draw_cursor(pen, &placed, y, row.as_ref());
            }
        }
    }

    fn head(&self, pen: &mut Pen<'_>, placed: &[Placed]) {
        for p in placed {
            let column = &self.columns[p.column];
            let sort = self.sort.filter(|s| s.column == p.column);
            let arrow = sort.map_or("", |s| if s.descending { " v" } else { " ^" });
            let head = column.head.then(&arrow.into());
            // The arrow of a number may use the gap before it; without room for it colour must do.
            let gap = u16::from(column.right);
            let role = if sort.is_some() { Role::Accent } else { Role::Head };
            match head.width() > usize::from(p.width + gap) {
                true => self.head_text(pen, p, &column.head, role),
                false => self.head_text(pen, p, &head, role),
            }
        }
    }

    fn head_text(&self, pen: &mut Pen<'_>, p: &Placed, head: &SafeText, role: Role) {
        if self.columns[p.column].right {
            pen.right(p.x.saturating_sub(1), 0, p.width + 1, head, role);
        } else {
            pen.text(p.x, 0, p.width, head, role);
        }
    }
}

fn draw_row(pen: &mut Pen<'_>, placed: &[Placed], columns: &[Column], y: u16, row: &Row) {
    pen.put(1, y, row.mark.glyph(), row.mark.role());
    for p in placed {
        let Some(cell) = row.cells.get(p.column) else { continue };
        let role = if row.dim { Role::Dim } else { cell.role };
        match &cell.content {
            Content::Text(text) if columns[p.column].right => {
                pen.right(p.x, y, p.width, text, role)
            }
            Content::Text(text) => {
                pen.text(p.x, y, p.width, text, role);
            }
            Content::Spark(values) => sparkline::sparkline(pen, (p.x, y), p.width, values, role),
            Content::Bar(share) => bars::bar(pen, (p.x, y), p.width, *share, role),
            Content::BothWays(value) => bars::both_ways(pen, (p.x, y), p.width, *value),
        }
    }
    if row.marked {
        pen.restyle(0, y, pen.width(), 1, pen.style(Role::Marked));
        pen.put(0, y, '*', Role::Accent);
    }
}

/// The cursor: a glyph in front, and reverse video over texts. Bars keep their look, since reversed they
/// would show what they are not.
fn draw_cursor(pen: &mut Pen<'_>, placed: &[Placed], y: u16, row: Option<&Row>) {
    let is_drawing = |p: &&Placed| {
        let content = row.and_then(|r| r.cells.get(p.column)).map(|c| &c.content);
        !matches!(content, None | Some(Content::Text(_)))
    };
    let style = pen.style(Role::Cursor);
    let mut x = 1;
    for p in placed.iter().filter(is_drawing) {
        pen.restyle(x, y, p.x.saturating_sub(x), 1, style);
        x = p.x + p.width;
    }
    pen.restyle(x, y, pen.width().saturating_sub(x), 1, style);
    pen.put(0, y, '▌', Role::Accent);
}
