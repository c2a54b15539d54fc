//! A plan against a small gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Customers, MEMORIES_MAX, Memories, Runner, run};
use crate::load::{Item, Planned, Report, Step};
use crate::proxy::DeadAddress;

fn planned(at_ms: u64, step: Step) -> Planned {
    Planned {
        at: Duration::from_millis(at_ms),
        session: 1,
        step,
        user: 7,
        tenant: 7,
        region: "eu",
        app_version: "5.1.0",
        items: vec![Item { item: 3, quantity: 2 }],
    }
}

/// A gateway that writes down requests, knows some answers, and lets `gate` decide when to answer.
async fn gateway(gate: Arc<Semaphore>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let diary = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&diary);
    let app = axum::Router::new().fallback(move |request: Request| {
        let (gate, diary) = (Arc::clone(&gate), Arc::clone(&written));
        async move {
            let line = line(request).await;
            let answer = answer(&line);
            diary.lock().unwrap().push(line);
            let _open = gate.acquire().await;
            answer
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, diary)
}

async fn line(request: Request) -> String {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map_or(String::new(), |value| format!(" {}", value.to_str().unwrap()))
    };
    let headers = ["x-user-id", "authorization", "x-api-key", "baggage"].map(header).concat();
    assert!(!request.headers().contains_key("traceparent"));
    let start = format!("{} {}{headers}", request.method(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
    format!("{start} {}", String::from_utf8_lossy(&body)).trim_end().to_owned()
}

fn answer(line: &str) -> Response {
    if line.starts_with("POST /api/users/login") {
        return r#"{"accessToken":"t1"}"#.into_response();
    }
    if line.starts_with("POST /api/orders ") {
        return (StatusCode::CREATED, r#"{"orderId":"o-9"}"#).into_response();
    }
    if line.starts_with("GET /api/inventory/") {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    "{}".into_response()
}

async fn play(plan: Vec<Planned>, customers: Customers) -> Report {
    let report = Arc::new(Mutex::new(Report::new(Vec::new())));
    let stop = CancellationToken::new();
    run(plan, customers, Instant::now(), Arc::clone(&report), stop).await;
    let report = report.lock().unwrap();
    report.clone()
}

#[tokio::test]
async fn integration_a_session_remembers_its_token_and_its_order() {
    let (address, diary) = gateway(Arc::new(Semaphore::new(100))).await;
    let steps = [
        (Step::LookUp, "GET /api/orders?customerId=u7 u7 session.id=s1"),
        (Step::Login, r#"POST /api/users/login u7 session.id=s1 {"userId":"u7"}"#),
        (Step::View, "GET /api/inventory/sku-3 u7 Bearer t1 session.id=s1"),
        (
            Step::Add,
            r#"POST /api/users/u7/cart u7 Bearer t1 session.id=s1 {"quantity":2,"sku":"sku-3"}"#,
        ),
        (
            Step::Order,
            r#"POST /api/orders u7 Bearer t1 session.id=s1 {"customerId":"u7","items":[{"quantity":2,"sku":"sku-3"}],"region":"eu"}"#,
        ),
        (Step::Pay, r#"POST /api/orders/o-9/payment u7 Bearer t1 session.id=s1 {"method":"card"}"#),
        (Step::LookUp, "GET /api/orders/o-9 u7 Bearer t1 session.id=s1"),
        (Step::Partner, "GET /api/partners/stock?sku=sku-3 u7 key session.id=s1"),
    ];
    let customers = Customers { api_key: "key".to_owned(), ..Customers::of(address) };
    let report = Arc::new(Mutex::new(Report::new(Vec::new())));
    let runner = Arc::new(Runner::new(customers, Instant::now(), Arc::clone(&report)));
    for (step, _) in steps {
        Arc::clone(&runner).send(planned(0, step)).await;
    }
    let expected: Vec<&str> = steps.iter().map(|(_, line)| *line).collect();
    assert_eq!(*diary.lock().unwrap(), expected);
    let total = report.lock().unwrap().total();
    assert_eq!((total.sent, total.ok, total.failed, total.not_sent), (8, 7, 1, 0));
    assert_eq!(total.statuses[&503], 1);
}

#[tokio::test]
async fn integration_too_many_under_way_are_counted_and_not_sent() {
    let gate = Arc::new(Semaphore::new(0));
    let (address, _) = gateway(Arc::clone(&gate)).await;
    let customers = Customers { in_flight_max: 3, ..Customers::of(address) };
    let plan: Vec<_> = (0..10).map(|n| planned(n, Step::Browse)).collect();
    let report = Arc::new(Mutex::new(Report::new(Vec::new())));
    let stop = CancellationToken::new();
    let playing = tokio::spawn(run(plan, customers, Instant::now(), Arc::clone(&report), stop));
    let total = || report.lock().unwrap().total();
    // Nobody is let through before all ten have been decided on.
    while total().sent + total().not_sent < 10 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    playing.await.unwrap();
    let total = total();
    assert_eq!((total.sent, total.ok, total.not_sent), (3, 3, 7));
    assert_eq!(total.latency.total(), 3);
    // Counted from when each was meant to be sent: the last of the three had to wait for seven more.
    assert!(total.latency.quantile(0.0).unwrap() >= Duration::from_millis(7));
}

#[tokio::test]
async fn integration_nobody_listening_is_a_failure_with_status_zero() {
    let dead = DeadAddress::take().unwrap();
    let total = play(vec![planned(0, Step::Browse)], Customers::of(dead.address())).await.total();
    assert_eq!((total.sent, total.failed, total.statuses[&0]), (1, 1, 1));
}

#[tokio::test]
async fn integration_patience_ends() {
    let (address, _) = gateway(Arc::new(Semaphore::new(0))).await;
    let patience = Duration::from_millis(30);
    let customers = Customers { patience, ..Customers::of(address) };
    let total = play(vec![planned(0, Step::Browse)], customers).await.total();
    assert_eq!((total.failed, total.statuses[&0]), (1, 1));
}

#[tokio::test]
async fn integration_stops_when_told() {
    let (address, _) = gateway(Arc::new(Semaphore::new(100))).await;
    let report = Arc::new(Mutex::new(Report::new(Vec::new())));
    let stop = CancellationToken::new();
    stop.cancel();
    let endless = (0_u64..).map(|n| planned(3_600_000 + n, Step::Browse));
    run(endless, Customers::of(address), Instant::now(), Arc::clone(&report), stop).await;
    assert_eq!(report.lock().unwrap().total().sent, 0);
}

#[tokio::test]
async fn integration_who_is_told_to_leave_does_not_wait_for_long() {
    let (address, _) = gateway(Arc::new(Semaphore::new(0))).await;
    let report = Arc::new(Mutex::new(Report::new(Vec::new())));
    let stop = CancellationToken::new();
    let customers = Customers { patience: Duration::from_secs(3_600), ..Customers::of(address) };
    let plan = [planned(0, Step::Browse)];
    let playing = run(plan, customers, Instant::now(), Arc::clone(&report), stop.clone());
    let leave = async {
        while report.lock().unwrap().total().sent == 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(playing, leave);
    let total = report.lock().unwrap().total();
    assert_eq!((total.sent, total.ok, total.failed), (1, 0, 0));
}

#[test]
fn unit_memories_are_bounded() {
    let mut memories = Memories::default();
    for session in 1..=2 * MEMORIES_MAX as u64 {
        memories.learn(&Planned { session, ..planned(0, Step::Order) }, br#"{"orderId":"o"}"#);
    }
    assert_eq!(memories.by_session.len(), MEMORIES_MAX);
    assert!(memories.recall(1).order_id.is_none());
    assert!(memories.recall(2 * MEMORIES_MAX as u64).order_id.is_some());
}
