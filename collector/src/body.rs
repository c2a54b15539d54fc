//! Reading a request's body: within the size limit, the byte budget and the clock.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::admit::{Charge, NoRoom};
use crate::config::Timeouts;

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// More bytes than allowed; the rest is unread.
    TooLarge,
    /// The byte budget has no room for the next piece.
    NoRoom,
    /// Too slow, or the client is gone: nobody to answer.
    Lost(Lost),
}

/// The body stopped coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No progress, or not done within the time for the whole.
    Slow,
    /// The client closed the stream or broke the protocol.
    Gone,
}

/// A body being read under two deadlines.
pub(crate) struct Reader {
    body: Incoming,
    /// The current chunk, if not all of it has been taken.
    held: Bytes,
    end: Instant,
    progress_max: Duration,
}

/// What is discarded so that a client that is still sending sees our answer.
const DISCARD_BYTES_MAX: usize = 16 << 20;
/// Charged at a time for a body of unknown length.
const STEP_BYTES: usize = 64 << 10;

impl Reader {
    pub(crate) fn new(body: Incoming, timeouts: &Timeouts) -> Reader {
        let end = Instant::now() + timeouts.body_total;
        Reader { body, held: Bytes::new(), end, progress_max: timeouts.body_progress }
    }

    /// The length the client announced.
    pub(crate) fn announced_bytes(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// What to charge before the first byte is read.
    pub(crate) fn first_charge_bytes(&self, bytes_max: usize) -> usize {
        let announced = self.announced_bytes().and_then(|n| usize::try_from(n).ok());
        announced.unwrap_or(STEP_BYTES).min(bytes_max)
    }

    /// Reads to the end. What exceeds the charge is charged chunk by chunk.
    pub(crate) async fn all(
        &mut self,
        bytes_max: usize,
        charge: &mut Charge,
    ) -> Result<Bytes, Failure> {
        let mut charged = self.first_charge_bytes(bytes_max);
        let mut whole = Gather::default();
        while let Some(chunk) = self.chunk().await? {
            let length = whole.len() + chunk.len();
            if length > bytes_max {
                return Err(Failure::TooLarge);
            }
            if length > charged {
                let wanted = length.max(charged + STEP_BYTES).max(charged / 2 * 3);
                let step = wanted.min(bytes_max) - charged;
                charge.grow(step).await.map_err(|NoRoom| Failure::NoRoom)?;
                charged += step;
            }
            whole.push(chunk, charged);
        }
        Ok(whole.finish())
    }

    /// Reads exactly `n` bytes that the caller has charged; `None` when the body ends before.
    pub(crate) async fn exactly(&mut self, n: usize) -> Result<Option<Bytes>, Failure> {
        let mut whole = Gather::default();
        while whole.len() < n {
            let Some(mut chunk) = self.chunk().await? else { return Ok(None) };
            let wanted = n - whole.len();
            if chunk.len() > wanted {
                self.held = chunk.split_off(wanted);
            }
            whole.push(chunk, n);
        }
        Ok(Some(whole.finish()))
    }

    /// The next bytes, never empty; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        let progress = Instant::now() + self.progress_max;
        // Empty frames are no progress, so the deadline is set outside of the loop.
        let next = timeout_at(progress.min(self.end), async {
            loop {
                match self.body.frame().await {
                    None => return Ok(None),
                    Some(Err(_)) => return Err(Failure::Lost(Lost::Gone)),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Ok(Some(data)),
                        Ok(_) | Err(_) => {}
                    },
                }
            }
        });
        next.await.unwrap_or(Err(Failure::Lost(Lost::Slow)))
    }

    /// Reads on and throws away, so that a client in the middle of sending gets to read the answer
    /// instead of a broken pipe. Bounded in bytes and time; whether the end was seen is returned.
    pub(crate) async fn discard(&mut self, time_max: Duration) -> bool {
        let rest = async {
            let mut bytes = self.held.len();
            while bytes <= DISCARD_BYTES_MAX {
                match self.chunk().await {
                    Ok(Some(chunk)) => bytes += chunk.len(),
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
            false
        };
        tokio::time::timeout(time_max, rest).await.unwrap_or(false)
    }
}

/// Puts chunks together; one chunk alone is kept as it is.
#[derive(Default)]
struct Gather {
    single: Bytes,
    many: BytesMut,
}

impl Gather {
    fn len(&self) -> usize {
        self.single.len() + self.many.len()
    }

    fn push(&mut self, chunk: Bytes, expected_bytes: usize) {
        if self.len() == 0 {
            self.single = chunk;
            return;
        }
        if self.many.is_empty() {
            self.many.reserve(expected_bytes);
            self.many.extend_from_slice(&std::mem::take(&mut self.single));
        }
        self.many.extend_from_slice(&chunk);
    }

    fn finish(self) -> Bytes {
        if self.many.is_empty() { self.single } else { self.many.freeze() }
    }
}
