//! Why a merge was not done. The inputs stay as they were in every case.

use storage::StorageError;

/// Why a merge was not done.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The store could not write or commit the merged file.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An input cannot be read.
    #[error("cannot read {file}: {cause}; the files of its window stay as they are")]
    Read {
        /// Path of the input, relative to the data directory.
        file: String,
        /// What the reader said.
        cause: String,
    },
    /// The merged rows are not the rows of the inputs.
    #[error(
        "refused a merge of {table}: {what} is {merged} in the merged rows and {inputs} in the files"
    )]
    NotConserved {
        /// The table.
        table: &'static str,
        /// Which figure differs.
        what: String,
        /// Its value in the output.
        merged: i128,
        /// Its value in the inputs.
        inputs: i128,
    },
    /// Merging ends with the process.
    #[error("stopped")]
    Stopped,
    /// The task that merged died.
    #[error("the merge of {table} died: {cause}; its input files stay as they are")]
    Died {
        /// The table.
        table: &'static str,
        /// What is known of it.
        cause: String,
    },
}
