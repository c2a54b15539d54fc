//! Publishing on a local disk: what these functions return from survives a power cut.
//!
//! A file is durable only when its bytes *and* its directory entry are synced, so every function
//! here ends with a sync of the directory. Files are readable by their owner alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::StorageError;

/// What unfinished files end with; anything so named may be swept at start.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Creates a directory with all its missing parents and syncs the parent of each new one.
pub(crate) fn create_dir_all_synced(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    create_dir_all_synced(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fsync_dir(parent),
    }
}

/// Writes a file under a temporary name, syncs it, gives it its name and syncs the directory.
/// An existing file of that name is replaced; on an error nothing of the new one is left.
pub(crate) fn write_file_durably<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    let temporary = temporary_name(path);
    let published = (|| {
        let mut file = open_private(&temporary)?;
        let written = write(&mut file)?;
        file.sync_all()?;
        rename_durably(&temporary, path)?;
        Ok(written)
    })();
    if published.is_err() {
        // Best effort: the sweep at start removes what stays.
        let _ = std::fs::remove_file(&temporary);
    }
    published
}

/// Renames within a file system and syncs the directories of both names.
pub(crate) fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    fsync_dir(parent_of(to))?;
    if parent_of(from) == parent_of(to) { Ok(()) } else { fsync_dir(parent_of(from)) }
}

/// Unlinks a file and syncs its directory. A file that is gone already is no error.
pub(crate) fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fsync_dir(parent_of(path)),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn fsync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Opens a new or emptied file for reading and writing that only its owner may touch.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The name a file has until it is whole.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

/// For `map_err`: what was tried on which path, and what the system said.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    move |error| StorageError::Io(format!("cannot {action} {}: {error}", path.display()))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
