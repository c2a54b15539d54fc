//! A client that goes away takes its query with it.

use std::time::{Duration, Instant};

use api::client::Client;
use api::sql::SqlRequest;
use tempfile::TempDir;

use crate::support::{Server, block_on};

/// How soon nothing of the query may be left.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks at the processor time. A busy core takes ten ticks of it.
const WINDOW: Duration = Duration::from_millis(100);
const IDLE_TICKS_MAX: u64 = 2;
/// Joins of far more pairs than can be looked at before a query's time is over: by a filter that
/// lets a few through, or none; by keys; by keys and a filter; of all with all.
const CONDITIONS: [&str; 5] = [
    "a.value * b.value % 7919 = 17",
    "a.value * b.value = -1",
    "a.value % 2 = b.value % 2",
    "a.value % 2 = b.value % 2 and a.value * b.value = -1",
    "true",
];

#[test]
fn a_query_ends_with_its_client() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    for condition in CONDITIONS {
        let sql = format!(
            "select count(*) from generate_series(1, 1000000) a \
             join generate_series(1, 1000000) b on {condition}"
        );
        block_on(check(&server, sql));
    }
}

async fn check(server: &Server, sql: String) {
    let asking = Client::new(&server.url()).unwrap();
    let request = SqlRequest { sql: sql.clone(), ..SqlRequest::default() };
    let asked = tokio::spawn(async move { asking.sql(&request).await });
    let watching = Client::new(&server.url()).unwrap();
    while running(&watching).await == 0 {
        assert!(!asked.is_finished(), "{sql}: {:?}", asked.await);
    }
    // Joining, and no longer collecting: busy several times in a row.
    for _ in 0..3 {
        while cpu_ticks_within_window(server.pid()).await <= IDLE_TICKS_MAX {
            assert!(!asked.is_finished(), "{sql}: {:?}", asked.await);
        }
    }
    // Drops the request, which closes its connection.
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        let queries = running(&watching).await;
        let ticks = cpu_ticks_within_window(server.pid()).await;
        if queries == 0 && ticks <= IDLE_TICKS_MAX {
            return;
        }
        let is_late = Instant::now() > deadline;
        assert!(!is_late, "{sql}: {queries} queries, {ticks} ticks in {WINDOW:?}");
    }
}

/// Joins that the server knows.
async fn running(client: &Client) -> u64 {
    let sql = "select count(*) as n from system.queries where sql like '%generate_series%' \
               and sql not like '%system.queries%'";
    let answer = client.sql(&SqlRequest { sql: sql.into(), ..SqlRequest::default() }).await;
    answer.unwrap().rows[0]["n"].as_u64().unwrap()
}

/// Processor time of user code that a process takes in a window, in hundredths of a second.
async fn cpu_ticks_within_window(pid: u32) -> u64 {
    let before = cpu_ticks(pid);
    tokio::time::sleep(WINDOW).await;
    cpu_ticks(pid) - before
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold spaces. utime is the 14th field, the 12th behind it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(11).unwrap().parse().unwrap()
}
