//! Instances that come later and go earlier than the others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use super::*;
use crate::autoscale::Policy;
use crate::faults::Knob;
use crate::run::{self, Ports, Running, Scaling};
use crate::telemetry;
use crate::test_collector::{Collector, attribute};

/// A shop whose autoscaler looks once, finds nobody busy, and leaves the rest to the test.
async fn start(collector: &Collector) -> Running {
    let scaling = Scaling {
        every: Duration::from_secs(3_600),
        policy: Policy::small(),
        leave_time: Duration::from_millis(1),
    };
    let endpoint = Some(collector.endpoint.clone());
    let options = Options {
        ports: Ports::Free,
        rate_per_s: 0.0,
        scaling: Some(scaling),
        telemetry: telemetry::Settings { endpoint, ..telemetry::Settings::default() },
        ..Options::default()
    };
    run::start(options).await.unwrap()
}

fn places(fleet: &Fleet, role: Role) -> Vec<usize> {
    (0..fleet.specs.len()).filter(|at| fleet.specs[*at].role == role).collect()
}

fn counted(fleet: &Fleet, role: Role) -> Vec<String> {
    let samples = fleet.samples().into_iter();
    samples.filter(|sample| sample.role == role).map(|sample| sample.instance).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_leave_and_are_like_the_others() {
    let collector = Collector::start().await;
    let running = start(&collector).await;
    let fleet = &running.fleet;
    let role = Role::Pricing;
    let broken: Settings = [Knob::ErrorPercent(30)].into_iter().collect();
    for number in 1..=3 {
        let instance = format!("pricing-service-{number}");
        let settings = Box::new(broken.clone());
        fleet.obey(Command::Settings { instance, settings }).await.unwrap();
    }
    fleet.scale(role, 5).await.unwrap();
    let names: Vec<String> = (1..=5).map(|number| format!("pricing-service-{number}")).collect();
    assert_eq!(counted(fleet, role), names);
    let places = places(fleet, role);
    assert_eq!(*fleet.slots()[&places[4]].knobs.read(), broken);

    // Beyond what there are places for, and below what there was: neither is possible.
    fleet.scale(role, 50).await.unwrap();
    assert_eq!(counted(fleet, role).len(), crate::topology::INSTANCES_MAX);
    fleet.scale(role, 0).await.unwrap();
    assert_eq!(counted(fleet, role), names[..3]);
    fleet.until_gone(&places[3..]).await;

    let ended = running.stop().await;
    assert_eq!(ended.losses, Vec::<String>::new());
    let arrived = collector.arrived();
    let seen = |id: &str| {
        let ids = arrived.resources.iter();
        ids.filter_map(|r| attribute(&r.attributes, "service.instance.id")).any(|seen| seen == id)
    };
    assert!(names.iter().all(|name| seen(name)));
}
