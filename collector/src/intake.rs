//! One request, from its bytes to its answer: unpack, decode, append, acknowledge.
//!
//! The only place with that order. Both transports and `otlake import` come through here. Nothing is
//! acknowledged before the store says that it is durable, and a request that cannot be stored whole
//! is not stored at all; bad records are left out one by one and counted.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use schemas::Signal;
use storage::{Append, Appended, Encoding, Fingerprint, StorageError, Store};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::admit::{Budget, Charge, NoRoom};
use crate::answers::{Condition, Refusal};
use crate::config::CollectorConfig;
use crate::decode::{DecodeError, Decoded, Decoder, Limits};
use crate::decompress::{self, Compression, decompress};
use crate::rejects::{Reason, Rejects};
use crate::stats::{CollectorStats, Origin, ServiceTally, Transport};

/// The way in. Cheap to clone; clones share budget, decoders and counters.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

/// What an accepted request is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Records stored, by this request or by the one it repeats.
    pub accepted: u32,
    /// Records left out.
    pub rejected: u64,
    /// Why they were left out, or what else the sender should know; often empty.
    pub message: String,
    /// A byte-identical request was durable already.
    pub deduplicated: bool,
}

/// A success with its answer, or a refusal of the whole request.
pub type Outcome = Result<Accepted, Refusal>;

/// How [`Intake::export`] treats a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Store it even if the same bytes were stored a moment ago.
    pub skip_fingerprint: bool,
}

/// Where accepted requests go: the store, or a slow or failing one in tests.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Returns once there is room for rows, or an error after `wait`.
    fn room(&self, wait: Duration) -> BoxFuture<'_, Result<(), StorageError>>;
    fn append(&self, request: Append) -> BoxFuture<'_, Result<Appended, StorageError>>;
    fn count_rejects(&self, signal: Signal, reason: &'static str, count: u64);
}

impl Sink for Store {
    fn room(&self, wait: Duration) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(Store::room(self, wait))
    }
    fn append(&self, request: Append) -> BoxFuture<'_, Result<Appended, StorageError>> {
        Box::pin(Store::append(self, request))
    }
    fn count_rejects(&self, signal: Signal, reason: &'static str, count: u64) {
        Store::count_rejects(self, signal, reason, count);
    }
}

/// One decoder as a function, so that tests can hand in one that panics.
pub(crate) type Decode =
    Box<dyn FnMut(Signal, Encoding, &[u8], i64) -> Result<Decoded, DecodeError> + Send>;
/// Makes decoders for the pool.
pub(crate) type NewDecode = Box<dyn Fn() -> Decode + Send + Sync>;

/// One request as a transport hands it over.
pub(crate) struct Parcel {
    pub(crate) origin: Origin,
    pub(crate) compression: Compression,
    pub(crate) wire: Bytes,
    /// Covers `wire`.
    pub(crate) charge: Charge,
    /// After this the client no longer waits.
    pub(crate) deadline: Option<Instant>,
    pub(crate) skip_fingerprint: bool,
}

struct Inner {
    sink: Arc<dyn Sink>,
    decoders: Pool,
    budget: Arc<Budget>,
    stats: Arc<CollectorStats>,
    suspects: Mutex<Suspects>,
    /// Large requests decoded at the same time.
    workers: Arc<Semaphore>,
    /// Bytes of the requests that are being decoded and stored at the same time.
    desk: Semaphore,
    decoded_bytes_max: usize,
    admission_wait: Duration,
    /// Makes fingerprints unique where repeats are wanted.
    nonce: AtomicU64,
}

/// A request taken apart, not yet stored.
struct Unpacked {
    payload: Bytes,
    decoded: Decoded,
    charge: Charge,
    received_ns: i64,
}

/// Why a request could not be unpacked.
enum Fault {
    NoRoom,
    Refused(Refusal),
}

/// Up to here a body is decoded where it was read, which takes less than a tenth of a millisecond.
const INLINE_PLAIN_BYTES_MAX: usize = 64 << 10;
const INLINE_COMPRESSED_BYTES_MAX: usize = 8 << 10;

/// Bytes of requests between decoding and answer: enough for the next group of the log to form while
/// one is synced, little enough to stay in the processor's caches (docs/performance.md, overload).
const DESK_BYTES: usize = 2 << 20;
/// So many large requests fit at once.
const DESK_SHARES: usize = 4;
/// What compressed bytes are taken for before they are known.
const DESK_COMPRESSED_FACTOR: usize = 8;

