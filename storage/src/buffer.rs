//! The newest rows: generations of each signal, and the one snapshot that everyone reads.
//!
//! A generation is one contiguous range of WAL sequence numbers. It is open, then sealed, and goes
//! away whole, in the same swap that adds its files. Generations of a signal leave in their order;
//! those that a start replays from old WAL stand before all others. Small batches are merged as
//! they come, so that thousands of tiny requests cost neither memory nor a long list.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use schemas::{Batch, Keys, Signal, Table};
use tokio::sync::Notify;

use crate::catalog::facts::DataFile;
use crate::rows;
use crate::snapshot::{DataLoss, Snapshot};

/// Batches of at least so many rows are left as they are.
const MERGED_ROWS: usize = 8192;
/// So many batches of one height are merged even when they have fewer rows.
const MERGED_BATCHES: usize = 32;
/// What one attribute key costs beside the rows.
const KEY_BYTES: usize = 96;

/// The live rows of all signals and the snapshot of everything.
#[derive(Debug)]
pub(crate) struct Buffer {
    state: Mutex<[Lane; 3]>,
    snapshot: ArcSwap<Snapshot>,
    bytes: AtomicUsize,
    /// Told whenever rows have gone to files.
    freed: Notify,
}

/// Generations of one signal, oldest first.
#[derive(Debug, Default)]
struct Lane {
    generations: VecDeque<Generation>,
    /// Old WAL is being replayed: younger generations must not leave yet.
    replaying: bool,
    next_id: u64,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// From WAL that an earlier process wrote.
    Replay,
    /// From a request of this process.
    Append,
}

#[derive(Debug)]
struct Generation {
    id: u64,
    origin: Origin,
    sealed: bool,
    opened: Duration,
    oldest_ns: i64,
    seq: (u64, u64),
    bytes: usize,
    tables: [Tail; Table::COUNT],
}

/// The batches of one table in a generation: large ones, then ever smaller ones.
#[derive(Debug, Default)]
struct Tail {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    batch: Arc<Batch>,
    bytes: usize,
    /// How often its rows were merged.
    height: u8,
}

/// A sealed generation on its way to files. Its rows stay visible until [`Buffer::flushed`].
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) signal: Signal,
    pub(crate) seq: (u64, u64),
    pub(crate) tables: Vec<(Table, Vec<Arc<Batch>>)>,
    id: u64,
}

impl Sealed {
    /// Keys of all rows of one table.
    pub(crate) fn keys(batches: &[Arc<Batch>]) -> Keys {
        let mut keys = Keys::default();
        batches.iter().for_each(|batch| keys.merge(&batch.keys));
        keys
    }
}

/// What `stats` shows of the live rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    pub(crate) bytes: usize,
    pub(crate) oldest_ns: Option<i64>,
}

/// Rows of one request.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) signal: Signal,
    pub(crate) seq: u64,
    pub(crate) received_ns: i64,
    pub(crate) batches: Vec<Batch>,
}

