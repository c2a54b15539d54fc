//! The map as text that other programs draw: Graphviz DOT and Mermaid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::views::EdgeRow;

use super::error_share;
use crate::output::safe;

/// From this share of failed calls on an edge is drawn as one that fails.
const FAILING_SHARE: f64 = 0.01;

/// Nodes by kind and name, numbered: a node is both, since a service may have a topic's name.
fn nodes(edges: &[EdgeRow]) -> BTreeMap<(&str, &str), usize> {
    let ends = edges.iter().flat_map(|edge| {
        [(edge.src_kind.as_str(), edge.src.as_str()), (edge.dst_kind.as_str(), edge.dst.as_str())]
    });
    let mut nodes: BTreeMap<(&str, &str), usize> = ends.map(|node| (node, 0)).collect();
    nodes.values_mut().enumerate().for_each(|(number, place)| *place = number);
    nodes
}

/// What is written at an edge.
fn label(edge: &EdgeRow) -> String {
    let mut label = format!("{} calls", edge.calls);
    if let Some(p99_ms) = edge.client_p99_ms.or(edge.server_p99_ms) {
        // Writing into a String cannot fail.
        let _ = write!(label, ", p99 {p99_ms:.1} ms");
    }
    if error_share(edge) > 0.0 {
        let _ = write!(label, ", {:.1} % errors", error_share(edge) * 100.0);
    }
    label
}

fn is_guessed(edge: &EdgeRow) -> bool {
    edge.inferred || edge.lost_context
}

/// A directed graph for Graphviz.
pub(super) fn dot(edges: &[EdgeRow]) -> String {
    let nodes = nodes(edges);
    let mut out = String::from("digraph services {\n  rankdir=LR;\n");
    for ((kind, name), number) in &nodes {
        let shape = match *kind {
            "db" => "cylinder",
            "topic" => "cds",
            "service" => "box",
            "user" => "oval",
            _ => "diamond",
        };
        let _ = writeln!(out, "  n{number} [label=\"{}\", shape={shape}];", dot_text(name));
    }
    for edge in edges {
        let from = nodes[&(edge.src_kind.as_str(), edge.src.as_str())];
        let to = nodes[&(edge.dst_kind.as_str(), edge.dst.as_str())];
        let style = if is_guessed(edge) { ", style=dashed" } else { "" };
        let color = if error_share(edge) >= FAILING_SHARE { ", color=red" } else { "" };
        let label = label(edge);
        let _ = writeln!(out, "  n{from} -> n{to} [label=\"{label}\"{style}{color}];");
    }
    out.push_str("}\n");
    out
}

/// A flowchart for Mermaid.
pub(super) fn mermaid(edges: &[EdgeRow]) -> String {
    let nodes = nodes(edges);
    let mut out = String::from("flowchart LR\n");
    for ((kind, name), number) in &nodes {
        let (open, close) = match *kind {
            "db" => ("[(", ")]"),
            "topic" => ("[[", "]]"),
            "service" => ("[", "]"),
            "user" => ("([", "])"),
            _ => ("{{", "}}"),
        };
        let _ = writeln!(out, "  n{number}{open}\"{}\"{close}", mermaid_text(name));
    }
    let mut failing = Vec::new();
    for (at, edge) in edges.iter().enumerate() {
        let from = nodes[&(edge.src_kind.as_str(), edge.src.as_str())];
        let to = nodes[&(edge.dst_kind.as_str(), edge.dst.as_str())];
        let arrow = if is_guessed(edge) { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{from} {arrow}|\"{}\"| n{to}", label(edge));
        if error_share(edge) >= FAILING_SHARE {
            failing.push(at.to_string());
        }
    }
    if !failing.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:red", failing.join(","));
    }
    out
}

fn dot_text(text: &str) -> String {
    safe(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn mermaid_text(text: &str) -> String {
    safe(text).replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}
