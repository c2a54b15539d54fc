//! `error_paths(from, to, root, traces)`: where errors begin, and which way they take to the root.

use schemas::Kind;

use super::paths::root_condition;
use super::{Built, View};

pub(super) const ERRORS: View = View {
    name: "error_paths",
    usage: "[from [, to [, root [, traces]]]]",
    columns: || {
        use Kind::{Float64, Id8, Id16, Int64, Text, Time};
        vec![
            ("signature", Id8),
            ("path", Text),
            ("origin", Text),
            ("origin_kind", Text),
            ("error_role", Text),
            ("error_type", Text),
            ("count", Int64),
            ("fatal_share", Float64),
            ("cost_ms", Float64),
            ("first_seen", Time),
            ("last_seen", Time),
            ("exemplar_trace", Id16),
        ]
    },
    build: |args| {
        let (range, root) = (args.range()?, args.text()?);
        let traces = range.of_traces_with(args.condition()?.as_deref());
        Ok(Built::plain(format!(
            "SELECT signature, path, origin, origin_kind, error_role, error_type, \
             count(*) AS count, avg(CASE WHEN is_fatal THEN 1.0 ELSE 0.0 END) AS fatal_share, \
             sum(cost_ns) / 1e6 AS cost_ms, min(root_start) AS first_seen, max(root_start) AS last_seen, \
             exemplars(trace_id, cost_ns, is_fatal)[1] AS exemplar_trace \
             FROM error_origins WHERE {} AND {} AND {traces} GROUP BY 1, 2, 3, 4, 5, 6 \
             ORDER BY count DESC, cost_ms DESC, path",
            range.of_roots(),
            root_condition(root.as_deref())
        )))
    },
};
