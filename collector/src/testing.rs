//! For tests: a collector on free ports in front of a store double, and clients that see every byte.
#![allow(clippy::unwrap_used)] // a test that cannot set up its scene has failed

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::{RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, Request};
use parking_lot::Mutex;
use schemas::{Batch, Signal, Table, columns};
use storage::{Append, Appended, Encoding, Fingerprint, StorageError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::decode::{DecodeError, Decoded};
use crate::intake::{NewDecode, Sink};
use crate::rejects::{Reason, Rejects};
use crate::{Collector, CollectorConfig, CollectorStats};

/// A store that remembers, and does as told.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) appended: Mutex<Vec<(Signal, Encoding, Bytes, u32)>>,
    pub(crate) rejects: Mutex<BTreeMap<(Signal, &'static str), u64>>,
    seen: Mutex<HashSet<Fingerprint>>,
    /// Answers of the next appends, when they are not to succeed.
    pub(crate) failures: Mutex<Vec<StorageError>>,
    /// Nobody is let in: the wait for room is in vain.
    pub(crate) full: AtomicBool,
    /// Appends wait for a permit each, if set; `waiting` gets one permit for each that waits.
    pub(crate) gate: Option<Gate>,
}

pub(crate) struct Gate {
    pub(crate) open: Semaphore,
    pub(crate) waiting: Semaphore,
}

impl Double {
    pub(crate) fn gated() -> Double {
        let gate = Gate { open: Semaphore::new(0), waiting: Semaphore::new(0) };
        Double { gate: Some(gate), ..Double::default() }
    }

    pub(crate) fn accepted(&self) -> u32 {
        self.appended.lock().iter().map(|(.., n)| n).sum()
    }

    /// Returns once an append waits at the gate.
    pub(crate) async fn someone_waits(&self) {
        self.gate.as_ref().unwrap().waiting.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_through(&self, n: usize) {
        self.gate.as_ref().unwrap().open.add_permits(n);
    }
}

impl Sink for Double {
    fn room(&self, wait: Duration) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            if !self.full.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            Err(StorageError::Unavailable {
                reason: "live rows fill their memory".to_owned(),
                retry_after: Duration::from_secs(1),
            })
        })
    }

    fn append(&self, request: Append) -> BoxFuture<'_, Result<Appended, StorageError>> {
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                gate.waiting.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
            }
            if let Some(failure) = self.failures.lock().pop() {
                return Err(failure);
            }
            if !self.seen.lock().insert(request.fingerprint) {
                return Ok(Appended::Duplicate);
            }
            let Append { signal, encoding, payload, accepted, .. } = request;
            self.appended.lock().push((signal, encoding, payload, accepted));
            Ok(Appended::Stored { seq: 1 })
        })
    }

    fn count_rejects(&self, signal: Signal, reason: &'static str, count: u64) {
        *self.rejects.lock().entry((signal, reason)).or_default() += count;
    }
}

/// A decoder of little scripts, so that a test says what a body "contains": `ok=997 bad=3 badtrace=1 malformed=1
/// warn=cut service=cart panic`. `{}` is empty, other words are undecodable.
pub(crate) fn script_decoder() -> NewDecode {
    Box::new(|| Box::new(|signal, _, body, _| run_script(signal, body)))
}

fn run_script(signal: Signal, body: &[u8]) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded {
        batches: Vec::new(),
        accepted: 0,
        rejects: Rejects::default(),
        warnings: Vec::new(),
    };
    let text = String::from_utf8_lossy(body);
    let mut service = "unknown_service";
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "{}" | "pad" => {}
            "ok" => decoded.accepted += value.parse::<u32>().unwrap(),
            "badtrace" => decoded.rejects.add(Reason::BadTraceId, value.parse().unwrap(), || {
                "trace_id has 7 bytes, 16 needed".to_owned()
            }),
            "bad" => decoded.rejects.add(Reason::BadSpanId, value.parse().unwrap(), || {
                "span_id has 7 bytes, 8 needed".to_owned()
            }),
            "malformed" => decoded.rejects.add(Reason::Malformed, value.parse().unwrap(), || {
                "the record ends early".to_owned()
            }),
            "warn" => decoded.warnings.push(value.to_owned()),
            "service" => service = value,
            "panic" => panic!("told to"),
            other => {
                let message = format!("unknown word {other}");
                return Err(DecodeError { field: "byte 0".to_owned(), message });
            }
        }
    }
    if decoded.accepted > 0 {
        decoded.batches.push(batch(signal, &[(service, decoded.accepted as usize)]));
    }
    Ok(decoded)
}

/// A batch with service names and nothing else.
pub(crate) fn batch(signal: Signal, services: &[(&str, usize)]) -> Batch {
    let names: StringViewArray =
        services.iter().flat_map(|(name, n)| std::iter::repeat_n(Some(*name), *n)).collect();
    let field = Field::new(columns::SERVICE_NAME, DataType::Utf8View, false);
    let schema = Arc::new(Schema::new(vec![field]));
    let table = match signal {
        Signal::Traces => Table::Spans,
        Signal::Metrics => Table::MetricPoints,
        Signal::Logs => Table::Logs,
    };
    let rows = RecordBatch::try_new(schema, vec![Arc::new(names)]).unwrap();
    Batch { table, rows, keys: schemas::Keys::default() }
}

