//! How `attributes['k']` reaches a column of a file.
//!
//! 1. [`planner`] turns the subscript into the function [`access::Attr`], typed by the fixed list
//!    of `schemas` or as text.
//! 2. [`rewrite`] folds a cast around it into its type, and replaces the access by a *virtual
//!    column* of the scan, named `@a.k:s` (owner, key, type), wherever the scan can be reached.
//! 3. [`adapter`] resolves virtual columns file by file: a promoted column, a look-up in the
//!    residual JSON, or a typed NULL where the file lacks the key, so that the file is skipped.
//!
//! Every outcome of the adapter touches primitive leaf columns only: DataFusion decides at planning
//! time that a predicate is pushed down, and on a nested residual it could then return wrong rows
//! (apache/datafusion#25268). Semantic columns (`http_route`) and computed ones (`end_time`) are
//! columns of the table as soon as a statement names them, and resolve in the adapter as well.

pub(crate) mod access;
pub(crate) mod adapter;
pub(crate) mod planner;
pub(crate) mod rewrite;

use schemas::attributes::{Owner, ValueType, promoted};
use schemas::columns as c;

/// The JSON column an access reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    Record,
    Resource,
    Scope,
    Filtered,
}

impl Source {
    const ALL: [(Source, char, &'static str); 4] = [
        (Source::Record, 'a', c::ATTRIBUTES),
        (Source::Resource, 'r', c::RESOURCE),
        (Source::Scope, 's', c::SCOPE_ATTRIBUTES),
        (Source::Filtered, 'f', c::FILTERED_ATTRIBUTES),
    ];

    /// The source behind a column of that name.
    pub(crate) fn of_column(name: &str) -> Option<Source> {
        Source::ALL.iter().find(|s| s.2 == name).map(|s| s.0)
    }

    fn letter(self) -> char {
        Source::ALL[self as usize].1
    }

    pub(crate) fn column(self) -> &'static str {
        Source::ALL[self as usize].2
    }

    /// Whose promoted columns may hold the key.
    pub(crate) fn owner(self) -> Option<Owner> {
        match self {
            Source::Record => Some(Owner::Record),
            Source::Resource => Some(Owner::Resource),
            Source::Scope | Source::Filtered => None,
        }
    }

    /// The static type of an access without a cast: the fixed list's, else text.
    pub(crate) fn static_type(self, key: &str) -> ValueType {
        self.owner().and_then(|o| promoted(o, key)).map_or(ValueType::Text, |p| p.value_type)
    }
}

/// A typed access to one key, as a column of the scan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VirtualColumn {
    pub(crate) source: Source,
    pub(crate) key: String,
    pub(crate) value_type: ValueType,
}

impl VirtualColumn {
    /// `@a.http.route:s`
    pub(crate) fn name(&self) -> String {
        format!("@{}.{}:{}", self.source.letter(), self.key, self.value_type.letter())
    }

    /// Reads [`VirtualColumn::name`] back.
    pub(crate) fn parse(name: &str) -> Option<VirtualColumn> {
        let rest = name.strip_prefix('@')?;
        let source = Source::ALL.iter().find(|s| rest.starts_with(s.1))?.0;
        let (key, letter) = rest.get(1..)?.strip_prefix('.')?.rsplit_once(':')?;
        let value_type = ValueType::from_letter(letter)?;
        Some(VirtualColumn { source, key: key.to_owned(), value_type })
    }
}
