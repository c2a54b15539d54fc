//! What an instance does to itself while its knobs say so: spinning, standing still, leaking.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::{Knobs, Leak, Pause, Settings};

/// A spin takes its share of each slice in one piece. Long against a request, as a scheduler's
/// slices are under a busy neighbour.
const SLICE: Duration = Duration::from_millis(200);

/// Spins and pauses on the thread that polls this, as the knobs say. Runs for ever, beside the
/// requests of an instance with a thread of its own.
pub async fn strain(knobs: Knobs) {
    let mut rhythm = Rhythm::default();
    loop {
        match rhythm.next(&knobs.read()) {
            Beat::Spin(busy) => {
                burn(busy);
                tokio::time::sleep(SLICE.saturating_sub(busy)).await;
            }
            Beat::Stop(pause) => std::thread::sleep(pause),
            Beat::Rest(rest) => tokio::time::sleep(rest).await,
        }
    }
}

/// Keeps this thread busy.
pub fn burn(busy: Duration) {
    let start = Instant::now();
    while start.elapsed() < busy {
        std::hint::spin_loop();
    }
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    /// Use the processor, then let others for the rest of the slice.
    Spin(Duration),
    /// Block the thread.
    Stop(Duration),
    /// Nothing.
    Rest(Duration),
}

/// Where in its pauses an instance is.
#[derive(Debug, Default)]
struct Rhythm {
    /// Time since the last pause began.
    since_pause: Duration,
}

impl Rhythm {
    fn next(&mut self, settings: &Settings) -> Beat {
        if let Some(Pause { pause_ms, every_ms }) = settings.pause {
            if self.since_pause >= Duration::from_millis(every_ms) {
                self.since_pause = Duration::from_millis(pause_ms);
                return Beat::Stop(self.since_pause);
            }
        } else {
            // The first pause of a fault comes at once.
            self.since_pause = Duration::MAX / 2;
        }
        self.since_pause = self.since_pause.saturating_add(SLICE);
        match settings.cpu_spin_percent {
            Some(percent) => Beat::Spin(SLICE * u32::from(percent.min(100)) / 100),
            None => Beat::Rest(SLICE),
        }
    }
}

/// Memory that is kept per message.
#[derive(Debug, Default)]
pub struct Leaking {
    kept: Vec<Vec<u8>>,
    bytes: usize,
}

/// What becomes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Lives,
    /// It has no memory left and ends at once, as if it were killed.
    Dies,
}

impl Leaking {
    /// Takes note of a message: keeps what the knob says, or gives all back if it says nothing.
    pub fn message(&mut self, leak: Option<Leak>) -> Fate {
        let Some(leak) = leak else {
            *self = Leaking::default();
            return Fate::Lives;
        };
        // Written to, or the system would not count it.
        self.kept.push(vec![1; leak.bytes_per_message]);
        self.bytes += leak.bytes_per_message;
        if self.bytes >= leak.limit_bytes { Fate::Dies } else { Fate::Lives }
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
