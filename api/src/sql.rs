//! The question and the answer of `/api/v1/sql`.

use serde::{Deserialize, Serialize};

/// Body of `POST /api/v1/sql`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One read-only statement.
    pub sql: String,
    /// `$1`, `$2` … as an array, or `$name` as an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<serde_json::Value>,
    /// Rows at most; the answer says when it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Seconds at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name, unique within the answer.
    pub name: String,
    /// Type in SQL's words: `text`, `bigint`, `double`, `boolean`, `timestamp`, `id`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// What an answer is built on: every answer carries it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Name of the query, for cancelling and the log.
    pub query_id: String,
    /// Rows of the answer.
    pub rows: u64,
    /// From the request to the last row, in milliseconds.
    pub elapsed_ms: f64,
    /// Files whose rows were read.
    pub files_scanned: u64,
    /// Files left out because their facts exclude a hit.
    pub files_skipped: u64,
    /// Bytes read from files.
    pub bytes_scanned: u64,
    /// Rows of the live buffers that were looked at.
    pub live_rows: u64,
    /// The row limit cut the answer.
    pub truncated: bool,
    /// Some rows could not be read: damaged files, known losses in the range.
    pub partial: bool,
    /// Bytes of old WAL not yet replayed; rows in them are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering_bytes: Option<u64>,
    /// Where the trace kernel ran: what it ran over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<TraceStats>,
    /// What the reader should know, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What the trace kernel ran over for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceStats {
    /// Traces of the range, whole or not.
    pub used: u64,
    /// Of these: without their root or a parent, or still arriving.
    pub incomplete: u64,
    /// Of the incomplete: something of them came within the last 30 seconds.
    #[serde(default)]
    pub arriving: u64,
    /// Of these: too large for the memory of the query; their derived columns are null.
    pub truncated: u64,
    /// Read and left out, because they lie outside the range.
    pub skipped: u64,
    /// Spans of the traces used.
    pub spans: u64,
    /// Rows left out as the same span.
    pub duplicates: u64,
}

impl TraceStats {
    /// Traces without their root or a parent of which nothing came lately: it is missing.
    pub fn missing(&self) -> u64 {
        self.incomplete.saturating_sub(self.arriving)
    }
}

/// The JSON answer of `/api/v1/sql`, whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SqlAnswer {
    /// Columns in order.
    pub schema: Vec<Field>,
    /// Rows, each an object in column order.
    pub rows: Vec<serde_json::Map<String, serde_json::Value>>,
    /// What the answer is built on.
    #[serde(default)]
    pub stats: Stats,
    /// Set in place of `stats` when the query failed after the first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// An error as RFC 9457 problem details.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Short, stable name of the kind: `syntax`, `unknown_column`, `not_allowed`, `limit`, `timeout`, …
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong and why.
    #[serde(rename = "detail")]
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Position in the statement, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Position in the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Seconds after which the same request may succeed; absent when it will fail again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}
