//! Makes the next syncs below a directory fail, as a dying disk does.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::io::Errno;

static FAILING: Mutex<Vec<(PathBuf, u32)>> = Mutex::new(Vec::new());

/// The next `count` syncs of segments in `dir` fail.
pub(crate) fn fail_syncs(dir: &Path, count: u32) {
    FAILING.lock().push((dir.to_owned(), count));
}

pub(crate) fn before_sync(path: &Path) -> io::Result<()> {
    let mut failing = FAILING.lock();
    match failing.iter_mut().find(|(dir, count)| *count > 0 && path.starts_with(dir)) {
        Some((_, count)) => {
            *count -= 1;
            Err(Errno::IO.into())
        }
        None => Ok(()),
    }
}
