//! An immutable view of all tables: files and live rows, no row twice, none missing.

use std::sync::Arc;

use schemas::{Batch, Table};

use crate::catalog::facts::DataFile;

/// One immutable view of all tables.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) files: [Arc<[Arc<DataFile>]>; Table::COUNT],
    pub(crate) live: [Arc<[Arc<Batch>]>; Table::COUNT],
    pub(crate) gaps: Arc<[DataLoss]>,
    pub(crate) recovering_bytes: Option<u64>,
}

impl Snapshot {
    /// A snapshot of these files and live rows, with no known gap.
    pub fn from_parts(
        files: [Vec<Arc<DataFile>>; Table::COUNT],
        live: [Vec<Arc<Batch>>; Table::COUNT],
    ) -> Snapshot {
        Snapshot { files: files.map(Arc::from), live: live.map(Arc::from), ..Snapshot::default() }
    }

    /// The sealed files of the table.
    pub fn files(&self, table: Table) -> &[Arc<DataFile>] {
        &self.files[table.index()]
    }

    /// Live rows of the table, in arrival order; no row of them is in a file of this snapshot.
    pub fn live(&self, table: Table) -> &[Arc<Batch>] {
        &self.live[table.index()]
    }

    /// Known gaps: `system.data_loss`.
    pub fn gaps(&self) -> &[DataLoss] {
        &self.gaps
    }

    /// Bytes of old WAL not yet replayed: the snapshot lacks their rows.
    pub fn recovering_bytes(&self) -> Option<u64> {
        self.recovering_bytes
    }
}

/// A named, counted gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataLoss {
    /// When it was found, ns since the epoch.
    pub time_ns: i64,
    /// The table that lacks rows, where known.
    pub table: Option<Table>,
    /// The damaged or missing file, where there is one.
    pub file: Option<String>,
    /// First and last WAL sequence number that are lost, where known.
    pub seq: Option<(u64, u64)>,
    /// Earliest time of a lost row, where known.
    pub min_time_ns: Option<i64>,
    /// Latest time of a lost row, where known.
    pub max_time_ns: Option<i64>,
    /// Number of rows lost, where known.
    pub rows: Option<u64>,
    /// What happened, for people.
    pub cause: String,
}

impl DataLoss {
    /// A gap of which nothing but the cause is known.
    pub(crate) fn because(time_ns: i64, cause: impl Into<String>) -> DataLoss {
        DataLoss { time_ns, cause: cause.into(), ..DataLoss::default() }
    }

    /// A file's rows are gone.
    pub(crate) fn of_file(time_ns: i64, file: &DataFile, cause: impl Into<String>) -> DataLoss {
        DataLoss {
            time_ns,
            table: Some(file.table),
            file: Some(file.name.clone()),
            seq: file.seq,
            min_time_ns: Some(file.min_time_ns),
            max_time_ns: Some(file.max_time_ns),
            rows: Some(file.rows),
            cause: cause.into(),
        }
    }
}