impl Intake {
    /// An intake with the default budget and sizes, as `otlake import` needs it.
    pub fn new(store: Arc<Store>, limits: Limits) -> Intake {
        let config = CollectorConfig { limits, ..CollectorConfig::default() };
        Intake::with_parts(&config, store, new_decoders(limits), Arc::default())
    }

    pub(crate) fn with_parts(
        config: &CollectorConfig,
        sink: Arc<dyn Sink>,
        new_decode: NewDecode,
        stats: Arc<CollectorStats>,
    ) -> Intake {
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        let budget = Budget::new(config.in_flight_bytes, config.admission_wait);
        stats.watch(Arc::clone(&budget));
        Intake {
            inner: Arc::new(Inner {
                sink,
                decoders: Pool { idle: Mutex::default(), idle_max: 2 * cores, new_decode },
                stats,
                suspects: Mutex::default(),
                desk: Semaphore::new(DESK_BYTES),
                workers: Arc::new(Semaphore::new(2 * cores)),
                decoded_bytes_max: config.decoded_bytes_max.min(budget.step_bytes_max()),
                admission_wait: config.admission_wait,
                budget,
                nonce: AtomicU64::new(0),
            }),
        }
    }

    /// Stores one decompressed export request. Returns once it is durable and visible. Must run inside
    /// a tokio runtime.
    pub async fn export(
        &self,
        signal: Signal,
        encoding: Encoding,
        body: Bytes,
        options: ExportOptions,
    ) -> Outcome {
        let charge = self.admit(body.len(), None).await?;
        let origin = Origin { signal, transport: Transport::File, encoding };
        let parcel = Parcel {
            origin,
            compression: Compression::Identity,
            wire: body,
            charge,
            deadline: None,
            skip_fingerprint: options.skip_fingerprint,
        };
        self.accept(parcel).await
    }

    /// The counters of this intake.
    pub fn stats(&self) -> Arc<CollectorStats> {
        Arc::clone(&self.inner.stats)
    }

    /// Takes the first bytes of a request from the budget, waiting a moment if there is no room.
    pub(crate) async fn admit(
        &self,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Charge, Refusal> {
        let wait = self.inner.wait_max(deadline);
        self.inner.budget.admit(bytes, wait).await.map_err(|NoRoom| self.no_room())
    }

    /// The answer to a request that found no room.
    pub(crate) fn no_room(&self) -> Refusal {
        Refusal::new(
            Condition::Overloaded,
            format!(
                "requests in flight use up their budget of {} MiB or the time to store them, and \
                 nothing came free within {} ms; the request was not stored, send it again",
                self.inner.budget.capacity_bytes() >> 20,
                self.inner.admission_wait.as_millis()
            ),
        )
    }

    /// Unpacks, decodes, stores. Cancel-safe: dropped before the append nothing is stored; after it
    /// the store finishes, and a repeat is recognised by its fingerprint.
    pub(crate) async fn accept(&self, parcel: Parcel) -> Outcome {
        let inner = &self.inner;
        let Parcel { origin, deadline, skip_fingerprint, .. } = parcel;
        inner.stats.count_received(origin, parcel.wire.len());
        if parcel.wire.is_empty() && parcel.compression == Compression::Identity {
            return Ok(Accepted::default());
        }
        let began = Instant::now();
        let wait = inner.wait_max(deadline);
        let place = tokio::time::timeout(wait, inner.desk.acquire_many(parcel.desk_bytes())).await;
        // The semaphore is never closed; were it, nobody would have to wait.
        let _place = place.map_err(|_| self.no_room())?;
        // Asked here, since decoding what cannot be stored would take the time that makes room.
        let rest = wait.saturating_sub(began.elapsed());
        inner.sink.room(rest).await.map_err(not_stored)?;
        let unpacked = self.unpack(parcel).await?;
        if all_malformed(&unpacked.decoded) {
            return Err(wrong_format(origin.signal, &unpacked.decoded.rejects));
        }
        if deadline.is_some_and(|d| d <= Instant::now()) {
            return Err(deadline_over());
        }
        inner.store(origin, unpacked, skip_fingerprint).await
    }

    /// Small requests are unpacked here and now; large ones, and those that must wait for room, on the
    /// blocking pool, so that they do not hold up other connections.
    async fn unpack(&self, parcel: Parcel) -> Result<Unpacked, Refusal> {
        let mut parcel = parcel;
        if parcel.is_small() {
            match self.inner.unpack_now(parcel) {
                Ok(done) => return done,
                Err(no_room) => parcel = no_room,
            }
        }
        let permit = Arc::clone(&self.inner.workers).acquire_owned().await;
        let (inner, runtime) = (Arc::clone(&self.inner), Handle::current());
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inner.unpack_waiting(parcel, &runtime)
        });
        match work.await {
            Ok(Ok(unpacked)) => Ok(unpacked),
            Ok(Err(Fault::Refused(refusal))) => Err(refusal),
            Ok(Err(Fault::NoRoom)) => Err(self.no_room()),
            // Panics are caught inside: only the end of the runtime cancels the task.
            Err(_) => Err(shutting_down()),
        }
    }
}

