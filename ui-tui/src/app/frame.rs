//! What stands around the panes: where one is, what it is about, what can be done next.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::App;
use crate::action::{self, Action};
use crate::format;
use crate::safe_text::SafeText;
use crate::screens;
use crate::theme::Role;
use crate::widgets::Pen;

/// Below this there is only a line that says so.
const WIDTH_MIN: u16 = 40;
const HEIGHT_MIN: u16 = 10;
/// From this height on the last row tells keys.
const HINTS_HEIGHT: u16 = 16;

/// The area of the panes.
pub(super) fn body((width, height): (u16, u16)) -> Rect {
    if width < WIDTH_MIN || height < HEIGHT_MIN {
        return Rect::ZERO;
    }
    let hints = u16::from(height >= HINTS_HEIGHT);
    Rect::new(0, 2, width, height - 2 - hints)
}

/// Draws everything; reads only.
pub(crate) fn render(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), area, &app.look.theme);
    pen.clear();
    if body(app.size).is_empty() {
        let text = format!("needs {WIDTH_MIN}x{HEIGHT_MIN}, has {}x{}", area.width, area.height);
        pen.text(0, 0, area.width, &text.into(), Role::Warn);
        return;
    }
    where_line(app, &mut pen);
    about_line(app, &mut pen);
    panes(app, &mut pen);
    if area.height >= HINTS_HEIGHT || app.note().is_some() {
        last_line(app, &mut pen);
    }
    for over in &app.overlays {
        over.draw(app, &mut pen);
    }
}

fn panes(app: &App, pen: &mut Pen<'_>) {
    let (view, look) = (app.top(), app.top_look());
    for (at, area) in view.panes(app.body()).into_iter().enumerate() {
        if !area.is_empty() {
            let mut pen = pen.part(area.x, area.y, area.width, area.height);
            view.screen.draw(at, &mut pen, &look);
        }
    }
}

/// Row 0: breadcrumb; range and live state.
fn where_line(app: &App, pen: &mut Pen<'_>) {
    let width = pen.width();
    let (state, role) = state(app);
    let range = app.top().screen.place_in_time(&app.top_look());
    let range = range.unwrap_or_else(|| app.top().scope.range.words(&app.look.zone));
    let right = SafeText::new(format!("{range}  "));
    let (right_width, state_width) = (cells(&right), cells(&SafeText::new(&state)));
    let at = width.saturating_sub(right_width + state_width + 1);
    pen.text(at, 0, right_width, &right, Role::Text);
    pen.text(at + right_width, 0, state_width, &state.as_str().into(), role);
    crumbs(app, pen, at.saturating_sub(1));
}

/// From the first view to the last; the middle makes way when there is no room.
fn crumbs(app: &App, pen: &mut Pen<'_>, width: u16) {
    let names: Vec<SafeText> = app.crumbs().map(SafeText::from).collect();
    let mut x = 1;
    for (at, name) in names.iter().enumerate().skip(hidden_crumbs(&names, width)) {
        if at > 0 {
            x += pen.text(x, 0, width.saturating_sub(x), &" > ".into(), Role::Dim);
        }
        let role = if at + 1 == names.len() { Role::Title } else { Role::Accent };
        x += pen.text(x, 0, width.saturating_sub(x), name, role);
    }
}

/// How many of the first names are left out.
fn hidden_crumbs(names: &[SafeText], width: u16) -> usize {
    let total = |skip: usize| names[skip..].iter().map(|name| name.width() + 3).sum::<usize>();
    (0..names.len()).find(|skip| total(*skip) <= usize::from(width)).unwrap_or(names.len() - 1)
}

fn state(app: &App) -> (String, Role) {
    match app.live.offline_s(app.now) {
        Some(s) => (format!("offline {s} s"), Role::Error),
        None if app.is_live() => ("live".to_owned(), Role::Ok),
        None if !app.live.on => ("paused".to_owned(), Role::Warn),
        None => ("still".to_owned(), Role::Dim),
    }
}

