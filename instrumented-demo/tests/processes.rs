//! The system as processes: the same edges as with threads, and nobody is left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/run/tests/customer.rs"]
#[allow(dead_code, reason = "shared with the tests of the library")]
mod customer;
#[path = "../src/test_collector.rs"]
#[allow(dead_code, reason = "shared with the tests of the library")]
mod test_collector;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use customer::Customer;
use instrumented_demo::autoscale::{Policy, Utilisation};
use instrumented_demo::faults::{Command, World};
use instrumented_demo::run::{self, Mode, Options, Ports, Program, Running, Scaling};
use instrumented_demo::telemetry::Settings;
use instrumented_demo::topology::{INSTANCES_MAX, Shop, TOPICS, expected_edges};
use test_collector::{CONSUMER, Collector, attribute};

async fn start(collector: &Collector, options: Options) -> Running {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_instrumented-demo"));
    let telemetry = Settings { endpoint: Some(collector.endpoint.clone()), ..Settings::default() };
    let options = Options {
        mode: Mode::Processes,
        ports: Ports::Free,
        rate_per_s: 0.0,
        telemetry,
        program: Some(Program { path, arguments: vec!["instance".to_owned()] }),
        ..options
    };
    run::start(options).await.unwrap()
}

fn small() -> Options {
    Options { shop: Shop::Five, ..Options::default() }
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A process for a place, by the name of its instance.
fn pid_of(running: &Running, name: &str) -> Option<u32> {
    running.footprint().iter().find(|one| one.name == name).map(|one| one.pid)
}

/// Each consumer of the small shop has had a message.
fn has_consumed(arrived: &test_collector::Arrived) -> bool {
    let roles = Shop::Five.roles();
    let consumers = TOPICS.iter().flat_map(|topic| topic.consumers);
    let wanted: BTreeSet<_> =
        consumers.filter(|role| roles.contains(role)).map(|role| role.name()).collect();
    let spans = arrived.spans.iter().filter(|(_, span)| span.kind == CONSUMER);
    wanted == spans.map(|(service, _)| service.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn end_to_end_processes_have_the_edges_of_the_topology_and_leave_nobody() {
    let collector = Collector::start().await;
    let running = start(&collector, Options { tls: true, ..small() }).await;
    let usage = running.footprint();
    assert_eq!(usage.len(), running.listeners().len());
    for one in &usage {
        assert!(one.resident_bytes > 1_000_000 && one.pid != std::process::id(), "{one:?}");
    }
    Customer::use_everything(running.gateway_addr()).await;
    collector.until("a message for each consumer", has_consumed).await;
    let ended = running.stop().await;
    assert_eq!(ended.losses, Vec::<String>::new());
    let left: Vec<_> = usage.iter().filter(|one| is_alive(one.pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    let expected: BTreeSet<_> = expected_edges(Shop::Five).into_iter().collect();
    let seen = collector.arrived().edges();
    let missing: Vec<_> = expected.difference(&seen).collect();
    let extra: Vec<_> = seen.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}\nextra {extra:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn end_to_end_a_killed_process_comes_back() {
    let collector = Collector::start().await;
    let running = start(&collector, small()).await;
    let pid = |running: &Running| pid_of(running, "payment-service-1");
    let before = pid(&running).unwrap();
    let down_for = Duration::from_millis(1);
    let instance = "payment-service-1".to_owned();
    running.world().obey(Command::Terminate { instance, down_for }).await.unwrap();
    let is_back = async {
        while pid(&running).is_none_or(|now| now == before) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_back).await.expect("it did not come back");
    assert!(!is_alive(before));
    for number in 1..=8 {
        let customer = Customer::new(running.gateway_addr(), &format!("u{number}"));
        assert_eq!(customer.order("sku-1").await.status, 201);
    }
    let pids: Vec<_> = running.footprint().iter().map(|one| one.pid).collect();
    // Dropped without a stop, as by a panic: the children go too.
    drop(running);
    let are_gone = async {
        while pids.iter().any(|pid| is_alive(*pid)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), are_gone).await.expect("somebody is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn end_to_end_busy_processes_get_company() {
    let target = Utilisation { cpu_percent: 1e-6, memory_percent: 1e9 };
    let scale_down_after = Duration::from_secs(3_600);
    let scaling = Scaling {
        every: Duration::from_millis(20),
        policy: Policy { target, scale_down_after, ..Policy::small() },
        leave_time: Duration::ZERO,
    };
    let collector = Collector::start().await;
    let options = Options { scaling: Some(scaling), ..Options::default() };
    let running = start(&collector, options).await;
    let last = format!("payment-service-{INSTANCES_MAX}");
    let sends = |arrived: &test_collector::Arrived| {
        let ids = arrived.resources.iter();
        let mut ids = ids.filter_map(|r| attribute(&r.attributes, "service.instance.id"));
        ids.any(|id| id == last)
    };
    collector.until("telemetry of the last instance", sends).await;
    assert!(pid_of(&running, &last).is_some_and(is_alive));
    let pids: Vec<_> = running.footprint().iter().map(|one| one.pid).collect();
    let ended = running.stop().await;
    assert_eq!(ended.losses, Vec::<String>::new());
    let left: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    let memory = collector.arrived().metrics;
    assert!(memory.iter().any(|(_, metric)| metric.name == "process.memory.usage"));
}
