//! A request encoded once and made new by writing ids and times into its bytes.
//!
//! While the message is built, every id and time is a random placeholder that is remembered in the
//! order of encoding. After encoding each is found in the bytes, so that a new request costs one
//! store a placeholder: no encoding, no allocation, nothing a server could recognise as a repeat.

use bytes::BytesMut;
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use schemas::Signal;

use crate::model;

#[cfg(test)]
mod tests;

/// A gRPC message begins with a flag and its length.
const GRPC_PREFIX_BYTES: usize = 5;

/// Odd, so that different 64-bit numbers give different trace ids.
const WIDEN: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// An encoded request whose ids and times can be renewed.
#[derive(Debug)]
pub struct Template {
    /// gRPC prefix and message.
    bytes: BytesMut,
    holes: Vec<Hole>,
    records: u32,
}

impl Template {
    /// A request of about `records` records (whole traces, whole series). Equal seeds give equal
    /// requests; `run` is the `service.instance.id` of all of them.
    pub fn new(signal: Signal, records: u32, seed: u64, run: &str) -> Template {
        let mut holes = Holes { random: StdRng::seed_from_u64(seed), wanted: Vec::new() };
        let (message, records) = match signal {
            Signal::Traces => model::traces(&mut holes, records, run),
            Signal::Logs => model::logs(&mut holes, records, run),
            Signal::Metrics => model::metrics(&mut holes, records, run),
        };
        let mut bytes = BytesMut::with_capacity(GRPC_PREFIX_BYTES + message.len());
        bytes.extend_from_slice(&[0]);
        bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&message);
        let holes = holes.find(&bytes);
        Template { bytes, holes, records }
    }

    /// Makes the next request: number and time must not both repeat within a run.
    pub fn renew(&mut self, run: u64, number: u64, now_ns: u64) {
        let base = mix(run).wrapping_add(number << 32);
        for hole in &self.holes {
            let at = hole.at as usize;
            match hole.what {
                What::Trace(n) => {
                    let id = u128::from(mix(base.wrapping_add(u64::from(n))));
                    let id = id.wrapping_mul(WIDEN);
                    self.bytes[at..at + 16].copy_from_slice(&id.to_le_bytes());
                }
                What::Span(n) => {
                    let id = mix(base.wrapping_add(u64::from(n)) ^ 0x5bd1_e995);
                    self.bytes[at..at + 8].copy_from_slice(&id.to_le_bytes());
                }
                What::Time(before_ns) => {
                    let time = now_ns.wrapping_sub(u64::from(before_ns));
                    self.bytes[at..at + 8].copy_from_slice(&time.to_le_bytes());
                }
            }
        }
    }

    /// The message.
    pub fn message(&self) -> &[u8] {
        &self.bytes[GRPC_PREFIX_BYTES..]
    }

    /// Prefix and message; to be lent to a connection and given back.
    pub(crate) fn frame(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Records in the request.
    pub fn records(&self) -> u32 {
        self.records
    }
}

/// Where in the bytes something is to be written, and what.
#[derive(Debug)]
struct Hole {
    at: u32,
    what: What,
}

/// What belongs into a hole.
#[derive(Clone, Copy, Debug)]
enum What {
    /// Id of the request's n-th trace.
    Trace(u32),
    /// Id of the request's n-th span.
    Span(u32),
    /// So many nanoseconds before the request is sent.
    Time(u32),
}

/// Gives out placeholders, in the order of encoding.
#[derive(Debug)]
pub(crate) struct Holes {
    pub(crate) random: StdRng,
    wanted: Vec<(Vec<u8>, What)>,
}

impl Holes {
    pub(crate) fn trace(&mut self, n: u32) -> Vec<u8> {
        self.placeholder(16, What::Trace(n))
    }

    pub(crate) fn span(&mut self, n: u32) -> Vec<u8> {
        self.placeholder(8, What::Span(n))
    }

    /// A time so long before the request is sent.
    pub(crate) fn time(&mut self, before_ns: u32) -> u64 {
        let bytes = self.placeholder(8, What::Time(before_ns));
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn placeholder(&mut self, length: usize, what: What) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill_bytes(&mut bytes);
        self.wanted.push((bytes.clone(), what));
        bytes
    }

    fn find(self, bytes: &[u8]) -> Vec<Hole> {
        let mut from = 0;
        let mut holes = Vec::with_capacity(self.wanted.len());
        for (placeholder, what) in self.wanted {
            let found = bytes[from..].windows(placeholder.len()).position(|w| w == placeholder);
            // A placeholder is always there: the model encodes what it was given, in that order.
            let Some(offset) = found else { continue };
            holes.push(Hole { at: (from + offset) as u32, what });
            from += offset + placeholder.len();
        }
        holes
    }
}

/// Encodes a message of the model.
pub(crate) fn encode(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// SplitMix64: a bijection, so that different numbers never give the same id.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
