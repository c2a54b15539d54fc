//! Sends requests over several connections and measures what comes back.
//!
//! With a rate the load is open: requests are due at fixed times whether or not earlier ones have
//! been answered, and a request's latency counts from when it was due. Without one each connection
//! sends its next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use schemas::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::wire::{Answer, Connection};
use crate::{Door, Template};

#[cfg(test)]
mod tests;

/// Templates a connection cycles through, so that texts differ between requests.
const TEMPLATES: u64 = 8;
/// Rest after a refusal, as a client's first back-off.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What to send where, and how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the server listens; on this machine.
    pub endpoint: SocketAddr,
    /// How requests travel.
    pub door: Door,
    /// What they carry.
    pub signal: Signal,
    /// Connections, each with one request under way.
    pub connections: u32,
    /// Records of a request.
    pub batch: u32,
    /// Records a second in all; `None` sends as fast as answers come.
    pub rate: Option<u64>,
    /// Ends the run.
    pub duration: Duration,
    /// Ends the run earlier.
    pub requests_max: u64,
    /// Tells the records of this run from all others: their `service.instance.id`.
    pub run: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records acknowledged as durable.
    pub acknowledged: u64,
    /// Records that an accepted request's answer rejected.
    pub rejected: u64,
    /// Requests answered as accepted.
    pub requests: u64,
    /// Requests answered with "come again"; they were not sent again.
    pub refused: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Latencies of accepted requests, ascending, in microseconds.
    pub latencies_us: Vec<u32>,
}

impl Report {
    /// Acknowledged records a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that this share (0 to 1) of the accepted requests did not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies_us.len().saturating_sub(1);
        let at = (last as f64 * share).ceil() as usize;
        Duration::from_micros(self.latencies_us.get(at).copied().unwrap_or_default().into())
    }

    fn add(&mut self, other: Report) {
        self.acknowledged += other.acknowledged;
        self.rejected += other.rejected;
        self.requests += other.requests;
        self.refused += other.refused;
        self.latencies_us.extend(other.latencies_us);
    }
}

/// Runs the load to its end. An answer that is neither acceptance nor "come again", or a lost
/// connection, ends it with an error: what such a request left behind is not known.
pub async fn run(load: &Load) -> Result<Report> {
    let mut senders = Vec::new();
    for number in 0..load.connections.max(1) {
        senders.push(Sender::prepare(load, number.into()).await?);
    }
    // The clock starts when everything is ready: preparing is not the server's time.
    let schedule = Arc::new(Schedule::new(load));
    let mut connections = JoinSet::new();
    for sender in senders {
        connections.spawn(sender.run(Arc::clone(&schedule)));
    }
    let mut report = Report::default();
    while let Some(done) = connections.join_next().await {
        report.add(done??);
    }
    report.elapsed = schedule.start.elapsed();
    report.latencies_us.sort_unstable();
    Ok(report)
}

/// Hands out request numbers, each with the time it is due.
struct Schedule {
    start: Instant,
    end: Instant,
    next: AtomicU64,
    requests_max: u64,
    /// Between requests; zero for a closed load.
    interval: Duration,
}

impl Schedule {
    fn new(load: &Load) -> Schedule {
        let interval = match load.rate {
            Some(rate) => Duration::from_secs_f64(f64::from(load.batch) / rate.max(1) as f64),
            None => Duration::ZERO,
        };
        let start = Instant::now();
        Schedule {
            start,
            end: start + load.duration,
            next: AtomicU64::new(0),
            requests_max: load.requests_max,
            interval,
        }
    }

    /// The next request's number and due time, or `None` at the end of the run.
    fn next(&self) -> Option<(u64, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.interval {
            Duration::ZERO => Instant::now(),
            interval => self.start + interval.mul_f64(number as f64),
        };
        (number < self.requests_max && due < self.end).then_some((number, due))
    }
}

/// A connection with requests of its own.
struct Sender {
    connection: Connection,
    templates: Vec<Template>,
    /// Number of the run in ids.
    run: u64,
}

impl Sender {
    async fn prepare(load: &Load, number: u64) -> Result<Sender> {
        let seeds = number * TEMPLATES..(number + 1) * TEMPLATES;
        let template = |seed| Template::new(load.signal, load.batch, seed, &load.run);
        let digit = |hash: u64, byte: u8| hash.wrapping_mul(31).wrapping_add(byte.into());
        Ok(Sender {
            connection: Connection::open(load.endpoint, load.door, load.signal).await?,
            templates: seeds.map(template).collect(),
            run: load.run.bytes().fold(0, digit),
        })
    }

    async fn run(mut self, schedule: Arc<Schedule>) -> Result<Report> {
        let mut report = Report::default();
        while let Some((number, due)) = schedule.next() {
            sleep_until(due).await;
            let template = &mut self.templates[(number % TEMPLATES) as usize];
            template.renew(self.run, number, now_ns());
            let records = u64::from(template.records());
            match self.connection.send(template).await? {
                Answer::Accepted { rejected } => {
                    report.requests += 1;
                    report.rejected += rejected;
                    report.acknowledged += records - rejected.min(records);
                    report.latencies_us.push(due.elapsed().as_micros() as u32);
                }
                Answer::Refused(_) => {
                    report.refused += 1;
                    sleep(BACK_OFF).await;
                }
            }
        }
        Ok(report)
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
