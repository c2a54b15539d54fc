//! What Tab offers.

use super::*;

fn check(line: &str, expected: (usize, &[&str])) {
    let words = ["select", "service_name", "spans", "attributes['http.route']"];
    let words = Words::new(words.iter().map(|w| (*w).to_owned()).collect());
    let (start, found) = words.complete_at(line, line.len());
    assert_eq!(start, expected.0, "{line}");
    assert_eq!(found, expected.1, "{line}");
}

#[test]
fn tab_completes_the_word_before_the_cursor() {
    check("se", (0, &["select", "service_name"]));
    check("SEL", (0, &["select"]));
    check("select ser", (7, &["service_name"]));
    check("select é,sp", (10, &["spans"]));
    check("where attributes['http", (6, &["attributes['http.route']"]));
    check("select ", (7, &[]));
    check("zz", (0, &[]));
}
