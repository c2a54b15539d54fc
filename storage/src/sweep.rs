//! What lies in the directory but in no catalog: unfinished files go, unknown ones are set aside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemas::Table;

use crate::{StorageError, durable, layout};

/// Unknown files are left alone until they are this old.
const UNKNOWN_AGE: Duration = Duration::from_secs(3600);
/// `<table>/date=…/hour=…/file`.
const FOLDER_DEPTH: usize = 3;

/// Names of all Parquet files below the tables' folders, relative to the data directory.
pub(crate) fn parquet_files(dir: &Path) -> Vec<String> {
    let mut names = files(dir, ".parquet");
    names.sort();
    names
}

/// Removes what a crash left half-written.
pub(crate) fn remove_temporaries(dir: &Path) {
    for name in files(dir, durable::TEMPORARY_SUFFIX) {
        let path = dir.join(name);
        match durable::remove_durably(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed an unfinished file"),
            Err(why) => {
                tracing::warn!(path = %path.display(), %why, "removing an unfinished file failed")
            }
        }
    }
}

/// Moves files that the catalog does not name, and that no one can still be writing, to quarantine.
pub(crate) fn set_unknown_aside(dir: &Path, known: &BTreeSet<String>) {
    for name in parquet_files(dir) {
        let age = crate::catalog::modified(&dir.join(&name)).elapsed().unwrap_or_default();
        if !known.contains(&name) && age > UNKNOWN_AGE {
            set_aside(dir, &name);
        }
    }
}

/// Moves a file to quarantine under a name that says where it was; says so in the log.
pub(crate) fn set_aside(dir: &Path, name: &str) {
    match to_quarantine(dir, name) {
        Ok(path) => tracing::warn!(name, to = %path.display(), "file moved to quarantine"),
        Err(why) => tracing::warn!(name, %why, "moving a file to quarantine failed"),
    }
}

/// Moves a file of the data directory to quarantine. One that is missing is no error.
pub(crate) fn to_quarantine(dir: &Path, name: &str) -> Result<PathBuf, StorageError> {
    let quarantine = layout::quarantine(dir);
    let target = quarantine.join(name.replace('/', "_"));
    let source = dir.join(name);
    if source.exists() {
        durable::create_dir_all_synced(&quarantine)
            .and_then(|()| durable::rename_durably(&source, &target))
            .map_err(|why| StorageError::at("quarantine", &source, why))?;
    }
    Ok(target)
}

fn files(dir: &Path, suffix: &str) -> Vec<String> {
    let mut names = vec![];
    let mut folders: Vec<(String, usize)> =
        Table::ALL.iter().map(|table| (table.name().to_owned(), 1)).collect();
    while let Some((folder, depth)) = folders.pop() {
        // A folder that cannot be read has no files that could be read.
        let Ok(entries) = std::fs::read_dir(dir.join(&folder)) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{folder}/{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < FOLDER_DEPTH => {
                    folders.push((path, depth + 1))
                }
                Ok(kind) if kind.is_file() && name.ends_with(suffix) => names.push(path),
                _ => {}
            }
        }
    }
    names
}
