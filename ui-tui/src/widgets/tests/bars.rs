//! Bars, sparklines and upright bars.

use super::*;
use crate::theme::Role;
use crate::widgets::bars::{Stretch, bar, both_ways, stretch};
use crate::widgets::columns::columns;
use crate::widgets::sparkline::{fit, sparkline};

fn line(theme: &Theme, width: u16, draw: impl Fn(&mut Pen<'_>)) -> String {
    glyphs(&drawn(theme, (width, 1), draw))
}

#[test]
fn bars_in_eighths() {
    for (share, rich_line, ascii_line) in [
        (1.0, "██████████", "##########"),
        (0.71, "███████▏", "#######|"),
        (0.36, "███▋", "####"),
        (0.001, "▏", "|"),
        (0.0, "", ""),
        (f64::NAN, "", ""),
        (7.0, "██████████", "##########"),
    ] {
        let draw = |pen: &mut Pen<'_>| bar(pen, (0, 0), 10, share, Role::Series(0));
        assert_eq!(line(&rich(), 10, draw), rich_line, "{share}");
        assert_eq!(line(&ascii(), 10, draw), ascii_line, "{share}");
    }
}

#[test]
fn a_stretch_ends_in_eighths_on_both_sides() {
    let draw = |pen: &mut Pen<'_>| {
        let s = Stretch { from: 11, to: 37 };
        stretch(pen, (0, 0), s, '▓', Role::OffPath);
    };
    let buffer = drawn(&mono(), (6, 1), draw);
    assert_eq!(glyphs(&buffer), " ▍▓▓▋");
    // The left end is the inverse of what is free there.
    assert_eq!(styles(&buffer), ".rddd.");
    assert_eq!(line(&ascii(), 6, draw), " ====");
    let short = |from, to| {
        line(&rich(), 2, |pen| stretch(pen, (0, 0), Stretch { from, to }, '█', Role::Critical))
    };
    assert_eq!([short(0, 1), short(2, 4), short(5, 7), short(7, 9)], ["▏", "▎", "▐", "▉▏"]);
}

#[test]
fn stretches_stay_within_and_are_seen() {
    for (from, to, whole, width, expected) in [
        (0.0, 1.0, 1.0, 10, (0, 80)),
        (0.5, 0.5, 1.0, 10, (40, 41)),
        (1.0, 1.0, 1.0, 10, (79, 80)),
        (-3.0, 9.0, 1.0, 10, (0, 80)),
        (0.0, 1.0, 0.0, 10, (0, 1)),
    ] {
        let s = Stretch::of(from, to, whole, width);
        assert_eq!((s.from, s.to), expected, "{from}..{to} of {whole}");
    }
}

#[test]
fn differences_go_to_both_sides() {
    let draw = |value: f64| line(&ascii(), 11, move |pen| both_ways(pen, (0, 0), 11, value));
    assert_eq!(draw(1.0), "     |#####");
    assert_eq!(draw(-0.4), "   ##|");
    assert_eq!(draw(0.0), "     |");
}

#[test]
fn sparklines_have_gaps_and_keep_peaks() {
    let draw = |theme: &Theme, width, values: &[f64]| {
        let values: Vec<Option<f64>> =
            values.iter().map(|v| Some(*v).filter(|v| *v >= 0.0)).collect();
        line(theme, width, |pen| sparkline(pen, (0, 0), width, &values, Role::Series(0)))
    };
    assert_eq!(draw(&rich(), 8, &[0., 1., 2., 3., 4., 5., 6., 7.]), "▁▂▃▄▅▆▇█");
    assert_eq!(draw(&ascii(), 8, &[0., 1., 2., 3., 4., 5., 6., 7.]), "_.,-=+*#");
    assert_eq!(draw(&rich(), 8, &[0., -1., 7.]), "     ▁ █");
    assert_eq!(draw(&rich(), 4, &[5., 5., 5., 5.]), "████");
    assert_eq!(draw(&rich(), 4, &[0., 0., 0., 0.]), "▁▁▁▁");
    let peak: Vec<Option<f64>> = (0..100).map(|n| Some(if n == 57 { 9.0 } else { 1.0 })).collect();
    assert_eq!(fit(&peak, 10)[5], Some(9.0));
    assert_eq!(fit(&[Some(f64::NAN), Some(1.0)], 2), [None, Some(1.0)]);
}

#[test]
fn upright_bars_are_stacked() {
    let bars = vec![
        vec![(2.0, Role::Series(0)), (2.0, Role::Error)],
        vec![(4.0, Role::Series(0))],
        vec![],
        vec![(0.01, Role::Warn), (1.0, Role::Series(1))],
    ];
    let draw = |pen: &mut Pen<'_>| columns(pen, &bars);
    check(
        &glyphs(&drawn(&rich(), (4, 4), draw)),
        "
        ██
        ██
        ██
        ██ █
        ",
    );
    check(
        &glyphs(&drawn(&mono(), (4, 4), draw)),
        "
        x█
        x█
        ██
        ██ █
        ",
    );
    at_any_size(draw);
    at_any_size(|pen| {
        let width = pen.width();
        bar(pen, (0, 0), width, 0.3, Role::Ok);
        both_ways(pen, (0, 0), width, -0.3);
        sparkline(pen, (0, 0), width, &[Some(1.0), None, Some(2.0)], Role::Ok);
    });
}
