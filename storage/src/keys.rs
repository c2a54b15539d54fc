//! Which attribute keys exist at all: what completion and `attribute_keys` show.

use std::collections::BTreeMap;

use schemas::attributes::{Owner, ValueType, promoted};
use schemas::{KeyFacts, Keys, Table};

/// Keys remembered; further ones are still stored with their rows, but not listed.
const KEYS_MAX: usize = 50_000;

/// One attribute key that some row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeKey {
    /// Whose key: `span`, `log`, `point`, `exemplar`, `resource`, `scope`.
    pub scope: &'static str,
    /// The key.
    pub key: String,
    /// Bits of [`schemas::type_bits`] of the values seen.
    pub types: u8,
    /// Rows that had it when they were flushed.
    pub rows: u64,
    /// When a row with it was last flushed, ns since the epoch.
    pub last_seen_ns: i64,
    /// The type of its column, for keys that are promoted.
    pub promoted_type: Option<ValueType>,
}

/// The scopes of [`AttributeKey::scope`].
const SCOPES: [&str; 6] = ["span", "log", "point", "exemplar", "resource", "scope"];

/// The static name of a scope; `None` for a text that is none.
pub(crate) fn scope(name: &str) -> Option<&'static str> {
    SCOPES.into_iter().find(|scope| *scope == name)
}

fn record_scope(table: Table) -> &'static str {
    match table {
        Table::Spans => "span",
        Table::Logs => "log",
        Table::MetricExemplars => "exemplar",
        Table::MetricPoints | Table::MetricHistograms | Table::MetricSummaries => "point",
    }
}

/// All known keys, by scope and key.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    known: BTreeMap<(&'static str, String), AttributeKey>,
}

impl KnownKeys {
    pub(crate) fn new(keys: Vec<AttributeKey>) -> KnownKeys {
        KnownKeys { known: keys.into_iter().map(|k| ((k.scope, k.key.clone()), k)).collect() }
    }

    pub(crate) fn list(&self) -> Vec<AttributeKey> {
        self.known.values().cloned().collect()
    }

    /// The new state of every key that flushed rows have. Nothing changes until [`Self::apply`].
    pub(crate) fn seen(&self, tables: &[(Table, Keys)], now_ns: i64) -> Vec<AttributeKey> {
        let mut changed = BTreeMap::new();
        for (table, keys) in tables {
            let scopes = [
                (record_scope(*table), Some(Owner::Record), &keys.record),
                ("resource", Some(Owner::Resource), &keys.resource),
                ("scope", None, &keys.scope),
            ];
            for (scope, owner, set) in scopes {
                for (key, facts) in set {
                    self.see(&mut changed, scope, owner, key, *facts, now_ns);
                }
            }
        }
        changed.into_values().collect()
    }

    fn see(
        &self,
        changed: &mut BTreeMap<(&'static str, String), AttributeKey>,
        scope: &'static str,
        owner: Option<Owner>,
        key: &str,
        facts: KeyFacts,
        now_ns: i64,
    ) {
        let at = (scope, key.to_owned());
        let known = changed.get(&at).or_else(|| self.known.get(&at));
        if known.is_none() && self.known.len() + changed.len() >= KEYS_MAX {
            return;
        }
        let seen = AttributeKey {
            scope,
            key: key.to_owned(),
            types: facts.types | known.map_or(0, |k| k.types),
            rows: facts.rows + known.map_or(0, |k| k.rows),
            last_seen_ns: now_ns,
            promoted_type: owner.and_then(|o| promoted(o, key)).map(|p| p.value_type),
        };
        changed.insert(at, seen);
    }

    /// Takes over what a commit has made durable.
    pub(crate) fn apply(&mut self, changed: Vec<AttributeKey>) {
        self.known.extend(changed.into_iter().map(|k| ((k.scope, k.key.clone()), k)));
    }
}
