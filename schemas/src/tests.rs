//! Golden text of every table, what is generated from the tables, and the laws of canonical JSON.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod duckdb;
mod reference;

use std::fmt::Write as _;

use crate::attributes::{Owner, ValueType, promoted_keys};
use crate::derived::{self, Derived};
use crate::{Kind, Table, ids, json, semantic};

/// Compares with `golden/<name>.txt`; `UPDATE=1` rewrites it.
fn check_golden(name: &str, actual: &str) {
    check_file(&format!("golden/{name}.txt"), actual);
}

/// Compares with a file named from this crate's folder; `UPDATE=1` rewrites it.
fn check_file(path: &str, actual: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{path} differs; UPDATE=1 rewrites it");
}

#[test]
fn tables_read_as_their_golden_text() {
    for table in Table::ALL {
        let mut text = format!(
            "{} ({}), sorted by {:?} {}\n",
            table.name(),
            table.signal().name(),
            table.bucket_ns(),
            table.sort_columns().join(", ")
        );
        for c in table.columns() {
            let null = if c.nullable { "?" } else { "" };
            let kind = format!("{:?}{null}", c.kind);
            writeln!(
                text,
                "  {:<26}{kind:<13}{:<12}{:<7}{}",
                c.name,
                format!("{:?}", c.encoding),
                format!("{:?}", c.statistics),
                c.doc
            )
            .unwrap();
        }
        check_golden(table.name(), &text);
    }
}

#[test]
fn promoted_keys_and_semantic_columns_read_as_their_golden_text() {
    let mut text = String::new();
    for owner in [Owner::Record, Owner::Resource] {
        for p in promoted_keys(owner) {
            writeln!(text, "{:<40}{:?}", p.column, p.value_type).unwrap();
        }
    }
    check_golden("promoted", &text);
    let mut text = String::new();
    for s in semantic::RECORD.iter().chain(semantic::RESOURCE) {
        writeln!(text, "{:<24}{:<6}{:?}", s.name, format!("{:?}", s.value_type), s.sources)
            .unwrap();
    }
    check_golden("semantic", &text);
}

#[test]
fn derived_columns_read_as_their_golden_text() {
    fn lines<F>(text: &mut String, title: &str, facts: &[Derived<F>]) {
        writeln!(text, "{title}").unwrap();
        for d in facts {
            writeln!(text, "  {:<26}{:<13}{}", d.name, format!("{:?}", d.kind), d.doc).unwrap();
        }
    }
    let mut text = String::new();
    lines(&mut text, "spans, when named", derived::SPAN_FACTS);
    lines(&mut text, "traces", derived::TRACE_FACTS);
    lines(&mut text, "error_origins", derived::ERROR_FACTS);
    lines(&mut text, "call_patterns", derived::PATTERN_FACTS);
    lines(&mut text, "critical_paths()", derived::PATH_FACTS);
    check_golden("derived", &text);
}

/// A derived column would hide a stored or a semantic one of its name.
#[test]
fn derived_columns_have_names_of_their_own() {
    let mut seen = std::collections::BTreeSet::new();
    for d in derived::SPAN_FACTS {
        assert!(seen.insert(d.name), "{} twice", d.name);
        assert!(Table::Spans.column(d.name).is_none(), "{} is stored", d.name);
        assert!(semantic::semantic(d.name).is_none(), "{} is semantic", d.name);
    }
}

#[test]
fn sort_and_time_columns_exist() {
    for table in Table::ALL {
        for name in table.sort_columns().iter().chain([&table.time_column()]) {
            assert!(table.column(name).is_some_and(|c| c.kind.is_primitive()), "{table:?} {name}");
        }
        assert!(table.column(table.time_column()).is_some_and(|c| c.kind == Kind::Time));
    }
}

#[test]
fn hex_reads_back() {
    for bytes in [[0; 8], [255; 8], [0, 1, 2, 127, 128, 200, 254, 255]] {
        assert_eq!(ids::parse_hex(ids::hex(&bytes).as_bytes()), Some(bytes));
        assert_eq!(ids::parse_hex(ids::hex(&bytes).to_uppercase().as_bytes()), Some(bytes));
    }
    assert_eq!(ids::parse_hex::<8>(b"0af7"), None);
    assert_eq!(ids::parse_hex::<2>(b"0ag7"), None);
}

