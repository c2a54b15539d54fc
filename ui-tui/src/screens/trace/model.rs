//! A trace as the screen needs it, made once where the answer is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use api::time;
use api::views::{SkeletonAnswer, TraceAnswer, TraceSpan};
use serde_json::Value;

use crate::span_rows::{self, NO_ROW, Skeleton, flags};

/// Spans as arrays, what is known of each, and its logs.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) answer: TraceAnswer,
    pub(crate) skeleton: Arc<Skeleton>,
    /// Place in the answer of a row's span.
    span_of_row: Vec<Option<u32>>,
    /// The row has time on the critical path, or leads to one that has.
    on_path: Vec<bool>,
    /// Begin of the trace.
    pub(crate) start_ns: i64,
    pub(crate) window_ns: (i64, i64),
    pub(crate) services: usize,
    pub(crate) errors: usize,
    /// How much runs in each column, for the width drawn last: a million spans are counted once, and
    /// not with each key.
    density: Mutex<Arc<[u32]>>,
}

impl From<TraceAnswer> for Model {
    fn from(answer: TraceAnswer) -> Model {
        let skeleton = Skeleton::of_trace(&answer);
        let places: HashMap<&str, u32> =
            answer.spans.iter().zip(0..).map(|(span, at)| (span.span_id.as_str(), at)).collect();
        let of_row = |row: usize| {
            let id = skeleton.span_id_hex(row);
            skeleton.is_span(row).then(|| places.get(id.as_str()).copied()).flatten()
        };
        let span_of_row = (0..skeleton.len()).map(of_row).collect();
        let starts = answer.spans.iter().filter_map(|span| ns(&span.start_time));
        Model {
            span_of_row,
            on_path: on_path(&skeleton),
            start_ns: starts.min().unwrap_or(0),
            window_ns: skeleton.window_ns(),
            services: skeleton.services.len(),
            errors: (0..skeleton.len()).filter(|row| skeleton.has(*row, flags::ERROR)).count(),
            skeleton: Arc::new(skeleton),
            density: Mutex::default(),
            answer,
        }
    }
}

impl From<SkeletonAnswer> for Model {
    fn from(answer: SkeletonAnswer) -> Model {
        let start_ns = answer.start.as_deref().and_then(ns).unwrap_or(0);
        // Columns that do not fit together are no trace.
        let skeleton = Skeleton::of_columns(answer.columns).unwrap_or_default();
        Model {
            span_of_row: vec![None; skeleton.len()],
            on_path: on_path(&skeleton),
            start_ns,
            window_ns: skeleton.window_ns(),
            services: skeleton.services.len(),
            errors: (0..skeleton.len()).filter(|row| skeleton.has(*row, flags::ERROR)).count(),
            skeleton: Arc::new(skeleton),
            density: Mutex::default(),
            answer: TraceAnswer::default(),
        }
    }
}

impl Model {
    /// What is known of a row's span; a row that stands for a wait shows the span that waits.
    pub(crate) fn span(&self, row: u32) -> Option<&TraceSpan> {
        let known = |row: u32| self.span_of_row.get(row as usize).copied().flatten();
        let parent = || self.skeleton.parent.get(row as usize).copied().filter(|p| *p != NO_ROW);
        let at = known(row).or_else(|| known(parent()?))?;
        self.answer.spans.get(at as usize)
    }

    /// The row leads to time on the critical path.
    pub(crate) fn is_on_path(&self, row: u32) -> bool {
        self.on_path.get(row as usize).copied().unwrap_or(false)
    }

    /// Spans that arrived; rows that stand for a wait or a missing parent are none.
    pub(crate) fn spans(&self) -> usize {
        match self.answer.spans.len() {
            // A large trace came as its tree alone.
            0 => self.skeleton.len(),
            spans => spans,
        }
    }

    /// How many spans run in each of so many columns.
    pub(crate) fn density(&self, columns: usize) -> Arc<[u32]> {
        let mut known = self.density.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() != columns {
            let (from, to) = self.window_ns;
            *known = span_rows::density(&self.skeleton, from, to, columns).into();
        }
        Arc::clone(&known)
    }

