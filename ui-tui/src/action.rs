//! What a person can do, and the one table of it: keys, hints, help, palette and documents are made
//! from these rows.

use crate::event::Key;

#[cfg(test)]
mod tests;

/// A screen, by the key that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Services,
    Map,
    Traces,
    Logs,
    Metrics,
    Sql,
    Ingest,
    Errors,
}

/// What the thing under the cursor can be copied as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CopyAs {
    Cell,
    TraceId,
    SpanId,
    Json,
    Query,
    Link,
    Command,
}

/// What keys, palette, mouse and scripts ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Go(Place),
    /// To another signal, with the scope and what is under the cursor.
    Pivot(Place),
    Open,
    Back,
    Forward,
    Leave,
    Interrupt,
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    NextPane,
    PreviousPane,
    Maximise,
    Mark,
    Exemplar,
    Difference,
    NextMatch,
    PreviousMatch,
    NextError,
    PreviousError,
    Include,
    Exclude,
    Sort,
    SortReverse,
    ColourBy,
    Filter,
    Time,
    EarlierRange,
    LaterRange,
    ZoomIn,
    ZoomOut,
    ZoomReset,
    PanLeft,
    PanRight,
    Live,
    NextView,
    CopyMenu,
    Copy(CopyAs),
    Export,
    Edit,
    Palette,
    Help,
    Why,
    Refresh,
    RefreshExact,
    ShowSql,
    Percentiles,
    ErrorOverlay,
    Bookmark,
    Bookmarks,
    NextTheme,
    NextZone,
    ToggleMouse,
    Suspend,
    // A trace.
    CriticalPath,
    FoldSiblings,
    UnfoldAll,
    SlowestChild,
    PreviousSibling,
    NextSibling,
    LogScope,
    // Groups of a list.
    Group,
    Patterns,
    AllRows,
    Focus,
    // SQL.
    Run,
    Explain,
    Format,
}

/// Where a row of the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    /// Everywhere, unless the screen has a row of its own for the key.
    Any,
    Services,
    Service,
    Traces,
    Trace,
    Logs,
    Metrics,
    Map,
    Errors,
    Compare,
    Sql,
    Ingest,
}

/// One row: an action, where it holds, its keys and its words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    pub(crate) layer: Layer,
    /// Separated by spaces, the first is the one shown.
    pub(crate) keys: &'static str,
    /// Word in the last row of the screen; without one it is not shown there.
    pub(crate) hint: &'static str,
    /// What it does, in the palette and the help.
    pub(crate) title: &'static str,
}

impl Entry {
    /// The key that is shown.
    pub(crate) fn key(&self) -> &'static str {
        self.keys.split(' ').next().unwrap_or("")
    }

    fn has(&self, key: &str) -> bool {
        self.keys.split(' ').any(|k| k == key)
    }
}

const fn on(
    layer: Layer,
    keys: &'static str,
    action: Action,
    hint: &'static str,
    title: &'static str,
) -> Entry {
    Entry { action, layer, keys, hint, title }
}

use Action as A;
use Layer as L;

