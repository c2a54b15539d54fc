//! One number for memory, split into the shares of its users.

/// Bytes of each user of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Requests between their first byte and their answer.
    pub(crate) in_flight: usize,
    /// Rows not yet in files.
    pub(crate) live: usize,
    /// All running queries.
    pub(crate) query: usize,
    /// One running query.
    pub(crate) one_query: usize,
    /// Footers of Parquet files.
    pub(crate) metadata: usize,
    /// Rows of one merge of files.
    pub(crate) merge: usize,
}

/// A single query never gets more, however large the budget.
const ONE_QUERY_BYTES_MAX: usize = 512 << 20;

impl Budget {
    /// The shares of a budget; the rest is reserve.
    pub(crate) fn of(memory_bytes: u64) -> Budget {
        let whole = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let share = |percent: usize| {
            usize::try_from(whole as u128 * percent as u128 / 100).unwrap_or(whole)
        };
        Budget {
            in_flight: share(25),
            live: share(25),
            query: share(30),
            one_query: share(30).min(ONE_QUERY_BYTES_MAX),
            metadata: share(5),
            merge: share(10),
        }
    }
}
