//! Links: one word for chat and shell that opens a view, and what else can be pasted to open one.
//!
//! `otlake:services?f=<filter>&t=<range>`, `otlake:trace/<id>?span=<id>`.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::action::Place;
use crate::event::Now;
use crate::overlay::time;
use crate::scope::{Range, Scope};
use crate::screens::{self, Screen, View, compare};

#[cfg(test)]
mod tests;

const SCHEME: &str = "otlake:";

/// What a link names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// `services`, `trace`, `service`, …
    pub(crate) word: String,
    /// What stands behind the slash.
    pub(crate) of: Option<String>,
    pub(crate) span: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) range: Option<String>,
}

/// The link to a view. A range that moves stays one; so the link shows what is new then.
pub(crate) fn of(view: &View) -> String {
    let mut link = format!("{SCHEME}{}", view.screen.link());
    let mut sign = if link.contains('?') { '&' } else { '?' };
    let mut add = |name: &str, value: &str| {
        // Writing into a String cannot fail.
        let _ = write!(link, "{sign}{name}={}", encoded(value));
        sign = '&';
    };
    if !view.scope.filter.is_empty() {
        add("f", &view.scope.filter);
    }
    add("t", &range_text(view.scope.range));
    link
}

/// A range as it is typed.
fn range_text(range: Range) -> String {
    match range {
        Range::Last(ns) => crate::scope::length(ns),
        Range::Between(from_ns, to_ns) => {
            format!("{}..{}", api::time::format(from_ns), api::time::format(to_ns))
        }
        Range::Since(from_ns) => format!("since {}", api::time::format(from_ns)),
        Range::All => "all".to_owned(),
    }
}

/// The command that opens the same view.
pub(crate) fn command(view: &View) -> String {
    format!("otlake tui --open '{}'", of(view))
}

/// Reads a link, a trace id, a `traceparent`, or a JSON text with a trace id.
pub(crate) fn read(text: &str) -> Option<Target> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(SCHEME) {
        return link(rest);
    }
    let (trace, span) = ids(text)?;
    Some(Target { word: "trace".into(), of: Some(trace), span, ..Target::default() })
}

fn link(text: &str) -> Option<Target> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let (word, of) = path.split_once('/').map_or((path, None), |(word, of)| (word, Some(of)));
    let known = matches!(word, "trace" | "service" | "compare") || place(word).is_some();
    let mut target = Target { word: word.to_owned(), of: of.map(decoded), ..Target::default() };
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        let value = Some(decoded(value));
        match name {
            "span" => target.span = value,
            "f" => target.filter = value,
            "t" => target.range = value,
            _ => {}
        }
    }
    known.then_some(target)
}

fn place(word: &str) -> Option<Place> {
    Some(match word {
        "services" => Place::Services,
        "map" => Place::Map,
        "traces" => Place::Traces,
        "logs" => Place::Logs,
        "metrics" => Place::Metrics,
        "sql" => Place::Sql,
        "ingest" => Place::Ingest,
        "errors" => Place::Errors,
        _ => return None,
    })
}

/// A trace id and perhaps a span id: plain, as `traceparent`, or as fields of a JSON object.
fn ids(text: &str) -> Option<(String, Option<String>)> {
    let hex = |text: &str, digits: usize| {
        let is_id = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| text.to_lowercase())
    };
    if let Some(trace) = hex(text, 32) {
        return Some((trace, None));
    }
    let parts: Vec<&str> = text.trim_start_matches("traceparent:").trim().split('-').collect();
    if let [_, trace, span, _] = parts[..]
        && let (Some(trace), Some(span)) = (hex(trace, 32), hex(span, 16))
    {
        return Some((trace, Some(span)));
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    // Loggers write `trace_id`, `traceId`, `traceid` or `TraceId`.
    let field = |name: &str, digits| {
        let plain = |key: &str| key.replace('_', "").to_lowercase();
        let found = json.as_object()?.iter().find(|(key, _)| plain(key) == name)?;
        hex(found.1.as_str()?, digits)
    };
    Some((field("traceid", 32)?, field("spanid", 16)))
}

impl Target {
    /// The screen it names.
    pub(crate) fn screen(&self) -> Option<Box<dyn Screen>> {
        match (self.word.as_str(), &self.of) {
            ("trace", Some(id)) => Some(screens::trace::open(id, self.span.as_deref())),
            ("service", Some(name)) => Some(screens::service::open(name)),
            ("compare", Some(ids)) => {
                let (a, b) = ids.split_once('-')?;
                Some(compare::open(compare::Sides::Traces(a.to_owned(), b.to_owned())))
            }
            (word, _) => Some(screens::root(place(word)?)),
        }
    }

    /// The place whose key leads there, for a start with this link.
    pub(crate) fn place(&self) -> Place {
        place(&self.word).unwrap_or(Place::Services)
    }

    /// Puts its filter and range into a scope.
    pub(crate) fn apply(&self, scope: &mut Scope, now: Now) {
        if let Some(filter) = &self.filter {
            scope.filter = filter.clone();
        }
        if let Some(range) =
            self.range.as_deref().and_then(|text| time::read(text, now, &TimeZone::UTC).ok())
        {
            scope.range = range;
        }
    }
}

/// The text as it may stand in a link.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
