//! The same requests without a network: through the decoder into a store of one's own.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use collector::decode::{Decoder, Limits};
use schemas::Signal;
use storage::{Append, Encoding, Store, StoreConfig};

use crate::Template;

/// Records of a request.
pub const BATCH: u32 = 512;
/// Fixed, so that two runs store the same.
const FIRST_NS: u64 = 1_700_000_400_000_000_000;
/// Templates that requests are made of in turn.
const TEMPLATES: u64 = 32;

/// Makes the requests of one signal, each different, ready to be appended.
#[derive(Debug)]
pub struct Requests {
    signal: Signal,
    templates: Vec<Template>,
    next: u64,
}

impl Requests {
    /// Requests that begin at a fixed time, 10 ms apart.
    pub fn new(signal: Signal) -> Requests {
        let template = |seed| Template::new(signal, BATCH, seed, "bench");
        Requests { signal, templates: (0..TEMPLATES).map(template).collect(), next: 0 }
    }

    /// The next request's bytes.
    pub fn message(&mut self) -> Bytes {
        let now_ns = FIRST_NS + self.next * 10_000_000;
        let template = &mut self.templates[(self.next % TEMPLATES) as usize];
        template.renew(0, self.next, now_ns);
        self.next += 1;
        Bytes::copy_from_slice(template.message())
    }

    /// The next request, decoded.
    pub fn append(&mut self, decoder: &mut Decoder) -> Result<Append> {
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&self.next.to_le_bytes());
        let payload = self.message();
        let received_ns = (FIRST_NS + self.next * 10_000_000) as i64;
        let decoded = decoder.decode(self.signal, Encoding::Protobuf, &payload, received_ns)?;
        Ok(Append {
            signal: self.signal,
            encoding: Encoding::Protobuf,
            payload,
            fingerprint,
            received_ns,
            accepted: decoded.accepted,
            batches: decoded.batches,
        })
    }
}

/// An empty store in a directory.
pub async fn open(dir: &Path) -> Result<Arc<Store>> {
    let never = |_, _, _: &[u8], _| Err("a new directory has nothing to replay".to_owned());
    Ok(Store::open(StoreConfig::new(dir), Arc::new(never)).await?)
}

/// Appends so many requests and flushes them into files.
pub async fn fill(store: &Store, requests: &mut Requests, count: u64) -> Result<()> {
    let mut decoder = Decoder::new(Limits::default());
    for number in 0..count {
        store.append(requests.append(&mut decoder)?).await.map_err(|e| anyhow!("append: {e}"))?;
        if number % 128 == 127 {
            store.flush().await?;
        }
    }
    Ok(store.flush().await?)
}
