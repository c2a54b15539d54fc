//! Rectangles go to spans and back; exemplars come from what is chosen.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::views::TimeRange;

use super::*;
use crate::chart_data::row_floor_ns;

fn cell(second: i64, bin: i64, count: u64, errors: u64) -> HeatmapCell {
    HeatmapCell {
        time: time::format(second * 1_000_000_000),
        bin,
        count,
        errors,
        slowest_trace: Some(format!("slow{second}-{bin}")),
        error_trace: (errors > 0).then(|| format!("error{second}-{bin}")),
        median_trace: Some(format!("median{second}-{bin}")),
        ..HeatmapCell::default()
    }
}

fn answer() -> HeatmapAnswer {
    let range = TimeRange { from: Some(time::format(0)), to: Some(time::format(10_000_000_000)) };
    HeatmapAnswer {
        range,
        column_ns: 1_000_000_000,
        cells: vec![cell(0, 40, 10, 0), cell(3, 44, 5, 1), cell(9, 50, 1, 0)],
        ..HeatmapAnswer::default()
    }
}

#[test]
fn a_rectangle_goes_to_spans_and_back() {
    let mut heat = Heat::default();
    heat.fill(&answer());
    assert_eq!(heat.total(), 16);
    for action in [Action::Right, Action::Right, Action::Up, Action::Up, Action::Mark] {
        assert_eq!(heat.act(action), Some(false));
    }
    for action in [Action::Right, Action::Right, Action::Up, Action::Up] {
        heat.act(action);
    }
    assert_eq!(heat.act(Action::Mark), Some(true));
    let chosen = heat.selection.unwrap();
    assert_eq!((chosen.from_ns, chosen.to_ns), (2_000_000_000, 5_000_000_000));
    assert_eq!(chosen.over_ns, Some(row_floor_ns(42)));
    assert_eq!(chosen.under_ns, Some(row_floor_ns(45)));
    assert_eq!(heat.area(), Some(Area { columns: 2..5, rows: 2..5 }));
    let found: Vec<String> = heat.exemplars(&answer()).into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, ["median3-44", "error3-44", "slow3-44"]);
}

#[test]
fn nothing_is_a_heatmap_too() {
    let mut heat = Heat::default();
    heat.fill(&HeatmapAnswer::default());
    assert_eq!(heat.act(Action::Left), None);
    assert!(heat.exemplars(&HeatmapAnswer::default()).is_empty());
}