/// A running collector.
pub(crate) struct Server {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) stats: Arc<CollectorStats>,
    pub(crate) store: Arc<Double>,
    pub(crate) stop: CancellationToken,
    running: JoinHandle<()>,
}

/// The defaults, on free ports.
pub(crate) fn config() -> CollectorConfig {
    CollectorConfig {
        grpc_addr: "127.0.0.1:0".parse().unwrap(),
        http_addr: "127.0.0.1:0".parse().unwrap(),
        ..CollectorConfig::default()
    }
}

impl Server {
    pub(crate) fn new() -> Server {
        Server::with(config(), Double::default())
    }

    pub(crate) fn with(config: CollectorConfig, store: Double) -> Server {
        Server::with_decoder(config, store, script_decoder())
    }

    pub(crate) fn with_decoder(
        config: CollectorConfig,
        store: Double,
        new_decode: NewDecode,
    ) -> Server {
        let store = Arc::new(store);
        let sink: Arc<dyn Sink> = Arc::clone(&store) as Arc<dyn Sink>;
        let collector = Collector::bind_with(config, sink, new_decode).unwrap();
        let stop = CancellationToken::new();
        Server {
            grpc: collector.grpc_addr(),
            http: collector.http_addr(),
            stats: collector.stats(),
            store,
            running: tokio::spawn(collector.serve(stop.clone())),
            stop,
        }
    }

    /// Stops, and returns when every connection has ended.
    pub(crate) async fn stopped(self) -> (Arc<Double>, Arc<CollectorStats>) {
        self.stop.cancel();
        self.running.await.unwrap();
        (self.store, self.stats)
    }

    /// POSTs with a script and returns what came back.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut raw = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
        raw.extend_from_slice(headers.as_bytes());
        raw.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        raw.extend_from_slice(body);
        raw_http(self.http, &raw).await
    }
}

/// An answer as read from the socket.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// 0 when the connection was closed without an answer.
    pub(crate) status: u16,
    /// Head in lower case, and body.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        format!("{}\n\n{}", self.head, String::from_utf8_lossy(&self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends bytes and reads one HTTP/1.1 answer.
pub(crate) async fn raw_http(addr: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_reply(&mut stream).await
}

/// Reads one HTTP/1.1 answer; a closed connection is an answer without status.
pub(crate) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Reply::default(),
            Ok(_) => {}
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase().replace("\r\n", "\n");
    let status = head[9..12].parse().unwrap();
    let mut reply = Reply { status, head, body: bytes.split_off(head_end + 4) };
    let length = reply.header("content-length").map_or(0, |n| n.parse().unwrap());
    while reply.body.len() < length {
        assert!(stream.read_buf(&mut reply.body).await.unwrap() > 0, "body cut");
    }
    reply
}

/// An HTTP/2 connection.
pub(crate) async fn connect(addr: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send
}

/// The answer to a gRPC call.
#[derive(Debug)]
pub(crate) struct CallReply {
    pub(crate) http: u16,
    /// Headers and trailers together.
    pub(crate) fields: HeaderMap,
    pub(crate) data: Vec<u8>,
}

impl CallReply {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// `grpc-status`; -1 when there is none.
    pub(crate) fn code(&self) -> i32 {
        self.field("grpc-status").parse().unwrap_or(-1)
    }
}

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A frame as gRPC wants it.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(flag);
    out.put_u32(message.len() as u32);
    out.put_slice(message);
    out.freeze()
}

/// The head of a call, with further headers.
pub(crate) fn call_head(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://localhost{path}"));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Sends a body and reads the whole answer.
pub(crate) async fn call_on(
    send: h2::client::SendRequest<Bytes>,
    head: Request<()>,
    body: Bytes,
) -> Result<CallReply, h2::Error> {
    let mut send = send.ready().await?;
    let (response, mut stream) = send.send_request(head, false)?;
    // The server may refuse before it has read all.
    let _ = stream.send_data(body, true);
    read_call(response).await
}

pub(crate) async fn read_call(
    response: h2::client::ResponseFuture,
) -> Result<CallReply, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut data = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        data.extend_from_slice(&chunk);
    }
    let mut fields = head.headers;
    fields.extend(body.trailers().await?.unwrap_or_default());
    Ok(CallReply { http: head.status.as_u16(), fields, data })
}

/// One call on its own connection.
pub(crate) async fn call(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> CallReply {
    call_on(connect(addr).await, call_head(path, headers), body).await.unwrap()
}

/// For conditions without an event of their own: looks again until it holds, or gives up.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), looking).await;
    assert!(in_time.is_ok(), "{what} did not happen");
}
