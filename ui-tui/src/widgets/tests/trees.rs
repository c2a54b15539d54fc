//! Waterfalls and flames.

use super::*;
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::flame::{Frame, flame};
use crate::widgets::waterfall::{Axis, Bar, Field, Line, Waterfall, strip};
use crate::widgets::{Mark, piece};

const MS: i64 = 1_000_000;

fn bar(from: i64, to: i64, fill: char, role: Role) -> Bar {
    Bar { from_ns: from * MS, to_ns: to * MS, fill, role }
}

fn line(mark: Mark, depth: u16, folded: Option<bool>, name: &str, bars: Vec<Bar>) -> Line {
    let fields = vec![piece("svc", Role::Dim), piece("12 ms", Role::Text)];
    let name = vec![piece(name, Role::Text)];
    Line { mark, depth, folded, name, fields, bars, events: Vec::new() }
}

fn lines() -> Vec<Line> {
    let path = |a, b| vec![bar(a, b, '█', Role::Critical)];
    let mut charge = line(Mark::Error, 2, Some(false), "Charge", path(100, 900));
    charge.events.push(700 * MS);
    vec![
        line(Mark::Error, 0, Some(false), "POST /checkout", path(0, 1000)),
        line(Mark::None, 1, Some(true), "GetCart", vec![bar(10, 16, '▓', Role::OffPath)]),
        charge,
        line(Mark::Waiting, 3, None, "waiting", vec![bar(100, 500, '░', Role::Waiting)]),
        line(Mark::Origin, 3, None, HOSTILE, path(503, 903)),
        line(Mark::None, 9, None, "deep", vec![bar(950, 951, '▓', Role::OffPath)]),
        line(Mark::Async, 1, None, "consume", vec![bar(920, 1000, '▒', Role::Async)]),
    ]
}

fn waterfall(pen: &mut Pen<'_>, pauses: &[(i64, i64)], fields: bool) {
    let lines = lines();
    let all = [
        Field { head: "service".into(), width: 7, right: false },
        Field { head: "total".into(), width: 7, right: true },
    ];
    Waterfall {
        len: lines.len(),
        first: 0,
        cursor: Some(4),
        name_width: 24,
        fields: if fields { &all } else { &[] },
        window_ns: (0, 1000 * MS),
        zero_ns: 0,
        pauses,
        head: "span",
        lines: &|at| lines[at].clone(),
    }
    .render(pen);
}

#[test]
fn a_waterfall() {
    check(
        &glyphs(&drawn(&rich(), (60, 8), |pen| waterfall(pen, &[], false))),
        "
         span                    0        250 ms   500 ms  750 ms
         x v POST /checkout      ███████████████████████████████████
             > GetCart           ▏
         x     v Charge             ▌████████████████████◆██████▌
         ~         waiting          ▌░░░░░░░░░░░░░▌
        ▌X         �[2Jevil��↵�…                  ▋█████████████▋
                   …  deep                                        ·
         ┄     consume                                           ▎▒▒
        ",
    );
    check(
        &glyphs(&drawn(&ascii(), (76, 8), |pen| waterfall(pen, &[], true))),
        "
         span                    service   total 0        250 ms   500 ms  750 ms
         x v POST /checkout      svc       12 ms ###################################
             > GetCart           svc       12 ms |
         x     v Charge          svc       12 ms    #####################*#######
         ~         waiting       svc       12 ms    ...............
        |X         ?[2Jevil??$?~ svc       12 ms                  |##############
                   ~  deep       svc       12 ms                                  .
         -     consume           svc       12 ms                                 ~~~
        ",
    );
}

#[test]
fn its_cursor_leaves_the_bars_alone_and_errors_differ_without_colour() {
    check(
        &styles(&drawn(&mono(), (60, 8), |pen| waterfall(pen, &[], false))),
        "
        .bbbb....................d........dddddd...dddddd..dddddd...
        .x.d.....................bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        .....u...................d..................................
        .x.....d....................rbbbbbbbbbbbbbbbbbbbbbbbbbbbb...
        .b..........................r...............................
        urrrrrrrrrrrrrrrrrrrrrrr..................rbbbbbbbbbbbbbb...
        ...........d..............................................d.
        .........................................................r..
        ",
    );
}

#[test]
fn long_pauses_are_folded() {
    let axis = Axis::new((0, 100 * MS), &[(10 * MS, 90 * MS)], 49);
    assert_eq!(axis.column(0), 0.0);
    assert_eq!(axis.column(10 * MS), 20.0);
    assert_eq!(axis.column(90 * MS), 29.0);
    assert_eq!(axis.column(100 * MS), 49.0);
    assert_eq!(axis.moment(39.0), 95 * MS);
    // Too narrow to fold.
    assert_eq!(Axis::new((0, 100 * MS), &[(10 * MS, 90 * MS)], 10).column(50 * MS), 5.0);
    let text = glyphs(&drawn(&rich(), (80, 3), |pen| waterfall(pen, &[(20 * MS, 90 * MS)], false)));
    assert!(text.contains("┄ 70 ms ┄"), "{text}");
}

#[test]
fn the_strip_shows_how_much_runs() {
    let draw = |pen: &mut Pen<'_>| strip(pen, &[1, 4, 2, 0, 0, 8, 8, 1], 0.0..1.0);
    assert_eq!(glyphs(&drawn(&rich(), (10, 1), draw)), "├▁▄▂  ██▁┤");
    assert_eq!(glyphs(&drawn(&ascii(), (10, 1), draw)), "+_-.  ##_+");
}

fn frames() -> Vec<Frame> {
    let frame = |level, from, to, label: &str, is_cursor| Frame {
        level,
        from,
        to,
        label: SafeText::new(label),
        role: Role::Text,
        is_cursor,
    };
    vec![
        frame(0, 0.0, 1.0, "x gateway POST /checkout  1.92 s", false),
        frame(1, 0.02, 0.98, "x checkout PlaceOrder  1.88 s", false),
        frame(2, 0.05, 0.1, "catalog", false),
        frame(2, 0.1, 0.75, "x payment Charge  1.31 s", true),
        frame(2, 0.75, 0.753, HOSTILE, false),
        frame(2, -4.0, -1.0, "before", false),
    ]
}

#[test]
fn a_flame() {
    check(
        &glyphs(&drawn(&rich(), (40, 3), |pen| flame(pen, &frames(), 0))),
        "
        ▏x gateway POST /checkout  1.92 s
        ▏x checkout PlaceOrder  1.88 s
          ▏…▏x payment Charge  1.31 s ▏
        ",
    );
    check(
        &glyphs(&drawn(&rich(), (40, 1), |pen| flame(pen, &frames(), 2))),
        "
      ▏…▏x payment Charge  1.31 s ▏
    ",
    );
}

#[test]
fn trees_draw_at_any_size() {
    at_any_size(|pen| waterfall(pen, &[(20 * MS, 90 * MS)], true));
    at_any_size(|pen| flame(pen, &frames(), 0));
    at_any_size(|pen| strip(pen, &[1, 2, 3], 0.2..0.4));
}
