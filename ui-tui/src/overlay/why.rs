//! What the answers of a view are built on: times, rows, files, gaps, and the statements.

use super::{Next, middle};
use crate::action::{Action, CopyAs};
use crate::app::App;
use crate::event::Key;
use crate::format;
use crate::overlay::Deed;
use crate::pane::{self, Frame, framed};
use crate::safe_text::SafeText;
use crate::slot::{Slot, State};
use crate::theme::Role;
use crate::widgets::Pen;

/// How far it is scrolled.
#[derive(Debug, Default)]
pub(crate) struct Why {
    top: usize,
}

impl Why {
    pub(super) fn key(&mut self, key: Key) -> Next {
        match key.to_string().as_str() {
            "j" | "down" => self.top += 1,
            "k" | "up" => self.top = self.top.saturating_sub(1),
            "pgdn" | "space" => self.top += 10,
            "pgup" => self.top = self.top.saturating_sub(10),
            "g" | "home" => self.top = 0,
            "y" => return Next::Do(Deed::Act(Action::Copy(CopyAs::Query))),
            "Q" => return Next::Do(Deed::Act(Action::ShowSql)),
            _ => return Next::Close,
        }
        Next::Stay
    }

    pub(super) fn draw(&self, app: &App, pen: &mut Pen<'_>) {
        let screen = pen.area();
        let area = middle(
            screen,
            screen.width.saturating_sub(6).min(110),
            screen.height.saturating_sub(6),
        );
        let mut pen = pen.part(area.x, area.y, area.width, area.height);
        pen.clear();
        let title = "What this is built on".to_owned();
        let note = "Q in the editor  y copy SQL  Esc".to_owned();
        let mut pen = framed(&mut pen, &Frame { title, note, focused: true, is_old: false });
        let (width, height) = (pen.width().saturating_sub(2), usize::from(pen.height()));
        let lines: Vec<(SafeText, Role)> = text(app)
            .into_iter()
            .flat_map(|(line, role)| {
                let wrapped = SafeText::new(line).wrapped(usize::from(width));
                wrapped.into_iter().map(move |line| (line, role))
            })
            .collect();
        let top = self.top.min(lines.len().saturating_sub(height));
        for (y, (line, role)) in (0..).zip(lines.iter().skip(top).take(height)) {
            pen.text(1, y, width, line, *role);
        }
    }
}

fn text(app: &App) -> Vec<(String, Role)> {
    let mut lines = Vec::new();
    for slot in &app.top().slots {
        lines.extend(of_slot(slot, app));
    }
    if lines.is_empty() {
        lines.push(("nothing was asked yet".to_owned(), Role::Dim));
    }
    lines
}

fn of_slot(slot: &Slot, app: &App) -> Vec<(String, Role)> {
    let Some(request) = slot.request() else { return Vec::new() };
    let mut lines = vec![(request.call.path.clone(), Role::Title)];
    if let State::Failed(error) = slot.state(app.now) {
        lines.push((pane::told(error), Role::Error));
    }
    let Some(told) = slot.told() else { return lines };
    let stats = &told.basis.stats;
    let age = slot.age_ms(app.now).unwrap_or(0);
    let ms = |ms: f64| format::duration_ns((ms * 1e6) as i64);
    lines.push((
        format!(
            "{} rows, {} here, {} on the server, {} ago, {}",
            format::exact(stats.rows),
            ms(slot.took_ms().unwrap_or(0) as f64),
            ms(stats.elapsed_ms),
            ms(age as f64),
            format::bytes(told.bytes as u64)
        ),
        Role::Text,
    ));
    lines.push((
        format!(
            "{} files read, {} skipped, {} from disk, {} rows in memory",
            format::exact(stats.files_scanned),
            format::exact(stats.files_skipped),
            format::bytes(stats.bytes_scanned),
            format::exact(stats.live_rows)
        ),
        Role::Text,
    ));
    if let Some(traces) = &stats.traces {
        let text = format!(
            "{} traces, {} incomplete, {} still arrive, {} too large, {} spans",
            format::exact(traces.used),
            format::exact(traces.missing()),
            format::exact(traces.arriving),
            format::exact(traces.truncated),
            format::exact(traces.spans)
        );
        lines.push((text, Role::Text));
    }
    if stats.truncated {
        lines.push(("cut at the limit of rows".to_owned(), Role::Warn));
    }
    if stats.partial {
        lines.push(("some rows could not be read".to_owned(), Role::Warn));
    }
    lines.extend(stats.warnings.iter().map(|warning| (warning.clone(), Role::Warn)));
    lines.extend(told.basis.sql.iter().map(|sql| (sql.clone(), Role::Dim)));
    lines.push((String::new(), Role::Text));
    lines
}
