//! Key and value for a while, over lines of text: `GET key`, `SET key ttl_ms value`, each behind the
//! context of the caller. And the client of it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use tokio::net::TcpListener;

use super::Instance;
use crate::say;
use crate::telemetry::names::{self, metrics, own};
use crate::topology::Role;
use crate::wire::lines;

/// Entries that are kept.
const ENTRIES_MAX: u64 = 20_000;

#[derive(Clone, Debug)]
struct Entry {
    value: String,
    until: Instant,
}

#[derive(Clone, Debug)]
struct Store {
    instance: Arc<Instance>,
    entries: Cache<String, Entry>,
}

/// Answers lines until it is dropped.
pub(super) async fn serve(instance: Arc<Instance>, listener: TcpListener) {
    let store = Store { instance, entries: Cache::new(ENTRIES_MAX) };
    let counted = store.entries.clone();
    let instruments = store.instance.telemetry.instruments();
    instruments.gauge(metrics::CACHE_ENTRIES, "{entry}", move |observe| {
        observe(counted.entry_count() as i64, Vec::new());
    });
    lines::serve(listener, move |line| {
        let store = store.clone();
        async move { store.answer(&line) }
    })
    .await;
}

impl Store {
    fn answer(&self, line: &str) -> String {
        let (parent, command) = line.split_once(' ').unwrap_or(("-", line));
        let verb = command.split(' ').next().unwrap_or_default();
        let name = match verb {
            "GET" => "cache GET",
            "SET" => "cache SET",
            _ => "cache ?",
        };
        let facts = Role::Cache.facts();
        let telemetry = &self.instance.telemetry;
        let carrier =
            std::collections::HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
        let work = telemetry
            .span(SpanKind::Server, name)
            .below(telemetry.extract(&carrier))
            .with(names::SERVER_ADDRESS, facts.name)
            .with(names::SERVER_PORT, i64::from(facts.port))
            .start();
        let _inside = work.context().clone().attach();
        let answer = self.execute(command);
        if verb == "GET" {
            let is_hit = answer.starts_with("HIT");
            work.set_own(own::CACHE_HIT, is_hit);
            let result = KeyValue::new("result", if is_hit { "hit" } else { "miss" });
            telemetry.instruments().cache_lookups.add(1, &[result]);
        }
        work.end();
        answer
    }

    fn execute(&self, command: &str) -> String {
        let limit_ms = self.instance.knobs.read().cache_ttl_ms;
        if limit_ms == Some(0) {
            self.entries.invalidate_all();
        }
        let mut words = command.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("GET"), Some(key), None, None) => match self.entries.get(key) {
                Some(entry) if entry.until > Instant::now() => format!("HIT {}", entry.value),
                _ => "MISS".to_owned(),
            },
            (Some("SET"), Some(key), Some(ttl_ms), Some(value)) => {
                let asked = ttl_ms.parse().unwrap_or(0);
                self.set(key, limit_ms.unwrap_or(asked).min(asked), value)
            }
            _ => {
                say!(warn, "command is not understood");
                "ERR".to_owned()
            }
        }
    }

    fn set(&self, key: &str, ttl_ms: u64, value: &str) -> String {
        if ttl_ms > 0 {
            let until = Instant::now() + Duration::from_millis(ttl_ms);
            self.entries.insert(key.to_owned(), Entry { value: value.to_owned(), until });
        }
        "OK".to_owned()
    }
}

/// Asks the cache. One that does not answer, or does not run, has nothing.
pub(super) async fn get(instance: &Instance, key: &str) -> Option<String> {
    if !instance.has(Role::Cache) {
        return None;
    }
    let asked = instance.caller.line(Role::Cache, "cache GET", format!("GET {key}")).await;
    asked.ok()?.strip_prefix("HIT ").map(str::to_owned)
}

/// Hands the cache a value of one line.
pub(super) async fn set(instance: &Instance, key: &str, ttl: Duration, value: &str) {
    if instance.has(Role::Cache) {
        let line = format!("SET {key} {} {value}", ttl.as_millis());
        // Not kept: asked again.
        let _ = instance.caller.line(Role::Cache, "cache SET", line).await;
    }
}
