//! Opening a directory: what is there, what is damaged, what the log still owes.
//!
//! Lock, catalog, sweep, log, then requests are taken; old WAL is decoded again in the background
//! into generations that leave before all younger ones. Whatever cannot be read is recorded as a
//! gap and set aside; nothing found in a directory stops a start, a newer format excepted.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use schemas::Table;
use tokio::sync::{Notify, mpsc, watch};

use crate::buffer::{Arrived, Buffer, Origin};
use crate::catalog::facts::DataFile;
use crate::catalog::{Catalog, Change, Loaded, OpenError, copies, rebuild};
use crate::clock::Clock;
use crate::keys::KnownKeys;
use crate::lock::DirLock;
use crate::rejects::Counts;
use crate::request::Replay;
use crate::retention::Removed;
use crate::snapshot::{DataLoss, Snapshot};
use crate::store::{Counters, Inner, Phase, Writer};
use crate::wal::{Committed, Covered, Frame, Recovered, Wal, WalConfig, WalLoss};
use crate::{
    StorageError, StoreConfig, durable, flush, layout, parquet_file, scrub, sweep, upkeep, wal,
};

/// Decoded frames that may wait for the task that shows them.
const REPLAY_AHEAD: usize = 16;
/// Frames shown in one swap while old WAL is replayed.
const REPLAY_GROUP: usize = 16;
/// Readings of a directory that another process keeps changing.
const READ_ATTEMPTS: usize = 5;

/// Opens a directory for writing.
pub(crate) async fn open(
    config: StoreConfig,
    replay: Replay,
    clock: Clock,
) -> Result<Arc<Inner>, StorageError> {
    let dir = config.dir.clone();
    let lock = DirLock::acquire(&dir)?;
    let now_ns = clock.wall_ns();
    let (catalog, mut loaded) = open_catalog(&config, now_ns).await?;
    sweep::remove_temporaries(&dir);
    let losses = set_bad_files_aside(&dir, &mut loaded, now_ns);
    let remove: Vec<i64> = losses.iter().map(|(id, _)| *id).collect();
    let mut losses: Vec<DataLoss> = losses.into_iter().map(|(_, loss)| loss).collect();

    let wal_config = wal_config(&config);
    let mut recovered = wal::recover(&wal_config, loaded.covered, now_ns, true)?;
    losses.extend(wal_losses(&recovered, &loaded, now_ns));
    let change = Change {
        remove: remove.clone(),
        losses: losses.clone(),
        note: "start",
        ..Change::default()
    };
    // On a full disk this cannot be written; it is found again at the next start.
    match catalog.commit(change, now_ns).await {
        Ok(_) if !remove.is_empty() => catalog.mark_unlinked(&remove, now_ns).await?,
        Ok(_) => {}
        Err(why) => tracing::warn!(%why, "recording damage failed"),
    }
    loaded.gaps.extend(losses);
    let known = loaded.files.iter().chain(&loaded.removed).map(|f| f.name.clone());
    sweep::set_unknown_aside(&dir, &known.collect::<BTreeSet<_>>());

    let removed = std::mem::take(&mut loaded.removed);
    let since = clock.monotonic();
    let removed = removed.into_iter().map(|file| Removed { file: Arc::new(file), since });
    let removed: Vec<Removed> = removed.collect();
    let (covered, hashes) = (loaded.covered, std::mem::take(&mut loaded.hashes));
    let wake = Arc::new(Notify::new());
    let (buffer, keys, rejects) = memory(loaded);
    let publish = publisher(&config, &clock, &buffer, &wake);
    let wal = Wal::start(wal_config, &mut recovered, publish)?;
    let writer = Writer::new(catalog, wal, covered, lock);
    *writer.removed.lock() = removed;
    let inner = Arc::new(Inner {
        config,
        clock,
        buffer,
        writer: Some(writer),
        keys: Mutex::new(keys),
        rejects: Mutex::new(rejects),
        counters: Counters::default(),
        replay,
        wake,
        phase: watch::Sender::new(Phase::Complete),
        scrubbed: watch::Sender::default(),
    });
    inner.counters.wal_torn_tail_bytes.store(recovered.torn_tail_bytes, Ordering::Relaxed);
    inner.make_ballast();
    inner.watch_disk();
    start_tasks(&inner, recovered, &hashes);
    Ok(inner)
}

