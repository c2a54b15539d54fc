//! `import` and `export` between servers: every record once, whatever happens on the way.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::client::Client;
use axum::Router;
use axum::body::{self, Body};
use axum::extract::State;
use axum::http::{Request, Response};
use bytes::Bytes;
use collector::files::{Format, Reader};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use rand::Rng;
use schemas::Signal;
use serde_json::Value;
use tempfile::TempDir;
use testkit::compare::Records;
use testkit::otlp::{Generator, Options};

use crate::support::{Server, block_on, otlake, request, span, stdout_of};

/// What a server in front of ours does with a request.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Refuses with this status and `Retry-After`, in seconds.
    Refuse(u16, Option<u64>),
    /// Passes it on, but the answer gets lost: a 503 comes instead.
    Lose,
    PassOn,
}

/// A server that plays its script and then passes everything on.
#[derive(Clone)]
struct Front {
    script: Arc<Mutex<VecDeque<Behaviour>>>,
    /// When each request came.
    came: Arc<Mutex<Vec<Instant>>>,
    behind: Client,
}

impl Front {
    async fn answer(State(front): State<Front>, request: Request<Body>) -> Response<Body> {
        front.came.lock().unwrap().push(Instant::now());
        let behaviour = front.script.lock().unwrap().pop_front().unwrap_or(Behaviour::PassOn);
        let refusal = |status: u16, retry_after_s: Option<u64>| {
            let mut response = Response::builder().status(status);
            if let Some(seconds) = retry_after_s {
                response = response.header("retry-after", seconds);
            }
            response.body(Body::from("busy")).unwrap()
        };
        if let Behaviour::Refuse(status, retry_after_s) = behaviour {
            return refusal(status, retry_after_s);
        }
        let path = request.uri().path().to_owned();
        let content_type = request.headers()["content-type"].to_str().unwrap().to_owned();
        let sent = body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let answer = front.behind.post(&path, &content_type, sent).await.unwrap();
        let status = answer.status;
        let bytes = answer.bytes().await.unwrap();
        match behaviour {
            Behaviour::Lose => refusal(503, Some(0)),
            _ => Response::builder().status(status).body(Body::from(bytes)).unwrap(),
        }
    }
}

#[test]
fn an_import_waits_for_an_overloaded_server_and_stores_each_record_once() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (requests, spans_each) = (5_u64, 3_u64);
    let line = |number: u64| {
        let ids = (number * spans_each..(number + 1) * spans_each).map(|id| id + 1);
        let spans = ids.map(|id| span(id, None, api::time::now_ns(), 1, "op")).collect();
        request("traces", "imported", spans).to_string() + "\n"
    };
    let file = dir.path().join("traces.jsonl");
    std::fs::write(&file, (0..requests).map(line).collect::<String>()).unwrap();
    let front = Front {
        script: Arc::new(Mutex::new(VecDeque::from([
            Behaviour::Refuse(429, Some(1)),
            Behaviour::Refuse(503, Some(0)),
            Behaviour::PassOn,
            Behaviour::Lose,
            Behaviour::PassOn,
            Behaviour::Refuse(503, None),
        ]))),
        came: Arc::default(),
        behind: Client::new(&server.address("otlp_http")).unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(Front::answer).with_state(front.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });

    let output = otlake().args(["import", "--endpoint", &endpoint]).arg(&file).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let expected = format!(
        "{requests} requests, {} records accepted, 0 rejected, 0 unreadable",
        requests * spans_each
    );
    assert!(told.contains(&expected), "{told}");
    let came = front.came.lock().unwrap().clone();
    assert_eq!(came.len() as u64, requests + 4, "each refusal is tried again once");
    let waited = |try_again: usize| came[try_again] - came[try_again - 1];
    assert!(waited(1) >= Duration::from_secs(1), "{:?}", waited(1));
    assert!(waited(6) >= Duration::from_secs(1), "without a delay: {:?}", waited(6));
    let stored = &server.sql("select count(*) as n, count(distinct span_id) as ids from spans")[0];
    assert_eq!(stored["n"], requests * spans_each);
    assert_eq!(stored["ids"], requests * spans_each);
}

/// Requests of one signal, as messages and as what is sent.
struct Sent {
    signal: Signal,
    bodies: Vec<Bytes>,
    records: Records,
}

impl Sent {
    /// Every field and every legal oddity; and of logs more than one part of an export holds.
    fn all(seed: u64) -> [Sent; 3] {
        let mut wild = Generator::new(seed, Options::wild());
        let many = Options { records: 2_100, attributes: 2, ..Options::plausible() };
        let mut many = Generator::new(seed, many);
        Signal::ALL.map(|signal| {
            let mut sent = Sent { signal, bodies: Vec::new(), records: Records::default() };
            (0..3).for_each(|_| sent.add(&mut wild));
            if signal == Signal::Logs {
                (0..5).for_each(|_| sent.add(&mut many));
            }
            sent
        })
    }

    fn add(&mut self, generator: &mut Generator) {
        let body = match self.signal {
            Signal::Traces => generator.traces().encode_to_vec(),
            Signal::Logs => generator.logs().encode_to_vec(),
            Signal::Metrics => generator.metrics().encode_to_vec(),
        };
        self.records.extend(decoded(self.signal, &body));
        self.bodies.push(body.into());
    }

