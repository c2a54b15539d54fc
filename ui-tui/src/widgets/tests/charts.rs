//! Heatmaps and charts.

use super::*;
use crate::format;
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::chart::{Chart, Scale, Series, Shape, legend};
use crate::widgets::heatmap::{Area, Cells, Count, Heatmap, Plot};

/// A hill of counts with a slow stretch at the right, of which some failed.
fn cells() -> Cells {
    let mut cells = Cells::new(30, 8);
    for column in 0..30 {
        for (row, all) in [(1, 60), (2, 900), (3, 200)] {
            cells.add(column, row, Count { all: all + column as u64, failed: 0 });
        }
        if (16..24).contains(&column) {
            cells.add(column, 6, Count { all: 300, failed: if column % 4 == 0 { 90 } else { 0 } });
        }
    }
    cells.add(3, 7, Count { all: 1, failed: 0 });
    cells
}

fn labels() -> (Vec<SafeText>, Vec<(usize, SafeText)>) {
    let rows = ["1ms", "2ms", "4ms", "8ms", "16ms", "32ms", "64ms", "128ms"];
    let columns = [(0, "15:45"), (10, "15:50"), (20, "15:55")];
    (rows.map(SafeText::new).to_vec(), columns.map(|(c, t)| (c, SafeText::new(t))).to_vec())
}

fn heatmap(pen: &mut Pen<'_>, errors: bool, selected: bool) {
    let (cells, (rows, columns)) = (cells(), labels());
    let line = (vec![Some(2.5); 30], Role::Accent);
    Heatmap {
        cells: Some(&cells),
        row_labels: &rows,
        column_labels: &columns,
        lines: if errors { &[] } else { std::slice::from_ref(&line) },
        errors_from: errors.then_some(0.1),
        marks: &[(16, '^')],
        selection: selected.then_some(Area { columns: 16..24, rows: 5..7 }),
        cursor: Some((16, 6)),
        sweep: None,
    }
    .render(pen);
}

#[test]
fn heatmaps_without_colour_and_in_ascii() {
    check(
        &glyphs(&drawn(&mono(), (36, 9), |pen| heatmap(pen, true, false))),
        "
        128ms    ·
         64ms                 x███x███
         32ms
         16ms
          8ms ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
          4ms ██████████████████████████████
          2ms ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
          1ms
              15:45     15:50 ^   15:55
        ",
    );
    check(
        &glyphs(&drawn(&ascii(), (36, 5), |pen| heatmap(pen, true, false))),
        "
         64ms    .            x%%%x%%%
         16ms
          4ms @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
          1ms ******************************
              15:45     15:50 ^   15:55
        ",
    );
}

#[test]
fn heatmaps_with_half_blocks_lines_and_a_selection() {
    check(
        &glyphs(&drawn(&rich(), (36, 5), |pen| heatmap(pen, false, false))),
        "
         64ms    ▀            ▄▄▄▄▄▄▄▄
         16ms
          4ms ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
          1ms ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
              15:45     15:50 ^   15:55
        ",
    );
    check(
        &glyphs(&drawn(&mono(), (36, 9), |pen| heatmap(pen, true, true))),
        "
        128ms    ·           ┌────────┐
         64ms                │x███x███│
         32ms                │        │
         16ms                └────────┘
          8ms ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
          4ms ██████████████████████████████
          2ms ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
          1ms
              15:45     15:50 ^   15:55
        ",
    );
}

#[test]
fn places_of_the_pen_are_cells_again() {
    let cells = cells();
    let plot = Plot::new(&cells, 36, 9);
    assert_eq!(plot.cell_at(6, 7), Some((0, 0)));
    assert_eq!(plot.cell_at(35, 0), Some((29, 7)));
    assert_eq!(plot.cell_at(5, 0), None);
    assert_eq!(plot.cell_at(6, 8), None);
    let narrow = Plot::new(&cells, 16, 9);
    assert_eq!(narrow.cell_at(15, 7), Some((27, 0)));
}