/// Every action. Rows of a screen come before those of [`Layer::Any`]; hints keep this order.
pub(crate) const ACTIONS: &[Entry] = &[
    on(L::Services, "enter", A::Open, "open", "Services: where the time of this one goes"),
    on(L::Services, "x", A::Exemplar, "exemplar", "Services: a trace that shows it"),
    on(L::Services, "s", A::Sort, "sort", "Services: sort by the next column"),
    on(L::Service, "x", A::Exemplar, "exemplar", "Service: a trace of the selection"),
    on(L::Service, "enter", A::Open, "filter", "Service: take the row under the cursor"),
    on(L::Service, "space", A::Mark, "select", "Service: begin or end a rectangle"),
    on(L::Service, "v", A::NextView, "by", "Service: group the time by something else"),
    on(L::Service, "d", A::Difference, "diff", "Service: compare with something else"),
    on(L::Traces, "enter", A::Open, "open", "Traces: the one under the cursor"),
    on(L::Traces, "x", A::Exemplar, "typical", "Traces: the typical one of these"),
    on(L::Traces, "space", A::Mark, "mark", "Traces: mark to compare"),
    on(L::Traces, "d", A::Difference, "diff marked", "Traces: compare the two that are marked"),
    on(L::Traces, "s", A::Sort, "sort", "Traces: sort by the next order"),
    on(L::Trace, "e", A::NextError, "next error", "Trace: next span in error"),
    on(L::Trace, "E", A::PreviousError, "", "Trace: previous span in error"),
    on(L::Trace, "P", A::CriticalPath, "crit path", "Trace: the critical path only"),
    on(L::Trace, "a", A::FoldSiblings, "group", "Trace: fold or unfold equal siblings"),
    on(L::Trace, "v", A::NextView, "view", "Trace: waterfall, flame, left-heavy, table"),
    on(L::Trace, "*", A::UnfoldAll, "", "Trace: unfold all"),
    on(L::Trace, "J", A::SlowestChild, "", "Trace: go to the slowest child"),
    on(L::Trace, "{", A::PreviousSibling, "", "Trace: previous sibling"),
    on(L::Trace, "}", A::NextSibling, "", "Trace: next sibling"),
    on(L::Trace, "A", A::LogScope, "", "Trace: logs of the span or of the whole trace"),
    on(L::Trace, "d", A::Difference, "diff", "Trace: compare with a typical fast one"),
    on(
        L::Logs,
        "enter",
        A::Open,
        "trace",
        "Logs: the trace of this line, or the lines of this pattern",
    ),
    on(L::Logs, "o", A::Patterns, "patterns", "Logs: patterns, or the pattern of this line"),
    on(L::Logs, "e", A::NextError, "next error", "Logs: next line of an error"),
    on(L::Logs, "A", A::LogScope, "whole trace", "Logs: of the span or of the whole trace"),
    on(L::Logs, "v", A::NextView, "", "Logs: lines, patterns, wrapped"),
    on(L::Metrics, "enter", A::Open, "chart", "Metrics: the chart of this one"),
    on(
        L::Metrics,
        "x",
        A::Exemplar,
        "exemplar",
        "Metrics: the trace of the exemplar under the cursor",
    ),
    on(L::Metrics, "a", A::Group, "group", "Metrics: group by an attribute"),
    on(L::Metrics, "A", A::AllRows, "all", "Metrics: all of the scope"),
    on(L::Metrics, "v", A::NextView, "view", "Metrics: rate or raw, heatmap or lines"),
    on(L::Map, "enter", A::Open, "service", "Map: open the service"),
    on(L::Map, "x", A::Exemplar, "exemplar", "Map: a trace of the edge"),
    on(L::Map, "f", A::Focus, "focus", "Map: only what is near this one"),
    on(L::Map, "C", A::ColourBy, "colour", "Map: colour by change, p99, errors or rate"),
    on(L::Map, "v", A::NextView, "list", "Map: graph, list, matrix"),
    on(L::Errors, "x", A::Exemplar, "exemplar", "Errors: a trace that failed this way"),
    on(L::Errors, "enter", A::Open, "traces", "Errors: the traces that failed this way"),
    on(L::Errors, "v", A::NextView, "", "Errors: group by path or exception"),
    on(L::Compare, "enter", A::Open, "filter", "Compare: take the row as a filter"),
    on(L::Compare, "x", A::Exemplar, "exemplar", "Compare: a trace that has it"),
    on(L::Sql, "f5 alt-enter", A::Run, "run", "SQL: run the statement"),
    on(L::Sql, "f6", A::Explain, "explain", "SQL: explain the statement"),
    on(L::Sql, "alt-f", A::Format, "format", "SQL: lay the statement out"),
    on(L::Sql, "v", A::NextView, "chart", "SQL: result, chart"),
    on(L::Sql, "w", A::Edit, "", "SQL: the text in your own editor ($EDITOR)"),
    on(L::Sql, "enter", A::Open, "open row", "SQL: the trace that the row names, or the editor"),
    on(L::Ingest, "enter", A::Open, "sender", "Ingest: the sender under the cursor"),
    on(L::Any, "L", A::Pivot(Place::Logs), "logs", "Logs of what is under the cursor"),
    on(L::Any, "M", A::Pivot(Place::Metrics), "metrics", "Metrics around what is under the cursor"),
    on(L::Any, "D", A::Pivot(Place::Map), "map", "Map of this scope"),
    on(L::Any, "X", A::Pivot(Place::Errors), "", "Error paths of this scope"),
    on(L::Any, "T", A::Pivot(Place::Traces), "", "Traces of this scope"),
    on(L::Any, "/", A::Filter, "filter", "Edit the filter"),
    on(L::Any, "?", A::Help, "help", "Help: every key of this view"),
    on(L::Any, "esc backspace", A::Back, "", "Back: close, clear the selection, the view before"),
    on(L::Any, "Q", A::ShowSql, "", "The SQL of this view"),
    on(L::Any, "y", A::CopyMenu, "", "Copy …"),
    on(L::Any, ": ctrl-p", A::Palette, "", "Command palette"),
    on(L::Any, "1", A::Go(Place::Services), "", "Services"),
    on(L::Any, "2", A::Go(Place::Map), "", "Map"),
    on(L::Any, "3", A::Go(Place::Traces), "", "Traces"),
    on(L::Any, "4", A::Go(Place::Logs), "", "Logs"),
    on(L::Any, "5", A::Go(Place::Metrics), "", "Metrics"),
    on(L::Any, "6", A::Go(Place::Sql), "", "SQL"),
    on(L::Any, "7", A::Go(Place::Ingest), "", "Ingest: is my data arriving"),
    on(L::Any, "", A::Go(Place::Errors), "", "Errors: where they begin"),
    on(L::Any, "enter", A::Open, "", "Open what is under the cursor"),
    on(L::Any, "alt-right", A::Forward, "", "Forward again"),
    on(L::Any, "k up", A::Up, "", "Up"),
    on(L::Any, "j down", A::Down, "", "Down"),
    on(L::Any, "h left", A::Left, "", "Left; in a tree fold, or to the parent"),
    on(L::Any, "l right", A::Right, "", "Right; in a tree unfold"),
    on(L::Any, "g home", A::Top, "", "To the top"),
    on(L::Any, "G end", A::Bottom, "", "To the bottom"),
    on(L::Any, "ctrl-d", A::HalfDown, "", "Half a page down"),
    on(L::Any, "ctrl-u", A::HalfUp, "", "Half a page up"),
    on(L::Any, "pgdn", A::PageDown, "", "A page down"),
    on(L::Any, "pgup", A::PageUp, "", "A page up"),
    on(L::Any, "tab", A::NextPane, "", "Next pane"),
    on(L::Any, "backtab", A::PreviousPane, "", "Previous pane"),
    on(L::Any, "z", A::Maximise, "", "This pane alone"),
    on(L::Any, "space", A::Mark, "", "Mark, or begin a selection"),
    on(L::Any, "x", A::Exemplar, "", "A trace that shows what is under the cursor"),
    on(L::Any, "d", A::Difference, "", "Difference"),
    on(L::Any, "n", A::NextMatch, "", "Next match"),
    on(L::Any, "N", A::PreviousMatch, "", "Previous match"),
    on(L::Any, "e", A::NextError, "", "Next error or problem"),
    on(L::Any, "E", A::PreviousError, "", "Previous error or problem"),
    on(L::Any, "f", A::Include, "", "Only what has the value under the cursor"),
    on(L::Any, "F", A::Exclude, "", "Only what has not the value under the cursor"),
    on(L::Any, "s", A::Sort, "", "Sort by the next column"),
    on(L::Any, "S", A::SortReverse, "", "Sort the other way round"),
    on(L::Any, "C", A::ColourBy, "", "Colour by"),
    on(L::Any, "t", A::Time, "", "Time range and comparison"),
    on(L::Any, "<", A::EarlierRange, "", "One range earlier"),
    on(L::Any, ">", A::LaterRange, "", "One range later"),
    on(L::Any, "+ =", A::ZoomIn, "", "Zoom in: less time"),
    on(L::Any, "-", A::ZoomOut, "", "Zoom out: more time"),
    on(L::Any, "0", A::ZoomReset, "", "The usual range again"),
    on(L::Any, "[", A::PanLeft, "", "A quarter earlier"),
    on(L::Any, "]", A::PanRight, "", "A quarter later"),
    on(L::Any, "p", A::Live, "", "Pause or resume live mode"),
    on(L::Any, "v", A::NextView, "", "Next view of the same data"),
    on(L::Any, "W", A::Export, "", "Write the rows to a file"),
    on(L::Any, "b", A::Bookmark, "", "Bookmark this view, or forget it"),
    on(L::Any, "'", A::Bookmarks, "", "Go to a bookmark"),
    on(L::Any, "i", A::Why, "", "What the answer is built on"),
    on(L::Any, "r", A::Refresh, "", "Ask again"),
    on(L::Any, "R", A::RefreshExact, "", "Ask again, without a sample or a cache"),
    on(L::Any, "%", A::Percentiles, "", "Heatmap: percentiles"),
    on(L::Any, "!", A::ErrorOverlay, "", "Heatmap: errors"),
    on(L::Any, "", A::NextTheme, "", "Theme: the next one"),
    on(L::Any, "", A::NextZone, "", "Times: in the own zone or in UTC"),
    on(L::Any, "", A::ToggleMouse, "", "Mouse: on or off"),
    on(L::Any, "", A::Copy(CopyAs::Cell), "", "Copy the cell"),
    on(L::Any, "", A::Copy(CopyAs::TraceId), "", "Copy the trace id"),
    on(L::Any, "", A::Copy(CopyAs::SpanId), "", "Copy the span id"),
    on(L::Any, "", A::Copy(CopyAs::Json), "", "Copy as JSON"),
    on(L::Any, "", A::Copy(CopyAs::Query), "", "Copy the SQL"),
    on(L::Any, "", A::Copy(CopyAs::Link), "", "Copy a link to this view"),
    on(L::Any, "", A::Copy(CopyAs::Command), "", "Copy the command that prints this"),
    on(L::Any, "ctrl-z", A::Suspend, "", "Suspend to the shell"),
    on(L::Any, "q", A::Leave, "", "Leave the view; from the last one, quit"),
    on(L::Any, "ctrl-c", A::Interrupt, "", "Cancel what is asked; twice: quit"),
];

