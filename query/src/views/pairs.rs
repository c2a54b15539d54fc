//! `span_pairs(from, to, a, relation, b)`: spans of one trace that stand to each other in a way,
//! without a join by hand.

use schemas::Kind;
use schemas::columns as c;

use super::{Built, View};

/// How the second span lies to the first.
const RELATIONS: [(&str, &str); 9] = [
    (
        "child",
        "b.parent_span_id = a.span_id AND b.tree_left > a.tree_left AND b.depth = a.depth + 1",
    ),
    (
        "parent",
        "a.parent_span_id = b.span_id AND a.tree_left > b.tree_left AND a.depth = b.depth + 1",
    ),
    ("descendant", "b.tree_left > a.tree_left AND b.tree_left <= a.tree_right"),
    ("ancestor", "a.tree_left > b.tree_left AND a.tree_left <= b.tree_right"),
    ("sibling", "a.parent_span_id = b.parent_span_id AND a.tree_left <> b.tree_left"),
    ("before", "a.tree_left <> b.tree_left AND epoch_ns(a.end_time) <= epoch_ns(b.start_time)"),
    ("after", "a.tree_left <> b.tree_left AND epoch_ns(b.end_time) <= epoch_ns(a.start_time)"),
    (
        "during",
        "a.tree_left <> b.tree_left AND a.start_time < b.end_time AND b.start_time < a.end_time",
    ),
    ("same trace", "a.tree_left <> b.tree_left"),
];

pub(super) const PAIRS: View = View {
    name: "span_pairs",
    usage: "from, to, 'condition a', relation, 'condition b'",
    columns: || {
        use Kind::{Id8, Id16, Int64, Text, Time};
        vec![
            (c::TRACE_ID, Id16),
            ("root_service", Text),
            ("root_name", Text),
            ("a_span_id", Id8),
            ("a_service", Text),
            ("a_name", Text),
            ("a_start", Time),
            ("a_duration_ns", Int64),
            ("b_span_id", Id8),
            ("b_service", Text),
            ("b_name", Text),
            ("b_start", Time),
            ("b_duration_ns", Int64),
        ]
    },
    build: |args| {
        let range = args.range()?;
        let a = args.condition()?.unwrap_or_else(|| "TRUE".to_owned());
        let relation = args.required("a relation")?;
        let Some((_, related)) = RELATIONS.iter().find(|(word, _)| *word == relation) else {
            let words: Vec<&str> = RELATIONS.iter().map(|(word, _)| *word).collect();
            return Err(args.wrong(&format!("`{relation}` is none of {}", words.join(", "))));
        };
        let b = args.condition()?.unwrap_or_else(|| "TRUE".to_owned());
        let side = |condition: &str| {
            format!(
                "(SELECT trace_id, span_id, parent_span_id, root_service, root_name, root_start, \
                 service_name, name, start_time, end_time, duration_ns, tree_left, tree_right, depth \
                 FROM spans WHERE {condition} AND {} AND NOT is_duplicate)",
                range.of_roots()
            )
        };
        Ok(Built::plain(format!(
            "SELECT a.trace_id, a.root_service, a.root_name, \
                 a.span_id, a.service_name, a.name, a.start_time, a.duration_ns, \
                 b.span_id, b.service_name, b.name, b.start_time, b.duration_ns \
                 FROM {} a JOIN {} b ON a.trace_id = b.trace_id WHERE {related} \
                 ORDER BY a.root_start, a.trace_id, a.tree_left, b.tree_left",
            side(&a),
            side(&b)
        )))
    },
};
