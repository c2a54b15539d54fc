//! Sends the plan and counts what becomes of it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::request::{Memory, build};
use super::{Planned, Report, Step};
use crate::topology::PARTNER_KEY;

/// Sessions whose order and token are remembered; the oldest are forgotten first.
const MEMORIES_MAX: usize = 1_024;
/// How long customers wait for answers when they are told to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Who sends: where to, and how patiently.
#[derive(Clone, Debug)]
pub struct Customers {
    /// The gateway.
    pub gateway: SocketAddr,
    /// What partners show.
    pub api_key: String,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// Requests under way at once; further ones are not sent, and counted.
    pub in_flight_max: usize,
}

impl Customers {
    /// Customers of this gateway.
    pub fn of(gateway: SocketAddr) -> Customers {
        let patience = Duration::from_secs(10);
        Customers { gateway, api_key: PARTNER_KEY.to_owned(), patience, in_flight_max: 512 }
    }
}

/// Sends each request at its time, counted from `start`, until the plan ends or `stop` is cancelled;
/// then waits for the answers under way, in the second case not for long. `report` can be read
/// meanwhile.
pub async fn run(
    plan: impl IntoIterator<Item = Planned>,
    customers: Customers,
    start: Instant,
    report: Arc<Mutex<Report>>,
    stop: CancellationToken,
) {
    let runner = Arc::new(Runner::new(customers, start, report));
    let mut under_way = JoinSet::new();
    for planned in plan {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(start + planned.at) => {}
        }
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= runner.customers.in_flight_max {
            runner.report().tally(planned.at, planned.step).not_sent += 1;
            continue;
        }
        under_way.spawn(Arc::clone(&runner).send(planned));
    }
    let told_to_leave = async {
        stop.cancelled().await;
        tokio::time::sleep(LEAVE_WITHIN).await;
    };
    tokio::select! {
        // No longer than the patience of the last.
        () = all(&mut under_way) => {}
        () = told_to_leave => {}
    }
}

async fn all(under_way: &mut JoinSet<()>) {
    while under_way.join_next().await.is_some() {}
}

fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

struct Runner {
    client: HttpClient,
    customers: Customers,
    start: Instant,
    report: Arc<Mutex<Report>>,
    memories: Mutex<Memories>,
}

impl Runner {
    fn new(customers: Customers, start: Instant, report: Arc<Mutex<Report>>) -> Runner {
        Runner { client: client(), customers, start, report, memories: Mutex::default() }
    }

    async fn send(self: Arc<Self>, planned: Planned) {
        self.report().tally(planned.at, planned.step).sent += 1;
        let answer = tokio::time::timeout(self.customers.patience, self.ask(&planned)).await;
        let (status, body) = answer.ok().flatten().unwrap_or_default();
        let latency = self.start.elapsed().saturating_sub(planned.at);
        self.report().tally(planned.at, planned.step).end(status, latency);
        if (200..300).contains(&status) {
            self.memories().learn(&planned, &body);
        }
    }

    /// Status and body; none when there is no whole answer.
    async fn ask(&self, planned: &Planned) -> Option<(u16, Bytes)> {
        let memory = self.memories().recall(planned.session);
        let Customers { gateway, api_key, .. } = &self.customers;
        let request = build(planned, *gateway, &memory, api_key).ok()?;
        let answer = self.client.request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.ok()?;
        Some((status, body.to_bytes()))
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memories(&self) -> MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sessions know from their answers.
#[derive(Debug, Default)]
struct Memories {
    by_session: HashMap<u64, Memory>,
}

impl Memories {
    fn recall(&self, session: u64) -> Memory {
        self.by_session.get(&session).cloned().unwrap_or_default()
    }

    fn learn(&mut self, planned: &Planned, body: &[u8]) {
        let key = match planned.step {
            Step::Login => "accessToken",
            Step::Order => "orderId",
            _ => return,
        };
        let body: Option<Value> = serde_json::from_slice(body).ok();
        let Some(text) = body.as_ref().and_then(|body| body.get(key)?.as_str()) else { return };
        self.make_room();
        let memory = self.by_session.entry(planned.session).or_default();
        let known =
            if planned.step == Step::Login { &mut memory.token } else { &mut memory.order_id };
        *known = Some(text.to_owned());
    }

    /// Session numbers grow, so the smallest is the oldest.
    fn make_room(&mut self) {
        if self.by_session.len() >= MEMORIES_MAX
            && let Some(oldest) = self.by_session.keys().min().copied()
        {
            self.by_session.remove(&oldest);
        }
    }
}
