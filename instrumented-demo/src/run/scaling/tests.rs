//! Samples in, decisions out, on a clock of the test's own; and a fleet that grows and shrinks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// Looks every five seconds. Each look has the instances, and how much of a core each of them used
/// since the last one; gives the number of instances after each.
fn play(role: Role, looks: &[(u32, f64)]) -> Vec<u32> {
    let start = Instant::now();
    let mut supervisor = Supervisor::new(Policy::small());
    let mut used: BTreeMap<String, f64> = BTreeMap::new();
    let mut after = Vec::new();
    for (nth, (instances, cores)) in (0..).zip(looks) {
        let samples: Vec<Sample> = (1..=*instances)
            .map(|number| {
                let instance = format!("{role}-{number}");
                let cpu_s = used.entry(instance.clone()).or_insert(0.0);
                *cpu_s += 5.0 * cores;
                Sample { role, instance, cpu_s: *cpu_s, memory_bytes: None }
            })
            .collect();
        let decided = supervisor.decide(start + Duration::from_secs(5 * nth), &samples);
        after.push(decided[&role].map_or(*instances, |event| event.to));
    }
    after
}

#[test]
fn unit_busy_services_grow_and_idle_ones_shrink_to_where_they_began() {
    let idle = 0.01;
    // 0.35 cores are 140 % of the request, twice the target.
    assert_eq!(play(Role::Pricing, &[(3, 0.0), (3, 0.35), (6, 0.17)]), [3, 6, 6]);
    assert_eq!(play(Role::User, &[(2, idle); 3]), [2, 2, 2]);
    let mut looks = vec![(3, 0.0), (3, 0.23)];
    looks.extend([(4, idle); 8]);
    assert_eq!(play(Role::Pricing, &looks), [3, 4, 4, 4, 4, 4, 4, 3, 3, 3]);
}

#[test]
fn unit_an_instance_seen_first_uses_nothing_yet() {
    // Restarted, it begins at zero again, which is not less than nothing.
    let role = Role::Payment;
    let sample = |instance: &str, cpu_s| Sample {
        role,
        instance: instance.to_owned(),
        cpu_s,
        memory_bytes: Some(100 << 20),
    };
    let mut supervisor = Supervisor::new(Policy::small());
    let start = Instant::now();
    assert_eq!(supervisor.decide(start, &[sample("a", 90.0), sample("b", 90.0)])[&role], None);
    let later = start + Duration::from_secs(5);
    assert_eq!(supervisor.decide(later, &[sample("a", 0.1), sample("b", 90.1)])[&role], None);
}

#[test]
fn unit_memory_decides_where_it_is_known() {
    let role = Role::Payment;
    let sample = |instance: &str| Sample {
        role,
        instance: instance.to_owned(),
        cpu_s: 0.0,
        memory_bytes: Some(400 << 20),
    };
    let mut supervisor = Supervisor::new(Policy::small());
    let event = supervisor.decide(Instant::now(), &[sample("a"), sample("b")])[&role].unwrap();
    assert_eq!((event.from, event.to, event.metric.name()), (2, 4, "memory"));
}