impl Buffer {
    pub(crate) fn new(snapshot: Snapshot) -> Buffer {
        Buffer {
            state: Mutex::default(),
            snapshot: ArcSwap::from_pointee(snapshot),
            bytes: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns once the rows have fewer bytes.
    pub(crate) async fn below(&self, bytes: usize) {
        while self.bytes() >= bytes {
            let mut freed = pin!(self.freed.notified());
            // Listens before it looks, so that rows that go in between are not missed.
            freed.as_mut().enable();
            if self.bytes() >= bytes {
                freed.await;
            }
        }
    }

    /// Makes rows visible, all in one swap. Tells whether a generation now has `flush_bytes`.
    pub(crate) fn push(
        &self,
        origin: Origin,
        arrived: Vec<Arrived>,
        now: Duration,
        flush_bytes: usize,
    ) -> bool {
        let mut lanes = self.state.lock();
        let mut touched = [false; 3];
        let mut full = false;
        for request in arrived {
            let index = request.signal.index();
            touched[index] = true;
            let generation = lanes[index].open(origin, &request, now);
            let before = generation.bytes;
            generation.push(request);
            full |= generation.bytes >= flush_bytes;
            let after = generation.bytes;
            self.bytes.fetch_add(after, Ordering::Relaxed);
            self.bytes.fetch_sub(before, Ordering::Relaxed);
        }
        self.swap(&lanes, touched, |_| ());
        full
    }

    /// Marks the signals whose old WAL is about to be replayed, or has been.
    pub(crate) fn set_replaying(&self, replaying: bool) {
        self.state.lock().iter_mut().for_each(|lane| lane.replaying = replaying);
    }

    /// Says in every snapshot from now on how much old WAL is outstanding.
    pub(crate) fn set_recovering(&self, bytes: Option<u64>) {
        let lanes = self.state.lock();
        self.swap(&lanes, [false; 3], |snapshot| snapshot.recovering_bytes = bytes);
    }

    /// Seals open generations that are old or large enough; all of them when both are zero.
    pub(crate) fn seal(&self, now: Duration, age: Duration, bytes: usize) {
        for generation in self.state.lock().iter_mut().flat_map(|lane| &mut lane.generations) {
            let old = now.saturating_sub(generation.opened) >= age;
            generation.sealed |= old || generation.bytes >= bytes;
        }
    }

    /// The oldest generation of a signal, if its turn has come.
    pub(crate) fn next_sealed(&self, signal: Signal) -> Option<Sealed> {
        let lanes = self.state.lock();
        let lane = &lanes[signal.index()];
        let oldest = lane.generations.front()?;
        let must_wait = lane.replaying && oldest.origin == Origin::Append;
        (oldest.sealed && !must_wait).then(|| oldest.sealed(signal))
    }

    /// The oldest generation, whatever its state: what a flush would write next. It is not sealed,
    /// so that the flusher leaves it alone.
    #[cfg(test)]
    pub(crate) fn oldest(&self, signal: Signal) -> Option<Sealed> {
        let lanes = self.state.lock();
        lanes[signal.index()].generations.front().map(|oldest| oldest.sealed(signal))
    }

    /// A generation is in files: adds them and drops its rows in one swap.
    pub(crate) fn flushed(&self, sealed: &Sealed, files: Vec<Arc<DataFile>>) {
        let mut lanes = self.state.lock();
        let lane = &mut lanes[sealed.signal.index()];
        if let Some(at) = lane.generations.iter().position(|g| g.id == sealed.id)
            && let Some(generation) = lane.generations.remove(at)
        {
            self.bytes.fetch_sub(generation.bytes, Ordering::Relaxed);
        }
        let mut touched = [false; 3];
        touched[sealed.signal.index()] = true;
        self.swap(&lanes, touched, |snapshot| exchange(snapshot, &[], files));
        self.freed.notify_waiters();
    }

    /// Replaces files by others, and adds gaps, in one swap.
    pub(crate) fn exchange(&self, gone: &[i64], new: Vec<Arc<DataFile>>, gaps: Vec<DataLoss>) {
        let lanes = self.state.lock();
        self.swap(&lanes, [false; 3], |snapshot| {
            exchange(snapshot, gone, new);
            if !gaps.is_empty() {
                snapshot.gaps = snapshot.gaps.iter().cloned().chain(gaps).collect();
            }
        });
    }

    pub(crate) fn live(&self) -> Live {
        let lanes = self.state.lock();
        let generations = lanes.iter().flat_map(|lane| &lane.generations);
        Live { bytes: self.bytes(), oldest_ns: generations.map(|g| g.oldest_ns).min() }
    }

    /// Publishes a snapshot with the rows of the touched signals as they are now. The lock, held
    /// by the caller, keeps two changes from overwriting each other.
    fn swap(&self, lanes: &[Lane; 3], touched: [bool; 3], change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.snapshot.load());
        for table in Table::ALL {
            let signal = table.signal().index();
            if touched[signal] {
                let entries = lanes[signal].generations.iter().flat_map(|g| g.batches(table));
                next.live[table.index()] = entries.cloned().collect();
            }
        }
        change(&mut next);
        self.snapshot.store(Arc::new(next));
    }
}

/// Takes files out of a snapshot and puts others in.
fn exchange(snapshot: &mut Snapshot, gone: &[i64], new: Vec<Arc<DataFile>>) {
    for table in Table::ALL {
        let of_table = |file: &&Arc<DataFile>| file.table == table;
        let files = &mut snapshot.files[table.index()];
        let changed =
            new.iter().any(|f| of_table(&f)) || files.iter().any(|f| gone.contains(&f.id));
        if changed {
            let kept = files.iter().filter(|f| !gone.contains(&f.id));
            *files = kept.chain(new.iter().filter(of_table)).cloned().collect();
        }
    }
}

impl Lane {
    /// The open generation of that origin; a new one behind the last of its origin.
    fn open(&mut self, origin: Origin, first: &Arrived, now: Duration) -> &mut Generation {
        let behind = self.generations.partition_point(|g| g.origin <= origin);
        let open = behind
            .checked_sub(1)
            .filter(|at| self.generations[*at].origin == origin && !self.generations[*at].sealed);
        let at = open.unwrap_or_else(|| {
            self.next_id += 1;
            self.generations.insert(behind, Generation::new(self.next_id, origin, first, now));
            behind
        });
        &mut self.generations[at]
    }
}

impl Generation {
    fn new(id: u64, origin: Origin, first: &Arrived, now: Duration) -> Generation {
        Generation {
            id,
            origin,
            sealed: false,
            opened: now,
            oldest_ns: first.received_ns,
            seq: (first.seq, first.seq),
            bytes: 0,
            tables: Default::default(),
        }
    }

