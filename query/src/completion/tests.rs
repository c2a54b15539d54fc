//! Beginnings of texts, and what may stand at their end.

use super::*;

fn check(before: &str, prefix: &str, wants: Wants) {
    let place = in_statement(before);
    assert_eq!((place.prefix.as_str(), &place.wants), (prefix, &wants), "{before}");
    let written: String = before.chars().skip(place.from).collect();
    assert_eq!(written, prefix, "{before}");
}

fn column(name: &str) -> Wants {
    Wants::Value(Operand::Column(name.to_owned()))
}

#[test]
fn statements() {
    let key = |key: &str| Wants::Value(Operand::Attribute(Source::Record, key.to_owned()));
    check("", "", Wants::Expression);
    check("SELECT na", "na", Wants::Expression);
    check("SELECT * FROM ", "", Wants::Table);
    check("SELECT * FROM sp", "sp", Wants::Table);
    check("SELECT * FROM spans, lo", "lo", Wants::Table);
    check("SELECT name, ki", "ki", Wants::Expression);
    check("SELECT * FROM spans JOIN l", "l", Wants::Table);
    check("SELECT * FROM spans WHERE ", "", Wants::Expression);
    check("SELECT attributes['pay", "pay", Wants::Key(Source::Record));
    check("SELECT s.resource['", "", Wants::Key(Source::Resource));
    check("SELECT * FROM spans WHERE service_name = 'pay", "pay", column("service_name"));
    check("WHERE s.name<>'", "", column("name"));
    check("WHERE name NOT LIKE '", "", column("name"));
    check("WHERE name IN ('a', 'b", "b", column("name"));
    check("WHERE name NOT IN ('a','it''s','", "", column("name"));
    check("WHERE attributes['k'] = 'v", "v", key("k"));
    check("WHERE attributes['k']::text = 'v", "v", key("k"));
    check("SELECT 'abc", "abc", Wants::Nothing);
    check("SELECT 1 -- na", "", Wants::Nothing);
    check("SELECT 1 -- x\n na", "na", Wants::Expression);
    check("WHERE größe = 'ü", "ü", column("größe"));
}

#[test]
fn tables() {
    let known = |name: &str| ["spans", "logs"].into_iter().find(|k| k.eq_ignore_ascii_case(name));
    assert_eq!(tables_of("select * from Spans join logs on", known), ["spans", "logs"]);
    assert_eq!(tables_of("select", known), [""; 0]);
}

fn check_line(before: &str, prefix: &str, wants: Wants) {
    let place = in_line(before);
    assert_eq!((place.prefix.as_str(), &place.wants), (prefix, &wants), "{before}");
}

#[test]
fn lines() {
    let value = |key: &str| Wants::FilterValue(key.to_owned());
    check_line("", "", Wants::FilterKey);
    check_line("ser", "ser", Wants::FilterKey);
    check_line("service=a -pay", "pay", Wants::FilterKey);
    check_line("(ki", "ki", Wants::FilterKey);
    check_line("service=ch", "ch", value("service"));
    check_line("-service!=ch", "ch", value("service"));
    check_line("op=\"POST /ch", "POST /ch", value("op"));
    check_line("k in (a, b", "b", value("k"));
    check_line("k in (", "", value("k"));
    check_line("k in (a) ", "", Wants::FilterKey);
    check_line("child(ser", "ser", Wants::FilterKey);
    check_line("\"free te", "", Wants::Nothing);
}
