//! What is known of one span, as lines.

use api::views::TraceSpan;
use serde_json::Value;

use super::model::{Model, ns, plain};
use crate::format;
use crate::span_rows::flags;
use crate::theme::Role;

/// What the pane shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    All,
    Events,
    Links,
    Raw,
}

impl Part {
    /// All, in the order in which they follow each other.
    pub(crate) const ALL: [(Part, &str); 4] = [
        (Part::All, "attributes"),
        (Part::Events, "events"),
        (Part::Links, "links"),
        (Part::Raw, "raw"),
    ];

    pub(crate) fn word(self) -> &'static str {
        Part::ALL.iter().find(|(part, _)| *part == self).map_or("", |(_, word)| word)
    }

    pub(crate) fn next(self) -> Part {
        let at = Part::ALL.iter().position(|(part, _)| *part == self).unwrap_or(0);
        Part::ALL[(at + 1) % Part::ALL.len()].0
    }
}

/// One line of the pane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) role: Role,
    /// Key by which a filter takes the value.
    pub(crate) filter_key: Option<String>,
    /// Trace and span it leads to.
    pub(crate) link: Option<(String, Option<String>)>,
}

fn fact(key: impl Into<String>, value: impl Into<String>) -> Fact {
    Fact { key: key.into(), value: value.into(), role: Role::Text, filter_key: None, link: None }
}

fn head(key: &str) -> Fact {
    Fact { role: Role::Title, ..fact(key, "") }
}

/// The lines of a row of the trace.
pub(crate) fn facts(model: &Model, row: u32, span: Option<&TraceSpan>, part: Part) -> Vec<Fact> {
    let Some(span) = span else { return missing(model, row) };
    match part {
        Part::All => all(model, row, span),
        Part::Events => events(model, span),
        Part::Links => links(span),
        Part::Raw => raw(span),
    }
}

fn missing(model: &Model, row: u32) -> Vec<Fact> {
    let name = model.skeleton.name(row as usize).to_owned();
    if model.skeleton.is_span(row as usize) {
        return vec![fact("span", name), fact("", "its details come when the cursor rests")];
    }
    vec![
        Fact { role: Role::Warn, ..fact("missing", name) },
        fact("", "its children arrived without it: not sent, refused, or still on its way"),
    ]
}

fn all(model: &Model, row: u32, span: &TraceSpan) -> Vec<Fact> {
    let mut facts = summary(model, row, span);
    facts.extend(members(span.attributes.as_ref(), "", true));
    if !span.events.is_empty() {
        facts.push(head(&format!("events ({})", span.events.len())));
        facts.extend(events(model, span));
    }
    if !span.links.is_empty() {
        facts.push(head(&format!("links ({})", span.links.len())));
        facts.extend(links(span));
    }
    let resource = members(span.resource.as_ref(), "resource.", true);
    if !resource.is_empty() {
        facts.push(head("resource"));
        facts.extend(resource);
    }
    facts
}

/// Status, kind, other side, and where the time went.
fn summary(model: &Model, row: u32, span: &TraceSpan) -> Vec<Fact> {
    let s = &model.skeleton;
    let mut facts = Vec::new();
    let status = span.status_code.as_deref().unwrap_or("unset");
    let message = span.status_message.as_deref().unwrap_or("");
    let failed = s.has(row as usize, flags::ERROR);
    let role = if failed { Role::Error } else { Role::Text };
    let text =
        if failed && status != "error" { format!("error ({status})") } else { status.into() };
    let text = format!("{text}  {message}").trim_end().to_owned();
    facts.push(Fact { role, filter_key: Some("status".into()), ..fact("status", text) });
    if let Some(kind) = &span.kind {
        let peer = span.peer.as_ref().map_or(String::new(), |peer| format!("  -> {peer}"));
        let value = format!("{kind}{peer}");
        facts.push(Fact { filter_key: Some("kind".into()), ..fact("kind", value) });
    }
    let start = ns(&span.start_time).unwrap_or(0) - model.start_ns;
    facts.push(fact(
        "time",
        format!(
            "+{} to +{}",
            format::duration_ns(start),
            format::duration_ns(start + span.duration_ns)
        ),
    ));
    let own = span.self_ns.map(|ns| format!("self {}", format::duration_ns(ns)));
    let path = span.critical_ns.filter(|ns| *ns > 0).map(|ns| {
        let share = ns as f64 / model.duration_ns().max(1) as f64;
        format!("{:.0}% of the trace", share * 100.0)
    });
    let gap = span.gap_ns.filter(|ns| *ns > 0);
    let gap = gap.map(|ns| format!("gap {}", format::duration_ns(ns)));
    let parts: Vec<String> = [own, path, gap].into_iter().flatten().collect();
    facts.push(fact(
        "took",
        format!("{}  {}", format::duration_ns(span.duration_ns), parts.join(", ")),
    ));
    if let Some(skew) = span.skew_ns.filter(|ns| *ns != 0) {
        let text = format!("{} corrected", format::offset_ns(skew));
        facts.push(Fact { role: Role::Warn, ..fact("clock", text) });
    }
    facts
}

/// The members of an object, in the order of their keys.
fn members(object: Option<&Value>, prefix: &str, filterable: bool) -> Vec<Fact> {
    let Some(Value::Object(members)) = object else { return Vec::new() };
    let line = |(key, value): (&String, &Value)| Fact {
        filter_key: filterable.then(|| format!("{prefix}{key}")),
        ..fact(key.clone(), plain(value))
    };
    members.iter().map(line).collect()
}

fn events(model: &Model, span: &TraceSpan) -> Vec<Fact> {
    let mut facts = Vec::new();
    for event in &span.events {
        let at = ns(&event.time).unwrap_or(model.start_ns) - model.start_ns;
        let role = if event.name == "exception" { Role::Error } else { Role::Event };
        let key = format!("+{}", format::duration_ns(at));
        facts.push(Fact { role, ..fact(key, event.name.clone()) });
        for part in members(event.attributes.as_ref(), "", false) {
            facts.push(Fact { key: format!("  {}", part.key), ..part });
        }
    }
    if facts.is_empty() {
        facts.push(fact("", "no events"));
    }
    facts
}

fn links(span: &TraceSpan) -> Vec<Fact> {
    let mut facts = Vec::new();
    for link in &span.links {
        let trace = link.trace_id.clone().unwrap_or_default();
        let text = format!("{}  span {}", trace, link.span_id.as_deref().unwrap_or("-"));
        let leads = link.trace_id.clone().map(|id| (id, link.span_id.clone()));
        facts.push(Fact { role: Role::Accent, link: leads, ..fact("Enter opens", text) });
        for part in members(link.attributes.as_ref(), "", false) {
            facts.push(Fact { key: format!("  {}", part.key), ..part });
        }
    }
    if facts.is_empty() {
        facts.push(fact("", "no links"));
    }
    facts
}

fn raw(span: &TraceSpan) -> Vec<Fact> {
    let text = serde_json::to_string_pretty(span).unwrap_or_default();
    text.lines().map(|line| fact("", line)).collect()
}
