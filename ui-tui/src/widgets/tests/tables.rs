//! Tables and lines of text.

use std::cell::RefCell;

use super::*;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use crate::widgets::table::{Cell, Column, Row, Sort, Table, place};
use crate::widgets::{Mark, first_visible};

fn columns() -> Vec<Column> {
    vec![
        Column::text("service", 8),
        Column::number("rate/s", 7),
        Column::number("err%", 5),
        Column::fixed("15 min", 10).rank(2),
    ]
}

fn row(mark: Mark, name: &str, rate: &str, errors: &str, trend: f64) -> Row {
    let spark = (0..10).map(|n| Some(1.0 + trend * f64::from(n))).collect();
    Row {
        mark,
        cells: vec![Cell::text(name), Cell::text(rate), Cell::text(errors), Cell::spark(spark)],
        ..Row::default()
    }
}

fn rows() -> Vec<Row> {
    vec![
        row(Mark::Error, "checkout", "212.4", "3.10", 1.0),
        row(Mark::Degraded, "payment", "198.0", "2.87", 0.5),
        row(Mark::None, HOSTILE, "4.2 k", "0.00", 0.0),
        Row { marked: true, ..row(Mark::Waiting, "cart", "402.7", "0.01", 0.0) },
    ]
}

fn services(pen: &mut Pen<'_>) {
    let (columns, rows) = (columns(), rows());
    let table = Table {
        columns: &columns,
        len: 5,
        first: 0,
        cursor: Some(0),
        sort: Some(Sort { column: 1, descending: true }),
        rows: &|at| rows.get(at).cloned(),
    };
    table.render(pen);
}

#[test]
fn a_table_with_marks_cursor_and_trends() {
    check(
        &glyphs(&drawn(&rich(), (42, 6), services)),
        "
           service       rate/s v  err% 15 min
        ▌x checkout         212.4  3.10 ▁▂▃▄▄▅▆▇██
         ! payment          198.0  2.87 ▂▃▃▄▅▆▆▇██
           �[2Jevil��↵�…    4.2 k  0.00 ██████████
        *~ cart             402.7  0.01 ██████████
           ·
        ",
    );
}

#[test]
fn the_same_in_ascii_and_with_little_room() {
    check(
        &glyphs(&drawn(&ascii(), (42, 6), services)),
        "
           service       rate/s v  err% 15 min
        |x checkout         212.4  3.10 _.,--=+*##
         ! payment          198.0  2.87 .,,-=++*##
           ?[2Jevil??$?~    4.2 k  0.00 ##########
        *~ cart             402.7  0.01 ##########
           .
        ",
    );
    check(
        &glyphs(&drawn(&ascii(), (22, 3), services)),
        "
           service    rate/s v
        |x checkout      212.4
         ! payment       198.0
        ",
    );
}

#[test]
fn without_colour_the_cursor_is_reversed_and_an_error_differs() {
    check(
        &styles(&drawn(&mono(), (42, 3), services)),
        "
        ...bbbbbbb.......uuuuuuuu..bbbb.bbbbbb....
        urrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr..........
        .b........................................
        ",
    );
}

#[test]
fn only_rows_that_are_seen_are_asked_for() {
    let asked = RefCell::new(Vec::new());
    let columns = columns();
    let table = Table {
        columns: &columns,
        len: 1_000_000,
        first: 0,
        cursor: Some(500_000),
        sort: None,
        rows: &|at| {
            asked.borrow_mut().push(at);
            None
        },
    };
    drawn(&rich(), (80, 24), |pen| table.render(pen));
    assert_eq!(*asked.borrow(), (499_978..=500_000).collect::<Vec<_>>());
}

#[test]
fn the_window_follows_the_cursor_and_has_no_holes() {
    for (first, cursor, height, len, expected) in [
        (0, 0, 10, 100, 0),
        (0, 9, 10, 100, 0),
        (0, 10, 10, 100, 1),
        (50, 20, 10, 100, 20),
        (95, 97, 10, 100, 90),
        (5, 5, 10, 8, 0),
        (0, 1000, 10, 100, 90),
        (7, 3, 0, 100, 0),
        (0, 0, 10, 0, 0),
    ] {
        assert_eq!(first_visible(first, cursor, height, len), expected);
    }
}

#[test]
fn columns_are_left_out_by_rank_and_share_what_is_left() {
    let shown = |width| {
        let columns = columns();
        let names = place(&columns, width).into_iter().map(|p| (p.column, p.x, p.width));
        names.collect::<Vec<_>>()
    };
    assert_eq!(shown(42), [(0, 3, 14), (1, 18, 7), (2, 26, 5), (3, 32, 10)]);
    assert_eq!(shown(30), [(0, 3, 13), (1, 17, 7), (2, 25, 5)]);
    assert_eq!(shown(12), [(0, 3, 9)]);
    assert_eq!(shown(2), [(0, 3, 0)]);
}

#[test]
fn tables_and_inputs_draw_at_any_size() {
    at_any_size(services);
    at_any_size(|pen| Input::new(HOSTILE).render(pen, Some((1, 3))));
}

#[test]
fn an_input_scrolls_with_its_cursor() {
    let shown =
        |input: &Input, width| glyphs(&drawn(&rich(), (width, 1), |p| input.render(p, None)));
    let mut input = Input::new("service=checkout");
    assert_eq!(shown(&input, 20), "service=checkout");
    assert_eq!(shown(&input, 8), "heckout");
    input.edit(Edit::Home);
    assert_eq!(shown(&input, 8), "service=");
}

#[test]
fn edits_keep_to_signs_and_words() {
    use Edit::*;
    for (text, edits, expected) in [
        ("abc", &[Backspace][..], "ab|"),
        ("abc", &[Left, Backspace], "a|c"),
        ("e\u{301}x", &[Left, Backspace], "|x"),
        ("日本", &[Backspace], "日|"),
        ("env=prod dur>5ms", &[DeleteWord], "env=prod dur>|"),
        ("env=prod dur>5ms", &[WordLeft, WordLeft, DeleteToEnd], "env=prod |"),
        ("env=prod", &[Home, WordRight, Delete], "env|prod"),
        ("env=prod", &[DeleteToStart, Backspace, Left], "|"),
    ] {
        let mut input = Input::new(text);
        edits.iter().for_each(|e| input.edit(*e));
        let (before, all) = (input.before_cursor(), input.text());
        assert_eq!(format!("{before}|{}", &all[before.len()..]), expected, "{text} {edits:?}");
    }
    let mut input = Input::new("service=che and");
    input.replace(8, 11, "checkout");
    assert_eq!((input.text(), input.position()), ("service=checkout and", 16));
    input.insert("\nx\u{1b}");
    assert_eq!(input.text(), "service=checkout x  and");
    let long = Input::new(&"y".repeat(1 << 20));
    assert_eq!(long.text().len(), crate::widgets::input::LENGTH_MAX);
}

#[test]
fn wide_signs_never_leave_their_field() {
    let text = crate::safe_text::SafeText::new("日本語");
    let line = |width| {
        let buffer = drawn(&rich(), (6, 1), |pen| {
            pen.row(0, 0, 6, '.', Role::Text);
            pen.text(0, 0, width, &text, Role::Text);
        });
        glyphs(&buffer)
    };
    assert_eq!(line(6), "日本語");
    assert_eq!(line(5), "日本….");
    assert_eq!(line(4), "日…...");
    assert_eq!(line(1), "….....");
}
