//! Trees, orphans, cycles, bars, as pictures.

use super::*;

/// `id parent start duration`, parent `-` for a root; then `!` for an error and `from-to` for pieces
/// of the critical path.
fn spans(text: &str) -> Vec<Span> {
    let span = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Span {
            id: words[0].to_owned(),
            parent: (words[1] != "-").then(|| words[1].to_owned()),
            start_ns: words[2].parse().unwrap_or_default(),
            duration_ns: words[3].parse().unwrap_or_default(),
            label: words[0].to_owned(),
            is_error: words[4..].contains(&"!"),
            path_ns: words[4..].iter().filter_map(|word| piece(word)).collect(),
        }
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(span).collect()
}

fn piece(word: &str) -> Option<(i64, i64)> {
    let (from, to) = word.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn check(text: &str, expected: &[&str]) {
    let spans = spans(text);
    let drawn: Vec<String> = lines(&spans)
        .iter()
        .map(|line| {
            let span = &spans[line.span];
            let mark = if line.is_orphan { "?" } else { "" };
            let label = fitted(&format!("{}{mark}{}", " ".repeat(line.depth), span.label), 5);
            format!("{label}|{}|", bar(span, extent(&spans), 10))
        })
        .collect();
    assert_eq!(drawn, expected);
}

#[test]
fn children_stand_under_their_parent() {
    check(
        "c b 4 2 !
         a - 0 10
         d a 8 2
         b a 2 6",
        &["a    |==========|", " b   |  ======  |", "  c  |    =!    |", " d   |        ==|"],
    );
}

#[test]
fn the_critical_path_is_marked() {
    check(
        "a - 0 10 0-2 8-10
         b a 2 6 ! 2-8
         c a 3 2",
        &["a    |##======##|", " b   |  #####!  |", " c   |   ==     |"],
    );
    // A piece that is too short for a column, or lies outside by a clock, still shows.
    check("a - 0 1000 1-2\nb a 100 100 900-990", &["a    |#=========|", " b   | #        |"]);
}

#[test]
fn a_missing_parent_makes_a_marked_root() {
    check("a - 0 10\nb gone 5 5", &["a    |==========|", "?b   |     =====|"]);
}

#[test]
fn every_span_of_a_cycle_is_shown_once() {
    check(
        "a b 0 10\nb a 2 3\nc c 5 5",
        &["?c   |     =====|", "?a   |==========|", " b   |  ===     |"],
    );
}

#[test]
fn a_span_without_length_is_still_seen() {
    check("a - 0 0", &["a    |=         |"]);
    check("a - 0 10\nb a 10 0", &["a    |==========|", " b   |         =|"]);
}

#[test]
fn labels_are_cut_with_a_mark() {
    assert_eq!(fitted("abcdef", 5), "abcd…");
    assert_eq!(fitted("ab", 5), "ab   ");
}

#[test]
fn a_deep_chain_does_not_recurse() {
    let text: String = (0..20_000).map(|n| format!("{} {} {n} 1\n", n + 1, n)).collect();
    assert_eq!(lines(&spans(&text)).len(), 20_000);
}
