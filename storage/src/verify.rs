//! Reads everything a directory holds and says what is damaged. Changes nothing.

use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::catalog::facts::DataFile;
use crate::catalog::{Catalog, Loaded, OpenError};
use crate::clock::Clock;
use crate::wal::WalConfig;
use crate::{StorageError, StoreConfig, layout, parquet_file, wal};

/// Why a file whose hash is another one is not to be trusted.
pub(crate) const OTHER_BYTES: &str = "its bytes are not the ones that were written";

/// What [`verify_dir`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// WAL frames read that are not in files yet.
    pub frames: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the data directory.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// Checks the catalog, every byte and row of every file, and the frames of the WAL. `progress` gets
/// bytes done and bytes in all. Runs beside a server; what that changes meanwhile may be reported.
pub async fn verify_dir(
    dir: &Path,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<VerifyReport, StorageError> {
    let mut report = VerifyReport::default();
    let loaded = match Catalog::read(layout::catalog(dir), dir).await {
        Ok(loaded) => loaded.unwrap_or_default(),
        Err(OpenError::Other(why)) => return Err(why),
        Err(OpenError::Damaged(why)) => {
            report.find("catalog.sqlite", why);
            Loaded::default()
        }
    };
    verify_wal(dir, &loaded, &mut report)?;
    let total = loaded.files.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    for file in &loaded.files {
        progress(done, total);
        match verify_file(file, loaded.hashes.get(&file.id)) {
            Ok(()) => report.rows += file.rows,
            Err(why) => report.find(&file.name, why),
        }
        report.files += 1;
        done += file.bytes;
    }
    progress(total, total);
    Ok(report)
}

impl VerifyReport {
    fn find(&mut self, what: &str, why: impl Into<String>) {
        self.findings.push(Finding { what: what.to_owned(), why: why.into() });
    }
}

fn verify_wal(dir: &Path, loaded: &Loaded, report: &mut VerifyReport) -> Result<(), StorageError> {
    let config: WalConfig = crate::recovery::wal_config(&StoreConfig::new(dir));
    let recovered = wal::recover(&config, loaded.covered, Clock::system().wall_ns(), false)?;
    for loss in &recovered.losses {
        report.find(&format!("wal/{}", loss.segment), loss.cause.clone());
    }
    for frame in recovered.frames() {
        match frame {
            Ok(_) => report.frames += 1,
            Err(loss) => report.find(&format!("wal/{}", loss.segment), loss.cause),
        }
    }
    Ok(())
}

fn verify_file(file: &DataFile, hash: Option<&[u8; 32]>) -> Result<(), String> {
    let found = parquet_file::hash(&file.path).map_err(|why| why.to_string())?;
    if hash.is_some_and(|hash| *hash != found) {
        return Err(OTHER_BYTES.to_owned());
    }
    let rows = parquet_file::guarded(|| count_rows(&file.path))?;
    match rows == file.rows {
        true => Ok(()),
        false => Err(format!("holds {rows} rows instead of {}", file.rows)),
    }
}

/// Reads one file whole, in a boundary against panics of the decoder.
///
/// # Errors
/// What is wrong with it: it is missing, does not decode, or holds another number of rows.
pub fn check_file(file: &DataFile) -> Result<(), String> {
    verify_file(file, None)
}

/// Decodes everything.
fn count_rows(path: &Path) -> Result<u64, String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let file = std::fs::File::open(path).map_err(|why| text(&why))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|why| text(&why))?;
    let mut rows = 0;
    for batch in reader {
        rows += batch.map_err(|why| text(&why))?.num_rows() as u64;
    }
    Ok(rows)
}
