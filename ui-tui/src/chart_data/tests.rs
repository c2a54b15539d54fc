//! Columns stand still, labels are round, heatmaps keep every count, sentences say what happened.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use api::views::TimeRange;
use jiff::tz::Offset;

use super::*;

#[test]
fn columns_are_aligned_and_fit() {
    let at = |text: &str| unix_ns(text).unwrap();
    for (from, to, columns, width_ns, count) in [
        ("2026-11-22T15:45:00Z", "2026-11-22T16:00:00Z", 72, 15 * S, 60),
        ("2026-11-22T15:45:07Z", "2026-11-22T16:00:07Z", 72, 15 * S, 61),
        ("2026-11-22T15:45:00Z", "2026-11-22T15:45:01Z", 72, S, 1),
        ("2026-11-21T16:00:00Z", "2026-11-22T16:00:00Z", 100, 15 * MINUTE, 96),
        ("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 60, 42 * DAY, 53),
    ] {
        let b = Buckets::covering(at(from), at(to), columns);
        assert_eq!((b.width_ns, b.count), (width_ns, count), "{from} {to}");
        assert!(b.from_ns <= at(from) && b.to_ns() >= at(to));
        assert_eq!(b.from_ns % b.width_ns, 0);
    }
    let empty = Buckets::covering(5, 5, 0);
    assert!(empty.count >= 1);
}

#[test]
fn labels_stand_at_round_times_of_the_zone() {
    let from = unix_ns("2026-11-22T15:45:00Z").unwrap();
    let b = Buckets::covering(from, from + 15 * MINUTE, 72);
    let texts = |zone: &TimeZone| {
        b.labels(zone, b.count)
            .iter()
            .map(|(c, t)| format!("{c}:{t}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(texts(&TimeZone::UTC), "0:15:45 20:15:50 40:15:55");
    let nepal = TimeZone::fixed(Offset::from_seconds(20_700).unwrap());
    assert_eq!(texts(&nepal), "0:21:30 20:21:35 40:21:40");
}

#[test]
fn durations_have_five_signs_at_most() {
    for (ns, expected) in [
        (1, "1ns"),
        (724, "724ns"),
        (1_448, "1.4us"),
        (37_000_000, "37ms"),
        (999_700, "1ms"),
        (4_100_000_000, "4.1s"),
        (1_020_000_000_000, "17m"),
    ] {
        assert_eq!(tight_duration(ns), expected);
    }
    assert!((0..=120).all(|bin| tight_duration(row_floor_ns(bin)).len() <= 8));
}

fn answer(cells: &[(&str, i64, u64, u64)]) -> HeatmapAnswer {
    let cell = |(time, bin, count, errors): &(&str, i64, u64, u64)| HeatmapCell {
        time: format!("2026-11-22T{time}Z"),
        bin: *bin,
        count: *count,
        errors: *errors,
        ..HeatmapCell::default()
    };
    HeatmapAnswer {
        range: TimeRange {
            from: Some("2026-11-22T15:45:00Z".into()),
            to: Some("2026-11-22T15:46:00Z".into()),
        },
        column_ns: 15 * S,
        cells: cells.iter().map(cell).collect(),
        ..HeatmapAnswer::default()
    }
}

#[test]
fn heatmaps_keep_every_count() {
    let answer = answer(&[
        ("15:45:00", 50, 4000, 0),
        ("15:45:30", 51, 3000, 7),
        ("15:45:45", 60, 1, 1),
        ("15:45:45", 51, 9, 9),
    ]);
    let heat = HeatData::of(&answer);
    assert_eq!((heat.cells.columns(), heat.cells.rows(), heat.first_bin), (4, 2, 50));
    // The one at the far end is added to the last row and not lost.
    assert_eq!(heat.cells.count(3, 1), Count { all: 10, failed: 10 });
    let area = Area { columns: 2..4, rows: 1..2 };
    let bins: Vec<u64> = heat.in_area(&answer, &area).iter().map(|c| c.count).collect();
    assert_eq!(bins, [3000, 9, 1]);
    let ((from, to), (low, high)) = heat.bounds_ns(&area);
    assert_eq!((to - from, low, high), (30 * S, row_floor_ns(51), i64::MAX));
    assert_eq!(heat.row_of_ms(row_floor_ns(51) as f64 / 1e6).map(f64::round), Some(1.0));
    assert_eq!(HeatData::of(&HeatmapAnswer::default()).cells, Cells::default());
}

#[test]
fn the_sentence_says_what_happened() {
    let b =
        Buckets { from_ns: unix_ns("2026-11-22T15:45:00Z").unwrap(), width_ns: MINUTE, count: 12 };
    let say = |values: &[f64]| {
        let values: Vec<Option<f64>> = values.iter().map(|v| Some(*v)).collect();
        sentence("p99", &values, &b, &TimeZone::UTC, format::duration_ms)
    };
    let rose = [374.0, 380.0, 370.0, 374.0, 374.0, 374.0, 374.0, 374.0, 1920.0, 1950.0, 1910.0];
    assert_eq!(say(&rose), "p99 rose from 374 ms to 1.92 s at 15:53");
    assert_eq!(say(&[5.0, 5.1, 4.9, 5.0, 5.0, 5.0, 5.0]), "p99 stayed near 5 ms");
    assert_eq!(say(&[]), "p99: no values");
}

#[test]
fn a_sweep_goes_round() {
    let b = Buckets { from_ns: 0, width_ns: S, count: 10 };
    assert_eq!([0, 9 * S, 10 * S, 25 * S].map(|t| sweep_column(t, &b)), [0, 9, 0, 5]);
}