/// Starts what goes on behind the open until the store closes.
fn start_tasks(inner: &Arc<Inner>, recovered: Recovered, hashes: &HashMap<i64, [u8; 32]>) {
    let scrub = scrub::plan(inner, hashes);
    if recovered.bytes_to_replay > 0 {
        inner.phase.send_replace(Phase::Replaying);
        inner.buffer.set_replaying(true);
        inner.buffer.set_recovering(Some(recovered.bytes_to_replay));
        tokio::spawn(replay_in_background(Arc::clone(inner), recovered));
    }
    tokio::spawn(flush::run(Arc::clone(inner)));
    tokio::spawn(upkeep::run(Arc::clone(inner)));
    tokio::spawn(scrub::run(Arc::clone(inner), scrub));
}

/// Reads a directory as it is: no lock, no change. Another process may be writing to it, so the
/// reading is repeated until the catalog did not move meanwhile.
pub(crate) async fn open_read_only(
    config: StoreConfig,
    replay: Replay,
    clock: Clock,
) -> Result<Arc<Inner>, StorageError> {
    for _ in 0..READ_ATTEMPTS {
        let loaded = read_catalog(&config, clock.wall_ns()).await?;
        let covered = loaded.covered;
        let inner = read_once(&config, &replay, &clock, loaded).await?;
        if read_catalog(&config, clock.wall_ns()).await?.covered == covered {
            return Ok(inner);
        }
    }
    Err(StorageError::Unavailable {
        reason: format!("{}: its server keeps changing it; ask that server", config.dir.display()),
        retry_after: Duration::from_secs(1),
    })
}

async fn read_once(
    config: &StoreConfig,
    replay: &Replay,
    clock: &Clock,
    mut loaded: Loaded,
) -> Result<Arc<Inner>, StorageError> {
    let now_ns = clock.wall_ns();
    let bad = bad_files(&mut loaded, now_ns);
    loaded.gaps.extend(bad.into_iter().map(|(_, loss)| loss));
    let recovered = wal::recover(&wal_config(config), loaded.covered, now_ns, false)?;
    let losses = wal_losses(&recovered, &loaded, now_ns);
    loaded.gaps.extend(losses);
    let (buffer, keys, rejects) = memory(loaded);
    let inner = Arc::new(Inner {
        config: config.clone(),
        clock: clock.clone(),
        buffer,
        writer: None,
        keys: Mutex::new(keys),
        rejects: Mutex::new(rejects),
        counters: Counters::default(),
        replay: Arc::clone(replay),
        wake: Arc::new(Notify::new()),
        phase: watch::Sender::new(Phase::Complete),
        scrubbed: watch::Sender::default(),
    });
    let reader = Arc::clone(&inner);
    tokio::task::spawn_blocking(move || reader.replay_into_memory(&recovered))
        .await
        .map_err(|why| StorageError::of("replay the WAL", why))?;
    Ok(inner)
}

fn memory(loaded: Loaded) -> (Arc<Buffer>, KnownKeys, Counts) {
    let mut files: [Vec<Arc<DataFile>>; Table::COUNT] = Default::default();
    for file in loaded.files {
        files[file.table.index()].push(Arc::new(file));
    }
    let gaps = loaded.gaps.into();
    let snapshot = Snapshot { files: files.map(Arc::from), gaps, ..Snapshot::default() };
    let buffer = Arc::new(Buffer::new(snapshot));
    (buffer, KnownKeys::new(loaded.keys), Counts::new(loaded.rejects))
}

pub(crate) fn wal_config(config: &StoreConfig) -> WalConfig {
    WalConfig {
        dir: layout::wal(&config.dir),
        quarantine_dir: layout::quarantine(&config.dir),
        segment_bytes: config.wal_segment_bytes,
        queue_requests: 256,
        queue_bytes: 32 << 20,
        group_bytes: 8 << 20,
        retry_window_ns: i64::try_from(config.retry_window.as_nanos()).unwrap_or(i64::MAX),
        fingerprint_bytes: 64 << 20,
    }
}

/// Shows the rows of a synced group; runs on the WAL's thread.
fn publisher(
    config: &StoreConfig,
    clock: &Clock,
    buffer: &Arc<Buffer>,
    wake: &Arc<Notify>,
) -> wal::Publish {
    let (flush_bytes, clock) = (config.flush_bytes, clock.clone());
    let (buffer, wake) = (Arc::clone(buffer), Arc::clone(wake));
    let arrived = |c: Committed| Arrived {
        signal: c.signal,
        seq: c.seq,
        received_ns: c.received_ns,
        batches: c.batches,
    };
    Box::new(move |group| {
        let group = group.into_iter().map(arrived).collect();
        if buffer.push(Origin::Append, group, clock.monotonic(), flush_bytes) {
            wake.notify_one();
        }
    })
}

