//! Which rows of a view blame a culprit.

use super::*;

fn check(kind: CulpritKind, name: &str, subjects: &[&str], expected: Option<usize>) {
    let row = |subject: &&str| Named { subject: (*subject).to_owned(), ..Named::default() };
    let rows: Vec<Named> = subjects.iter().map(row).collect();
    let scenario = Scenario::by_id(1).expect("S1 is there");
    let mut record = Record::new(scenario, 1, 0, 1);
    record.culprit = Culprit { kind, name: name.to_owned() };
    record.also.clear();
    assert_eq!(rank(&rows, &record), expected, "{name} in {subjects:?}");
}

#[test]
fn a_culprit_is_named_by_itself_its_parts_and_the_edges_into_it() {
    use CulpritKind::{Attribute, Db, Edge, Instance, Service};
    check(Service, "order", &["pricing", "order"], Some(2));
    check(Service, "order", &["gateway→order"], Some(1));
    check(Service, "order", &["gateway → order"], Some(1));
    check(Service, "order", &["order POST /orders → pricing"], Some(1));
    check(Service, "order", &["order-query", "order→pricing"], None);
    check(Edge, "a→b", &["b→a", "a → b"], Some(2));
    check(Db, "sqlite:users", &["user → sqlite:users@replica-1"], None);
    check(Db, "sqlite:users", &["sqlite:users@replica-1"], Some(1));
    check(Db, "sqlite:users@replica-1", &["peer=sqlite:users@replica-1"], Some(1));
    check(Instance, "order-2", &["order POST /orders on order-2"], Some(1));
    check(Attribute, "service.version=1.4.1", &["order 1.4.1"], Some(1));
    check(Attribute, "service.version=1.4.1", &["resource.service.version=1.4.1"], Some(1));
    check(Instance, "order-2", &["resource.service.instance.id=order-2"], Some(1));
    check(Attribute, "customer.id", &["customer.id=7"], Some(1));
}

#[test]
fn of_two_faults_at_once_both_must_be_named() {
    let row = |subject: &str| Named { subject: subject.to_owned(), ..Named::default() };
    let record = Record::new(Scenario::by_id(TOGETHER).expect("S30 is there"), 1, 0, 1);
    let [prices, payment] = ["sqlite:prices", "order-service→payment-service"].map(row);
    assert_eq!(rank(&[prices, row("gateway"), payment], &record), Some(3));
    assert_eq!(rank(&[row("sqlite:prices")], &record), None);
}

#[test]
fn nobody_is_never_named() {
    check(CulpritKind::Nobody, "nobody", &["nobody"], None);
}

#[test]
fn ranks_are_counted_beside_those_of_chance() {
    use summary::{Ranks, by_chance};
    let found = Ranks::of([Some(1), Some(2), Some(4), None].into_iter());
    assert_eq!(found, Ranks { first: 0.25, third: 0.5, reciprocal: 1.75 / 4.0 });
    let guessed = by_chance([4].into_iter());
    let reciprocal = (1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0) / 4.0;
    assert_eq!(guessed, Ranks { first: 0.25, third: 0.75, reciprocal });
    assert_eq!(Ranks::of([].into_iter()), Ranks::default());
}
