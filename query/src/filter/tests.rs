//! Lines and the SQL they become; wrong lines and where they are wrong.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

/// Records have `retries`, `payment.provider` and `both`; resources `k8s.pod.name` and `both`.
struct Keys;

impl KnownKeys for Keys {
    fn has(&self, owner: Owner, key: &str) -> bool {
        let known: &[&str] = match owner {
            Owner::Record => &["retries", "payment.provider", "both"],
            Owner::Resource => &["k8s.pod.name", "both"],
        };
        known.contains(&key)
    }

    fn near(&self, key: &str) -> Vec<String> {
        nearest(key, ["retries", "payment.provider", "k8s.pod.name"].into_iter())
    }
}

fn read(over: Over, line: &str) -> Result<Filter, Wrong> {
    filter(line, &Setting { over, range: (None, None), now_ns: 0, keys: &Keys })
}

fn check_over(over: Over, line: &str, expected: &str) {
    match read(over, line) {
        Ok(filter) => assert_eq!(filter.sql, expected, "{line}"),
        Err(wrong) => panic!("{line}: {wrong:?}"),
    }
}

fn check(line: &str, expected: &str) {
    check_over(Over::Spans, line, expected);
}

fn check_wrong(line: &str, at: usize, expected: &str) {
    let wrong = read(Over::Spans, line).unwrap_err();
    assert!(wrong.message.contains(expected), "{line}: {wrong:?}");
    assert_eq!(wrong.at, at, "{line}: {wrong:?}");
}

#[test]
fn comparisons() {
    check("", "TRUE");
    check("service=checkout", "service_name = 'checkout'");
    check("op~\"^POST \"", "regexp_like(name, '^POST ')");
    check("kind = server", "kind = 'server'");
    check("dur>250ms", "duration_ns > 250000000");
    check("dur<=1.5s self>100us", "duration_ns <= 1500000000 AND self_ns > 100000");
    check("status=error", "status_code = 'error'");
    check("http_status_code>=500", "http_status_code >= 500");
    check("http.response.status_code=500", "attributes['http.response.status_code'] = 500");
    check(
        "http.response.status_code=none",
        "attributes['http.response.status_code']::text = 'none'",
    );
    check(
        "payment.provider in (acme, \"o'k\")",
        "attributes['payment.provider'] IN ('acme', 'o''k')",
    );
    check("resource.k8s.pod.name=p-1", "resource['k8s.pod.name'] = 'p-1'");
    check("k8s.pod.name=p-1", "resource['k8s.pod.name'] = 'p-1'");
    check("retries>2", "attributes['retries']::double > 2.0");
    check("retries>1.5KB", "attributes['retries']::double > 1500.0");
    check("retries=2", "attributes['retries'] = '2'");
    check("retries>\"2\"", "attributes['retries'] > '2'");
    check("has(retries)", "attributes['retries']::text IS NOT NULL");
    check("has(parent_span_id)", "parent_span_id IS NOT NULL");
    check("is_error=true", "is_error = TRUE");
    check("span=00F067AA0BA902B7", "span_id = '00f067aa0ba902b7'");
    check(
        "start_time>=2026-11-22T10:00:00Z",
        "start_time >= TIMESTAMP '2026-11-22T10:00:00.000000000'",
    );
    check("version=1.42.0", "resource['service.version'] = '1.42.0'");
    check("sql(duration_ns % 2 = 0 or name = ')')", "(duration_ns % 2 = 0 or name = ')')");
}

#[test]
fn negations_keep_rows_without_the_key() {
    check("-env=dev", "environment IS DISTINCT FROM 'dev'");
    check("env!=dev", "environment IS DISTINCT FROM 'dev'");
    check("not env!=dev", "environment = 'dev'");
    check("-retries>2", "NOT coalesce(attributes['retries']::double > 2.0, FALSE)");
    check("name!~x", "NOT coalesce(regexp_like(name, 'x'), FALSE)");
    check("-name!~x", "regexp_like(name, 'x')");
    check("-has(retries)", "attributes['retries']::text IS NULL");
    check("-(kind=server op=a)", "NOT coalesce((kind = 'server' AND name = 'a'), FALSE)");
    check("--kind=server", "kind = 'server'");
}

