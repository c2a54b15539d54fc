//! Lines in character cells: each cell knows which of its four sides are joined and how, and picks its
//! glyph by that.

use ratatui::layout::Rect;

use crate::theme::Role;
use crate::widgets::Pen;

/// Heads of arrows.
pub(super) const HEAD_RIGHT: char = '>';
pub(super) const HEAD_LEFT: char = '<';
pub(super) const HEAD_UP: char = '^';
pub(super) const HEAD_DOWN: char = 'v';

/// How a line looks; later ones lie on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// No line.
    #[default]
    None,
    /// `┄`: messages and links.
    Dashed,
    /// `─`: calls.
    Light,
    /// `━`
    Heavy,
    /// `═`: on the path that matters.
    Double,
}

/// The sides of a cell.
const NORTH: usize = 0;
const EAST: usize = 1;
const SOUTH: usize = 2;
const WEST: usize = 3;

/// Corners, tees and crosses, in the order of [`shape`], by the weight of the level and the upright line.
const LIGHT: [char; 9] = ['┌', '┐', '└', '┘', '├', '┤', '┬', '┴', '┼'];
const DOUBLE: [char; 9] = ['╔', '╗', '╚', '╝', '╠', '╣', '╦', '╩', '╬'];
const DOUBLE_LEVEL: [char; 9] = ['╒', '╕', '╘', '╛', '╞', '╡', '╤', '╧', '╪'];
const DOUBLE_UPRIGHT: [char; 9] = ['╓', '╖', '╙', '╜', '╟', '╢', '╥', '╨', '╫'];
const HEAVY: [char; 9] = ['┏', '┓', '┗', '┛', '┣', '┫', '┳', '┻', '╋'];
const HEAVY_LEVEL: [char; 9] = ['┍', '┑', '┕', '┙', '┝', '┥', '┯', '┷', '┿'];
const HEAVY_UPRIGHT: [char; 9] = ['┎', '┒', '┖', '┚', '┠', '┨', '┰', '┸', '╂'];

/// Place of a shape in the tables; nothing for straight lines and ends.
fn shape(joined: [bool; 4]) -> Option<usize> {
    Some(match joined {
        [false, true, true, false] => 0,
        [false, false, true, true] => 1,
        [true, true, false, false] => 2,
        [true, false, false, true] => 3,
        [true, true, true, false] => 4,
        [true, false, true, true] => 5,
        [false, true, true, true] => 6,
        [true, true, false, true] => 7,
        [true, true, true, true] => 8,
        _ => return None,
    })
}

/// The glyph of a cell with these sides.
pub fn glyph(sides: [Weight; 4]) -> char {
    let level = sides[EAST].max(sides[WEST]);
    let upright = sides[NORTH].max(sides[SOUTH]);
    let Some(shape) = shape(sides.map(|s| s != Weight::None)) else {
        return if level > Weight::None {
            straight_level(level)
        } else {
            straight_upright(upright)
        };
    };
    let table = match (level, upright) {
        (Weight::Double, Weight::Double) => &DOUBLE,
        (Weight::Double, _) => &DOUBLE_LEVEL,
        (_, Weight::Double) => &DOUBLE_UPRIGHT,
        (Weight::Heavy, Weight::Heavy) => &HEAVY,
        (Weight::Heavy, _) => &HEAVY_LEVEL,
        (_, Weight::Heavy) => &HEAVY_UPRIGHT,
        _ => &LIGHT,
    };
    table[shape]
}

fn straight_level(weight: Weight) -> char {
    match weight {
        Weight::None => ' ',
        Weight::Dashed => '┄',
        Weight::Light => '─',
        Weight::Heavy => '━',
        Weight::Double => '═',
    }
}

fn straight_upright(weight: Weight) -> char {
    match weight {
        Weight::None => ' ',
        Weight::Dashed => '┊',
        Weight::Light => '│',
        Weight::Heavy => '┃',
        Weight::Double => '║',
    }
}

/// Two lines that have nothing in common: a gap in the weaker one, or a glyph that reads as a crossing.
fn crossing(level: Weight, upright: Weight) -> char {
    match (level, upright) {
        (Weight::Double, u) if u != Weight::Double => '╪',
        (l, Weight::Double) if l != Weight::Double => '╫',
        (l, u) if l > u => straight_level(l),
        (_, u) => straight_upright(u),
    }
}

/// Whose line goes through a cell along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Edge { from: usize, to: usize },
    Frame,
}

