//! The collector's two ports: bind, accept, serve, stop.
//!
//! Both ports speak gRPC, HTTP/2 with prior knowledge and HTTP/1.1, so that a client with the wrong
//! port still gets through. Stopping is gradual: no new connections, GOAWAY, answers for what is in
//! flight, then the end.

mod connection;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use storage::Store;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::CollectorConfig;
use crate::cors::Visitors;
use crate::doors::Doors;
use crate::intake::{self, Intake, NewDecode, Sink};
use crate::stats::CollectorStats;

/// OTLP in, over the network.
pub struct Collector {
    grpc: Port,
    http: Port,
    doors: Arc<Doors>,
    health: HealthReporter,
    connections_max: usize,
}

/// Why a collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A port could not be opened.
    #[error("cannot listen on {addr} for OTLP: {cause}; {advice} ({flag})")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        cause: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// gRPC reflection could not be built from the descriptors we ship.
    #[error("cannot describe the OTLP services for gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

struct Port {
    listener: TcpListener,
    addr: SocketAddr,
}

/// Waiting connections the system keeps for us.
const BACKLOG: u32 = 1024;
/// Out of file descriptors, an accept fails at once and for ever; this keeps the loop from spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Collector {
    /// Opens both ports. Nothing is answered before [`Collector::serve`], but clients can connect.
    pub async fn bind(
        config: CollectorConfig,
        store: Arc<Store>,
    ) -> Result<Collector, CollectorError> {
        let new_decode = intake::new_decoders(config.limits);
        Collector::bind_with(config, store, new_decode)
    }

    pub(crate) fn bind_with(
        config: CollectorConfig,
        sink: Arc<dyn Sink>,
        new_decode: NewDecode,
    ) -> Result<Collector, CollectorError> {
        let grpc = Port::bind(config.grpc_addr, "--otlp-grpc")?;
        let http = Port::bind(config.http_addr, "--otlp-http")?;
        let stats = Arc::new(CollectorStats::default());
        let (health, companions) = companions()?;
        let wire_bytes_max = config.wire_bytes_max.min(config.in_flight_bytes / 4);
        if wire_bytes_max < config.wire_bytes_max {
            tracing::warn!(wire_bytes_max, "request size limited to a quarter of the byte budget");
        }
        let doors = Doors {
            intake: Intake::with_parts(&config, sink, new_decode, Arc::clone(&stats)),
            visitors: Visitors::new(&config.allowed_origins, &config.allowed_hosts),
            wire_bytes_max,
            path_prefix: config.path_prefix.as_deref().and_then(normal_prefix),
            timeouts: config.timeouts,
            stats,
            closing: CancellationToken::new(),
            companions,
        };
        let connections_max = config.connections_max;
        Ok(Collector { grpc, http, doors: Arc::new(doors), health, connections_max })
    }

    /// The address of the gRPC port, with the port number the system chose for 0.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc.addr
    }

    /// The address of the HTTP port, with the port number the system chose for 0.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.addr
    }

    /// The counters; they live on after the collector.
    pub fn stats(&self) -> Arc<CollectorStats> {
        Arc::clone(&self.doors.stats)
    }

    /// The way in that the ports use, for data that comes from elsewhere.
    pub fn intake(&self) -> Intake {
        self.doors.intake.clone()
    }

    /// Serves until `shutdown` is cancelled, then finishes what is in flight, within a bound.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Collector { grpc, http, doors, health, connections_max } = self;
        let ports = Serving {
            slots: Arc::new(Semaphore::new(connections_max)),
            tasks: TaskTracker::new(),
            abort: CancellationToken::new(),
            doors,
        };
        tokio::select! {
            () = ports.accept_all(&grpc) => {}
            () = ports.accept_all(&http) => {}
            () = shutdown.cancelled() => {}
        }
        health.set_service_status("", ServingStatus::NotServing).await;
        drop((grpc, http));
        ports.finish().await;
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("grpc_addr", &self.grpc.addr)
            .field("http_addr", &self.http.addr)
            .finish_non_exhaustive()
    }
}

/// Both ports while they are open, and their connections.
struct Serving {
    doors: Arc<Doors>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cancelled when those who do not finish in time are cut off.
    abort: CancellationToken,
}

impl Serving {
    async fn accept_all(&self, port: &Port) {
        let on_loopback = port.addr.ip().to_canonical().is_loopback();
        loop {
            match port.listener.accept().await {
                Ok((stream, _)) => self.open(stream, on_loopback),
                Err(error) => {
                    self.doors.stats.accept_errors.fetch_add(1, Relaxed);
                    tracing::warn!(%error, addr = %port.addr, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, on_loopback: bool) {
        let stats = &self.doors.stats;
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            stats.connections_refused.fetch_add(1, Relaxed);
            return;
        };
        stats.connections_accepted.fetch_add(1, Relaxed);
        stats.connections.fetch_add(1, Relaxed);
        let (doors, abort) = (Arc::clone(&self.doors), self.abort.clone());
        self.tasks.spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = connection::serve(&doors, stream, on_loopback) => {}
                () = abort.cancelled() => {}
            }
            doors.stats.connections.fetch_sub(1, Relaxed);
        });
    }

    async fn finish(&self) {
        self.doors.closing.cancel();
        self.tasks.close();
        if !self.tasks.is_empty() {
            tracing::info!(connections = self.tasks.len(), "waiting for requests in flight");
        }
        let shutdown_max = self.doors.timeouts.shutdown;
        if tokio::time::timeout(shutdown_max, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "cutting off connections");
            self.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Port {
    fn bind(addr: SocketAddr, flag: &'static str) -> Result<Port, CollectorError> {
        let open = || -> io::Result<Port> {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restart must not wait for the old connections of the port to be forgotten.
            socket.set_reuseaddr(true)?;
            // Accepted connections inherit this; it finds peers that vanished without a word.
            socket.set_keepalive(true)?;
            socket.bind(addr)?;
            let listener = socket.listen(BACKLOG)?;
            Ok(Port { addr: listener.local_addr()?, listener })
        };
        open().map_err(|cause| {
            let advice = advice(&cause, addr.ip());
            CollectorError::Bind { addr, flag, cause, advice }
        })
    }
}

fn advice(cause: &io::Error, ip: IpAddr) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse if ip.is_loopback() => {
            "another process has the port, perhaps an OpenTelemetry Collector or another otlake; \
             stop it or choose another port"
        }
        io::ErrorKind::AddrInUse => "another process has the port; stop it or choose another port",
        io::ErrorKind::PermissionDenied => "choose a port above 1023",
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address; choose another",
        _ => "choose another address",
    }
}

/// `x/`, `/x` and `/x/` all mean `/x`; an empty prefix means none.
fn normal_prefix(prefix: &str) -> Option<String> {
    let bare = prefix.trim_matches('/');
    (!bare.is_empty()).then(|| format!("/{bare}"))
}

/// The gRPC services that are not ours: health for load balancers, reflection for people.
fn companions() -> Result<(HealthReporter, Routes), CollectorError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(opentelemetry_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(health)
        .add_service(describe().build_v1()?)
        .add_service(describe().build_v1alpha()?);
    Ok((reporter, routes.prepare()))
}

#[cfg(test)]
mod tests;
