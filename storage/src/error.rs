//! Why the store could not do something, in the caller's terms.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why nothing was stored. Says what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Retry after the delay: buffers full, disk full, sync failed.
    #[error("{reason}; retry in {} s", .retry_after.as_secs())]
    Unavailable {
        /// What is exhausted or failing.
        reason: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// Shutting down; retry elsewhere or later.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The data directory is held by another process.
    #[error("{}: {holder}", .path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The directory was written by a newer version; untouched.
    #[error("{0}")]
    NewerFormat(String),
    /// Anything else: what, where, why.
    #[error("{0}")]
    Io(String),
}

impl StorageError {
    /// An error about a path: what was tried, where, why it failed.
    pub(crate) fn at(what: &str, path: &Path, why: impl std::fmt::Display) -> StorageError {
        StorageError::Io(format!("cannot {what} {}: {why}", path.display()))
    }

    /// An error without a path.
    pub(crate) fn of(what: &str, why: impl std::fmt::Display) -> StorageError {
        StorageError::Io(format!("cannot {what}: {why}"))
    }
}
