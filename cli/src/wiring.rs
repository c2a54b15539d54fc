//! How the parts are put together: store with decoder, engine over store, API over engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use collector::CollectorConfig;
use compactor::Policy;
use query::server::ServerInfo;
use query::{Engine, EngineConfig};
use storage::{Replay, Store, StoreConfig};

use crate::args::ServeArgs;
use crate::budget::Budget;
use crate::failure::Failure;

/// One answer of a directory read in this process; nobody else is starved by it.
const READ_ROWS_MAX: u64 = 1_000_000;

/// Opens a directory without lock or writes.
pub(crate) async fn open_to_read(dir: &Path) -> Result<Arc<Store>, Failure> {
    let config = StoreConfig { read_only: true, ..StoreConfig::new(dir) };
    Ok(Store::open(config, replay()).await?)
}

/// Opens a directory as its one writer, with all settings at their defaults.
pub(crate) async fn open_to_write(dir: &Path) -> Result<Arc<Store>, Failure> {
    Ok(Store::open(StoreConfig::new(dir), replay()).await?)
}

/// Opens the directory of a server.
pub(crate) async fn open_to_serve(dir: &Path, args: &ServeArgs) -> Result<Arc<Store>, Failure> {
    let budget = Budget::of(args.memory);
    let config = StoreConfig {
        flush_age: args.flush_age,
        flush_bytes: budget.live / 4,
        live_bytes_max: budget.live,
        retry_window: args.retry_window,
        retain: args.retain.filter(|age| !age.is_zero()),
        retain_bytes: args.retain_bytes.filter(|bytes| *bytes > 0),
        ..StoreConfig::new(dir)
    };
    Ok(Store::open(config, replay()).await?)
}

fn replay() -> Replay {
    Arc::new(collector::decode::replay)
}

/// The doors' settings.
pub(crate) fn collector_config(args: &ServeArgs) -> CollectorConfig {
    let request_max = usize::try_from(args.request_max).unwrap_or(usize::MAX);
    CollectorConfig {
        grpc_addr: args.otlp_grpc,
        http_addr: args.otlp_http,
        path_prefix: args.path_prefix.clone(),
        wire_bytes_max: request_max,
        decoded_bytes_max: request_max,
        in_flight_bytes: Budget::of(args.memory).in_flight,
        allowed_origins: args.cors_origin.clone(),
        allowed_hosts: args.allowed_host.clone(),
        ..CollectorConfig::default()
    }
}

/// The engine of a server, spilling within its directory.
pub(crate) fn engine_to_serve(store: Arc<Store>, args: &ServeArgs) -> Result<Arc<Engine>, Failure> {
    let budget = Budget::of(args.memory);
    let config = EngineConfig {
        memory_bytes: budget.query,
        query_memory_bytes: budget.one_query,
        metadata_cache_bytes: budget.metadata,
        timeout: args.query_timeout,
        rows_max: args.query_rows,
        ..EngineConfig::new(store.dir().join("spill"))
    };
    Ok(Engine::new(store, config)?)
}

/// What the compactor may take, and when.
pub(crate) fn merge_policy(args: &ServeArgs) -> Policy {
    Policy::new(args.flush_age, Budget::of(args.memory).merge as u64)
}

/// The engine of a reading command.
pub(crate) fn engine_to_read(
    store: Arc<Store>,
    spill_dir: PathBuf,
) -> Result<Arc<Engine>, Failure> {
    let config = EngineConfig { rows_max: READ_ROWS_MAX, ..EngineConfig::new(spill_dir) };
    Ok(Engine::new(store, config)?)
}

/// The HTTP API over a directory that this process only reads: always ready, nothing to measure.
pub(crate) fn router_to_read(engine: Arc<Engine>) -> Router {
    let info = ServerInfo {
        ready: Arc::new(|| Ok(())),
        metrics: Arc::new(String::new),
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        loopback: true,
    };
    query::server::router(engine, info)
}
