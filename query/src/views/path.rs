//! `critical_path('id', tolerance, end_to_end)`: the pieces of a trace's critical path, and
//! `critical_paths(tolerance, end_to_end)`: those of all traces.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use schemas::Kind;
use schemas::columns as c;

use super::args::Args;
use super::{Built, View};
use crate::table::ScanContext;
use crate::traces::TracesTable;

/// Share of a parent by which siblings may overlap and still follow one another.
const TOLERANCE: f64 = 0.01;

pub(super) const CRITICAL_PATH: View = View {
    name: "critical_path",
    usage: "'trace id' [, tolerance [, end_to_end]]",
    columns: || {
        use Kind::{Id8, Int64, Text};
        vec![
            ("seq", Int64),
            ("segment_id", Id8),
            (c::SPAN_ID, Id8),
            (c::SERVICE_NAME, Text),
            ("name", Text),
            ("from_ns", Int64),
            ("to_ns", Int64),
            ("category", Text),
            ("charged_to", Text),
        ]
    },
    build: |args| {
        let id = args.trace_id()?;
        let (tolerance, end_to_end) = options(args)?;
        Ok(Built::plain(format!(
            "SELECT seq, segment_id, span_id, service_name, name, from_ns, to_ns, category, charged_to \
             FROM critical_paths({tolerance}, {end_to_end}) WHERE trace_id = '{id}' ORDER BY seq"
        )))
    },
};

fn options(args: &mut Args<'_>) -> Result<(f64, bool)> {
    let tolerance = args.number()?.unwrap_or(TOLERANCE);
    if !(0.0..=1.0).contains(&tolerance) {
        return Err(args.wrong(&format!("{tolerance} is no share between 0 and 1")));
    }
    Ok((tolerance, args.flag()?))
}

/// Name of the function over all traces.
pub(super) const ALL_PATHS: &str = "critical_paths";

/// The table of all pieces.
pub(super) struct AllPaths(pub(super) Arc<ScanContext>);

impl fmt::Debug for AllPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALL_PATHS)
    }
}

impl TableFunctionImpl for AllPaths {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let mut read =
            Args::of(ALL_PATHS, "[tolerance [, end_to_end]]", args.exprs(), args.session());
        let (tolerance, end_to_end) = options(&mut read)?;
        read.end()?;
        Ok(Arc::new(TracesTable::paths(&self.0, tolerance, end_to_end)))
    }
}
