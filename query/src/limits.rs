//! The limits of a statement: what it may look like and what one value of it may weigh.
//!
//! Limits on time, memory, spilling and rows belong to the engine's configuration; these here can
//! be checked without running anything. All are listed in `system.limits`.

/// Bytes of one value that a value-building function (`repeat`, `lpad`, `range` …) may return.
pub(crate) const VALUE_BYTES_MAX: u64 = 16 << 20;
/// Bytes that such a function may return for the rows of one batch.
pub(crate) const BATCH_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the body of a request to `/api/v1/sql`: the text limit, and room for parameters.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// What a statement may look like before it is planned. Planning cannot be cancelled and a short
/// hostile text can end the process there, so these hold before DataFusion sees the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// Bytes of the text.
    pub text_bytes: usize,
    /// Depth of the syntax tree; a flat chain of n operators has depth n. References to CTEs count
    /// with the depth of the CTE.
    pub depth: u64,
    /// Nodes of the syntax tree, each reference to a CTE counted as the whole CTE.
    pub nodes: u64,
    /// Joins, and sub-queries inside expressions, counted in the same way.
    pub joins: u64,
    /// UNION, INTERSECT, EXCEPT and pipe operators, counted in the same way.
    pub set_operations: u64,
    /// Window functions, counted in the same way.
    pub windows: u64,
    /// Values of one IN list.
    pub in_list: u64,
    /// Grouping sets that one GROUP BY stands for (CUBE of n columns is 2^n).
    pub grouping_sets: u64,
}

impl Default for GuardLimits {
    fn default() -> GuardLimits {
        GuardLimits {
            text_bytes: 64 << 10,
            depth: 256,
            nodes: 20_000,
            joins: 12,
            set_operations: 32,
            windows: 64,
            in_list: 10_000,
            grouping_sets: 256,
        }
    }
}

impl GuardLimits {
    /// Name, value and meaning of each, for `system.limits`.
    pub fn rows(&self) -> Vec<(&'static str, u64, &'static str)> {
        vec![
            ("text_bytes", self.text_bytes as u64, "bytes of the statement"),
            ("depth", self.depth, "depth of the syntax tree, CTEs expanded"),
            ("nodes", self.nodes, "nodes of the syntax tree, CTEs expanded"),
            ("joins", self.joins, "joins and sub-queries in expressions, CTEs expanded"),
            ("set_operations", self.set_operations, "set operations, CTEs expanded"),
            ("windows", self.windows, "window functions, CTEs expanded"),
            ("in_list", self.in_list, "values of one IN list"),
            ("grouping_sets", self.grouping_sets, "grouping sets of one GROUP BY"),
            ("value_bytes", VALUE_BYTES_MAX, "bytes of one value built by a function"),
            ("batch_bytes", BATCH_BYTES_MAX, "bytes built by a function for one batch"),
        ]
    }
}