impl Parcel {
    fn is_small(&self) -> bool {
        let bytes_max = match self.compression {
            Compression::Identity => INLINE_PLAIN_BYTES_MAX,
            _ => INLINE_COMPRESSED_BYTES_MAX,
        };
        self.wire.len() <= bytes_max
    }

    fn desk_bytes(&self) -> u32 {
        let factor = match self.compression {
            Compression::Identity => 1,
            _ => DESK_COMPRESSED_FACTOR,
        };
        self.wire.len().saturating_mul(factor).min(DESK_BYTES / DESK_SHARES) as u32
    }
}

impl Inner {
    /// How long a request may wait for room: a third of what the client waits, at most.
    fn wait_max(&self, deadline: Option<Instant>) -> Duration {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        left.map_or(self.admission_wait, |left| self.admission_wait.min(left / 3))
    }

    /// Gives the parcel back if it would have to wait for room.
    fn unpack_now(&self, mut parcel: Parcel) -> Result<Result<Unpacked, Refusal>, Parcel> {
        let mut grown = 0;
        let charge = &mut parcel.charge;
        let mut room = |bytes| charge.try_grow(bytes).inspect(|()| grown += bytes);
        match self.unpack(parcel.origin, parcel.compression, &parcel.wire, &mut room) {
            Ok(done) => Ok(Ok(self.unpacked(parcel, done))),
            Err(Fault::Refused(refusal)) => Ok(Err(refusal)),
            Err(Fault::NoRoom) => {
                parcel.charge.shrink(grown);
                Err(parcel)
            }
        }
    }

    fn unpack_waiting(&self, mut parcel: Parcel, runtime: &Handle) -> Result<Unpacked, Fault> {
        let charge = &mut parcel.charge;
        let mut room = |bytes| runtime.block_on(charge.grow(bytes));
        let done = self.unpack(parcel.origin, parcel.compression, &parcel.wire, &mut room)?;
        Ok(self.unpacked(parcel, done))
    }

    fn unpacked(
        &self,
        mut parcel: Parcel,
        (payload, decoded, received_ns): (Bytes, Decoded, i64),
    ) -> Unpacked {
        if parcel.compression != Compression::Identity {
            parcel.charge.shrink(parcel.wire.len());
        }
        Unpacked { payload, decoded, charge: parcel.charge, received_ns }
    }

    fn is_suspect(&self, signal: Signal, wire: &[u8]) -> bool {
        // Hashed only if there is a suspect at all, and not under the lock.
        if self.suspects.lock().newest_last.is_empty() {
            return false;
        }
        let fingerprint = fingerprint(signal, wire);
        self.suspects.lock().newest_last.contains(&fingerprint)
    }

    /// Decompresses and decodes, surviving a panic in either.
    fn unpack(
        &self,
        origin: Origin,
        compression: Compression,
        wire: &Bytes,
        room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
    ) -> Result<(Bytes, Decoded, i64), Fault> {
        if self.is_suspect(origin.signal, wire) {
            return Err(Fault::Refused(panicked_again()));
        }
        let work = AssertUnwindSafe(|| self.unpack_unguarded(origin, compression, wire, room));
        catch_unwind(work).unwrap_or_else(|_| {
            self.stats.decoder_panics.fetch_add(1, Relaxed);
            tracing::error!(
                signal = origin.signal.name(),
                wire_bytes = wire.len(),
                "decoder panicked"
            );
            self.suspects.lock().remember(fingerprint(origin.signal, wire));
            Err(Fault::Refused(panicked()))
        })
    }