/// The catalog, or a new one made of what the directory holds.
async fn open_catalog(
    config: &StoreConfig,
    now_ns: i64,
) -> Result<(Catalog, Loaded), StorageError> {
    let dir = &config.dir;
    let damage = match Catalog::open(dir, now_ns).await {
        Ok(opened) => return Ok(opened),
        Err(OpenError::Other(why)) => return Err(why),
        Err(OpenError::Damaged(damage)) => damage,
    };
    tracing::error!(damage, "the catalog is damaged; making a new one from the files' footers");
    let (rebuilt, change) = rebuild_from_files(config, &damage, now_ns).await?;
    let path = layout::catalog(dir);
    for suffix in ["sqlite", "sqlite-wal", "sqlite-shm"] {
        let name = path.with_extension(suffix);
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sweep::to_quarantine(dir, &name)?;
    }
    for name in &rebuilt {
        sweep::set_aside(dir, name);
    }
    let again = |error| match error {
        OpenError::Damaged(why) => StorageError::of("make a new catalog", why),
        OpenError::Other(why) => why,
    };
    let (catalog, _) = Catalog::open(dir, now_ns).await.map_err(again)?;
    catalog.commit(change, now_ns).await?;
    catalog.close().await;
    Catalog::open(dir, now_ns).await.map_err(again)
}

/// As [`open_catalog`], changing nothing. A directory without a catalog has no files yet.
async fn read_catalog(config: &StoreConfig, now_ns: i64) -> Result<Loaded, StorageError> {
    match Catalog::read(layout::catalog(&config.dir), &config.dir).await {
        Ok(loaded) => Ok(loaded.unwrap_or_default()),
        Err(OpenError::Other(why)) => Err(why),
        Err(OpenError::Damaged(damage)) => {
            let (_, change) = rebuild_from_files(config, &damage, now_ns).await?;
            let numbered = change.add.into_iter().zip(1..);
            let mut loaded = Loaded {
                files: numbered.map(|(new, id)| DataFile { id, ..new.file }).collect(),
                gaps: change.losses,
                keys: change.keys,
                rejects: change.rejects,
                ..Loaded::default()
            };
            change.covered.iter().for_each(|(s, through)| loaded.covered[s.index()] = *through);
            Ok(loaded)
        }
    }
}

/// One change that makes an empty catalog tell what the directory holds, and the names of files
/// that it leaves out. What footers do not tell comes from the newest saved copy.
async fn rebuild_from_files(
    config: &StoreConfig,
    damage: &str,
    now_ns: i64,
) -> Result<(Vec<String>, Change), StorageError> {
    let dir = &config.dir;
    let recovered = wal::recover(&wal_config(config), Covered::default(), now_ns, false)?;
    let mut wal_first = [None; 3];
    for frame in recovered.frames().flatten() {
        wal_first[frame.signal.index()].get_or_insert(frame.seq);
    }
    let found = rebuild::find(dir);
    let chosen = rebuild::choose(found.files, wal_first);
    let mut saved = newest_copy(dir).await.unwrap_or_default();
    let cause = format!(
        "the catalog was damaged ({damage}) and was made again from {} files; deletes that were not finished may be undone",
        chosen.live.len()
    );
    saved.gaps.push(DataLoss::because(now_ns, cause));
    for (name, why) in &found.unreadable {
        let cause = format!("unreadable while the catalog was made again: {why}");
        let file = Some(name.clone());
        saved.gaps.push(DataLoss { file, ..DataLoss::because(now_ns, cause) });
    }
    let mut left_out = chosen.redundant;
    left_out.extend(found.unreadable.into_iter().map(|(name, _)| name));
    let marks = schemas::Signal::ALL.into_iter().map(|s| (s, chosen.covered[s.index()]));
    let change = Change {
        add: chosen.live,
        covered: marks.filter(|(_, through)| *through > 0).collect(),
        losses: saved.gaps,
        keys: saved.keys,
        rejects: saved.rejects,
        note: "rebuilt",
        ..Change::default()
    };
    Ok((left_out, change))
}

