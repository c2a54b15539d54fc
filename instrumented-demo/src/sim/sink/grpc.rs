//! Sends generated requests to an OTLP/gRPC endpoint, their bytes as they are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{Requests, Signal, Sink};

#[cfg(test)]
mod tests;

/// Requests on their way at the same time.
const IN_FLIGHT_MAX: usize = 8;
/// Tries of one request before the run ends.
const TRIES_MAX: u32 = 20;
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server to send to. It has a runtime of its own, so it must not be used on a thread of another.
pub(in super::super) struct Server {
    runtime: Runtime,
    channel: Channel,
    slots: Arc<Semaphore>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Server {
    pub(in super::super) fn connect(url: &str) -> anyhow::Result<Server> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let endpoint = Endpoint::from_shared(url.to_owned())
            .with_context(|| format!("{url} is no address of a server"))?
            .timeout(TIMEOUT);
        let channel = runtime
            .block_on(endpoint.connect())
            .with_context(|| format!("cannot reach {url}; is a collector listening there?"))?;
        let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Ok(Server { runtime, channel, slots, tasks: JoinSet::new() })
    }

    /// Waits for all requests that are on their way.
    pub(in super::super) fn finish(mut self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            while let Some(done) = self.tasks.join_next().await {
                done.context("a request was lost")??;
            }
            Ok(())
        })
    }
}

impl Sink for Server {
    fn take(&mut self, signal: Signal, requests: &Requests) -> anyhow::Result<()> {
        let Server { runtime, channel, slots, tasks } = self;
        runtime.block_on(async {
            for request in requests.iter() {
                let slot = Arc::clone(slots).acquire_owned().await?;
                while let Some(done) = tasks.try_join_next() {
                    done.context("a request was lost")??;
                }
                let (channel, body) = (channel.clone(), Bytes::copy_from_slice(request));
                tasks.spawn(async move {
                    let sent = send(channel, signal, body).await;
                    drop(slot);
                    sent
                });
            }
            Ok(())
        })
    }
}

/// Sends one request, again as long as the server asks for it.
async fn send(channel: Channel, signal: Signal, body: Bytes) -> anyhow::Result<()> {
    let mut grpc = Grpc::new(channel);
    let mut last = String::new();
    for attempt in 0..TRIES_MAX {
        match call(&mut grpc, signal, body.clone()).await {
            Ok(()) => return Ok(()),
            Err(status) if is_temporary(status.code()) => last = status.to_string(),
            Err(status) => return Err(anyhow!(status).context("the server refused a request")),
        }
        tokio::time::sleep((WAIT_MIN * 2u32.pow(attempt.min(10))).min(WAIT_MAX)).await;
    }
    Err(anyhow!(last).context(format!("the server refused a request {TRIES_MAX} times")))
}

async fn call(grpc: &mut Grpc<Channel>, signal: Signal, body: Bytes) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    grpc.unary(Request::new(body), path(signal), Raw).await.map(drop)
}

fn path(signal: Signal) -> PathAndQuery {
    PathAndQuery::from_static(match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    })
}

/// The codes that OTLP calls retryable.
fn is_temporary(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// Messages that are bytes already.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, body: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(body);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