#[test]
fn a_sweep_leaves_a_gap() {
    let cells = cells();
    let map = Heatmap { cells: Some(&cells), sweep: Some(4), ..Heatmap::default() };
    let text = glyphs(&drawn(&mono(), (16, 9), |pen| map.render(pen)));
    assert!(text.lines().any(|l| l.starts_with("      ▓▓▓▓▓▓████")), "{text}");
    let wide = glyphs(&drawn(&mono(), (36, 9), |pen| map.render(pen)));
    assert!(wide.lines().any(|l| l.starts_with("      ▓▓▓▓  ▓▓▓▓")), "{wide}");
}

fn quantiles() -> Vec<Series> {
    let line = |label: &str, low: f64, high: f64| {
        let values: Vec<Option<f64>> = (0..24)
            .map(|n| match n {
                10 | 11 => None,
                12..18 => Some(high),
                _ => Some(low),
            })
            .collect();
        Series::of_buckets(label, &values)
    };
    vec![line("p99", 100.0, 1900.0), line("p50", 50.0, 55.0)]
}

fn chart(pen: &mut Pen<'_>, series: &[Series], scale: Scale) {
    let labels = [(0.0, SafeText::new("15:49")), (0.5, SafeText::new("15:54"))];
    Chart {
        series,
        scale,
        words: &format::duration_ms,
        x_labels: &labels,
        band: &[],
        moments: &[0.45],
        resets: &[0.9],
        exemplars: &[(0.6, 1900.0)],
        cursor: Some(0.6),
    }
    .render(pen);
}

#[test]
fn charts_have_gaps_marks_and_exemplars() {
    check(
        &glyphs(&drawn(&rich(), (48, 9), |pen| chart(pen, &quantiles(), Scale::Linear))),
        "
                                  ┊ ⠈⠉⠉◆⠉⠉⠉⠉⠉⡇
                                  ┊          ⢸
                                  ┊          ⠸⡀
            1 s                   ┊           ⡇
                                  ┊           ⢇
                                  ┊           ⢸
                                  ┊           ⠘⡄
           0 ms ⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶  ┊ ⠠⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠷⠶⠶⠶╳⠶⠶⠶⠶
                15:49               15:54
        ",
    );
    check(
        &glyphs(&drawn(&ascii(), (48, 9), |pen| chart(pen, &quantiles(), Scale::Log))),
        "
                                  | **********
            1 s                   |
                                  |
                                  |           *
         300 ms                   |
                                  |
         100 ms ****************  |            *********
                ++++++++++++++++  | +++++++++++++++X++++
                15:49               15:54
        ",
    );
}

#[test]
fn without_colour_lines_differ_by_their_dots() {
    let buffer = drawn(&mono(), (48, 9), |pen| chart(pen, &quantiles(), Scale::Log));
    let text = glyphs(&buffer);
    assert!(text.contains('⠉') && text.contains('⠒'), "{text}");
    let names = drawn(&mono(), (24, 1), |pen| {
        let pieces = legend(pen, &quantiles());
        pen.pieces(0, 0, 24, &pieces);
    });
    assert_eq!(glyphs(&names), "⠉ p99  ⠒ p50");
}

#[test]
fn charts_draw_at_any_size_and_of_any_values() {
    at_any_size(|pen| heatmap(pen, true, true));
    at_any_size(|pen| chart(pen, &quantiles(), Scale::Log));
    let odd = [f64::NAN, f64::INFINITY, -1e308, 1e308, 0.0, f64::MIN_POSITIVE];
    for value in odd {
        for scale in [Scale::Linear, Scale::Log] {
            let points = vec![(0.0, Some(value)), (0.5, None), (f64::NAN, Some(value))];
            let series = [Series { label: HOSTILE.into(), shape: Shape::Dots, points }];
            at_any_size(|pen| chart(pen, &series, scale));
        }
    }
    at_any_size(|pen| chart(pen, &[], Scale::Linear));
}