impl Owner {
    fn has_in_common(self, other: Owner) -> bool {
        match (self, other) {
            (Owner::Edge { from, to }, Owner::Edge { from: f, to: t }) => from == f || to == t,
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    sides: [Weight; 4],
    /// Of the level and the upright line.
    owners: [Owner; 2],
    head: Option<char>,
    role: Role,
}

const EMPTY: Cell =
    Cell { sides: [Weight::None; 4], owners: [Owner::Nobody; 2], head: None, role: Role::Text };

/// The lines of the part of a map that is seen.
#[derive(Debug)]
pub(super) struct Grid {
    left: u16,
    top: u16,
    width: u16,
    cells: Vec<Cell>,
}

impl Grid {
    pub(super) fn new((left, top): (u16, u16), (width, height): (u16, u16)) -> Self {
        let cells = vec![EMPTY; usize::from(width) * usize::from(height)];
        Self { left, top, width, cells }
    }

    fn cell(&mut self, (x, y): (u16, u16)) -> Option<&mut Cell> {
        let (x, y) = (x.checked_sub(self.left)?, y.checked_sub(self.top)?);
        let at = usize::from(y) * usize::from(self.width) + usize::from(x);
        self.cells.get_mut(at).filter(|_| x < self.width)
    }

    /// The frame of a node.
    pub(super) fn frame(&mut self, place: Rect, weight: Weight, role: Role) {
        let (left, right) = (place.x, place.right().saturating_sub(1));
        let (top, bottom) = (place.y, place.bottom().saturating_sub(1));
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        for ends in corners.windows(2) {
            self.line(ends[0], ends[1], Owner::Frame, weight, role);
        }
    }

    /// The line of an edge.
    pub(super) fn edge(
        &mut self,
        route: &[(u16, u16)],
        (from, to): (usize, usize),
        weight: Weight,
        role: Role,
    ) {
        for ends in route.windows(2) {
            self.line(ends[0], ends[1], Owner::Edge { from, to }, weight, role);
        }
    }

    /// The head of an arrow at the end of a route.
    pub(super) fn head(&mut self, route: &[(u16, u16)], role: Role) {
        let [.., before, last] = route else { return };
        let head = super::head_of((*before, *last));
        if let Some(cell) = self.cell(*last) {
            cell.head = Some(head);
            cell.role = role;
        }
    }

    fn line(&mut self, from: (u16, u16), to: (u16, u16), owner: Owner, weight: Weight, role: Role) {
        let (ahead, back, axis) = match (to.0.cmp(&from.0), to.1.cmp(&from.1)) {
            (std::cmp::Ordering::Greater, _) => (EAST, WEST, 0),
            (std::cmp::Ordering::Less, _) => (WEST, EAST, 0),
            (_, std::cmp::Ordering::Greater) => (SOUTH, NORTH, 1),
            (_, std::cmp::Ordering::Less) => (NORTH, SOUTH, 1),
            _ => return,
        };
        let toward = |a: u16, b: u16| {
            if b > a {
                a + 1
            } else if b < a {
                a - 1
            } else {
                a
            }
        };
        let mut at = from;
        loop {
            let is_last = at == to;
            let is_first = at == from;
            if let Some(cell) = self.cell(at) {
                if !is_last {
                    cell.sides[ahead] = cell.sides[ahead].max(weight);
                }
                if !is_first {
                    cell.sides[back] = cell.sides[back].max(weight);
                }
                // A frame keeps its look where an edge begins.
                if cell.owners[1 - axis] != Owner::Frame || owner == Owner::Frame {
                    cell.role = role;
                    cell.owners[axis] = owner;
                }
            }
            if is_last {
                return;
            }
            at = (toward(at.0, to.0), toward(at.1, to.1));
        }
    }

    /// Draws what is seen.
    pub(super) fn paint(&self, pen: &mut Pen<'_>) {
        for (at, cell) in self.cells.iter().enumerate() {
            if let Some(glyph) = cell.glyph() {
                let (x, y) = (at % usize::from(self.width), at / usize::from(self.width));
                pen.put(x as u16, y as u16, glyph, cell.role);
            }
        }
    }
}

impl Cell {
    fn glyph(&self) -> Option<char> {
        let [north, east, south, west] = self.sides;
        if self.head.is_some() || self.sides == [Weight::None; 4] {
            return self.head;
        }
        let through = self.sides.iter().all(|s| *s != Weight::None);
        if through && !self.owners[0].has_in_common(self.owners[1]) {
            return Some(crossing(east.max(west), north.max(south)));
        }
        Some(glyph(self.sides))
    }
}
