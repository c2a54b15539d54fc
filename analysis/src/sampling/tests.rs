//! Weights out of tracestates.

use super::*;

fn check(trace_state: &str, expected: Option<f64>) {
    let known = match Sampling::of(trace_state) {
        Sampling::Known(weight) => Some(weight.as_f64()),
        Sampling::Unknown => None,
    };
    assert_eq!(known, expected, "{trace_state:?}");
    assert_eq!(Sampling::of(trace_state).weight().as_f64(), expected.unwrap_or(1.0));
}

#[test]
fn the_threshold_gives_the_weight() {
    check("ot=th:c", Some(4.0));
    check("ot=th:8", Some(2.0));
    check("ot=th:0", Some(1.0));
    check("ot=th:80000000000000", Some(2.0));
    check("ot=th:ffc", Some(1024.0));
    check("vendor=1, ot=rv:abc;th:e ,other=th:8", Some(8.0));
    check("ot=th:ffffffffffffff", Some(4_294_967_296.0));
}

#[test]
fn what_cannot_be_read_is_unknown() {
    for text in [
        "",
        "ot=",
        "ot=rv:1",
        "ot=th:",
        "ot=th:C",
        "ot=th:zz",
        "ot=th:123456789abcdef",
        "x=th:8",
        "th:8",
        "ot=th:+8",
    ] {
        check(text, None);
    }
}

#[test]
fn a_third_is_rounded_to_a_millionth() {
    let weight = Sampling::of("ot=th:55555555555555").weight();
    assert!((weight.as_f64() - 1.5).abs() < 1e-6, "{weight:?}");
}

#[test]
fn numbers_become_weights_within_the_bounds() {
    for (number, expected) in [
        (1.0, 1.0),
        (2.5, 2.5),
        (0.0, 1.0),
        (-3.0, 1.0),
        (f64::NAN, 1.0),
        (f64::INFINITY, 4_294_967_296.0),
    ] {
        assert_eq!(Weight::from_f64(number).as_f64(), expected, "{number}");
    }
}