fn written(write: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn values_are_written_canonically() {
    let check = |actual: String, expected: &str| assert_eq!(actual, expected);
    check(
        written(|o| json::write_string(o, "a\"\\\u{8}\t\n\u{c}\r\u{1}\u{7f}\u{2028}é/")),
        "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001\u{7f}\u{2028}é/\"",
    );
    check(written(|o| json::write_map_key(o, "$b64")), "\"$$b64\"");
    check(written(|o| json::write_map_key(o, "$a\n\u{1}")), "\"$$a\\n\\u0001\"");
    check(written(|o| json::write_map_key(o, "plain")), "\"plain\"");
    check(written(|o| json::write_int(o, i64::MIN)), "-9223372036854775808");
    for (double, text) in [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (0.0, "0.0"),
        (-12.5, "-12.5"),
        (0.001, "0.001"),
        (-0.05, "-0.05"),
        (0.0005, "0.0005"),
        (1e300, "1e300"),
        (1e16, "1e16"),
        (1.5e-7, "1.5e-7"),
        (f64::NAN, r#"{"$f":"NaN"}"#),
        (f64::NEG_INFINITY, r#"{"$f":"-Infinity"}"#),
    ] {
        check(written(|o| json::write_double(o, double)), text);
    }
    check(written(|o| json::write_bytes(o, &[0, 255])), r#"{"$b64":"AP8="}"#);
}

/// Numbers with few decimals take a path of their own, which must not show.
#[test]
fn doubles_are_the_shortest_text() {
    let check = |double: f64| {
        let expected = ryu::Buffer::new().format_finite(double).to_owned();
        assert_eq!(written(|o| json::write_double(o, double)), expected);
    };
    let mut bits = 1_u64;
    for i in 0..20_000_i64 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let whole = (bits >> 13) as i64 >> (i % 50);
        for decimals in [1.0, 8.0, 10.0, 100.0, 1000.0, 10_000.0] {
            check(whole as f64 / decimals);
            check((whole as f64 / decimals).next_up());
            check(-whole as f64 / decimals);
        }
    }
    [1e12, 999_999_999_999.999, 0.1 + 0.2, f64::MIN_POSITIVE, f64::MAX].into_iter().for_each(check);
}

#[test]
fn members_are_found_only_at_the_top() {
    let object = r#"{"a.b":1,"m":{"x":{"y":[1,"}"]},"z":2},"s":"\"x\":3","x":"last"}"#;
    let check = |key: &str, expected: Option<&str>| {
        assert_eq!(json::lookup(object, &json::escape_key(key)), expected, "{key}");
    };
    check("a.b", Some("1"));
    check("x", Some("\"last\""));
    check("y", None);
    check("z", None);
    check("m", Some(r#"{"x":{"y":[1,"}"]},"z":2}"#));
    assert_eq!(json::members("{}").count(), 0);
    assert_eq!(json::elements(r#"[1,[2,3],"a,b",{"$empty":true}]"#).count(), 4);
    assert_eq!(json::elements("[]").count(), 0);
    assert_eq!(json::lookup(r#"{"":5}"#, ""), Some("5"));
}

#[test]
fn readers_survive_text_that_is_not_canonical() {
    for text in [
        "",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":[",
        "[[[",
        "nul",
        "\"",
        "\\",
        "{\"a\":\"\\",
        "é",
        "{\"é\":\"\\u12\"}",
        "]",
    ] {
        let _ = json::members(text).count();
        let _ = json::elements(text).count();
        let _ = json::value(text).map(|v| json::convert(v, ValueType::Text));
        let _ = json::lookup(text, "a");
        let _ = json::unescape(text);
    }
}

#[test]
fn typed_access_follows_the_table() {
    use json::Typed::{Bool, Double, Int, Text};
    let check =
        |raw: &str, text: &str, int: Option<i64>, double: Option<f64>, bool: Option<bool>| {
            let value = json::value(raw).unwrap();
            assert_eq!(json::convert(value, ValueType::Text), Some(Text(text.into())), "{raw}");
            assert_eq!(json::convert(value, ValueType::Int), int.map(Int), "{raw}");
            assert_eq!(json::convert(value, ValueType::Double), double.map(Double), "{raw}");
            assert_eq!(json::convert(value, ValueType::Bool), bool.map(Bool), "{raw}");
        };
    check(r#""x""#, "x", None, None, None);
    check(r#""500""#, "500", Some(500), Some(500.0), None);
    check(r#""1.5""#, "1.5", None, Some(1.5), None);
    check(r#""true""#, "true", None, None, Some(true));
    check("7", "7", Some(7), Some(7.0), None);
    check(
        "9007199254740993",
        "9007199254740993",
        Some(9_007_199_254_740_993),
        Some(9_007_199_254_740_992.0),
        None,
    );
    check("2.0", "2.0", Some(2), Some(2.0), None);
    check("2.5", "2.5", None, Some(2.5), None);
    check("1e300", "1e300", None, Some(1e300), None);
    check(
        "9.223372036854775808e18",
        "9.223372036854775808e18"
            .parse::<f64>()
            .map(|d| ryu::Buffer::new().format(d).to_owned())
            .unwrap()
            .as_str(),
        None,
        Some(9.223_372_036_854_776e18),
        None,
    );
    check("true", "true", None, None, Some(true));
    check(r#"{"$b64":"AP8="}"#, "AP8=", None, None, None);
    check(r#"{"$f":"Infinity"}"#, "Infinity", None, Some(f64::INFINITY), None);
    check(r#"{"$empty":true}"#, "", None, None, None);
    check("[1,2]", "[1,2]", None, None, None);
    check(r#"{"$$b64":"x"}"#, r#"{"$$b64":"x"}"#, None, None, None);
}
