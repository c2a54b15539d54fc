//! A server in this process: the store opened, every door bound, and all of it stopped in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collector::Collector;
use query::Engine;
use query::server::ServerInfo;
use storage::Store;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::metrics::Sources;
use crate::server_file::{Addresses, ServerFiles};
use crate::wiring;

/// From the wish to stop to the end, whatever still runs.
const STOP_MAX: Duration = Duration::from_secs(14);

/// A server at work.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) addresses: Addresses,
    store: Arc<Store>,
    stop: CancellationToken,
    api: JoinHandle<()>,
    collector: JoinHandle<()>,
    compactor: JoinHandle<()>,
    is_draining: Arc<AtomicBool>,
    /// Name the server while they are there.
    files: ServerFiles,
}

impl Server {
    /// Opens the directory, binds every door and serves. Telemetry is taken in on the runtime of the
    /// caller, answers are written on `http`.
    pub(crate) async fn start(
        dir: &Path,
        args: &ServeArgs,
        http: &Runtime,
    ) -> Result<Server, Failure> {
        let started_ns = api::time::now_ns();
        let store = wiring::open_to_serve(dir, args).await?;
        let listening = Listening::bind(args, Arc::clone(&store), started_ns).await?;
        let files = ServerFiles::write(dir, args.ready_file.as_deref(), &listening.addresses)?;
        Ok(listening.start(args, http, files))
    }

    /// Doors first, then the store, within [`STOP_MAX`] in all. Rows that are not in files by then
    /// lie in the log and come back at the next start.
    pub(crate) async fn stop(self) {
        self.is_draining.store(true, Ordering::Relaxed);
        drop(self.files);
        let in_order = async {
            self.stop.cancel();
            if let Err(error) = self.collector.await {
                tracing::error!(%error, "the collector ended badly");
            }
            if let Err(error) = self.compactor.await {
                tracing::error!(%error, "the compactor ended badly");
            }
            self.api.abort();
            if let Err(error) = self.store.close().await {
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

    fn start(self, args: &ServeArgs, http: &Runtime, files: ServerFiles) -> Server {
        let stop = CancellationToken::new();
        let router = query::server::router(self.engine, self.info);
        let until = stop.clone().cancelled_owned();
        let api = http.spawn(async move {
            if let Err(error) = axum::serve(self.api, router).with_graceful_shutdown(until).await {
                tracing::error!(%error, "the HTTP API ended");
            }
        });
        let collector = tokio::spawn(self.collector.serve(stop.clone()));
        let policy = wiring::merge_policy(args);
        let compactor = compactor::run(Arc::clone(&self.store), policy, stop.clone());
        let compactor = tokio::spawn(async move {
            compactor.await;
        });
        Server {
            addresses: self.addresses,
            store: self.store,
            stop,
            api,
            collector,
            compactor,
            is_draining: self.is_draining,
            files,
        }
    }
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