    /// Duration of the trace.
    pub(crate) fn duration_ns(&self) -> i64 {
        self.window_ns.1 - self.window_ns.0
    }

    /// Services by their part of the critical path, in the order in which they come.
    pub(crate) fn path_shares(&self) -> Vec<(String, f64)> {
        let mut order: Vec<&str> = Vec::new();
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for piece in &self.answer.critical_path {
            let node = piece.charged_to.as_deref().unwrap_or(&piece.service_name);
            if !order.contains(&node) {
                order.push(node);
            }
            *sums.entry(node).or_insert(0) += piece.to_ns - piece.from_ns;
        }
        let whole = sums.values().sum::<i64>().max(1) as f64;
        order.into_iter().map(|node| (node.to_owned(), sums[node] as f64 / whole)).collect()
    }

    /// The spans from where an error began up to the root, as far as they failed.
    pub(crate) fn error_path(&self) -> Vec<u32> {
        let s = &self.skeleton;
        let begin = (0..s.len()).find(|row| s.has(*row, flags::ORIGIN));
        let Some(begin) = begin.or_else(|| (0..s.len()).rev().find(|r| s.has(*r, flags::ERROR)))
        else {
            return Vec::new();
        };
        let up = |row: &u32| Some(s.parent[*row as usize]).filter(|p| *p != NO_ROW);
        let way = std::iter::successors(Some(begin as u32), up);
        way.take_while(|row| s.has(*row as usize, flags::ERROR)).collect()
    }

    /// Whether a text or comparison holds for a row.
    pub(crate) fn matches(&self, row: u32, wanted: &[Wanted]) -> bool {
        let s = &self.skeleton;
        let (name, service) = (s.name(row as usize), s.service(row as usize));
        let span = self.span(row).filter(|_| s.is_span(row as usize));
        !wanted.is_empty() && wanted.iter().all(|wanted| wanted.holds(name, service, span))
    }
}

/// A word of what is looked for within a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Contained anywhere.
    Text(String),
    /// A key has this value.
    Is(String, String),
}

impl Wanted {
    /// The words of a line: `acme service=payment status=error`.
    pub(crate) fn read(line: &str) -> Vec<Wanted> {
        let word = |word: &str| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Wanted::Is(key.to_lowercase(), value.trim_matches('"').to_lowercase())
            }
            _ => Wanted::Text(word.to_lowercase()),
        };
        line.split_whitespace().map(word).collect()
    }

    fn holds(&self, name: &str, service: &str, span: Option<&TraceSpan>) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(part);
        match self {
            Wanted::Text(part) => {
                contains(name, part)
                    || contains(service, part)
                    || span.is_some_and(|span| {
                        let message = span.status_message.as_deref().unwrap_or("");
                        let attributes = span.attributes.as_ref().map(Value::to_string);
                        contains(message, part)
                            || attributes.is_some_and(|text| contains(&text, part))
                    })
            }
            Wanted::Is(key, value) => match key.as_str() {
                "service" => service.to_lowercase() == *value,
                "op" | "name" => name.to_lowercase() == *value,
                "kind" => span.and_then(|s| s.kind.as_deref()).is_some_and(|k| k == value),
                "status" => span.and_then(|s| s.status_code.as_deref()).is_some_and(|c| c == value),
                key => span.is_some_and(|span| {
                    [&span.attributes, &span.resource].into_iter().flatten().any(|fields| {
                        fields.get(key).is_some_and(|found| plain(found).to_lowercase() == *value)
                    })
                }),
            },
        }
    }
}

/// A value as one reads it: texts without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn on_path(s: &Skeleton) -> Vec<bool> {
    let mut on_path = vec![false; s.len()];
    // Parents stand before children.
    for row in (0..s.len()).rev() {
        if s.critical_ns[row] > 0 || on_path[row] {
            on_path[row] = true;
            if s.parent[row] != NO_ROW {
                on_path[s.parent[row] as usize] = true;
            }
        }
    }
    on_path
}

/// Nanoseconds since the epoch of an answer's time.
pub(crate) fn ns(text: &str) -> Option<i64> {
    time::parse(text, 0).ok()
}
