//! What happens when a query meets a file that cannot be read: the file is found, set aside and
//! named, so that the next answer is complete but for a known, counted gap.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DataFusionError;
use storage::{DataFile, Store};

use crate::QueryError;

/// Whether an error may come from the bytes of a file rather than from the statement.
pub(super) fn is_suspicious(error: &DataFusionError) -> bool {
    let root = error.find_root();
    matches!(
        root,
        DataFusionError::ParquetError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_)
            | DataFusionError::ArrowError(..)
    )
}

/// Reads the files again, takes the damaged ones out of all later snapshots, and says which; `None`
/// when all of them are sound.
pub(super) async fn set_aside(store: Arc<Store>, files: Vec<Arc<DataFile>>) -> Option<QueryError> {
    let mut damaged = Vec::new();
    for file in files {
        let checked = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || storage::check_file(&checked)).await;
        let why = match read {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(ended) => ended.to_string(),
        };
        tracing::error!(file = file.name, why, "a stored file cannot be read");
        if let Err(error) = store.quarantine_file(file.id, &why).await {
            tracing::error!(file = file.name, %error, "the damaged file could not be set aside");
        }
        damaged.push(format!("{} ({} rows): {why}", file.name, file.rows));
    }
    if damaged.is_empty() {
        return None;
    }
    let message = format!("stored files are damaged: {}", damaged.join("; "));
    Some(
        QueryError::unavailable(message, Duration::from_secs(1))
            .with_hint("ask again: they were set aside, and system.data_loss lists their rows"),
    )
}