    fn unpack_unguarded(
        &self,
        origin: Origin,
        compression: Compression,
        wire: &Bytes,
        room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
    ) -> Result<(Bytes, Decoded, i64), Fault> {
        let payload = decompress(compression, wire, self.decoded_bytes_max, room)
            .map_err(|failure| undecompressed(failure, self.decoded_bytes_max))?;
        // The rows take about what their encoding takes.
        room(payload.len()).map_err(|NoRoom| Fault::NoRoom)?;
        let received_ns = now_ns();
        let start = std::time::Instant::now();
        let mut decode = self.decoders.take();
        let decoded = decode(origin.signal, origin.encoding, &payload, received_ns);
        self.decoders.put(decode);
        self.stats.count_decoded(origin, payload.len(), start.elapsed());
        let decoded = decoded.map_err(|e| {
            let refusal = Refusal::new(Condition::Undecodable, e.message);
            Fault::Refused(refusal.at(e.field))
        })?;
        Ok((payload, decoded, received_ns))
    }

    async fn store(&self, origin: Origin, unpacked: Unpacked, skip_fingerprint: bool) -> Outcome {
        let Unpacked { payload, decoded, charge, received_ns } = unpacked;
        let Decoded { batches, accepted, rejects, warnings } = decoded;
        let tally = ServiceTally::of(origin.signal, &batches);
        let mut deduplicated = false;
        if accepted > 0 {
            let nonce = skip_fingerprint.then(|| self.nonce.fetch_add(1, Relaxed));
            let request = Append {
                signal: origin.signal,
                encoding: origin.encoding,
                fingerprint: fingerprint_of(origin.signal, &payload, nonce),
                payload,
                received_ns,
                accepted,
                batches,
            };
            deduplicated = self.append(origin, request).await? == Appended::Duplicate;
        }
        drop(charge);
        if deduplicated {
            self.stats.count_deduplicated(origin);
            tracing::debug!(signal = origin.signal.name(), "repeated request not stored again");
        } else {
            self.count(origin, accepted, &rejects, &tally, received_ns);
        }
        let message =
            self.message(origin.signal, accepted, &rejects, warnings, &tally, received_ns);
        Ok(Accepted { accepted, rejected: rejects.total(), message, deduplicated })
    }

    async fn append(&self, origin: Origin, request: Append) -> Result<Appended, Refusal> {
        let records = request.accepted;
        let watch = Abandoned { stats: &self.stats, armed: true };
        let appended = self.sink.append(request).await;
        watch.disarm();
        appended.map_err(|error| {
            self.stats.count_unstored(origin, records);
            // Counted; a full disk at thousands of requests a second must not fill the log too.
            tracing::debug!(signal = origin.signal.name(), records, %error, "request not stored");
            not_stored(error)
        })
    }

    fn count(
        &self,
        origin: Origin,
        accepted: u32,
        rejects: &Rejects,
        tally: &ServiceTally,
        now_ns: i64,
    ) {
        self.stats.count_accepted(origin, accepted);
        self.stats.count_services(tally, now_ns);
        self.stats.count_rejects(origin.signal, rejects);
        for (reason, n) in rejects.counts() {
            self.sink.count_rejects(origin.signal, reason.name(), u64::from(n));
        }
    }

    /// Rejects are always told; a warning about data that was accepted, once a minute per service,
    /// since clients log every one.
    fn message(
        &self,
        signal: Signal,
        accepted: u32,
        rejects: &Rejects,
        warnings: Vec<String>,
        tally: &ServiceTally,
        now_ns: i64,
    ) -> String {
        let mut sentences = Vec::new();
        if rejects.total() > 0 {
            sentences.push(rejected_text(signal, accepted, rejects));
            sentences.extend(warnings);
        } else if !warnings.is_empty() && self.stats.may_warn(tally, now_ns) {
            sentences.extend(warnings);
        }
        sentences.join("; ")
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("budget", &self.inner.budget).finish_non_exhaustive()
    }
}

/// Idle decoders, kept for the capacity of their buffers.
struct Pool {
    idle: Mutex<Vec<Decode>>,
    idle_max: usize,
    new_decode: NewDecode,
}

impl Pool {
    fn take(&self) -> Decode {
        let idle = self.idle.lock().pop();
        idle.unwrap_or_else(|| (self.new_decode)())
    }

    fn put(&self, decode: Decode) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max {
            idle.push(decode);
        }
    }
}

/// Bodies that made the decoder panic, so that a client does not repeat them for ever.
#[derive(Default)]
struct Suspects {
    newest_last: VecDeque<Fingerprint>,
}

const SUSPECTS_MAX: usize = 64;

impl Suspects {
    fn remember(&mut self, fingerprint: Fingerprint) {
        if self.newest_last.len() == SUSPECTS_MAX {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back(fingerprint);
    }
}

/// Counts a request whose handling was dropped while the store had it.
struct Abandoned<'a> {
    stats: &'a CollectorStats,
    armed: bool,
}

