//! Is my data arriving? What comes in, who sends it, how it is kept, and what was refused or lost.

use api::views::{Ingest as Question, IngestAnswer, IngestSignal, Options, Sender};
use ratatui::layout::Rect;

use super::{Cx, Grid, Look, Screen, Subject, service};
use crate::action::{Action, Layer};
use crate::chart_data::unix_ns;
use crate::format;
use crate::pane;
use crate::request::Request;
use crate::theme::Role;
use crate::widgets::table::{Cell, Column, Row, Table};
use crate::widgets::{Mark, Pen, Piece, piece};
use crate::window::{List, next_where};

#[cfg(test)]
mod tests;

const INGEST: usize = 0;

const SENDER_PANE: usize = 0;
const SIGNAL_PANE: usize = 1;
const STORE_PANE: usize = 2;

/// Columns of the trends.
const BINS: u64 = 30;

/// What arrives, with the cursor on a sender.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    senders: List,
}

/// The screen of what arrives.
pub(crate) fn open() -> Box<dyn Screen> {
    Box::new(Ingest::default())
}

impl Ingest {
    fn sender<'a>(&self, answer: Option<&'a IngestAnswer>) -> Option<&'a Sender> {
        let senders = &answer?.senders;
        senders.get(self.senders.at(senders.len())?)
    }

    fn next_problem(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<IngestAnswer>(INGEST) else { return };
        let len = answer.senders.len();
        let from = self.senders.at(len).unwrap_or(0);
        match next_where(from, len, forward, |at| answer.senders[at].is_silent) {
            Some(at) => self.senders.to(at, len, height),
            None => cx.say("no sender has fallen silent"),
        }
    }
}

/// What to type so that a program sends its data here.
pub(crate) fn set_up() -> String {
    "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317\n\
     export OTEL_EXPORTER_OTLP_PROTOCOL=grpc\n"
        .to_owned()
}

impl Screen for Ingest {
    fn layer(&self) -> Layer {
        Layer::Ingest
    }

    fn crumb(&self) -> String {
        "ingest".to_owned()
    }

    fn link(&self) -> String {
        "ingest".to_owned()
    }

    fn slots(&self) -> usize {
        1
    }

    fn filters(&self) -> Option<&'static str> {
        None
    }

    fn filter_line(&self, _look: &Look<'_>) -> String {
        String::new()
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        let signals = 6.min(body.height);
        let store = if body.height < 18 { 0 } else { 9 };
        let top = Rect { height: signals, ..body };
        let y = body.y + signals;
        let middle = Rect { y, height: body.height - signals - store, ..body };
        if body.width >= 150 && store > 0 {
            let half = body.width / 2;
            let height = body.height - signals;
            let left = Rect { y, height, width: half, ..body };
            let right = Rect { x: body.x + half, y, width: body.width - half, height };
            return vec![left, top, right];
        }
        let below = Rect { y: middle.y + middle.height, height: store, ..body };
        vec![middle, top, below]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let question = Question { from: cx.fixed.from(), to: cx.fixed.to(), bins: Some(BINS) };
        let options = Options { sql: Some(true), ..Options::default() };
        cx.ask(INGEST, Request::view(&question, &options));
    }

    fn told(&mut self, _slot: usize, cx: &mut Cx<'_>) {
        if let Some(answer) = cx.get::<IngestAnswer>(INGEST) {
            self.senders.find(answer.senders.iter().map(|s| s.service_name.as_str()));
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(SENDER_PANE).saturating_sub(1);
        match action {
            Action::Open => {
                let name = self.sender(cx.get(INGEST)).map(|s| s.service_name.clone());
                if let Some(name) = name {
                    cx.push(service::open(&name), cx.scope.clone());
                }
            }
            Action::NextError => self.next_problem(true, height, cx),
            Action::PreviousError => self.next_problem(false, height, cx),
            other => {
                let len = cx.get::<IngestAnswer>(INGEST).map_or(0, |a| a.senders.len());
                if !self.senders.act(other, len, height) {
                    return false;
                }
                let name = self.sender(cx.get(INGEST)).map(|s| s.service_name.clone());
                if let Some(name) = name {
                    self.senders.hold(name);
                }
            }
        }
        true
    }

    fn click(&mut self, pane: usize, _x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        let Some(row) = y.checked_sub(1).filter(|_| pane == SENDER_PANE) else { return false };
        let len = cx.get::<IngestAnswer>(INGEST).map_or(0, |a| a.senders.len());
        self.senders.click(row.into(), len, cx.height(SENDER_PANE).saturating_sub(1))
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let Some(sender) = self.sender(look.get(INGEST)) else {
            return Subject { cell: set_up(), ..Subject::default() };
        };
        Subject {
            service: Some(sender.service_name.clone()),
            term: Some(("service".to_owned(), sender.service_name.clone())),
            cell: sender.service_name.clone(),
            json: serde_json::to_string_pretty(sender).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(answer) = look.get::<IngestAnswer>(INGEST) else { return Vec::new() };
        let silent = answer.senders.iter().filter(|s| s.is_silent).count();
        let mut facts = vec![format::many(answer.senders.len(), "sender")];
        if silent > 0 {
            facts.push(format!("{silent} silent"));
        }
        if let Some(reason) = &answer.store.read_only_reason {
            facts.push(format!("read only: {reason}"));
        }
        facts
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 6] = ["service", "last_seen", "spans", "logs", "points", "sdk"];
        let answer = look.get::<IngestAnswer>(INGEST)?;
        let row = |s: &Sender| {
            vec![
                s.service_name.clone(),
                s.last_seen.clone(),
                s.spans.to_string(),
                s.logs.to_string(),
                s.points.to_string(),
                s.sdk.clone().unwrap_or_default(),
            ]
        };
        let rows = answer.senders.iter().map(row).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            SIGNAL_PANE => draw_signals(pen, look),
            SENDER_PANE => self.draw_senders(pen, look),
            _ => draw_store(pen, look),
        }
    }
}

