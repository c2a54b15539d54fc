//! `otlake serve`: opens the store, listens, says where, and stops in order.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::ServeArgs;
use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::output::Screen;
use crate::server::Server;
use crate::server_file::{Addresses, reachable};

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
    let dir = args.dir.dir()?;
    let server = Server::start(&dir, args, http).await?;
    warn_if_open(&server.addresses);
    announce(screen, &dir, &server.addresses);
    signals.next().await;
    tracing::info!("stopping: no new requests, finishing those in flight");
    tokio::select! {
        () = server.stop() => {}
        () = signals.next() => {
            tracing::warn!("second signal: stopping now; what was acknowledged is in the log");
            end_now();
        }
    }
    Ok(Exit::Good)
}

#[expect(clippy::exit, reason = "a second signal asks for the end without waiting for anything")]
fn end_now() -> ! {
    std::process::exit(Exit::Failed as i32)
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
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Signals, Failure> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