impl Abandoned<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.stats.abandoned.fetch_add(1, Relaxed);
        }
    }
}

pub(crate) fn new_decoders(limits: Limits) -> NewDecode {
    Box::new(move || {
        let mut decoder = Decoder::new(limits);
        Box::new(move |signal, encoding, body, received_ns| {
            decoder.decode(signal, encoding, body, received_ns)
        })
    })
}

/// The path of a signal, as texts to clients name it.
pub(crate) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn fingerprint(signal: Signal, body: &[u8]) -> Fingerprint {
    fingerprint_of(signal, body, None)
}

/// BLAKE3 of tenant, signal and body, cut to 128 bits.
fn fingerprint_of(signal: Signal, body: &[u8], nonce: Option<u64>) -> Fingerprint {
    const TENANT: u8 = 0;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[TENANT, signal as u8]);
    hasher.update(body);
    if let Some(nonce) = nonce {
        hasher.update(&nonce.to_le_bytes());
        hasher.update(&now_ns().to_le_bytes());
    }
    let mut out = Fingerprint::default();
    hasher.finalize_xof().fill(&mut out);
    out
}

fn all_malformed(decoded: &Decoded) -> bool {
    let mut counts = decoded.rejects.counts();
    decoded.accepted == 0
        && matches!((counts.next(), counts.next()), (Some((Reason::Malformed, _)), None))
}

fn wrong_format(signal: Signal, rejects: &Rejects) -> Refusal {
    let first = rejects.first().first().map_or("", |(_, text)| text.as_str());
    let message = format!(
        "every {} is malformed ({first}); were these {} sent to the right path? {} takes {} only",
        signal.record(),
        signal.name(),
        path(signal),
        signal.name()
    );
    Refusal::new(Condition::Undecodable, message).at(format!("resource_{}", field_word(signal)))
}

fn field_word(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// Metrics read as spans have names for trace ids; where all records are like that, so was the path.
fn rejected_text(signal: Signal, accepted: u32, rejects: &Rejects) -> String {
    let message = rejects.message();
    let is_bad_id = |(reason, _): (Reason, u32)| reason == Reason::BadTraceId;
    match accepted == 0 && rejects.counts().all(is_bad_id) {
        true => format!("{message}; {} takes {} only", path(signal), signal.name()),
        false => message,
    }
}

fn undecompressed(failure: decompress::Failure, bytes_max: usize) -> Fault {
    Fault::Refused(match failure {
        decompress::Failure::NoRoom => return Fault::NoRoom,
        decompress::Failure::TooLarge => Refusal::new(
            Condition::DecodedTooLarge,
            format!(
                "the request holds more than {bytes_max} bytes after decompression; send smaller \
                 batches or raise --decoded-bytes-max"
            ),
        ),
        decompress::Failure::Broken(why) => {
            let message = format!("the compressed body cannot be read: {why}");
            Refusal::new(Condition::BrokenCompression, message).at("body".to_owned())
        }
    })
}

fn not_stored(error: StorageError) -> Refusal {
    match error {
        StorageError::Unavailable { ref reason, retry_after } => {
            let message = format!("the store cannot take data now: {reason}; send it again");
            Refusal::new(Condition::StoreUnavailable, message).after(retry_after)
        }
        StorageError::ShuttingDown => shutting_down(),
        StorageError::Locked { .. } | StorageError::NewerFormat(_) | StorageError::Io(_) => {
            let message = format!("the store failed: {error}; nothing was stored, send it again");
            Refusal::new(Condition::StoreUnavailable, message)
        }
    }
}

/// The answer while the server goes away.
pub(crate) fn shutting_down() -> Refusal {
    let message = "the server is shutting down; nothing was stored, send it again";
    Refusal::new(Condition::ShuttingDown, message)
}

/// The answer to a client that has stopped waiting.
pub(crate) fn deadline_over() -> Refusal {
    let message = "the deadline passed before the request was queued; nothing was stored";
    Refusal::new(Condition::DeadlineOver, message)
}

fn panicked() -> Refusal {
    let message = "decoding failed inside the server; nothing was stored; please report this";
    Refusal::new(Condition::DecoderPanicked, message)
}

fn panicked_again() -> Refusal {
    let message = "decoding these bytes failed inside the server twice; they will not be accepted; \
                   please report this";
    Refusal::new(Condition::DecoderPanickedAgain, message)
}

#[cfg(test)]
mod tests;