fn draw_signals(pen: &mut Pen<'_>, look: &Look<'_>) {
    let mut pen = look.framed(pen, (SIGNAL_PANE, INGEST), "Arriving", "");
    let Some((mut pen, answer)) = look.data::<IngestAnswer>(&mut pen, INGEST) else { return };
    let columns = [
        Column::text("signal", 14),
        Column::number("per second", 10),
        Column::number("in range", 9),
        Column::number("refused", 8),
        Column::number("lag p50", 9).rank(3),
        Column::number("lag p99", 9).rank(2),
        Column::number("last", 6),
        Column::fixed("trend", 15).rank(4),
    ];
    let row = |signal: &IngestSignal| {
        let refused = signal.rejected > 0;
        let ms = |ms: Option<f64>| ms.map_or(format::NONE.to_owned(), format::duration_ms);
        Row {
            mark: if refused { Mark::Degraded } else { Mark::None },
            cells: vec![
                Cell::text(signal.signal.as_str()),
                Cell::text(format::rate(signal.per_second)),
                Cell::text(format::count(signal.records)),
                Cell::text(format::count(signal.rejected)).role(if refused {
                    Role::Warn
                } else {
                    Role::Text
                }),
                Cell::text(ms(signal.lag_p50_ms)),
                Cell::text(ms(signal.lag_p99_ms)),
                Cell::text(ago(signal.last_seen.as_deref(), look)),
                Cell::spark(signal.trend.iter().map(|n| Some(*n as f64)).collect()),
            ],
            ..Row::default()
        }
    };
    let table = Table {
        columns: &columns,
        len: answer.signals.len(),
        first: 0,
        cursor: None,
        sort: None,
        rows: &|at| answer.signals.get(at).map(row),
    };
    table.render(&mut pen);
}

/// How long ago that was.
fn ago(time: Option<&str>, look: &Look<'_>) -> String {
    let ns = time.and_then(unix_ns);
    ns.map_or(format::NONE.to_owned(), |ns| format::age_ns(look.now.unix_ns.saturating_sub(ns)))
}

impl Ingest {
    fn draw_senders(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let mut pen =
            look.framed(pen, (SENDER_PANE, INGEST), "Who sends", "Enter opens the service");
        let Some((mut pen, answer)) = look.data::<IngestAnswer>(&mut pen, INGEST) else { return };
        if answer.senders.is_empty() {
            let first =
                "nothing has arrived in this range; to send, set in the program's environment";
            let mut lines = vec![(first.to_owned(), Role::Text)];
            lines.extend(set_up().lines().map(|line| (line.to_owned(), Role::Accent)));
            lines.push(("y copies these lines, - looks at more time".to_owned(), Role::Dim));
            return pane::lines(&mut pen, &lines);
        }
        let columns = [
            Column::text("service", 14),
            Column::number("last", 6),
            Column::number("per second", 10),
            Column::number("spans", 8),
            Column::number("logs", 8),
            Column::number("points", 8),
            Column::number("inst", 4).rank(4),
            Column::fixed("sdk", 16).rank(3),
        ];
        let row = |s: &Sender| Row {
            mark: if s.is_silent { Mark::Degraded } else { Mark::None },
            cells: vec![
                Cell::text(s.service_name.as_str()),
                Cell::text(ago(Some(&s.last_seen), look)).role(if s.is_silent {
                    Role::Warn
                } else {
                    Role::Text
                }),
                Cell::text(format::rate(s.per_second)),
                Cell::text(format::count(s.spans)),
                Cell::text(format::count(s.logs)),
                Cell::text(format::count(s.points)),
                Cell::text(s.instances.to_string()),
                Cell::text(s.sdk.as_deref().unwrap_or("-")).role(Role::Dim),
            ],
            ..Row::default()
        };
        let len = answer.senders.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns,
            len,
            first: self.senders.window(len, height).start,
            cursor: self.senders.at(len),
            sort: None,
            rows: &|at| answer.senders.get(at).map(row),
        };
        table.render(&mut pen);
    }
}

