//! Where generated data goes: files that `otlake import` reads, a server, or nowhere.

pub(super) mod grpc;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Requests, Signal, Summary, wire};
use crate::truth;

/// Takes requests in their order.
pub trait Sink {
    /// Takes some requests of one signal.
    fn take(&mut self, signal: Signal, requests: &Requests) -> anyhow::Result<()>;
}

/// Takes everything and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn take(&mut self, _signal: Signal, _requests: &Requests) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A directory with a file for each signal, in which every request stands behind its length as a
/// varint, and the answers beside them.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    /// By signal; opened when something comes.
    files: [Option<BufWriter<File>>; 3],
}

impl Files {
    /// Makes the directory where it is missing. Files of the same names are overwritten.
    pub fn create(dir: &Path) -> anyhow::Result<Files> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Files { dir: dir.to_owned(), files: [None, None, None] })
    }

    /// Name of the file of a signal.
    pub fn name(signal: Signal) -> &'static str {
        match signal {
            Signal::Traces => "traces.binpb",
            Signal::Logs => "logs.binpb",
            Signal::Metrics => "metrics.binpb",
        }
    }

    /// Ends the files, and writes the answers and the truth.
    pub fn finish(self, summary: &Summary) -> anyhow::Result<()> {
        for mut file in self.files.into_iter().flatten() {
            file.flush().context("cannot write the last requests")?;
        }
        let answers = serde_json::to_vec_pretty(&summary.answers)?;
        fs::write(self.dir.join("answers.json"), answers).context("cannot write answers.json")?;
        if let Some(record) = &summary.record {
            let mut line = Vec::new();
            record.write(&mut line)?;
            let path = self.dir.join(truth::FILE_NAME);
            fs::write(&path, line).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

impl Sink for Files {
    fn take(&mut self, signal: Signal, requests: &Requests) -> anyhow::Result<()> {
        let path = self.dir.join(Files::name(signal));
        let place = &mut self.files[signal as usize];
        let file = match place {
            Some(file) => file,
            None => {
                let file = File::create(&path)
                    .with_context(|| format!("cannot make {}", path.display()))?;
                place.insert(BufWriter::with_capacity(1 << 20, file))
            }
        };
        let mut len = Vec::with_capacity(10);
        for request in requests.iter() {
            len.clear();
            wire::varint(&mut len, request.len() as u64);
            file.write_all(&len)
                .and_then(|()| file.write_all(request))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
