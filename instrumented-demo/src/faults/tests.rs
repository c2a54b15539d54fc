//! A whole case in small: customers, a gateway, an edge through a proxy, a fault, and the truth.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Command, Driver, Fleet, Outcome, Phases, Script, World, drive};
use crate::load::{Customers, Histogram, Options, Plan, Report, Traffic, run};
use crate::proxy::Mesh;
use crate::resilience::{Call, Deadline, Edge, EdgePolicy, Failure, TimedOut, Verdict};
use crate::scenarios::Scenario;
use crate::truth::Record;

const SEED: u64 = 3;
const CALLER: &str = "order-service";
const CALLEE: &str = "payment-service";

/// A system whose ways can be spoiled, and nothing else.
struct Ways(Arc<Mesh>);

impl World for Ways {
    async fn obey(&self, command: Command) -> anyhow::Result<()> {
        let Command::Network { caller, callee, conditions } = command else {
            anyhow::bail!("only ways can be spoiled here")
        };
        self.0.set(&caller, &callee, conditions).await;
        Ok(())
    }
}

#[derive(Debug)]
struct Broken(&'static str);

impl From<TimedOut> for Broken {
    fn from(_: TimedOut) -> Broken {
        Broken("timeout")
    }
}

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Broken {
        Broken("io")
    }
}

impl Failure for Broken {
    fn verdict(&self) -> Verdict {
        Verdict::Transient
    }

    fn error_type(&self) -> &'static str {
        self.0
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers every byte with a byte.
async fn payment() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

/// Asks `payment` over an edge for each request, whatever it is.
async fn gateway(payment: SocketAddr) -> SocketAddr {
    let edge = Arc::new(Edge::new(CALLEE, EdgePolicy::default(), SEED));
    let handle = move || {
        let edge = Arc::clone(&edge);
        async move {
            let now = Instant::now().into_std();
            let call = Call::new(Deadline::within(now, Duration::from_secs(5)), true);
            let ask = |attempt: crate::resilience::Attempt| attempt.limit(charge(payment));
            match edge.call(call, &(), ask).await {
                Ok(()) => StatusCode::OK,
                Err(_) => StatusCode::BAD_GATEWAY,
            }
        }
    };
    let (listener, address) = listen().await;
    let app = Router::new().fallback(handle);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn charge(payment: SocketAddr) -> Result<(), Broken> {
    let mut stream = TcpStream::connect(payment).await?;
    stream.write_all(b"?").await?;
    stream.read_u8().await?;
    Ok(())
}

/// Plays a scenario against the system and returns what came of it.
async fn play(id: u8) -> (Outcome, Report, Record) {
    let phases = Phases::within(Duration::from_millis(3_400));
    let script = Script::new(Scenario::by_id(id).unwrap(), phases, SEED, &Fleet::default());
    let mesh = Arc::new(Mesh::new(SEED));
    let payment = mesh.address(CALLER, CALLEE, payment().await).await.unwrap();
    let customers = Customers::of(gateway(payment).await);

    let options = Options {
        seed: SEED,
        rate_per_s: 100.0,
        traffic: Traffic::Steady,
        duration: Some(phases.total()),
        change: script.load,
        ..Options::default()
    };
    let report = Arc::new(Mutex::new(Report::new(phases.boundaries())));
    let (start, stop) = (Instant::now(), CancellationToken::new());
    let sending = run(Plan::new(options), customers, start, Arc::clone(&report), stop.clone());
    let (_, more) = mpsc::channel(1);
    let world = Ways(mesh);
    let driving = drive(Driver::new(script.effects.clone()), more, start, &world, stop);
    let ((), outcome) = tokio::join!(sending, driving);

    let report = report.lock().unwrap().clone();
    let record = script.record(0, &report);
    (outcome, report, record)
}

#[tokio::test]
async fn integration_a_slow_way_is_noticed_and_goes_away() {
    let (outcome, report, record) = play(4).await;
    assert_eq!((outcome.obeyed, outcome.failed), (2, 0), "{:?}", outcome.failures);
    let total = report.total();
    assert_eq!((total.ok, total.failed, total.not_sent), (total.sent, 0, 0));
    assert!(record.valid, "{}", record.why);
    let median_ms = |phase| {
        let mut all = Histogram::default();
        report.phase(phase).for_each(|(_, tally)| all.merge(&tally.latency));
        all.quantile(0.5).unwrap().as_millis()
    };
    // 80 ± 20 ms, and only then.
    assert!(median_ms(Phases::FAULT) >= 60, "{report}");
    assert!(median_ms(Phases::BASELINE) < 60, "{report}");
    assert!(median_ms(Phases::FAULT + 1) < 60, "{report}");
}

#[tokio::test]
async fn integration_three_times_the_traffic_comes_and_breaks_nothing() {
    let (outcome, report, record) = play(28).await;
    assert_eq!((outcome.obeyed, outcome.failed), (0, 0));
    let per_second = |phase, seconds: f64| {
        report.phase(phase).map(|(_, tally)| tally.sent as f64).sum::<f64>() / seconds
    };
    // 120 and 300 requests are expected: far apart even with five standard deviations.
    assert!(per_second(Phases::BASELINE, 1.2) < 150.0, "{report}");
    assert!(per_second(Phases::FAULT, 1.0) > 210.0, "{report}");
    assert!(record.control);
}