async fn newest_copy(dir: &Path) -> Option<Loaded> {
    let mut copies = copies(dir);
    copies.sort_by_key(|path| std::cmp::Reverse(crate::catalog::modified(path)));
    for path in copies {
        if let Ok(Some(loaded)) = Catalog::read(path, dir).await {
            return Some(loaded);
        }
    }
    None
}

/// Takes files that are missing or have another size out of what was loaded.
fn bad_files(loaded: &mut Loaded, now_ns: i64) -> Vec<(i64, DataLoss)> {
    let mut bad = vec![];
    loaded.files.retain(|file| {
        let cause = match std::fs::metadata(&file.path) {
            Ok(found) if found.len() == file.bytes => return true,
            Ok(found) => format!("has {} bytes instead of {}", found.len(), file.bytes),
            Err(why) => format!("cannot be read: {why}"),
        };
        tracing::error!(file = file.name, cause, "a file is damaged; its rows are lost");
        bad.push((file.id, DataLoss::of_file(now_ns, file, cause)));
        false
    });
    bad
}

fn set_bad_files_aside(dir: &Path, loaded: &mut Loaded, now_ns: i64) -> Vec<(i64, DataLoss)> {
    let bad = bad_files(loaded, now_ns);
    bad.iter()
        .filter_map(|(_, loss)| loss.file.as_ref())
        .for_each(|name| sweep::set_aside(dir, name));
    bad
}

/// Damage of the log that is not recorded yet: the same damage is found at every start until its
/// segment is freed.
fn wal_losses(recovered: &Recovered, loaded: &Loaded, now_ns: i64) -> Vec<DataLoss> {
    let losses = recovered.losses.iter().map(|loss| wal_loss(loss, now_ns));
    let same =
        |a: &DataLoss, b: &DataLoss| (a.seq, &a.cause, &a.file) == (b.seq, &b.cause, &b.file);
    losses.filter(|loss| !loaded.gaps.iter().any(|known| same(known, loss))).collect()
}

fn wal_loss(loss: &WalLoss, now_ns: i64) -> DataLoss {
    DataLoss {
        seq: loss.seq,
        file: Some(format!("wal/{}", loss.segment)),
        ..DataLoss::because(now_ns, loss.cause.clone())
    }
}

/// What decoding a frame again came to.
struct Decoded {
    arrived: Option<Arrived>,
    loss: Option<DataLoss>,
    frame_bytes: u64,
}

/// Replays old WAL while requests are taken. Decoding runs on a thread of its own, a bounded number
/// of frames ahead.
async fn replay_in_background(inner: Arc<Inner>, recovered: Recovered) {
    let mut outstanding = recovered.bytes_to_replay;
    let (sender, mut decoded) = mpsc::channel(REPLAY_AHEAD);
    let decoder = Arc::clone(&inner);
    let thread = tokio::task::spawn_blocking(move || {
        for frame in recovered.frames() {
            // Nobody listens once the store closes.
            if sender.blocking_send(decoder.decode(frame)).is_err() {
                return;
            }
        }
    });
    let mut group = Vec::with_capacity(REPLAY_GROUP);
    while !inner.is_closing() && decoded.recv_many(&mut group, REPLAY_GROUP).await > 0 {
        let bytes: u64 = group.iter().map(|d: &Decoded| d.frame_bytes).sum();
        outstanding = outstanding.saturating_sub(bytes);
        inner.take_replayed(group.drain(..)).await;
        // What is read behind the last frame holds no rows.
        inner.buffer.set_recovering(Some(outstanding).filter(|bytes| *bytes > 0));
        inner.make_room().await;
    }
    drop(decoded);
    if let Err(why) = thread.await {
        tracing::error!(%why, "replaying the WAL failed");
    }
    if !inner.is_closing() {
        inner.buffer.set_replaying(false);
        inner.buffer.set_recovering(None);
        inner.phase.send_if_modified(|phase| {
            let replaying = *phase == Phase::Replaying;
            if replaying {
                *phase = Phase::Complete;
            }
            replaying
        });
    }
}