/// The action of a key on a screen.
pub(crate) fn of_key(layer: Layer, key: Key) -> Option<Action> {
    let name = key.to_string();
    let of = |layer: Layer| ACTIONS.iter().find(move |e| e.layer == layer && e.has(&name));
    let found = of(layer).map(|entry| entry.action);
    found.or_else(|| {
        let name = key.to_string();
        ACTIONS.iter().find(|e| e.layer == Layer::Any && e.has(&name)).map(|e| e.action)
    })
}

/// Rows that hold on a screen, its own first; those it overrides are left out.
pub(crate) fn holding(layer: Layer) -> impl Iterator<Item = &'static Entry> {
    let own = move |action: Action| ACTIONS.iter().any(|e| e.layer == layer && e.action == action);
    let of_screen = ACTIONS.iter().filter(move |e| e.layer == layer);
    let others = ACTIONS.iter().filter(move |e| e.layer == Layer::Any && !own(e.action));
    of_screen.chain(others)
}

/// The hints of a screen: at most nine, as many as fit, the last always the help.
pub(crate) fn hints(layer: Layer, width: usize) -> Vec<(&'static str, &'static str)> {
    const HINTS_MAX: usize = 9;
    let is_here = |action: Action| {
        let places = [
            (Layer::Logs, Place::Logs),
            (Layer::Metrics, Place::Metrics),
            (Layer::Map, Place::Map),
        ];
        places.iter().any(|(l, place)| *l == layer && action == Action::Pivot(*place))
    };
    let all: Vec<(&str, &str)> = holding(layer)
        .filter(|e| !e.hint.is_empty() && !is_here(e.action))
        .map(|e| (shown(e.key()), e.hint))
        .collect();
    let help = ("?", "help");
    let mut left = width.saturating_sub(cells(help) + 1);
    let mut kept = Vec::new();
    for hint in all.into_iter().filter(|hint| *hint != help).take(HINTS_MAX - 1) {
        let Some(rest) = left.checked_sub(cells(hint)) else { break };
        left = rest;
        kept.push(hint);
    }
    kept.push(help);
    kept
}

fn cells((key, word): (&str, &str)) -> usize {
    key.len() + word.len() + 3
}

/// A key as it is written for a person.
pub(crate) fn shown(key: &'static str) -> &'static str {
    match key {
        "enter" => "Enter",
        "space" => "Space",
        "esc" => "Esc",
        "tab" => "Tab",
        "backtab" => "Shift-Tab",
        "f5" => "F5",
        "f6" => "F6",
        "alt-f" => "Alt-F",
        "alt-right" => "Alt-Right",
        "ctrl-g" => "Ctrl-G",
        "ctrl-d" => "Ctrl-D",
        "ctrl-u" => "Ctrl-U",
        "ctrl-c" => "Ctrl-C",
        "ctrl-z" => "Ctrl-Z",
        "pgdn" => "PgDn",
        "pgup" => "PgUp",
        other => other,
    }
}
