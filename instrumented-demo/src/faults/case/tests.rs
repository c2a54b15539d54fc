//! A whole case in small: customers, a gateway, an edge through a proxy, a fault, and the truth.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Case, Played};
use crate::chaos::{Chaos, Clock};
use crate::faults::{Command, Fleet, Phases, World};
use crate::load::{Histogram, Options, Report, Traffic};
use crate::proxy::Mesh;
use crate::resilience::{Call, Deadline, Edge, EdgePolicy, Failure, TimedOut, Verdict};
use crate::scenarios::Scenario;
use crate::truth::{self, Record};

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
    // So patient that a busy machine makes nothing fail.
    let policy = EdgePolicy { timeout: Duration::from_secs(60), ..EdgePolicy::default() };
    let edge = Arc::new(Edge::new(CALLEE, policy, SEED));
    let handle = move || {
        let edge = Arc::clone(&edge);
        async move {
            let now = Instant::now().into_std();
            let call = Call::new(Deadline::within(now, Duration::from_secs(60)), true);
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

/// What came of a case.
struct Seen {
    played: Played,
    report: Report,
    /// The file of records.
    truth: Vec<Record>,
}

/// Plays a case of a bit more than three seconds.
async fn play(
    scenario: Option<u8>,
    chaos: Option<(Chaos, Clock)>,
    stop: CancellationToken,
) -> Seen {
    let phases = Phases::within(Duration::from_millis(3_400));
    let load = Options {
        seed: SEED,
        rate_per_s: 100.0,
        traffic: Traffic::Steady,
        duration: Some(phases.total()),
        ..Options::default()
    };
    let scenario = scenario.map(|id| Scenario::by_id(id).unwrap());
    let case = Case { scenario, phases, load, chaos };
    let mesh = Arc::new(Mesh::new(SEED));
    let payment = mesh.address(CALLER, CALLEE, payment().await).await.unwrap();
    let gateway = gateway(payment).await;
    let edges = vec![(CALLER.to_owned(), CALLEE.to_owned())];
    let fleet = Fleet { instances: Vec::new(), edges };
    let (folder, report, world) = (tempfile::tempdir().unwrap(), case.report(), Ways(mesh));
    let playing =
        case.play(gateway, &fleet, &world, Some(folder.path()), Arc::clone(&report), stop);
    let played = playing.await.unwrap();
    let file = File::open(folder.path().join(truth::FILE_NAME)).unwrap();
    let truth = truth::read(BufReader::new(file)).unwrap();
    let report = report.lock().unwrap().clone();
    Seen { played, report, truth }
}

#[tokio::test]
async fn integration_a_slow_way_is_noticed_and_goes_away() {
    let Seen { played, report, truth } = play(Some(4), None, CancellationToken::new()).await;
    let (outcome, record) = (played.outcome, played.record.unwrap());
    assert_eq!(truth, std::slice::from_ref(&record));
    assert_eq!((outcome.obeyed, outcome.failed), (2, 0), "{:?}", outcome.failures);
    let total = report.total();
    assert_eq!(total.ok + total.failed, total.sent);
    assert_eq!(record.culprit.name, "order-service→payment-service");
    let quantile_ms = |phase, share| {
        let mut all = Histogram::default();
        report.phase(phase).for_each(|(_, tally)| all.merge(&tally.latency));
        all.quantile(share).unwrap().as_millis()
    };
    // 80 ± 20 ms, and only then. The fastest of a phase are fast on a busy machine as well.
    assert!(quantile_ms(Phases::FAULT, 0.5) >= 60, "{report}");
    assert!(quantile_ms(Phases::BASELINE, 0.0) < 60, "{report}");
    assert!(quantile_ms(Phases::FAULT + 1, 0.0) < 60, "{report}");
}

#[tokio::test]
async fn integration_three_times_the_traffic_comes_and_breaks_nothing() {
    let Seen { played, report, .. } = play(Some(28), None, CancellationToken::new()).await;
    let (outcome, record) = (played.outcome, played.record.unwrap());
    assert_eq!((outcome.obeyed, outcome.failed), (0, 0));
    let per_second = |phase, seconds: f64| {
        report.phase(phase).map(|(_, tally)| tally.sent as f64).sum::<f64>() / seconds
    };
    // 120 and 300 requests are expected: far apart even with five standard deviations.
    assert!(per_second(Phases::BASELINE, 1.2) < 150.0, "{report}");
    assert!(per_second(Phases::FAULT, 1.0) > 210.0, "{report}");
    assert!(record.control);
}

#[tokio::test]
async fn integration_the_timetable_strikes_and_is_written_down() {
    // A firing each half second.
    let text = "chaos: {enabled: true, schedule: '* * * * *', probability: 1, duration: 1s,
                        actions: [{type: networkLatency, latency: 40ms}]}";
    let clock = Clock { start: "2026-01-05T00:00:00".parse().unwrap(), speed: 120.0 };
    let chaos = Some((Chaos::parse(text).unwrap(), clock));
    let Seen { played, truth, .. } = play(None, chaos, CancellationToken::new()).await;
    assert_eq!(played.record, None);
    // At least so many; more if the last customers have to wait for their answers.
    assert!(truth.len() >= 5, "{truth:?}");
    for record in &truth {
        assert_eq!(record.culprit.name, "order-service→payment-service");
        assert_eq!(record.end_ns - record.start_ns, 1_000_000_000);
    }
    // One strike begins before the other ends: slow once, and fast again at the end.
    assert!(played.outcome.obeyed >= 2);
    assert_eq!(played.outcome.failed, 0, "{:?}", played.outcome.failures);
}

#[tokio::test]
async fn integration_a_run_that_is_stopped_at_once_has_nothing_to_tell() {
    let stop = CancellationToken::new();
    stop.cancel();
    let Seen { played, truth, .. } = play(Some(4), None, stop).await;
    assert_eq!((played.record, truth), (None, Vec::new()));
}
