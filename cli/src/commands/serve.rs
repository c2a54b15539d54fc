//! `otlake serve`: opens the store, listens, says where, and stops in order.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collector::Collector;
use compactor::Policy;
use query::Engine;
use query::server::ServerInfo;
use storage::Store;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::ServeArgs;
use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::metrics::Sources;
use crate::output::Screen;
use crate::server_file::{Addresses, ServerFiles, reachable};
use crate::wiring;

/// From the first signal to the end, whatever still runs.
const STOP_MAX: Duration = Duration::from_secs(14);
/// Threads that encode answers, apart from those that take telemetry in.
const HTTP_THREADS: usize = 2;

pub(crate) fn run(args: &ServeArgs, screen: Screen) -> Result<Exit, Failure> {
    let ingest = Builder::new_multi_thread().thread_name("ingest").enable_all().build()?;
    let http = Builder::new_multi_thread()
        .worker_threads(HTTP_THREADS)
        .thread_name("http")
        .enable_all()
        .build()?;
    let ended = ingest.block_on(serve(args, screen, &http));
    // Answers still being written are cut off: their time was over when `serve` returned.
    http.shutdown_background();
    ingest.shutdown_background();
    ended
}

async fn serve(args: &ServeArgs, screen: Screen, http: &Runtime) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let started_ns = api::time::now_ns();
    let dir = args.dir.dir()?;
    let store = wiring::open_to_serve(&dir, args).await?;
    let listening = Listening::bind(args, Arc::clone(&store), started_ns).await?;
    let addresses = listening.addresses.clone();
    warn_if_open(&addresses);
    let running = listening.start(http, wiring::merge_policy(args));
    let files = ServerFiles::write(&dir, args.ready_file.as_deref(), &addresses)?;
    announce(screen, &dir, &addresses);
    signals.next().await;
    tracing::info!("stopping: no new requests, finishing those in flight");
    running.is_draining.store(true, Ordering::Relaxed);
    drop(files);
    tokio::select! {
        () = stop(running, &store) => {}
        () = signals.next() => {
            tracing::warn!("second signal: stopping now; what was acknowledged is in the log");
            end_now();
        }
    }
    Ok(Exit::Good)
}

/// Everything bound, nothing served yet.
struct Listening {
    collector: Collector,
    api: TcpListener,
    engine: Arc<Engine>,
    store: Arc<Store>,
    addresses: Addresses,
    info: ServerInfo,
    is_draining: Arc<AtomicBool>,
}

impl Listening {
    async fn bind(
        args: &ServeArgs,
        store: Arc<Store>,
        started_ns: i64,
    ) -> Result<Listening, Failure> {
        let collector = Collector::bind(wiring::collector_config(args), Arc::clone(&store)).await?;
        let api = TcpListener::bind(args.http).await.map_err(|error| busy(args.http, &error))?;
        let engine = wiring::engine_to_serve(Arc::clone(&store), args)?;
        let addresses = Addresses {
            otlp_grpc: collector.grpc_addr(),
            otlp_http: collector.http_addr(),
            http: api.local_addr()?,
            pid: std::process::id(),
        };
        let is_draining = Arc::new(AtomicBool::new(false));
        let sources = Sources {
            collector: collector.stats(),
            store: Arc::clone(&store),
            engine: Arc::clone(&engine),
            addresses: addresses.clone(),
            started_ns,
        };
        let info = ServerInfo {
            ready: ready(Arc::clone(&store), Arc::clone(&is_draining)),
            metrics: Arc::new(move || sources.render()),
            allowed_hosts: args.allowed_host.clone(),
            allowed_origins: Vec::new(),
            loopback: addresses.http.ip().is_loopback(),
        };
        Ok(Listening { collector, api, engine, store, addresses, info, is_draining })
    }

