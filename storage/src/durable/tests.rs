//! What is published is whole, private, and leaves nothing behind when it fails.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn directories_and_files_are_private() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/b");
    create_dir_all_synced(&dir).unwrap();
    create_dir_all_synced(&dir).unwrap();
    let file = dir.join("file");
    let length = write_file_durably(&file, |f| f.write_all(b"whole").map(|()| 5)).unwrap();
    assert_eq!((length, mode(&dir), mode(&file)), (5, 0o700, 0o600));
    assert_eq!(std::fs::read(&file).unwrap(), b"whole");
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    write_file_durably(&file, |f| f.write_all(b"old")).unwrap();
    let error = write_file_durably(&file, |f| {
        f.write_all(b"ne")?;
        Err::<(), _>(io::Error::other("no more"))
    });
    assert_eq!(error.unwrap_err().to_string(), "no more");
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn removing_twice_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    write_file_durably(&file, |_| Ok(())).unwrap();
    let moved = root.path().join("moved");
    rename_durably(&file, &moved).unwrap();
    remove_durably(&moved).unwrap();
    remove_durably(&moved).unwrap();
    assert!(!moved.exists() && !file.exists());
}
