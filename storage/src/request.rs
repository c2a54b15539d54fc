//! One accepted request on its way in, and how its bytes are decoded again at replay.

use std::sync::Arc;

use bytes::Bytes;
use schemas::{Batch, Signal};

/// How a request's payload is encoded. The discriminant is the byte in WAL frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// OTLP protobuf.
    Protobuf = 1,
    /// OTLP JSON.
    Json = 2,
}

/// 128-bit fingerprint of (tenant, signal, decompressed body).
pub type Fingerprint = [u8; 16];

/// One accepted request on its way into the store.
#[derive(Clone, Debug)]
pub struct Append {
    /// Which signal the request carries.
    pub signal: Signal,
    /// How the payload is encoded.
    pub encoding: Encoding,
    /// The decompressed request body; the WAL compresses it (lz4) where that helps.
    pub payload: Bytes,
    /// Tells a retry from a new request.
    pub fingerprint: Fingerprint,
    /// Arrival, ns since the epoch; `ingested_at` of the rows, so that replay gives the same value.
    pub received_ns: i64,
    /// Records accepted (data points for metrics). Never 0: an empty request is not appended.
    pub accepted: u32,
    /// The decoded rows, live shape.
    pub batches: Vec<Batch>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// In a WAL frame covered by a successful sync, and visible.
    Stored {
        /// Sequence number of the frame.
        seq: u64,
    },
    /// A byte-identical request is already durable; nothing was stored.
    Duplicate,
}

/// Decodes a WAL frame again at replay: signal, encoding, payload, arrival. Handed in by the wiring.
pub type Replay =
    Arc<dyn Fn(Signal, Encoding, &[u8], i64) -> Result<Replayed, String> + Send + Sync>;

/// What replaying a frame yields.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Records accepted, to compare with the frame's.
    pub accepted: u32,
    /// The rows.
    pub batches: Vec<Batch>,
}
