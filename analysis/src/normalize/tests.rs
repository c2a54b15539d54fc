//! Queries and their normalised texts.

use proptest::prelude::*;

use super::*;

fn check(query: &str, expected: &str) {
    assert_eq!(normalize_query(query), expected, "{query}");
    assert_eq!(normalize_query(expected), expected, "twice: {query}");
}

#[test]
fn literals_become_question_marks() {
    check("SELECT * FROM t WHERE id = 42", "SELECT * FROM t WHERE id = ?");
    check("SELECT 'it''s', 'a\\'b' FROM t1", "SELECT ?, ? FROM t1");
    check("WHERE a=-1.5e-3 AND b = .5 AND c=0xFF", "WHERE a=? AND b = ? AND c=?");
    check("x - 5, x-y, x -5", "x - ?, x-y, x ?");
    check("E'\\n' N'x' x'00' U&'d' b'01' e1", "? ? ? ? ? e1");
    check("$$it's$$ || $body$a $$ b$body$", "? || ?");
    check("INTERVAL '1 day' IS NOT NULL", "INTERVAL ? IS NOT NULL");
    check("'unterminated and 5", "?");
}

#[test]
fn names_stay() {
    check(
        "SELECT \"User Id\", `order`, a2.b_3 FROM \"S\".\"t\"\"x\"",
        "SELECT \"User Id\", `order`, a2.b_3 FROM \"S\".\"t\"\"x\"",
    );
    check("SELECT a::int FROM v$session", "SELECT a::int FROM v$session");
    check("SELECT größe FROM t", "SELECT größe FROM t");
    check("\"open", "?");
}

#[test]
fn placeholders_are_all_alike() {
    for list in ["$1, $2", "?, ?", ":a, :b", "%s, %s", "?1,?2", "1 , 'x'", "@a", "NULL, 5, true"] {
        let expected = if list == "@a" { "f IN (@a)" } else { "f IN (?)" };
        check(&format!("f IN ({list})"), expected);
    }
    check("a = :name::text AND s[1:2]", "a = ?::text AND s[?:?]");
    check("a % s, a %s", "a % s, a ?");
}

#[test]
fn lists_become_one_value() {
    check("IN ( 1,2 , 3 )", "IN (?)");
    check("VALUES (1, 'a'), (2, 'b'),(3, NULL)", "VALUES (?)");
    check("VALUES (1, now()), (2, now())", "VALUES (?, now()), (?, now())");
    check("= ANY(ARRAY[1, 2, 3])", "= ANY(ARRAY[?])");
    check("((1,2),(3,4))", "((?))");
    check("count(*), f(), g(x)", "count(*), f(), g(x)");
    check("LIMIT 10, 20", "LIMIT ?, ?");
    check(") ] (", ") ] (");
}

#[test]
fn comments_and_white_space_vanish() {
    check("  SELECT\n\t1 -- one\n FROM t /* traceparent='00-ab' */ ;", "SELECT ? FROM t ;");
    check("/* all", "");
    check("a--b", "a");
    check("", "");
}

#[test]
fn documents_lose_their_values_and_keep_their_keys() {
    check(
        "{\"find\": \"orders\", \"filter\": {\"id\": 7, \"tags\": [\"a\", \"b\"]}, \"ok\": true}",
        "{\"find\": ?, \"filter\": {\"id\": ?, \"tags\": [?]}, \"ok\": true}",
    );
    check("[{\"$match\": {\"n\": -1}}]", "[{\"$match\": {\"n\": ?}}]");
}

#[test]
fn a_hostile_text_takes_no_more_than_its_length() {
    // Each would take hours if a closing bracket read all that it closes.
    let deep = "(".repeat(1_000_000) + &")".repeat(1_000_000);
    assert_eq!(normalize_query(&deep), deep);
    let lists = "(1,2,".repeat(300_000) + "3" + &")".repeat(300_000);
    assert!(normalize_query(&lists).starts_with("(?,?,("));
    let tuples = format!("VALUES {}(1)", "(1, 2), ".repeat(300_000));
    assert_eq!(normalize_query(&tuples), "VALUES (?)");
    for piece in ["$a", "\"", "'", "--", "/*", ":a", "%s", "[", "-1", "1e", "\\'", "$$", " "] {
        let once = normalize_query(&piece.repeat(100_000));
        assert!(once.len() <= 200_000, "{piece}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn twice_is_as_good_as_once(query in "[a-cesxX015 '\"`$:?%(),\\[\\]{}./*&\\\\\n+-]{0,24}") {
        let once = normalize_query(&query);
        prop_assert_eq!(normalize_query(&once), once);
    }

    #[test]
    fn any_text_is_read(query in any::<String>()) {
        let once = normalize_query(&query);
        prop_assert_eq!(normalize_query(&once), once);
    }

    #[test]
    fn the_value_of_a_literal_means_nothing(number in any::<u64>(), text in "[a-z ()?,]{0,12}") {
        let query = format!("SELECT a FROM t WHERE n = {number} AND s = '{text}' LIMIT {number}");
        prop_assert_eq!(
            normalize_query(&query),
            "SELECT a FROM t WHERE n = ? AND s = ? LIMIT ?"
        );
    }
}
