//! The filter line: shorthand for a condition, as people type it in the explorer and in commands.
//!
//! ```text
//! filter = and { "or" and }        and = not { ["and"] not }        not = ["not" | "-"] atom
//! atom   = "(" filter ")" | key op value | key "in" "(" value { "," value } ")" | "has(" key ")"
//!        | ("child" | "parent" | "desc" | "anc") "(" filter ")" | word | '"' text '"' | "sql(" … ")"
//! op     = "=" "!=" "~" "!~" ">" ">=" "<" "<="
//! ```
//!
//! [`parse`] makes a tree with the place of every part; [`meaning`] decides what a key is (column,
//! semantic column, attribute of the record or of the resource) and writes SQL. Nothing more is
//! possible than in a WHERE clause, and the SQL is shown on request.
//!
//! Rows without a key stay in a negation: `-env=dev` keeps what has no environment.

mod meaning;
mod parse;
mod structure;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use api::views::{FilterTerm, FilterWarning};
use schemas::attributes::Owner;
use schemas::{KeySet, Keys, Table};
use storage::Snapshot;

use crate::QueryError;

/// Bytes of a line.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Files that are asked for keys like an unknown one, the newest first.
const FILES_FOR_NEAR: usize = 50;

/// What a line is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The table `spans`.
    Spans,
    /// The table `traces`.
    Traces,
    /// The table `logs`.
    Logs,
    /// Each of the tables of data points.
    Metrics,
}

impl Over {
    /// Every one, with its word.
    pub(crate) const ALL: [(&'static str, Over); 4] = [
        ("spans", Over::Spans),
        ("traces", Over::Traces),
        ("logs", Over::Logs),
        ("metrics", Over::Metrics),
    ];

    /// Reads the word of a parameter.
    pub(crate) fn read(word: &str) -> Result<Over, QueryError> {
        let known = Over::ALL.map(|(word, _)| word);
        Over::ALL.iter().find(|(name, _)| *name == word).map(|(_, over)| *over).ok_or_else(|| {
            QueryError::invalid(format!("table: `{word}` has no filter lines"))
                .did_you_mean(word, &known)
        })
    }

    /// The tables whose attributes it can name.
    pub(crate) fn tables(self) -> &'static [Table] {
        match self {
            Over::Spans | Over::Traces => &[Table::Spans],
            Over::Logs => &[Table::Logs],
            Over::Metrics => {
                &[Table::MetricPoints, Table::MetricHistograms, Table::MetricSummaries]
            }
        }
    }
}

/// A line as SQL.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    /// The condition, in brackets where it needs them; `TRUE` of an empty line.
    pub(crate) sql: String,
    pub(crate) terms: Vec<FilterTerm>,
    pub(crate) warnings: Vec<FilterWarning>,
}

/// What is wrong with a line, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Characters before it.
    at: usize,
    message: String,
}

impl Wrong {
    fn new(at: usize, message: impl Into<String>) -> Wrong {
        Wrong { at, message: message.into() }
    }
}

impl Wrong {
    /// The refusal of the line.
    pub(crate) fn refused(self) -> QueryError {
        QueryError::syntax(self.message).at(1, self.at as u64 + 1).with_hint(
            "write key=value, key>250ms, key in (a,b), has(key), -not, a word, or sql(…)",
        )
    }
}

/// What is known of the attributes of a table.
pub(crate) trait KnownKeys {
    /// Whether some row may have the key.
    fn has(&self, owner: Owner, key: &str) -> bool;
    /// Keys like it, the nearest first.
    fn near(&self, key: &str) -> Vec<String>;
}

/// Where a line stands: what it is over, when, and what is known.
pub(crate) struct Setting<'a> {
    pub(crate) over: Over,
    /// Bounds for sub-queries over other spans and traces, in nanoseconds.
    pub(crate) range: (Option<i64>, Option<i64>),
    /// What relative times count from.
    pub(crate) now_ns: i64,
    pub(crate) keys: &'a dyn KnownKeys,
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn filter(line: &str, setting: &Setting<'_>) -> Result<Filter, Wrong> {
    if line.len() > LINE_BYTES_MAX {
        let message = format!("the line is longer than {LINE_BYTES_MAX} bytes");
        return Err(Wrong::new(0, message));
    }
    match parse::parse(line)? {
        None => Ok(Filter { sql: "TRUE".to_owned(), ..Filter::default() }),
        Some(tree) => meaning::write(&tree, setting),
    }
}

/// What a key reads, as SQL.
pub(crate) fn key(text: &str, setting: &Setting<'_>) -> String {
    meaning::key(text, setting)
}

/// Short words of lines and what they stand for.
pub(crate) const SHORT_WORDS: [(&str, &str); 14] = [
    ("service", "name of the service"),
    ("op", "name of the span: the operation"),
    ("dur", "duration: dur>250ms"),
    ("self", "time in which no child ran"),
    ("kind", "kind of the span or metric"),
    ("status", "unset, ok, error"),
    ("level", "severity of a log: level>=warn"),
    ("env", "deployment environment"),
    ("instance", "service.instance.id of the resource"),
    ("version", "service.version of the resource"),
    ("trace.", "of the trace: trace.dur>1s"),
    ("has(", "the key is there: has(exception.type)"),
    ("child(", "a child meets it: child(status=error)"),
    ("parent(", "the parent meets it"),
];

/// The keys of a snapshot, of some tables.
pub(crate) struct SnapshotKeys<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) tables: &'a [Table],
}

impl SnapshotKeys<'_> {
    /// Key sets of live rows and of files, newest first, and whether each has every key.
    fn sets(&self, owner: Owner) -> impl Iterator<Item = (&KeySet, bool)> {
        self.tables.iter().flat_map(move |table| {
            let live = self.snapshot.live(*table).iter().map(move |b| (set(&b.keys, owner), true));
            let files = self.snapshot.files(*table).iter().rev();
            live.chain(files.map(move |file| (set(&file.keys, owner), file.keys_complete)))
        })
    }
}

fn set(keys: &Keys, owner: Owner) -> &KeySet {
    match owner {
        Owner::Record => &keys.record,
        Owner::Resource => &keys.resource,
    }
}

impl KnownKeys for SnapshotKeys<'_> {
    fn has(&self, owner: Owner, key: &str) -> bool {
        self.sets(owner).any(|(set, complete)| set.contains_key(key) || !complete)
    }

    fn near(&self, key: &str) -> Vec<String> {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for owner in [Owner::Record, Owner::Resource] {
            let sets = self.sets(owner).take(FILES_FOR_NEAR);
            known.extend(sets.flat_map(|(set, _)| set.keys().map(String::as_str)));
        }
        nearest(key, known.into_iter())
    }
}

/// Up to three names that a person may have meant, the nearest first.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 3;
    let key = key.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let edits = strsim::damerau_levenshtein(&key, &name);
        let longest = key.chars().count().max(name.chars().count());
        let is_part = key.len() >= 3 && name.split(['.', '_']).any(|part| part == key);
        (is_part || edits * 3 <= longest).then_some((!is_part, edits))
    };
    let mut near: Vec<_> = known.filter_map(|name| Some((distance(name)?, name))).collect();
    near.sort_unstable();
    near.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}