fn draw_store(pen: &mut Pen<'_>, look: &Look<'_>) {
    let mut pen = look.framed(pen, (STORE_PANE, INGEST), "Store", "Q SQL of this");
    let Some((mut pen, answer)) = look.data::<IngestAnswer>(&mut pen, INGEST) else { return };
    let lines = store_lines(answer, look);
    let width = pen.width().saturating_sub(2);
    for (y, line) in (0..pen.height()).zip(&lines) {
        pen.pieces(1, y, width, line);
    }
}

/// The store in lines: log, memory, files, refusals, gaps.
fn store_lines(answer: &IngestAnswer, look: &Look<'_>) -> Vec<Vec<Piece>> {
    let store = &answer.store;
    let sync = store
        .sync_mean_ms
        .map_or(String::new(), |ms| format!("   fsync {}", format::duration_ms(ms)));
    let live_rows: u64 = answer.tables.iter().map(|t| t.live_rows).sum();
    let live_bytes: u64 = answer.tables.iter().map(|t| t.live_bytes).sum();
    let files: u64 = answer.tables.iter().map(|t| t.files).sum();
    let rows: u64 = answer.tables.iter().map(|t| t.file_rows).sum();
    let bytes: u64 = answer.tables.iter().map(|t| t.file_bytes).sum();
    let oldest = answer.tables.iter().filter_map(|t| t.oldest.as_deref()).min();
    let mut lines = vec![
        line(
            "wal",
            format!(
                "{} in {} segments{sync}   {} retries recognised",
                format::bytes(store.bytes),
                store.segments,
                format::count(store.deduplicated)
            ),
            Role::Text,
        ),
        line(
            "live",
            format!(
                "{} rows, {}   oldest {}",
                format::count(live_rows),
                format::bytes(live_bytes),
                ago(store.oldest_live.as_deref(), look)
            ),
            Role::Text,
        ),
        line(
            "files",
            format!(
                "{files}, {} rows, {}   oldest {}   {} free",
                format::count(rows),
                format::bytes(bytes),
                oldest.and_then(|t| t.get(..10)).unwrap_or("-"),
                format::bytes(store.free_disk_bytes)
            ),
            Role::Text,
        ),
    ];
    lines.extend(trouble_lines(answer));
    lines
}

/// A name with what stands behind it.
fn line(name: &str, text: String, role: Role) -> Vec<Piece> {
    vec![piece(format!("{name:<11}"), Role::Dim), piece(text, role)]
}

/// What is wrong with the store: recovery, refusals, gaps; that nothing is lost is said too.
fn trouble_lines(answer: &IngestAnswer) -> Vec<Vec<Piece>> {
    let store = &answer.store;
    let mut lines = Vec::new();
    if let Some(bytes) = store.recovering_bytes.filter(|b| *b > 0) {
        lines.push(line(
            "recovering",
            format!("{} still to be read", format::bytes(bytes)),
            Role::Warn,
        ));
    }
    if let Some(reason) = &store.read_only_reason {
        lines.push(line("read only", reason.clone(), Role::Error));
    }
    match answer.gaps.first() {
        None => lines.push(line("data loss", "none known".to_owned(), Role::Ok)),
        Some(gap) => {
            let rows = gap.rows.map_or(String::new(), |n| format!("{} rows, ", format::count(n)));
            let text = format!("{} gaps, the latest: {rows}{}", answer.gaps.len(), gap.cause);
            lines.push(line("data loss", text, Role::Error));
        }
    }
    for reject in answer.rejects.iter().take(8) {
        let text = format!(
            "{} {} on {}: {}",
            format::count(reject.count),
            reject.signal,
            reject.day,
            reject.reason
        );
        lines.push(line("refused", text, Role::Warn));
    }
    lines
}