    fn push(&mut self, request: Arrived) {
        self.seq.1 = self.seq.1.max(request.seq);
        self.oldest_ns = self.oldest_ns.min(request.received_ns);
        for batch in request.batches {
            if batch.rows.num_rows() > 0 {
                let tail = &mut self.tables[batch.table.index()];
                self.bytes += tail.push(batch);
                let (before, after) = tail.merge();
                self.bytes = self.bytes + after - before;
            }
        }
    }

    fn batches(&self, table: Table) -> impl Iterator<Item = &Arc<Batch>> {
        self.tables[table.index()].entries.iter().map(|entry| &entry.batch)
    }

    fn sealed(&self, signal: Signal) -> Sealed {
        let of_table = |table: Table| (table, self.batches(table).cloned().collect::<Vec<_>>());
        let tables = Table::ALL.into_iter().map(of_table);
        let tables = tables.filter(|(_, batches)| !batches.is_empty()).collect();
        Sealed { signal, seq: self.seq, tables, id: self.id }
    }
}

impl Tail {
    /// The bytes that the batch adds.
    fn push(&mut self, batch: Batch) -> usize {
        let bytes = batch_bytes(&batch);
        self.entries.push(Entry { batch: Arc::new(batch), bytes, height: 0 });
        bytes
    }

    /// Merges trailing batches of one height while there are many of them; the bytes that they
    /// had and that the merged ones have. A row is copied once per height, and heights are few:
    /// each holds 32 times the rows of the one before.
    fn merge(&mut self) -> (usize, usize) {
        let (mut before, mut after) = (0, 0);
        while let Some(count) = self.due() {
            let run = &self.entries[self.entries.len() - count..];
            let (table, height) = (run[0].batch.table, run[0].height);
            let batches: Vec<Arc<Batch>> = run.iter().map(|e| Arc::clone(&e.batch)).collect();
            let bytes: usize = run.iter().map(|e| e.bytes).sum();
            match rows::coalesce(table, &batches) {
                Ok(batch) => {
                    self.entries.truncate(self.entries.len() - count);
                    before += bytes;
                    after += self.push(batch);
                    self.entries.iter_mut().rev().take(1).for_each(|e| e.height = height + 1);
                }
                Err(why) => {
                    tracing::warn!(%why, table = table.name(), "merging live batches failed");
                    break;
                }
            }
        }
        (before, after)
    }

    /// How many of the last batches are to be merged now.
    fn due(&self) -> Option<usize> {
        let run = self.run();
        let rows: usize = run.iter().map(|e| e.batch.rows.num_rows()).sum();
        let due = run.len() >= MERGED_BATCHES || (run.len() >= 2 && rows >= MERGED_ROWS);
        due.then_some(run.len())
    }

    /// The trailing batches that are small and of one height.
    fn run(&self) -> &[Entry] {
        let small = |e: &Entry| e.batch.rows.num_rows() < MERGED_ROWS;
        let height = self.entries.last().map(|e| e.height);
        let from = self.entries.iter().rposition(|e| !small(e) || Some(e.height) != height);
        &self.entries[from.map_or(0, |at| at + 1)..]
    }
}

fn batch_bytes(batch: &Batch) -> usize {
    let Keys { record, resource, scope } = &batch.keys;
    let keys: usize = [record, resource, scope].iter().map(|set| set.len()).sum();
    rows::memory_bytes(&batch.rows) + keys * KEY_BYTES
}
