//! The catalog again from what lies in the directory, when the catalog itself is damaged.
//!
//! Every file says in its footer what it holds, which WAL range it covers and which files it
//! replaces. Two questions remain, and the directory answers both:
//!
//! * Was a merge committed? Its inputs are unlinked only after its commit. So if all inputs are
//!   there the outputs are left out (perhaps not all of them were written); if one is missing the
//!   outputs count and the rest of the inputs does not.
//! * Was a flush committed? WAL is freed only after its commit. So if the log still holds all
//!   frames of a file's range, the file is left out and its rows come from the log.
//!
//! What is left out goes to quarantine, so nothing is lost by a wrong guess.

use std::collections::BTreeSet;
use std::path::Path;

use schemas::Signal;

use super::facts::NewFile;
use crate::{parquet_file, sweep};

/// What lies in a directory.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Readable files, each with the names of those it replaces.
    pub(crate) files: Vec<(NewFile, Vec<String>)>,
    /// Names of files that cannot be read, and why.
    pub(crate) unreadable: Vec<(String, String)>,
}

/// Which of them are live.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) live: Vec<NewFile>,
    /// Names of files whose rows are elsewhere, too.
    pub(crate) redundant: Vec<String>,
    /// Highest sequence of each signal whose rows are in live files.
    pub(crate) covered: [u64; 3],
}

/// Reads the footers of all files of the directory.
pub(crate) fn find(dir: &Path) -> Found {
    let mut found = Found::default();
    for name in sweep::parquet_files(dir) {
        match parquet_file::read(dir, &name) {
            Ok(file) => found.files.push(file),
            Err(why) => found.unreadable.push((name, why.to_string())),
        }
    }
    found
}

/// Picks the live ones. `wal_first` is the first sequence of each signal that the log holds.
pub(crate) fn choose(
    mut files: Vec<(NewFile, Vec<String>)>,
    wal_first: [Option<u64>; 3],
) -> Chosen {
    files.sort_by_key(|(new, _)| new.file.level);
    let names: BTreeSet<String> = files.iter().map(|(new, _)| new.file.name.clone()).collect();
    let uncommitted =
        |inputs: &[String]| !inputs.is_empty() && inputs.iter().all(|i| names.contains(i));
    let replaced: BTreeSet<&String> =
        files.iter().filter(|(_, inputs)| !uncommitted(inputs)).flat_map(|(_, i)| i).collect();
    let in_wal = |new: &NewFile, signal: Signal| {
        let first = wal_first[signal.index()];
        first.zip(new.file.seq).is_some_and(|(first, (low, _))| low >= first)
    };
    let mut chosen = Chosen::default();
    let mut redundant = BTreeSet::new();
    for (new, inputs) in &files {
        let signal = new.file.table.signal();
        let flushed = inputs.is_empty();
        if uncommitted(inputs)
            || replaced.contains(&new.file.name)
            || (flushed && in_wal(new, signal))
        {
            redundant.insert(new.file.name.clone());
            continue;
        }
        let covered = &mut chosen.covered[signal.index()];
        *covered = (*covered).max(new.file.seq.map_or(0, |(_, high)| high));
    }
    for (new, _) in files {
        match redundant.contains(&new.file.name) {
            true => chosen.redundant.push(new.file.name),
            false => chosen.live.push(new),
        }
    }
    chosen
}
