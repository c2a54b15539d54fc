//! One writer per data directory: a lock on the file `LOCK`, gone with the process that holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::StorageError;
use crate::durable::{create_dir_all_synced, failed};

/// Name of the lock file in the data directory.
const LOCK_FILE: &str = "LOCK";

/// Holds a data directory until dropped. The kernel frees it when the process ends, however that
/// happens, so a lock is never stale.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the directory, creating it where it is missing, or says who has it. Does not wait.
    pub(crate) fn acquire(dir: &Path) -> Result<DirLock, StorageError> {
        create_dir_all_synced(dir).map_err(failed("create", dir))?;
        let path = dir.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StorageError::Locked {
                    path: dir.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(error) => return Err(failed("lock", &path)(error.into())),
        }
        if let Err(why) = name_holder(&mut file) {
            // The lock is the kernel's; the name is for people, and a full disk has no place for it.
            tracing::warn!(path = %path.display(), %why, "writing a file failed");
        }
        Ok(DirLock { _file: file })
    }
}

fn name_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.take(20).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) => format!("in use by process {pid}; stop it or choose another data directory"),
        Err(_) => "in use by another process; stop it or choose another data directory".to_owned(),
    }
}

#[cfg(test)]
mod tests;
