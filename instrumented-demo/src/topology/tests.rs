//! The lists agree with each other.

use super::*;

#[test]
fn unit_names_and_ports_are_those_of_the_article() {
    let ports = [
        (Role::Gateway, "gateway", 8080),
        (Role::User, "user-service", 3000),
        (Role::Order, "order-service", 3001),
        (Role::Inventory, "inventory-service", 3002),
    ];
    for (role, name, port) in ports {
        assert_eq!((role.name(), role.facts().port), (name, port));
        assert_eq!(Role::by_name(name), Some(role));
    }
    let mut all: Vec<_> = Role::ALL.iter().map(|role| role.facts().port).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), Role::ALL.len());
}

#[test]
fn unit_every_instrumented_role_has_an_owner() {
    for role in Role::ALL {
        let facts = role.facts();
        assert_eq!(role.is_instrumented(), !facts.team.is_empty(), "{role}");
        assert_eq!(facts.team.is_empty(), facts.domain.is_empty(), "{role}");
    }
}

#[test]
fn unit_the_small_shop_is_part_of_the_large_one() {
    let (small, large) = (expected_edges(Shop::Five), expected_edges(Shop::All));
    assert!(small.iter().all(|edge| large.contains(edge)));
    let show = |edge: &Edge| format!("{}>{}", edge.caller, edge.callee);
    let small: Vec<_> = small.iter().map(show).collect();
    for edge in
        ["gateway>order-service", "order-service>bus:orders", "bus:orders>inventory-service"]
    {
        assert!(small.contains(&edge.to_owned()), "{edge}: {small:?}");
    }
    assert!(!small.iter().any(|edge| edge.contains("pricing")));
}

#[test]
fn unit_paths_hold_templates_and_no_ids() {
    for route in ROUTES {
        assert!(route.path.starts_with("/api/"), "{}", route.path);
        assert!(route.path.split('/').all(|part| !part.contains(char::is_numeric)));
    }
}
