//! The network between a caller and a callee, as far as we may spoil it: a TCP proxy on loopback
//! with delays, resets and a blackhole, and the mesh of all such proxies.
//!
//! Callers are told the proxy's address instead of the callee's. Conditions change while
//! connections live and act on the next piece of data. A delay holds each piece for its time and
//! does not slow the stream down: pieces overtake nobody, and many are under way at once.

mod mesh;
mod pipe;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use mesh::Mesh;

/// Connections at once; further ones are reset.
const CONNECTIONS_MAX: usize = 1_024;

/// What is wrong with the way. The default is a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Delay of what the caller sends.
    pub up: Delay,
    /// Delay of what the callee sends.
    pub down: Delay,
    /// Chance that the connection is reset when the caller sends something, in percent. Over
    /// HTTP/1.1 that is about once a request.
    pub reset_percent: u8,
    /// Nothing gets through, and nobody is told. What was sent arrives when it ends.
    pub blackhole: bool,
}

/// The time that a piece of data takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delay {
    /// In the middle.
    pub latency_ms: u64,
    /// At most so much less or more, each value as likely.
    pub jitter_ms: u64,
}

impl Delay {
    /// One piece's time.
    pub fn draw(self, random: &mut impl Rng) -> Duration {
        let jitter_us = self.jitter_ms * 1_000;
        let late_us = random.random_range(0..=2 * jitter_us);
        Duration::from_micros((self.latency_ms * 1_000 + late_us).saturating_sub(jitter_us))
    }
}

impl Conditions {
    /// A way that takes so much longer there and back together, half each way.
    pub fn slower_by(latency_ms: u64, jitter_ms: u64) -> Conditions {
        let half = Delay { latency_ms: latency_ms / 2, jitter_ms: jitter_ms / 2 };
        Conditions { up: half, down: half, ..Conditions::default() }
    }
}

/// A proxy in front of one address. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

/// Where a proxy leads, and how.
#[derive(Clone, Copy, Debug)]
struct Way {
    upstream: SocketAddr,
    conditions: Conditions,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    resets: AtomicU64,
    refused: AtomicU64,
}

/// What a proxy has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections it took.
    pub connections: u64,
    /// Connections it reset because it was asked to.
    pub resets: u64,
    /// Connections it ended at once: nobody listens behind it, or there were too many.
    pub refused: u64,
}

impl Proxy {
    /// Starts a proxy on a free port, on the runtime this is called on.
    pub async fn start(upstream: SocketAddr, seed: u64) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (way, _) = watch::channel(Way { upstream, conditions: Conditions::default() });
        let counters = Arc::new(Counters::default());
        let accept = accept(listener, way.subscribe(), Arc::clone(&counters), seed);
        Ok(Proxy { address, way, counters, accepting: tokio::spawn(accept) })
    }

    /// The address to give to callers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the way, for what is sent from now on.
    pub fn set(&self, conditions: Conditions) {
        self.way.send_modify(|way| way.conditions = conditions);
    }

    /// Leads new connections elsewhere.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.way.send_modify(|way| way.upstream = upstream);
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.counters.connections.load(Ordering::Relaxed),
            resets: self.counters.resets.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections until it is aborted, which ends them too.
async fn accept(
    listener: TcpListener,
    way: watch::Receiver<Way>,
    counters: Arc<Counters>,
    seed: u64,
) {
    let mut connections = JoinSet::new();
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let caller = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((caller, _)) = caller else {
            // Out of file descriptors: the pause lets others give some back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if connections.len() >= CONNECTIONS_MAX {
            counters.refused.fetch_add(1, Ordering::Relaxed);
            reset(&caller);
            continue;
        }
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let random = StdRng::seed_from_u64(random.random());
        connections.spawn(serve(caller, way.clone(), Arc::clone(&counters), random));
    }
}

/// One connection until either side ends it or a reset is drawn.
async fn serve(
    caller: TcpStream,
    way: watch::Receiver<Way>,
    counters: Arc<Counters>,
    mut random: StdRng,
) {
    let upstream = way.borrow().upstream;
    let Ok(callee) = TcpStream::connect(upstream).await else {
        counters.refused.fetch_add(1, Ordering::Relaxed);
        reset(&caller);
        return;
    };
    let (caller, callee) = (Arc::new(caller), Arc::new(callee));
    let _ = caller.set_nodelay(true).and_then(|()| callee.set_nodelay(true));
    let (reset_drawn, mut reset_asked) = mpsc::channel(1);
    let up = pipe::Pipe {
        from: Arc::clone(&caller),
        to: Arc::clone(&callee),
        way: way.clone(),
        direction: pipe::Direction::Up { reset_drawn },
        random: StdRng::seed_from_u64(random.random()),
    };
    let down = pipe::Pipe {
        from: Arc::clone(&callee),
        to: Arc::clone(&caller),
        way,
        direction: pipe::Direction::Down,
        random,
    };
    tokio::select! {
        _ = async { tokio::join!(up.run(), down.run()) } => {}
        Some(()) = reset_asked.recv() => {
            counters.resets.fetch_add(1, Ordering::Relaxed);
            reset(&caller);
            reset(&callee);
        }
    }
}

/// Makes the close that follows a reset instead of an orderly end.
fn reset(stream: &TcpStream) {
    // An option the system refuses leaves an orderly end, which ends the connection as well.
    let _ = stream.set_zero_linger();
}

/// An address on which nobody listens: connections to it are refused. Nobody else gets the port
/// while this exists.
#[derive(Debug)]
pub struct DeadAddress {
    address: SocketAddr,
    /// Bound and never listened on.
    _socket: TcpSocket,
}

impl DeadAddress {
    /// Takes a free port.
    pub fn take() -> io::Result<DeadAddress> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(DeadAddress { address: socket.local_addr()?, _socket: socket })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
