//! The map as text that other programs draw: Mermaid and DOT.

use std::fmt::Write as _;

/// An edge with the words beside it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Node that it leaves.
    pub from: usize,
    /// Node that it leads to.
    pub to: usize,
    /// What stands beside it.
    pub words: String,
    /// Messages and links.
    pub is_dashed: bool,
    /// On the path that matters.
    pub is_thick: bool,
}

/// The map in the language of Mermaid.
pub fn mermaid(names: &[String], lines: &[Line]) -> String {
    let mut out = String::from("flowchart LR\n");
    for (at, name) in names.iter().enumerate() {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "  n{at}[\"{}\"]", escaped(name, "#quot;"));
    }
    for line in lines {
        let arrow = match (line.is_thick, line.is_dashed) {
            (true, _) => "==>",
            (_, true) => "-.->",
            _ => "-->",
        };
        let words = escaped(&line.words, "#quot;");
        let label = if words.is_empty() { String::new() } else { format!("|\"{words}\"|") };
        let _ = writeln!(out, "  n{} {arrow}{label} n{}", line.from, line.to);
    }
    out
}

/// The map in the language of Graphviz.
pub fn dot(names: &[String], lines: &[Line]) -> String {
    let mut out = String::from("digraph map {\n  rankdir=LR;\n  node [shape=box];\n");
    for (at, name) in names.iter().enumerate() {
        let _ = writeln!(out, "  n{at} [label=\"{}\"];", escaped(name, "\\\""));
    }
    for line in lines {
        let style = match (line.is_thick, line.is_dashed) {
            (true, _) => ", penwidth=3",
            (_, true) => ", style=dashed",
            _ => "",
        };
        let words = escaped(&line.words, "\\\"");
        let _ = writeln!(out, "  n{} -> n{} [label=\"{words}\"{style}];", line.from, line.to);
    }
    out.push_str("}\n");
    out
}

/// A text within quotes: nothing in it ends the quote or the line.
fn escaped(text: &str, quote: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in crate::safe_text::SafeText::new(text).as_str().chars() {
        match sign {
            '"' => out.push_str(quote),
            '\\' => out.push('/'),
            other => out.push(other),
        }
    }
    out
}
