//! kill -9 under load of all three signals, again and again: what was acknowledged is there once,
//! what was not is there whole or not at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::client::Client;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, attribute, block_on, request};

const KILLS: u64 = 20;
const LIFE_MAX_MS: u64 = 200;
const RECORDS_MAX: u64 = 20;

/// What became of a request, by its number.
#[derive(Clone, Copy, Debug)]
struct Sent {
    records: u64,
    is_acknowledged: bool,
}

type Log = Arc<Mutex<HashMap<u64, Sent>>>;

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("OTLAKE_KILLS").unwrap_or(KILLS);
    let seed = number("OTLAKE_SEED").unwrap_or_else(|| rand::rng().random());
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let logs: [Log; 3] = Default::default();
    let next_request = Arc::new(AtomicU64::new(1));
    for run in 0..kills {
        let server = Server::start(dir.path(), &["--flush-age", "100ms"]);
        let life = Duration::from_millis(rng.random_range(10..LIFE_MAX_MS));
        one_life(server, life, run, rng.random(), &logs, &next_request);
    }
    let server = Server::start(dir.path(), &[]);
    server.recovered();
    let mut found = Found::default();
    for (signal, log) in SIGNALS.into_iter().zip(&logs) {
        found.check(&server, signal, &log.lock().unwrap());
    }
    println!("{found} seed={seed} kills={kills}");
    assert!(found.acknowledged > 0, "nothing was sent; seed={seed}");
    assert!(found.is_clean(), "{found} seed={seed}");
}

#[test]
fn a_server_without_space_starts_and_heals() {
    starts_and_heals_after(Server::kill);
    // The catalog's file of shared memory is gone then, and there is no space for a new one.
    starts_and_heals_after(|server| assert!(server.stop().success()));
}

fn starts_and_heals_after(end: impl Fn(Server)) {
    let dir = TempDir::new().unwrap();
    let span = |number| body("traces", 0, number, 1);
    let count = |server: &Server| server.sql("select count(*) as n from spans")[0]["n"].clone();
    let server = Server::start(dir.path(), &[]);
    server.accept("traces", &span(1));
    end(server);

    let server = Server::start_without_space(dir.path());
    server.recovered();
    assert_eq!(count(&server), 1);
    let (status, answer) = server.send("traces", &span(2));
    assert_eq!(status, 503, "{answer}");
    assert!(answer["details"][0]["retryDelay"].is_string(), "{answer}");

    server.give_space();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.send("traces", &span(2)).0 != 200 {
        assert!(Instant::now() < deadline, "requests are refused though there is space");
    }
    assert_eq!(count(&server), 2);
    assert!(server.stop().success());
    let server = Server::start(dir.path(), &[]);
    server.recovered();
    assert_eq!(count(&server), 2);
}

const SIGNALS: [&str; 3] = ["traces", "logs", "metrics"];

/// Loads a server with all signals and kills it in the middle.
fn one_life(
    server: Server,
    life: Duration,
    run: u64,
    seed: u64,
    logs: &[Log; 3],
    next: &Arc<AtomicU64>,
) {
    block_on(async {
        let endpoint = server.address("otlp_http");
        let senders: Vec<_> = SIGNALS
            .into_iter()
            .zip(logs)
            .enumerate()
            .map(|(at, (signal, log))| {
                let rng = StdRng::seed_from_u64(seed.wrapping_add(at as u64));
                let client = Client::new(&endpoint).unwrap();
                tokio::spawn(send_until_death(
                    client,
                    signal,
                    run,
                    rng,
                    Arc::clone(log),
                    Arc::clone(next),
                ))
            })
            .collect();
        tokio::time::sleep(life).await;
        server.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    });
}

/// Sends one request after the other until the server no longer answers.
async fn send_until_death(
    client: Client,
    signal: &'static str,
    run: u64,
    mut rng: StdRng,
    log: Log,
    next: Arc<AtomicU64>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let records = rng.random_range(1..=RECORDS_MAX);
        log.lock().unwrap().insert(number, Sent { records, is_acknowledged: false });
        let body = Bytes::from(body(signal, run, number, records).to_string());
        let Ok(answer) = client.post(&format!("/v1/{signal}"), "application/json", body).await
        else {
            return;
        };
        let status = answer.status;
        let Ok(text) = answer.bytes().await else { return };
        assert!(status == 200 || status == 503, "{status}: {}", String::from_utf8_lossy(&text));
        if status == 200 {
            log.lock().unwrap().insert(number, Sent { records, is_acknowledged: true });
        }
    }
}

fn body(signal: &str, run: u64, number: u64, records: u64) -> Value {
    let now_ns = api::time::now_ns();
    let record = |record: u64| {
        let attributes = json!([
            attribute("it.run", run),
            attribute("it.request", number),
            attribute("it.record", record),
        ]);
        match signal {
            "traces" => json!({
                "traceId": format!("{number:032x}"), "spanId": format!("{:016x}", record + 1), "name": "op",
                "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1).to_string(),
                "attributes": attributes,
            }),
            "logs" => json!({
                "timeUnixNano": now_ns.to_string(), "body": {"stringValue": "line"}, "attributes": attributes,
            }),
            _ => json!({"name": "it.gauge", "gauge": {"dataPoints": [
                {"timeUnixNano": now_ns.to_string(), "asInt": "1", "attributes": attributes},
            ]}}),
        }
    };
    request(signal, "it", (0..records).map(record).collect())
}

/// The five figures of the proof.
#[derive(Debug, Default)]
struct Found {
    lost: u64,
    duplicate: u64,
    phantom: u64,
    torn: u64,
    acknowledged: u64,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Found { lost, duplicate, phantom, torn, acknowledged } = self;
        write!(
            f,
            "lost={lost} duplicate={duplicate} phantom={phantom} torn={torn} acked={acknowledged}"
        )
    }
}

impl Found {
    fn is_clean(&self) -> bool {
        self.lost + self.duplicate + self.phantom + self.torn == 0
    }

    /// Compares what a table holds with what was sent.
    fn check(&mut self, server: &Server, signal: &str, sent: &HashMap<u64, Sent>) {
        let table = match signal {
            "traces" => "spans",
            "logs" => "logs",
            _ => "metric_points",
        };
        let sql = format!(
            "select attributes['it.request']::bigint as request, count(*) as stored, \
             count(distinct attributes['it.record']::bigint) as records from {table} group by 1"
        );
        let mut stored: HashMap<u64, (u64, u64)> = HashMap::new();
        for row in server.sql(&sql) {
            let number = |name: &str| row[name].as_u64().unwrap();
            stored.insert(number("request"), (number("stored"), number("records")));
        }
        self.phantom += stored.keys().filter(|request| !sent.contains_key(*request)).count() as u64;
        for (request, sent) in sent {
            let (rows, records) = stored.get(request).copied().unwrap_or_default();
            self.duplicate += rows - records;
            self.phantom += records.saturating_sub(sent.records);
            if sent.is_acknowledged {
                self.acknowledged += 1;
                self.lost += sent.records.saturating_sub(records);
            } else if records > 0 && records < sent.records {
                self.torn += 1;
            }
        }
    }
}
