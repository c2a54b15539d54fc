//! The frame around a pane, and what is drawn in it while there is no data to draw.

use api::client::ClientError;

use crate::event::Now;
use crate::format;
use crate::safe_text::SafeText;
use crate::screens::Look;
use crate::slot::{DEADLINE_S, Slot, State};
use crate::theme::Role;
use crate::widgets::Pen;

#[cfg(test)]
mod tests;

/// What stands around a pane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// Left in the upper border.
    pub(crate) title: String,
    /// Right in the upper border.
    pub(crate) note: String,
    /// The pane has the keys.
    pub(crate) focused: bool,
    /// What it shows is being replaced.
    pub(crate) is_old: bool,
}

/// Draws the frame and returns a pen for what is within.
pub(crate) fn framed<'a>(pen: &'a mut Pen<'_>, frame: &Frame) -> Pen<'a> {
    let (width, height) = (pen.width(), pen.height());
    if width < 2 || height < 2 {
        return pen.part(0, 0, 0, 0);
    }
    let role = if frame.focused { Role::Focus } else { Role::Border };
    borders(pen, role);
    let room = width.saturating_sub(4);
    let (title, note) = (SafeText::new(&frame.title), SafeText::new(&frame.note));
    let note_width = u16::try_from(note.width()).unwrap_or(u16::MAX);
    let note_fits = note_width > 0 && note_width.saturating_add(8) <= room;
    let title_room = if note_fits { room - note_width - 3 } else { room };
    captioned(pen, 1, title_room, &title, if frame.is_old { Role::Dim } else { Role::Title });
    if note_fits {
        captioned(pen, width - note_width - 3, note_width, &note, Role::Dim);
    }
    pen.part(1, 1, width - 2, height - 2)
}

fn captioned(pen: &mut Pen<'_>, x: u16, width: u16, text: &SafeText, role: Role) {
    if text.is_empty() || width == 0 {
        return;
    }
    pen.put(x, 0, ' ', Role::Text);
    let used = pen.text(x + 1, 0, width, text, role);
    pen.put(x + 1 + used, 0, ' ', Role::Text);
}

fn borders(pen: &mut Pen<'_>, role: Role) {
    let (right, bottom) = (pen.width() - 1, pen.height() - 1);
    for y in [0, bottom] {
        pen.row(1, y, right - 1, '─', role);
    }
    for x in [0, right] {
        (1..bottom).for_each(|y| pen.put(x, y, '│', role));
    }
    let corners = [(0, 0, '┌'), (right, 0, '┐'), (0, bottom, '└'), (right, bottom, '┘')];
    corners.into_iter().for_each(|(x, y, corner)| pen.put(x, y, corner, role));
}

/// Draws what a slot says besides its data. Returns the pen for the data, or nothing when there is
/// none to be drawn.
pub(crate) fn state<'a>(pen: &'a mut Pen<'_>, slot: &Slot, now: Now) -> Option<Pen<'a>> {
    let has_data = slot.told().is_some();
    let (width, height) = (pen.width(), pen.height());
    match slot.state(now) {
        State::Ready => Some(pen.part(0, 0, width, height)),
        State::Loading { for_ms } if has_data => {
            if for_ms >= 300 {
                let age = slot.age_ms(now).unwrap_or(0);
                let text = format!("{}  showing data of {} ago", waiting(for_ms), age_text(age));
                last_line(pen, &text, Role::Dim);
            }
            Some(pen.part(0, 0, width, height.saturating_sub(u16::from(for_ms >= 300))))
        }
        State::Failed(error) if has_data => {
            last_line(pen, &format!("{}  r asks again", told(error)), Role::Error);
            Some(pen.part(0, 0, width, height.saturating_sub(1)))
        }
        State::Failed(error) => {
            failed(pen, error);
            None
        }
        State::Loading { for_ms } => {
            skeleton(pen);
            if for_ms >= 300 {
                lines(pen, &[(waiting(for_ms), Role::Dim)]);
            }
            None
        }
        State::Idle => None,
    }
}

fn last_line(pen: &mut Pen<'_>, text: &str, role: Role) {
    let (width, y) = (pen.width(), pen.height().saturating_sub(1));
    pen.text(1, y, width.saturating_sub(2), &text.into(), role);
}

fn age_text(ms: u64) -> String {
    format::duration_ns(i64::try_from(ms / 100 * 100).unwrap_or(0) * 1_000_000)
}

/// `loading`, from one second on with the time, from five on with when it is given up.
fn waiting(for_ms: u64) -> String {
    let s = for_ms / 1_000;
    match s {
        0 => "loading".to_owned(),
        1..5 => format!("loading {s} s"),
        _ => format!("loading {s} s, gives up in {} s", DEADLINE_S.saturating_sub(s)),
    }
}

/// Rows of dots where rows will be.
fn skeleton(pen: &mut Pen<'_>) {
    let width = pen.width();
    for y in 1..pen.height().min(9) {
        let length = width.saturating_sub(6) * (9 - y % 4) / 10;
        pen.row(3, y, length, '·', Role::Dim);
    }
}

fn failed(pen: &mut Pen<'_>, error: &ClientError) {
    let mut text = vec![(told(error), Role::Error)];
    if let Some(hint) = hint(error) {
        text.push((hint, Role::Text));
    }
    text.push(("r asks again, i tells what was asked".to_owned(), Role::Dim));
    lines(pen, &text);
}

/// What an error says, in one line.
pub(crate) fn told(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { url, cause } => format!("no server answers at {url}: {cause}"),
        ClientError::Refused(problem) => problem.message.clone(),
        ClientError::Garbled(text) => text.clone(),
    }
}

fn hint(error: &ClientError) -> Option<String> {
    match error {
        ClientError::Unreachable { .. } => {
            Some("start one with `otlake serve`; it is tried again by itself".to_owned())
        }
        ClientError::Refused(problem) => problem.hint.clone(),
        ClientError::Garbled(_) => None,
    }
}

/// Draws lines in the upper part of a pane, wrapped to its width.
pub(crate) fn lines(pen: &mut Pen<'_>, text: &[(String, Role)]) {
    let width = pen.width().saturating_sub(4);
    let mut y = 1;
    for (line, role) in text {
        for part in SafeText::start_of(line, usize::from(width) * 6).wrapped(usize::from(width)) {
            if y < pen.height() {
                pen.row(2, y, width, ' ', *role);
                pen.text(2, y, width, &part, *role);
            }
            y += 1;
        }
    }
}

/// Draws why there is nothing, and what to do.
pub(crate) fn empty(pen: &mut Pen<'_>, what: &str, do_this: &str) {
    lines(pen, &[(what.to_owned(), Role::Text), (do_this.to_owned(), Role::Dim)]);
}

/// Draws that a list is empty: why, and the keys that may change it.
pub(crate) fn nothing(pen: &mut Pen<'_>, look: &Look<'_>, what: &str) {
    let scope = look.scope;
    let mut text = vec![(format!("no {what} in {}", scope.range.words(look.zone)), Role::Text)];
    if !scope.filter.is_empty() {
        text.push((format!("with the filter  {}", scope.filter), Role::Text));
        text.push(("/ changes the filter".to_owned(), Role::Dim));
    }
    text.push((
        "-  looks at more time, t  at another one, 7  tells what arrives".to_owned(),
        Role::Dim,
    ));
    if scope.filter.is_empty() {
        let lines = [
            "to send: export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317",
            "         export OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        ];
        text.extend(lines.map(|line| (line.to_owned(), Role::Dim)));
    }
    lines(pen, &text);
}