#[test]
fn words_and_brackets() {
    check("timeout", "strpos(lower(name), 'timeout') > 0");
    check("\"Time out\"", "strpos(lower(name), 'time out') > 0");
    check("-timeout", "NOT coalesce(strpos(lower(name), 'timeout') > 0, FALSE)");
    check("kind=a or kind=b kind=c", "(kind = 'a' OR kind = 'b' AND kind = 'c')");
    check("(kind=a or kind=b) and kind=c", "(kind = 'a' OR kind = 'b') AND kind = 'c'");
    check(
        "KIND=a OR NOT order",
        "(attributes['KIND'] = 'a' OR NOT coalesce(strpos(lower(name), 'order') > 0, FALSE))",
    );
    check_over(
        Over::Logs,
        "level>=warn Refused",
        "severity_number >= 13 AND strpos(lower(body), 'refused') > 0",
    );
    check_over(Over::Logs, "level=error", "severity_number BETWEEN 17 AND 20");
    check_over(
        Over::Logs,
        "level>w level in (i,f)",
        "severity_number > 16 AND (severity_number BETWEEN 9 AND 12 OR severity_number BETWEEN 21 AND 24)",
    );
    check_over(
        Over::Metrics,
        "pool kind=gauge",
        "strpos(lower(metric), 'pool') > 0 AND kind = 'gauge'",
    );
}

#[test]
fn other_spans_of_the_trace() {
    check(
        "trace.dur>1s",
        "trace_id IN (SELECT trace_id FROM traces WHERE duration_ns > 1000000000)",
    );
    check(
        "trace.retries=1",
        "trace_id IN (SELECT trace_id FROM spans WHERE attributes['retries'] = '1')",
    );
    check(
        "child(service=payment status=error)",
        "span_id IN (SELECT parent_span_id FROM spans AS other1 WHERE service_name = 'payment' AND status_code = 'error' AND parent_span_id IS NOT NULL)",
    );
    check(
        "-parent(op=a)",
        "NOT parent_span_id IN (SELECT span_id FROM spans AS other1 WHERE name = 'a')",
    );
    check(
        "desc(op=a)",
        "EXISTS (SELECT 1 FROM spans AS other1 WHERE other1.trace_id = spans.trace_id AND other1.tree_left > spans.tree_left AND other1.tree_left <= spans.tree_right AND name = 'a')",
    );
    check(
        "anc(op=a)",
        "EXISTS (SELECT 1 FROM spans AS other1 WHERE other1.trace_id = spans.trace_id AND spans.tree_left > other1.tree_left AND spans.tree_left <= other1.tree_right AND name = 'a')",
    );
    check_over(Over::Traces, "service=a dur>1s", "root_service = 'a' AND duration_ns > 1000000000");
    check_over(
        Over::Traces,
        "status=error",
        "CASE WHEN is_error THEN 'error' ELSE 'ok' END = 'error'",
    );
    check_over(
        Over::Traces,
        "retries=1",
        "trace_id IN (SELECT trace_id FROM spans WHERE attributes['retries'] = '1')",
    );
    let setting =
        Setting { over: Over::Spans, range: (Some(900_000_000_000), None), now_ns: 0, keys: &Keys };
    let bounded = filter("trace.dur>1s", &setting).unwrap();
    assert!(
        bounded.sql.ends_with("AND start_time >= TIMESTAMP '1970-01-01T00:00:00.000000000')"),
        "{bounded:?}"
    );
}

#[test]
fn what_is_wrong_has_a_place() {
    check_wrong("service=", 8, "a value is missing");
    check_wrong("a b)", 3, "closes nothing");
    check_wrong("(a b", 4, "`)` is missing");
    check_wrong("=5", 0, "needs a key");
    check_wrong("dur>fast", 4, "no duration");
    check_wrong("dur>5 op~\"(\"", 9, "no regular expression");
    check_wrong("trace_id=12", 9, "32 hex digits");
    check_wrong("op=\"a", 3, "not closed");
    check_wrong("foo(a)", 0, "no function foo()");
    check_wrong("has()", 4, "a key is missing");
    check_wrong("a or", 4, "missing at the end");
    check_wrong("sql(a; b)", 5, "semicolon");
    check_wrong("is_error=maybe", 9, "no truth");
    check_wrong(&"(".repeat(30), 20, "too deep");
    let wrong = read(Over::Logs, "child(a)").unwrap_err();
    assert!(wrong.message.contains("only spans"), "{wrong:?}");
    assert!(read(Over::Spans, &"a ".repeat(200)).is_err());
}

#[test]
fn unknown_and_ambiguous_keys_are_warned_of() {
    let unknown = read(Over::Spans, "service=a retrys>2").unwrap();
    assert_eq!(unknown.warnings.len(), 1, "{unknown:?}");
    let warning = &unknown.warnings[0];
    assert_eq!((warning.at, warning.length), (10, 6));
    assert_eq!(warning.near, ["retries"]);
    assert_eq!(unknown.terms.len(), 2);
    assert_eq!((unknown.terms[1].at, unknown.terms[1].length), (10, 8));
    assert_eq!(unknown.terms[0].meaning, "column");
    let both = read(Over::Spans, "both=1").unwrap();
    assert!(both.warnings[0].message.contains("resource.both"), "{both:?}");
    assert_eq!(read(Over::Spans, "attributes.both=1").unwrap().warnings, []);
    assert_eq!(nearest("provider", ["payment.provider"].into_iter()), ["payment.provider"]);
}
