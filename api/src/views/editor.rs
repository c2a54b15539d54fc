//! What the editors of filter lines and statements ask: what a line means, what may stand next.

use serde::{Deserialize, Serialize};

use super::Basis;

rows! {
    /// A filter line as SQL. A wrong line is refused with the position of what is wrong.
    FilterAnswer {
        /// The condition; `TRUE` of an empty line.
        sql: String,
        /// Its parts, in order.
        terms: Vec<FilterTerm>,
        /// What may not be what was meant.
        warnings: Vec<FilterWarning>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// One comparison or word of a line.
    FilterTerm {
        /// Characters before it.
        at: u64,
        /// Its length in characters.
        length: u64,
        /// What it became.
        sql: String,
        /// What its key was taken for: `column`, `semantic`, `attribute`, `resource`, `text` or `sql`.
        meaning: String,
    }
    /// A part of a line that may not be what was meant.
    FilterWarning {
        /// Characters before it.
        at: u64,
        /// Its length in characters.
        length: u64,
        /// What and why.
        message: String,
        /// Known keys near the unknown one.
        near: Vec<String>,
    }
    /// Candidates for a place of a text.
    CompleteAnswer {
        /// They replace the text from this character on.
        from: u64,
        /// And up to this one.
        to: u64,
        /// The candidates, the likeliest first.
        rows: Vec<CompletionRow>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A candidate.
    CompletionRow {
        /// What is put in.
        text: String,
        /// `table`, `column`, `key`, `value`, `function` or `word`.
        kind: String,
        /// Type, signature or meaning.
        detail: Option<String>,
        /// Rows that have it; of a value in the sample looked at.
        count: Option<u64>,
    }
}
