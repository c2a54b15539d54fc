//! Section 4 of the definitions: clock correction from the trace and from a window.

use super::picture::{MS, Picture, Ran, TRACE, run, run_with};
use crate::kernel::{Shift, WindowBuilder};
use crate::{Kernel, Options, SkewMode};

/// What was added to the start of each span, and how many corrections were refused.
#[track_caller]
fn check(picture: &str, shifts: &str, refused: u32) -> Ran {
    let ran = run(picture);
    assert_eq!(ran.each_ms(|f| f.skew_ns), shifts, "{picture}");
    assert_eq!(ran.trace.skew_refused, refused, "{picture}");
    ran
}

#[test]
fn trace_rule() {
    for (child, expected) in [
        ("V t 170-190 clock=y", "50"),
        ("V t 190-280 clock=y", "10"),
        ("V t 200-260 clock=y", "0"),
        ("V t 210-250 clock=y", "0"),
        ("V t 170-190 clock=x", "0"),
        ("V t 170-190", "0"),
        ("I t 170-190 clock=y", "0"),
        ("C t 170-190 clock=y", "0"),
        ("V t 20170-20190 clock=y", "0"),
    ] {
        let refused = u32::from(child.contains("20170"));
        check(
            &format!("p - L s 200-260 clock=x\nc p {child}"),
            &format!("p 0, c {expected}"),
            refused,
        );
    }
    // A client without a known clock corrects nobody.
    check("p - L s 200-260\nc p V t 170-190 clock=y", "p 0, c 0", 0);
}

#[test]
fn corrected_times_decide() {
    let ran = check(
        "p - L s 200-260 clock=x\nc p V t 170-190 clock=y\nd c I t 175-180 clock=y",
        "p 0, c 50, d 50",
        0,
    );
    assert_eq!(ran.each_ms(|f| f.self_ns), "p 40, c 15, d 5");
    assert_eq!(ran.each_ms(|f| f.critical_ns), "p 40, c 15, d 5");
    assert_eq!(ran.each_ms(|f| f.overflow_ns), "p 0, c 0, d 0");
    assert_eq!(ran.trace.start_ns, 200 * MS);
}

#[test]
fn the_first_call_that_reaches_a_host_fixes_it() {
    // By depth, then start; a shift is handed on to the callee's callees.
    check(
        "r - V a 0-100 clock=a
         1 r L a 10-30 clock=a
         2 1 V b 110-130 clock=b
         3 2 L b 112-120 clock=b
         4 3 V c 10-18 clock=c
         5 r L a 40-60 clock=a
         6 5 V b 150-170 clock=b",
        "r 0, 1 0, 2 -100, 3 -100, 4 2, 5 0, 6 -100",
        0,
    );
    // The host of the root stays, even when it is called back.
    check(
        "r - V a 0-100 clock=a
         1 r L a 10-30 clock=a
         2 1 V b 10-30 clock=b
         3 2 L b 12-20 clock=b
         4 3 V a 52-60 clock=a",
        "r 0, 1 0, 2 0, 3 0, 4 0",
        0,
    );
}

#[test]
fn modes() {
    let picture = "p - L s 200-260 clock=x\nc p V t 170-190 clock=y";
    for (skew, expected) in [
        (SkewMode::Off, "p 0, c 0"),
        (SkewMode::Trace, "p 0, c 50"),
        (SkewMode::Window, "p 0, c 50"),
    ] {
        let ran = run_with(picture, Options { skew, ..Options::default() }, |_| {});
        assert_eq!(ran.each_ms(|f| f.skew_ns), expected, "{skew:?}");
    }
}

/// Calls whose bounds are those of the example: 43 and 47, so 45 is added.
const CALLS: [(i64, i64); 8] =
    [(38, 47), (39, 48), (40, 48), (40, 49), (41, 50), (41, 52), (42, 55), (43, 60)];

/// A kernel whose window learned from calls of x to y.
fn learned(calls: &[(i64, i64)], mut kernel: Kernel) -> Kernel {
    let mut builder = WindowBuilder::new();
    for (number, (lower, upper)) in calls.iter().enumerate() {
        let (start, inner) = (1000, 20);
        let server = start - lower;
        let client_end = start + inner + upper - lower;
        let text = format!(
            "p - L s {start}-{client_end} clock=x hash={number} addr=pay:80
             c p V t {server}-{} clock=y addr=pay:80",
            server + inner
        );
        let picture = Picture::read(&text, kernel.symbols_mut());
        kernel.observe(TRACE + number as u128, &picture.spans, &mut builder);
    }
    assert!(builder.bytes() > 0);
    kernel.set_window(builder.finish());
    kernel
}

#[test]
fn window_rule() {
    let moved: Vec<(i64, i64)> = CALLS.iter().map(|(lower, _)| (*lower, 42)).collect();
    let moved = &moved.into_iter().filter(|(lower, _)| *lower <= 42).collect::<Vec<_>>();
    let around_zero = [(-2, 3); 8];
    let picture = "p - L s 1200-1260 clock=x\nc p V t 1170-1190 clock=y";
    let late = "p - L s 61200-61260 clock=x\nc p V t 61170-61190 clock=y";
    let back = "p - L s 1200-1260 clock=y\nc p V t 1170-1190 clock=x";
    for (case, calls, picture, expected) in [
        ("learned", &CALLS[..], picture, "p 0, c 45"),
        ("too few", &CALLS[..7], picture, "p 0, c 50"),
        ("no shift", &around_zero[..], picture, "p 0, c 0"),
        ("too few again", &moved[..], picture, "p 0, c 50"),
        ("another minute", &CALLS[..], late, "p 0, c 50"),
        ("the other direction", &CALLS[..], back, "p 0, c 50"),
    ] {
        let ran = run_with(picture, Options::default(), |kernel| {
            *kernel = learned(calls, std::mem::take(kernel));
        });
        assert_eq!(ran.each_ms(|f| f.skew_ns), expected, "{case}");
    }
}

#[test]
fn what_a_window_learns() {
    let mut kernel = learned(&CALLS, Kernel::default());
    let [x, y, address, s, t] = ["x", "y", "pay", "s", "t"].map(|w| kernel.symbols_mut().intern(w));
    let window = kernel.window();
    assert_eq!(window.shift(x, y, 0), Some(Shift::By(45 * MS)));
    assert_eq!(window.shifts().count(), 1);
    assert_eq!(window.service_at(address, 80), Some(t));
    assert_eq!(window.service_at(address, 81), None);
    assert!(window.is_own_address(t, address) && !window.is_own_address(s, address));
}

/// Only a client with exactly one server that is not longer teaches anything.
#[test]
fn what_a_window_does_not_learn_from() {
    for picture in [
        "p - L s 0-50 clock=x\nc p V t 0-20 clock=y\nd p V t 0-20 clock=y",
        "p - L s 0-50 clock=x\nc p V t 0-60 clock=y",
        "p - I s 0-50 clock=x\nc p V t 0-20 clock=y",
        "p - L s 0-50 clock=x\nc p I t 0-20 clock=y",
        "p - L s 0-50\nc p V t 0-20 clock=y",
        "p - L s 0-50 clock=x\nc p V t 0-20 clock=x",
    ] {
        let mut kernel = Kernel::default();
        let read = Picture::read(picture, kernel.symbols_mut());
        let mut builder = WindowBuilder::new();
        for trace in 0..20 {
            kernel.observe(trace, &read.spans, &mut builder);
        }
        assert_eq!(builder.finish().shifts().count(), 0, "{picture}");
    }
}
