//! Tables of numbers and what a person sees of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::tz::Offset;

use super::*;

fn check<T: Copy + std::fmt::Debug>(form: impl Fn(T) -> String, table: &[(T, &str)]) {
    for (given, expected) in table {
        assert_eq!(form(*given), *expected, "{given:?}");
    }
}

#[test]
fn lengths_of_time() {
    check(
        duration_ns,
        &[
            (0, "0 ms"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1_000, "1 us"),
            (310_000, "310 us"),
            (999_400, "999 us"),
            (999_600, "1 ms"),
            (2_344_000, "2.34 ms"),
            (41_000_000, "41 ms"),
            (41_260_000, "41.3 ms"),
            (380_400_000, "380 ms"),
            (1_920_000_000, "1.92 s"),
            (1_900_000_000, "1.9 s"),
            (59_900_000_000, "59.9 s"),
            (59_999_000_000, "1m 00s"),
            (125_000_000_000, "2m 05s"),
            (11_220_000_000_000, "3h 07m"),
            (353_000_000_000_000, "4d 02h"),
            (-41_000_000, "-41 ms"),
            (i64::MAX, "106751d 23h"),
            (i64::MIN, "-106751d 23h"),
        ],
    );
    check(duration_ms, &[(0.31, "310 us"), (1920.0, "1.92 s"), (f64::NAN, "-")]);
    check(
        tick_ns,
        &[(0, "0"), (480_000_000, "480 ms"), (90_000_000_000, "1.5 m"), (7_200_000_000_000, "2 h")],
    );
    check(age_ns, &[(0, "0 s"), (-5, "0 s"), (41_000_000_000, "41 s"), (240_000_000_000, "4 m")]);
    check(offset_ns, &[(1_263_000_000, "+1.263"), (-310_000_000, "-0.310"), (0, "+0.000")]);
}

#[test]
fn numbers_of_things() {
    check(
        count,
        &[
            (0, "0"),
            (940, "940"),
            (999, "999"),
            (1_000, "1 k"),
            (4_200, "4.2 k"),
            (190_700, "191 k"),
            (999_499, "999 k"),
            (999_500, "1 M"),
            (1_200_000, "1.2 M"),
            (4_100_000_000, "4.1 B"),
            (u64::MAX, "18446744 T"),
        ],
    );
    check(
        number,
        &[(0.31, "0.31"), (-1_200_000.0, "-1.2 M"), (0.00012, "1.2e-4"), (f64::INFINITY, "-")],
    );
    check(exact, &[(0, "0"), (999, "999"), (1_204, "1,204"), (1_234_567, "1,234,567")]);
    check(
        rate,
        &[
            (0.0, "0.0"),
            (0.01, "<0.1"),
            (212.44, "212.4"),
            (999.96, "1 k"),
            (4_200.0, "4.2 k"),
            (f64::NAN, "-"),
        ],
    );
    check(bytes, &[(0, "0 B"), (512, "512 B"), (4_100_000, "4.1 MB"), (18_200_000_000, "18.2 GB")]);
}

#[test]
fn one_is_no_plural() {
    assert_eq!([0, 1, 2].map(|n| many(n, "path")), ["0 paths", "1 path", "2 paths"]);
}

#[test]
fn shares_and_changes() {
    check(
        percent,
        &[
            (0.0, "0.00%"),
            (0.00001, "<0.01%"),
            (0.031, "3.10%"),
            (0.0074, "0.74%"),
            (0.982, "98.2%"),
            (1.0, "100%"),
            (f64::NAN, "-"),
        ],
    );
    check(share, &[(0.0, "0%"), (0.004, "<1%"), (0.71, "71%"), (0.996, ">99%"), (1.0, "100%")]);
    check(points, &[(0.021, "+2.1 pp"), (-0.12, "-12 pp"), (0.0001, "="), (0.741, "+74.1 pp")]);
    let both = |(now, before)| factor(now, before);
    check(
        both,
        &[
            ((1920.0, 376.0), "x5.1"),
            ((1900.0, 118.0), "x16"),
            ((41.0, 40.0), "="),
            ((12.0, 10.0), "x1.2"),
            ((4.0, 10.0), "x0.4"),
            ((0.37, 10.0), "x0.04"),
            ((5.0, 0.0), "new"),
            ((0.0, 5.0), "gone"),
            ((0.0, 0.0), "="),
            ((12_000_000.0, 10.0), "x1.2 M"),
            ((f64::NAN, 1.0), "-"),
        ],
    );
}

#[test]
fn ids_are_cut_without_a_mark() {
    check(
        |id: &str| short_id(id).to_owned(),
        &[
            ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f35"),
            ("4bf9", "4bf9"),
            ("日本語日本語日本語", "日本語日本語日本"),
        ],
    );
}

#[test]
fn moments_are_shown_in_the_zone() {
    let berlin = TimeZone::fixed(Offset::from_hours(1).unwrap());
    let ns = 1_795_359_251_482_000_000;
    for (clock, utc, local) in [
        (Clock::Minute, "14:54", "15:54"),
        (Clock::Second, "14:54:11", "15:54:11"),
        (Clock::Milli, "14:54:11.482", "15:54:11.482"),
        (Clock::DateSecond, "2026-11-22 14:54:11", "2026-11-22 15:54:11"),
        (Clock::DateMilli, "2026-11-22 14:54:11.482", "2026-11-22 15:54:11.482"),
        (Clock::Day, "11-22", "11-22"),
        (Clock::Date, "2026-11-22", "2026-11-22"),
    ] {
        assert_eq!(moment(ns, &TimeZone::UTC, clock), utc);
        assert_eq!(moment(ns, &berlin, clock), local);
    }
}
