//! A server of the built binary on free ports, and the plain requests that tests send to it.

use std::ffi::OsStr;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use api::client::{Client, ClientError};
use api::sql::SqlRequest;
use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn otlake() -> Command {
    command(env!("CARGO_BIN_EXE_otlake"))
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // What the developer has configured must not reach a test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTLAKE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(words: &[&str]) -> Output {
    otlake().args(words).output().unwrap()
}

/// Stdout of a command that must succeed.
pub(crate) fn stdout_of(words: &[&str]) -> String {
    let output = run(words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Arguments of a server on free ports.
fn serve(dir: &Path) -> Vec<&OsStr> {
    let free = "127.0.0.1:0";
    let words = [
        "serve",
        "--otlp-grpc",
        free,
        "--otlp-http",
        free,
        "--http",
        free,
        "--log",
        "warn",
        "--data",
    ];
    words.into_iter().map(OsStr::new).chain([dir.as_os_str()]).collect()
}

/// Starts a server, and returns when it listens, with the table of listeners that it printed: that comes
/// once everything listens and the ready file is there.
fn spawn(command: &mut Command) -> (Child, Vec<String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut table = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        table.push(line.unwrap());
        if table.last().unwrap().contains("OTEL_EXPORTER_OTLP_ENDPOINT") {
            return (child, table);
        }
    }
    panic!("the server ended: {:?}", child.wait());
}

/// A running server; dropping kills it.
pub(crate) struct Server {
    child: Child,
    addresses: Value,
}

impl Server {
    /// Starts on free ports over a directory, and returns when it listens.
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Server {
        let ready = TempDir::new().unwrap();
        let ready_file = ready.path().join("ready.json");
        let (child, _) =
            spawn(otlake().args(serve(dir)).arg("--ready-file").arg(&ready_file).args(flags));
        let addresses = serde_json::from_slice(&std::fs::read(&ready_file).unwrap()).unwrap();
        Server { child, addresses }
    }

    /// Starts where no file can be made longer, that of its log neither, as on a full disk.
    /// [`Server::give_space`] ends that.
    pub(crate) fn start_without_space(dir: &Path) -> Server {
        let limit = "trap '' XFSZ; ulimit -S -f 0; exec \"$0\" \"$@\"";
        let program = ["-c", limit, env!("CARGO_BIN_EXE_otlake")];
        let log = tempfile::tempfile().unwrap();
        let (child, table) = spawn(command("sh").args(program).args(serve(dir)).stderr(log));
        let listener = |name: &str| {
            let line = table.iter().find(|line| line.trim().starts_with(name)).unwrap();
            line.split_whitespace().last().unwrap().trim_start_matches("http://").to_owned()
        };
        let addresses = json!({
            "otlp_grpc": listener("OTLP gRPC"),
            "otlp_http": listener("OTLP HTTP"),
            "http": listener("SQL"),
        });
        Server { child, addresses }
    }

    pub(crate) fn give_space(&self) {
        let pid = Pid::from_raw(self.pid().cast_signed());
        let unlimited = Rlimit { current: None, maximum: None };
        prlimit(pid, Resource::Fsize, unlimited).unwrap();
    }

    /// Base URL of the SQL API.
    pub(crate) fn url(&self) -> String {
        self.address("http")
    }

    /// Base URL of a door: `otlp_grpc`, `otlp_http` or `http`.
    pub(crate) fn address(&self, door: &str) -> String {
        format!("http://{}", self.addresses[door].as_str().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends OTLP JSON and gives status and body.
    pub(crate) fn send(&self, signal: &str, body: &Value) -> (u16, Value) {
        block_on(async {
            let client = Client::new(&self.address("otlp_http")).unwrap();
            let body = Bytes::from(body.to_string());
            let answer =
                client.post(&format!("/v1/{signal}"), "application/json", body).await.unwrap();
            (answer.status, answer.json().await.unwrap())
        })
    }

    /// Sends OTLP JSON that must be accepted whole.
    pub(crate) fn accept(&self, signal: &str, body: &Value) {
        assert_eq!(self.send(signal, body), (200, json!({})));
    }

    /// Sends OTLP protobuf that must be accepted whole.
    pub(crate) fn accept_encoded(&self, signal: &str, body: Vec<u8>) {
        let (status, answer) = block_on(async {
            let client = Client::new(&self.address("otlp_http")).unwrap();
            let path = format!("/v1/{signal}");
            let sent = client.post(&path, "application/x-protobuf", Bytes::from(body)).await;
            let answer = sent.unwrap();
            (answer.status, answer.bytes().await.unwrap())
        });
        assert!(status == 200 && answer.is_empty(), "{status}: {answer:?}");
    }

    pub(crate) fn sql(&self, sql: &str) -> Vec<Map<String, Value>> {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn try_sql(&self, sql: &str) -> Result<Vec<Map<String, Value>>, ClientError> {
        let request = SqlRequest { sql: sql.to_owned(), ..SqlRequest::default() };
        let answer = block_on(async { Client::new(&self.url())?.sql(&request).await })?;
        Ok(answer.rows)
    }

    /// Waits for the replay of the old log: answers before its end say that they lack its rows.
    pub(crate) fn recovered(&self) {
        let deadline = Instant::now() + RECOVERY_MAX;
        while !self.sql("select recovering_bytes from system.wal")[0]["recovering_bytes"].is_null()
        {
            assert!(Instant::now() < deadline, "the log is not replayed after {RECOVERY_MAX:?}");
        }
    }

    /// As a power cut for the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended where the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// An attribute in OTLP JSON; integers and texts are told apart by their type.
pub(crate) fn attribute(key: &str, value: impl Into<Value>) -> Value {
    let value = match value.into() {
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Bool(yes) => json!({"boolValue": yes}),
        Value::String(text) => json!({"stringValue": text}),
        other => panic!("no attribute: {other}"),
    };
    json!({"key": key, "value": value})
}

/// A request of one resource and scope around its records.
pub(crate) fn request(signal: &str, service: &str, records: Vec<Value>) -> Value {
    let (resources, scopes, name) = match signal {
        "traces" => ("resourceSpans", "scopeSpans", "spans"),
        "logs" => ("resourceLogs", "scopeLogs", "logRecords"),
        _ => ("resourceMetrics", "scopeMetrics", "metrics"),
    };
    let scope = json!({"scope": {"name": "it", "version": "1"}, name: records});
    let resource = json!({"attributes": [attribute("service.name", service)]});
    json!({resources: [{"resource": resource, scopes: [scope]}]})
}

/// A span with an id of its own.
pub(crate) fn span(
    id: u64,
    parent: Option<u64>,
    start_ns: i64,
    duration_ns: i64,
    name: &str,
) -> Value {
    json!({
        "traceId": format!("{:032x}", 0xabcd),
        "spanId": format!("{id:016x}"),
        "parentSpanId": parent.map_or(String::new(), |id| format!("{id:016x}")),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": start_ns.to_string(),
        "endTimeUnixNano": (start_ns + duration_ns).to_string(),
        "attributes": [attribute("http.route", "/orders"), attribute("http.response.status_code", 200)],
    })
}