    fn start(self, http: &Runtime, policy: Policy) -> Running {
        let stop = CancellationToken::new();
        let router = query::server::router(self.engine, self.info);
        let until = stop.clone().cancelled_owned();
        let api = http.spawn(async move {
            if let Err(error) = axum::serve(self.api, router).with_graceful_shutdown(until).await {
                tracing::error!(%error, "the HTTP API ended");
            }
        });
        let collector = tokio::spawn(self.collector.serve(stop.clone()));
        let compactor = compactor::run(self.store, policy, stop.clone());
        let compactor = tokio::spawn(async move {
            compactor.await;
        });
        Running { stop, api, collector, compactor, is_draining: self.is_draining }
    }
}

/// The doors at work.
struct Running {
    stop: CancellationToken,
    api: tokio::task::JoinHandle<()>,
    collector: tokio::task::JoinHandle<()>,
    compactor: tokio::task::JoinHandle<()>,
    is_draining: Arc<AtomicBool>,
}

/// Doors first, then the store, within [`STOP_MAX`] in all. Rows that are not in files by then lie in
/// the log and come back at the next start.
async fn stop(running: Running, store: &Store) {
    let in_order = async {
        running.stop.cancel();
        if let Err(error) = running.collector.await {
            tracing::error!(%error, "the collector ended badly");
        }
        if let Err(error) = running.compactor.await {
            tracing::error!(%error, "the compactor ended badly");
        }
        running.api.abort();
        if let Err(error) = store.close().await {
            tracing::error!(%error, "the store did not close; the next start replays its log");
        }
    };
    if tokio::time::timeout(STOP_MAX, in_order).await.is_err() {
        tracing::warn!(
            seconds = STOP_MAX.as_secs(),
            "stopping took too long; the next start replays the log"
        );
    }
}

#[expect(clippy::exit, reason = "a second signal asks for the end without waiting for anything")]
fn end_now() -> ! {
    std::process::exit(Exit::Failed as i32)
}

/// Readiness: not draining, and the store takes requests.
fn ready(
    store: Arc<Store>,
    is_draining: Arc<AtomicBool>,
) -> Arc<dyn Fn() -> Result<(), String> + Send + Sync> {
    Arc::new(move || {
        if is_draining.load(Ordering::Relaxed) {
            return Err("stopping".into());
        }
        store.stats().read_only_reason.map_or(Ok(()), Err)
    })
}

fn busy(address: SocketAddr, error: &std::io::Error) -> Failure {
    let port = address.port();
    Failure::failed(format!("cannot listen on {address} (--http)")).cause(error).hint(format!(
        "choose another with --http 127.0.0.1:0; `ss -ltnp 'sport = :{port}'` shows who holds it"
    ))
}

fn warn_if_open(addresses: &Addresses) {
    for (flag, address) in [
        ("--otlp-grpc", addresses.otlp_grpc),
        ("--otlp-http", addresses.otlp_http),
        ("--http", addresses.http),
    ] {
        if !address.ip().is_loopback() {
            tracing::warn!(%address, flag, "reachable from other machines, and there is no authentication");
        }
    }
}

/// The table of listeners and the lines to copy.
fn announce(screen: Screen, dir: &Path, addresses: &Addresses) {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "otlake {version}, data in {dir}\n\n  \
         OTLP gRPC (and HTTP)     {grpc}\n  \
         OTLP HTTP (and gRPC)     {http}\n  \
         SQL, health, metrics     {api}\n\n{env}\n",
        dir = dir.display(),
        grpc = addresses.otlp_grpc,
        http = addresses.otlp_http,
        api = addresses.url(),
        env = screen.dim(&environment(addresses.otlp_grpc, addresses.otlp_http)),
    );
    let mut out = stdout();
    // Nobody may be reading; the server runs all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The lines that point an OpenTelemetry SDK here.
pub(crate) fn environment(otlp_grpc: SocketAddr, otlp_http: SocketAddr) -> String {
    format!(
        "export OTEL_EXPORTER_OTLP_ENDPOINT=http://{}\n\
         export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\
         # or: OTEL_EXPORTER_OTLP_ENDPOINT=http://{} OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        reachable(otlp_http),
        reachable(otlp_grpc),
    )
}

/// SIGTERM and SIGINT, which mean the same here.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