    fn post(&self, server: &Server) {
        let client = Client::new(&server.address("otlp_http")).unwrap();
        for body in &self.bodies {
            let path = format!("/v1/{}", self.signal.name());
            let (status, answer) = block_on(async {
                let answer =
                    client.post(&path, "application/x-protobuf", body.clone()).await.unwrap();
                (answer.status, answer.bytes().await.unwrap())
            });
            // The three answers share one shape. Oddities are told, and nothing is rejected.
            let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap();
            let rejected = answer.partial_success.unwrap_or_default().rejected_spans;
            assert_eq!((status, rejected), (200, 0), "{path}");
        }
    }
}

fn decoded(signal: Signal, body: &[u8]) -> Records {
    match signal {
        Signal::Traces => Records::of_traces(&ExportTraceServiceRequest::decode(body).unwrap()),
        Signal::Logs => Records::of_logs(&ExportLogsServiceRequest::decode(body).unwrap()),
        Signal::Metrics => Records::of_metrics(&ExportMetricsServiceRequest::decode(body).unwrap()),
    }
}

/// The records of a file of length-delimited protobuf.
fn records_of(signal: Signal, path: &Path) -> Records {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut records = Records::default();
    for record in Reader::new(file, Format::Protobuf(signal)) {
        records.extend(decoded(signal, &record.unwrap().body));
    }
    records
}

/// The records of a file of JSON lines, each with what stands around it, sorted.
fn texts_of(path: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let mut envelopes = vec![serde_json::from_str::<Value>(line).unwrap()];
        // An object with one of these lists becomes one object an item of it.
        for list in LISTS {
            envelopes = envelopes.into_iter().flat_map(|one| unfolded(one, list)).collect();
        }
        texts.extend(envelopes.iter().map(Value::to_string));
    }
    texts.sort_unstable();
    texts
}

/// Where the lists of OTLP lie, from the outside in.
const LISTS: [&str; 14] = [
    "/resourceSpans",
    "/resourceLogs",
    "/resourceMetrics",
    "/resourceSpans/scopeSpans",
    "/resourceLogs/scopeLogs",
    "/resourceMetrics/scopeMetrics",
    "/resourceSpans/scopeSpans/spans",
    "/resourceLogs/scopeLogs/logRecords",
    "/resourceMetrics/scopeMetrics/metrics",
    "/resourceMetrics/scopeMetrics/metrics/gauge/dataPoints",
    "/resourceMetrics/scopeMetrics/metrics/sum/dataPoints",
    "/resourceMetrics/scopeMetrics/metrics/histogram/dataPoints",
    "/resourceMetrics/scopeMetrics/metrics/exponentialHistogram/dataPoints",
    "/resourceMetrics/scopeMetrics/metrics/summary/dataPoints",
];

fn unfolded(mut envelope: Value, list: &str) -> Vec<Value> {
    let Some(Value::Array(items)) = envelope.pointer_mut(list).map(Value::take) else {
        return vec![envelope];
    };
    let with = |item| {
        let mut one = envelope.clone();
        *one.pointer_mut(list).unwrap() = item;
        one
    };
    items.into_iter().map(with).collect()
}

fn export(server: &Server, signal: Signal, format: &str, path: &Path) {
    let words = ["export", "--signal", signal.name(), "--format", format];
    let path = path.to_str().unwrap();
    stdout_of(&[words.as_slice(), &["--url", &server.url(), "-o", path]].concat());
}

fn import(server: &Server, signal: Signal, format: &str, path: &Path) {
    let endpoint = server.address("otlp_http");
    let mut words = vec!["import", "--endpoint", &endpoint, path.to_str().unwrap()];
    if format == "protobuf" {
        words.extend(["--signal", signal.name()]);
    }
    stdout_of(&words);
}

#[test]
fn what_is_exported_and_imported_is_the_same() {
    let seed = rand::rng().random();
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let first = Server::start(&path("first"), &[]);
    let sent = Sent::all(seed);
    sent.iter().for_each(|sent| sent.post(&first));
    for format in ["json", "protobuf"] {
        let second = Server::start(&path(format), &[]);
        for sent in &sent {
            let at = format!("{} as {format}, seed {seed}", sent.signal.name());
            export(&first, sent.signal, format, &path("first.otlp"));
            import(&second, sent.signal, format, &path("first.otlp"));
            export(&second, sent.signal, format, &path("second.otlp"));
            if format == "json" {
                let (first, second) =
                    (texts_of(&path("first.otlp")), texts_of(&path("second.otlp")));
                assert_eq!(first.len(), sent.records.len(), "{at}");
                assert!(
                    first == second,
                    "{at}: {:?}",
                    first.iter().zip(&second).find(|(a, b)| a != b)
                );
            } else {
                let back = records_of(sent.signal, &path("first.otlp"));
                assert_same(&at, &sent.records, &back);
                assert_same(&at, &back, &records_of(sent.signal, &path("second.otlp")));
            }
        }
    }
}

fn assert_same(at: &str, expected: &Records, found: &Records) {
    if let Some(difference) = expected.difference(found) {
        panic!("{at}: {difference}");
    }
}
