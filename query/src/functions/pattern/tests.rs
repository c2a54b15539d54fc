//! Lines and their templates.

use super::*;

fn check(line: &str, expected: &str) {
    let mut out = String::new();
    Masking { line: cut(line), at: 0, out: &mut out }.run();
    assert_eq!(out, expected, "{line}");
}

#[test]
fn what_varies_is_masked() {
    check("", "");
    check("order taken", "order taken");
    check(
        "upstream timeout after 600ms provider=acme",
        "upstream timeout after <n>ms provider=<w>",
    );
    check("pool acme: 0 idle, 412 waiters", "pool acme: <n> idle, <n> waiters");
    check("acquiring connection (in use 32/32)", "acquiring connection (in use <n>/<n>)");
    check(
        "POST https://acme-eu-1/v1/charge attempt=1",
        "POST https://acme-eu-<n>/v<n>/charge attempt=<n>",
    );
    check("charge failed order=918233 amount=42.10", "charge failed order=<n> amount=<n>");
    check("took 1.5s, -3 left.", "took <n>s, -<n> left.");
    check("v1.42.0 on n-7", "v<n> on n-<n>");
    check("GET /orders/918233?x=1&y=b", "GET /orders/<n>?x=<n>&y=<w>");
}

#[test]
fn ids_times_and_addresses_are_masked() {
    check("trace 4bf92f3577b34da6a3ce929d0e0e4736 end", "trace <id> end");
    check("id=550e8400-e29b-41d4-a716-446655440000", "id=<id>");
    check("id=a50e8400-e29b-41d4-a716-446655440000", "id=<id>");
    check("at=2026-11-22T10:00:00Z ip=10.0.0.1 n=7c9", "at=<time> ip=<ip> n=<w>");
    check("user 550e8400-e29b-41d4-a716-446655440000 gone", "user <id> gone");
    check("session f3Kd9sL0qPz81mXa77 closed", "session <id> closed");
    check("0x7ffee4b2 is null", "<id> is null");
    check("deadbeef facade", "deadbeef facade");
    check("2026-11-22T10:00:00.123Z start", "<time> start");
    check("at 2026-11-22 10:00:00,123 end", "at <time> end");
    check("since 2026-11-22", "since <time>");
    check("10:00:07 tick 2026-11-22T10:00:00+02:00", "<time> tick <time>");
    check("from 10.0.0.7:4317 to 192.168.1.1", "from <ip>:<n> to <ip>");
}

#[test]
fn quoted_parts_are_masked_and_json_keys_stay() {
    check("user \"ann\" can't 'log in'", "user \"<s>\" can't '<s>'");
    check("{\"reason\":\"refused\",\"n\":3}", "{\"reason\":\"<s>\",\"n\":<n>}");
    check("an \"open quote", "an \"open quote");
    check("say \"a \\\" b\" end", "say \"<s>\" end");
    check("key=\"a b\" k='c'", "key=\"<s>\" k='<s>'");
    check("empty \"\"", "empty \"\"");
}

#[test]
fn one_line_is_looked_at_and_any_text_survives() {
    check("first 1\n  at second 2", "first <n>");
    check("größe=5 naïve=ü €7", "größe=<n> naïve=<w> €<n>");
    let long = "ä".repeat(10_000);
    check(&long, &"ä".repeat(LINE_BYTES_MAX / 2));
    for line in
        ["=", "==", "a=", "\"", "'", "-", ".", "0x", "1.", "1..2", "2026-11-22T", "::1", "a='"]
    {
        check(line, &template_of(line));
    }
}

fn template_of(line: &str) -> String {
    let mut out = String::new();
    Masking { line: cut(line), at: 0, out: &mut out }.run();
    out
}
