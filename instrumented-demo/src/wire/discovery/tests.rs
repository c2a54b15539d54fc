//! When the registry is asked, and which instance is taken.

use super::*;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn discovery(fixed: Addresses) -> Discovery {
    Discovery::new(Role::Gateway, fixed, Redirects::default(), 1)
}

#[test]
fn unit_the_registry_is_asked_once_in_a_while() {
    let discovery = discovery(Addresses::default());
    let now = Instant::now();
    assert!(discovery.should_ask(Role::User, now));
    discovery.learn(Role::User, vec![address(1)], now);
    assert!(!discovery.should_ask(Role::User, now + FRESH / 2));
    assert!(discovery.should_ask(Role::User, now + FRESH));
    assert!(!discovery.should_ask(Role::User, now + FRESH), "one asks for all");
    // An empty answer leaves what was known.
    discovery.learn(Role::User, Vec::new(), now + FRESH);
    assert_eq!(discovery.pick(Role::User).map(|picked| picked.address), Some(address(1)));
    discovery.doubt(Role::User);
    assert!(discovery.should_ask(Role::User, now + FRESH));
}

#[test]
fn unit_fixed_addresses_need_no_registry() {
    let mut fixed = Addresses::default();
    fixed.add(Role::Psp, address(5));
    let discovery = discovery(fixed);
    assert!(!discovery.should_ask(Role::Psp, Instant::now()));
    assert_eq!(discovery.pick(Role::Psp).map(|picked| picked.address), Some(address(5)));
    assert!(discovery.pick(Role::User).is_none());
}

#[test]
fn unit_the_busy_instance_gets_less() {
    let discovery = discovery(Addresses::default());
    discovery.learn(Role::User, vec![address(1), address(2)], Instant::now());
    let mut held = Vec::new();
    for _ in 0..100 {
        held.extend(discovery.pick(Role::User));
    }
    let first = held.iter().filter(|picked| picked.address == address(1)).count();
    assert!((45..=55).contains(&first), "{first} of 100");
    drop(held);
    let busy: usize = discovery.lock().busy.values().map(|b| b.load(Ordering::Relaxed)).sum();
    assert_eq!(busy, 0);
}

#[test]
fn unit_a_redirect_holds_for_its_caller_alone() {
    let redirects = Redirects::default();
    redirects.set(Role::Gateway, address(1), address(9));
    assert_eq!(redirects.apply(Role::Gateway, address(1)), address(9));
    assert_eq!(redirects.apply(Role::Order, address(1)), address(1));
    redirects.clear(Role::Gateway, address(1));
    assert_eq!(redirects.apply(Role::Gateway, address(1)), address(1));
}
