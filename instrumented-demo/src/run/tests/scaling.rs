//! An autoscaler that finds everybody busy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use crate::autoscale::{Policy, Utilisation};
use crate::run::{self, Options, Ports, Scaling};
use crate::telemetry::Settings;
use crate::test_collector::{Arrived, Collector, attribute};
use crate::topology::{INSTANCES_MAX, Role};

/// Whoever uses anything at all is busy, and nobody is let go.
fn eager() -> Scaling {
    let target = Utilisation { cpu_percent: 1e-6, memory_percent: 1e9 };
    let scale_down_after = Duration::from_secs(3_600);
    Scaling {
        every: Duration::from_millis(20),
        policy: Policy { target, scale_down_after, ..Policy::small() },
        leave_time: Duration::ZERO,
    }
}

/// The services that the autoscaler says it has brought to the most.
fn grown(arrived: &Arrived) -> BTreeSet<String> {
    let lines = arrived.logs.iter().filter(|(service, _)| service == "autoscaler");
    let most = INSTANCES_MAX.to_string();
    let at_most = |(_, line): &(String, opentelemetry_proto::tonic::logs::v1::LogRecord)| {
        let to = attribute(&line.attributes, "to")?;
        (to == most).then(|| attribute(&line.attributes, "scaled"))?
    };
    lines.filter_map(at_most).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_services_get_company_that_can_be_seen() {
    let collector = Collector::start().await;
    let endpoint = Some(collector.endpoint.clone());
    let options = Options {
        ports: Ports::Free,
        rate_per_s: 0.0,
        scaling: Some(eager()),
        telemetry: Settings { endpoint, ..Settings::default() },
        ..Options::default()
    };
    let running = run::start(options).await.unwrap();
    let scaled: BTreeSet<String> = Role::ALL
        .into_iter()
        .filter(|role| role.is_scaled())
        .map(|role| role.name().to_owned())
        .collect();
    assert_eq!(scaled.len(), 3, "{scaled:?}");
    collector.until("the word of the autoscaler", |arrived| grown(arrived) == scaled).await;
    let ended = running.stop().await;
    assert_eq!(ended.losses, Vec::<String>::new());
    let arrived = collector.arrived();
    let ids = arrived.resources.iter();
    let ids: BTreeSet<String> =
        ids.filter_map(|r| attribute(&r.attributes, "service.instance.id")).collect();
    for service in &scaled {
        let last = format!("{service}-{INSTANCES_MAX}");
        assert!(ids.contains(&last), "{last} sends nothing: {ids:?}");
    }
    let names: BTreeSet<&str> =
        arrived.metrics.iter().map(|(_, metric)| metric.name.as_str()).collect();
    for name in ["autoscaler.instances.current", "autoscaler.instances.desired", "process.cpu.time"]
    {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    // Threads of one process have no memory of their own.
    assert!(!names.contains("process.memory.usage"));
}