/// Row 1: filter; facts of the answer.
fn about_line(app: &App, pen: &mut Pen<'_>) {
    let look = app.top_look();
    let width = pen.width();
    let facts = SafeText::new(facts(app));
    let taken = cells(&facts).min(width);
    pen.text(width - taken - 1.min(width - taken), 1, taken, &facts, Role::Dim);
    let room = width.saturating_sub(taken + 4);
    let used = pen.text(1, 1, 2, &"/ ".into(), Role::Accent);
    let filter = app.top().screen.filter_line(&look);
    pen.text(1 + used, 1, room, &filter.into(), Role::Text);
}

fn facts(app: &App) -> String {
    let look = app.top_look();
    let mut facts = app.top().screen.facts(&look);
    let Some(basis) = screens::basis(&look) else { return facts.join("  ") };
    let stats = &basis.stats;
    if stats.truncated {
        facts.push(format!("first {}", format::exact(stats.rows)));
    }
    if stats.partial {
        facts.push("gap".to_owned());
    }
    let traces = stats.traces.unwrap_or_default();
    // Those that still arrive are no news where data comes all the time.
    for (count, word) in [(traces.missing(), "incomplete"), (traces.truncated, "too large")] {
        if count > 0 {
            facts.push(format!("{} {word}", format::count(count)));
        }
    }
    if app.size.0 >= 120 && stats.files_scanned > 0 {
        facts.push(format!("{} files", format::exact(stats.files_scanned)));
        facts.push(format!("{} read", format::bytes(stats.bytes_scanned)));
    }
    if let Some(ms) = look.slots.iter().find_map(|slot| slot.took_ms()) {
        facts.push(format!("{:.2} s", ms as f64 / 1_000.0));
    }
    facts.join("  ")
}

/// The last row: the message of the moment, else the keys that help here.
fn last_line(app: &App, pen: &mut Pen<'_>) {
    let (y, width) = (pen.height() - 1, pen.width());
    if let Some(note) = app.note() {
        pen.row(0, y, width, ' ', Role::Text);
        pen.text(1, y, width - 1, &note.into(), Role::Accent);
        return;
    }
    let mut x = 1;
    for (key, word) in action::hints(app.top().screen.layer(), width.into()) {
        x += pen.text(x, y, width, &key.into(), Role::Accent) + 1;
        x += pen.text(x, y, width, &word.into(), Role::Dim) + 2;
    }
}

/// The action whose hint stands at a cell.
pub(super) fn hint_at(app: &App, x: u16, y: u16) -> Option<Action> {
    let (width, height) = app.size;
    if y + 1 != height || height < HINTS_HEIGHT || app.note().is_some() {
        return None;
    }
    let layer = app.top().screen.layer();
    let mut at = 1;
    for (key, word) in action::hints(layer, width.into()) {
        let end = at + key.len() + 1 + word.len();
        if (at..end).contains(&usize::from(x)) {
            let entry = |e: &&action::Entry| e.hint == word && action::shown(e.key()) == key;
            return action::holding(layer).find(entry).map(|e| e.action);
        }
        at = end + 2;
    }
    None
}

/// The view whose name in the breadcrumb stands at a cell.
pub(super) fn crumb_at(app: &App, x: u16, y: u16) -> Option<usize> {
    if y != 0 {
        return None;
    }
    let names: Vec<SafeText> = app.crumbs().map(SafeText::from).collect();
    let skip = hidden_crumbs(&names, app.size.0);
    let mut at = 1;
    for (view, name) in names.iter().enumerate().skip(skip) {
        at += if view > 0 { 3 } else { 0 };
        if (at..at + name.width()).contains(&usize::from(x)) {
            return Some(view);
        }
        at += name.width();
    }
    None
}

fn cells(text: &SafeText) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}