impl Inner {
    /// Decodes a frame as it was decoded when it arrived. Nothing that a frame holds gets further
    /// than this: an error or a panic makes it a named gap, its bytes are kept for people.
    fn decode(&self, frame: Result<Frame, WalLoss>) -> Decoded {
        let now_ns = self.clock.wall_ns();
        let frame = match frame {
            Ok(frame) => frame,
            Err(loss) => {
                let loss = Some(wal_loss(&loss, now_ns));
                return Decoded { arrived: None, loss, frame_bytes: 0 };
            }
        };
        let replayed = parquet_file::guarded(|| {
            (self.replay)(frame.signal, frame.encoding, &frame.payload, frame.received_ns)
        });
        let (batches, cause) = match replayed {
            Ok(replayed) if replayed.accepted == frame.accepted => (replayed.batches, None),
            Ok(replayed) => {
                let cause = format!(
                    "replay gave {} of the {} records that were accepted",
                    replayed.accepted, frame.accepted
                );
                (replayed.batches, Some(cause))
            }
            Err(why) => (vec![], Some(format!("replay failed: {why}"))),
        };
        let loss = cause.map(|cause| {
            self.keep_frame(&frame);
            let rows = Some(u64::from(frame.accepted));
            let seq = Some((frame.seq, frame.seq));
            DataLoss { seq, rows, ..DataLoss::because(now_ns, cause) }
        });
        let arrived = Arrived {
            signal: frame.signal,
            seq: frame.seq,
            received_ns: frame.received_ns,
            batches,
        };
        Decoded { arrived: Some(arrived), loss, frame_bytes: frame.frame_bytes }
    }

    /// Puts the body of a frame that could not be replayed into quarantine.
    fn keep_frame(&self, frame: &Frame) {
        if self.writer.is_none() {
            return;
        }
        let folder = layout::quarantine(&self.config.dir);
        let request = schemas::ids::hex(&frame.fingerprint);
        let path = folder.join(format!("{}-{}-{request}.bin", frame.signal.name(), frame.seq));
        let kept = durable::create_dir_all_synced(&folder).and_then(|()| {
            durable::write_file_durably(&path, |file| {
                std::io::Write::write_all(file, &frame.payload)
            })
        });
        if let Err(why) = kept {
            tracing::warn!(path = %path.display(), %why, "keeping a bad frame failed");
        }
    }

    async fn take_replayed(&self, decoded: impl Iterator<Item = Decoded>) {
        let (arrived, losses) = split(decoded);
        let now = self.clock.monotonic();
        self.buffer.push(Origin::Replay, arrived, now, self.config.flush_bytes);
        if losses.is_empty() {
            return;
        }
        tracing::error!(gaps = losses.len(), "old WAL could not be replayed completely");
        let change = Change { losses: losses.clone(), note: "replay", ..Change::default() };
        match self.exchange(change, vec![]).await {
            Ok(_) => {}
            Err(why) => {
                tracing::warn!(%why, "recording gaps failed");
                self.buffer.exchange(&[], vec![], losses);
            }
        }
    }

    /// Writes replayed rows while they fill the memory for live rows.
    async fn make_room(self: &Arc<Self>) {
        let full =
            || self.buffer.bytes() >= self.config.flush_bytes.min(self.config.live_bytes_max);
        while full() && !self.is_closing() {
            let before = self.buffer.bytes();
            self.seal(self.config.flush_age, self.config.flush_bytes);
            if self.buffer.bytes() >= self.config.live_bytes_max {
                self.seal(Duration::ZERO, 0);
            }
            if let Err(why) = self.flush_sealed().await {
                tracing::warn!(%why, "flushing replayed rows failed; trying again");
                tokio::select! {
                    () = self.closing() => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            } else if self.buffer.bytes() >= before {
                return;
            }
        }
    }

    /// Replays all there is room for; what is left is told as outstanding.
    fn replay_into_memory(&self, recovered: &Recovered) {
        let mut outstanding = recovered.bytes_to_replay;
        for frame in recovered.frames() {
            if self.buffer.bytes() >= self.config.live_bytes_max {
                tracing::warn!(outstanding, "the WAL holds more rows than memory may hold");
                self.buffer.set_recovering(Some(outstanding));
                return;
            }
            let decoded = self.decode(frame);
            outstanding = outstanding.saturating_sub(decoded.frame_bytes);
            let (arrived, losses) = split(std::iter::once(decoded));
            self.buffer.push(Origin::Replay, arrived, Duration::ZERO, usize::MAX);
            if !losses.is_empty() {
                self.buffer.exchange(&[], vec![], losses);
            }
        }
    }
}

fn split(decoded: impl Iterator<Item = Decoded>) -> (Vec<Arrived>, Vec<DataLoss>) {
    let (mut arrived, mut losses) = (vec![], vec![]);
    for one in decoded {
        arrived.extend(one.arrived);
        losses.extend(one.loss);
    }
    (arrived, losses)
}
