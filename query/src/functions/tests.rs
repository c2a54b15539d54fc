//! The functions through SQL.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::QueryError;
use crate::encode::{Encoder, Format, Options};

fn session() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(64);
    let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
    super::install(&mut builder);
    SessionContext::new_with_state(builder.build())
}

/// The rows as CSV without the header, lines joined by `|`; or code and message of the error.
async fn ask(sql: &str) -> String {
    let rows = async { session().sql(sql).await?.collect().await };
    let batches = match rows.await {
        Ok(batches) => batches,
        Err(error) => {
            let error = QueryError::from_datafusion(error, sql);
            return format!("{}: {}", error.0.code, error.0.message);
        }
    };
    let mut out = Vec::new();
    let raw = Options { csv_raw: true, ..Options::default() };
    for batch in batches {
        let mut csv = Encoder::new(Format::Csv, &batch.schema(), raw).unwrap();
        csv.rows(&batch, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap().trim_end_matches("\r\n").replace("\r\n", "|")
}

async fn check(sql: &str, expected: &str) {
    assert_eq!(ask(sql).await, expected, "{sql}");
}

#[tokio::test]
async fn time_buckets() {
    let at = "TIMESTAMP '2024-02-29T12:34:56.789'";
    for (width, expected) in [
        ("'5m'", "2024-02-29T12:30:00.000000000Z"),
        ("'1 minute'", "2024-02-29T12:34:00.000000000Z"),
        ("'60.000s'", "2024-02-29T12:34:00.000000000Z"),
        ("'minute'", "2024-02-29T12:34:00.000000000Z"),
        ("'500ms'", "2024-02-29T12:34:56.500000000Z"),
        ("INTERVAL '1 hour'", "2024-02-29T12:00:00.000000000Z"),
        ("INTERVAL '1 day'", "2024-02-29T00:00:00.000000000Z"),
        ("'1w'", "2024-02-26T00:00:00.000000000Z"),
        ("'1M'", "2024-02-01T00:00:00.000000000Z"),
        ("'1 month'", "2024-02-01T00:00:00.000000000Z"),
        ("'1 quarter'", "2024-01-01T00:00:00.000000000Z"),
        ("'1 year'", "2024-01-01T00:00:00.000000000Z"),
        ("NULL::interval", ""),
    ] {
        check(&format!("SELECT time_bucket({width}, {at})"), expected).await;
    }
    check(
        &format!("SELECT time_bucket('1 day', {at}, TIMESTAMP '2024-01-01T06:00:00')"),
        "2024-02-29T06:00:00.000000000Z",
    )
    .await;
    check(
        "SELECT time_bucket('1h', t), count(*) FROM (VALUES (TIMESTAMP '1969-12-31T23:59:59'), \
         (TIMESTAMP '1970-01-01T00:00:01'), (TIMESTAMP '1970-01-01T00:59:59')) v(t) \
         GROUP BY time_bucket('1h', t) ORDER BY 1",
        "1969-12-31T23:00:00.000000000Z,1|1970-01-01T00:00:00.000000000Z,2",
    )
    .await;
    for width in ["'5 parsecs'", "'0s'", "'-5m'", "''", "'1.5 months'"] {
        let told = ask(&format!("SELECT time_bucket({width}, {at})")).await;
        assert!(told.starts_with("failed: "), "{width}: {told}");
    }
}

#[tokio::test]
async fn epochs_and_ids() {
    check("SELECT epoch_ns(TIMESTAMP '1970-01-01T00:00:01')", "1000000000").await;
    check("SELECT epoch_ns(NULL)", "").await;
    check("SELECT hex(x'00FFab'), hex(NULL), hex(unhex('0aFF'))", "00ffab,,0aff").await;
    check("SELECT hex(arrow_cast(x'0102', 'FixedSizeBinary(2)'))", "0102").await;
    let ids = "(VALUES (x'01'), (x'02'), (x'01'), (NULL)) AS t(id)";
    let hashes = "id_hash(arrow_cast(id, 'FixedSizeBinary(1)'))";
    check(&format!("SELECT count(DISTINCT {hashes}), count({hashes}) FROM {ids}"), "2,3").await;
    check("SELECT unhex('0g')", "failed: '0g' is not an even number of hex digits").await;
    check("SELECT unhex('abc')", "failed: 'abc' is not an even number of hex digits").await;
}

#[tokio::test]
async fn histograms_in_groups() {
    check("SELECT p50(v), p99(v), p999(v) FROM (VALUES (5), (NULL), (5)) t(v)", "5.0,5.0,5.0")
        .await;
    check("SELECT p50(v), hist(v) IS NULL FROM (VALUES (NULL::double)) t(v)", ",true").await;
    let thousand = "SELECT value AS v, value % 3 AS g FROM generate_series(1, 1000)";
    check(
        &format!(
            "SELECT g, p50(v) BETWEEN 490 AND 511, hist_count(hist(v)) = count(*), \
             hist_count_le(hist(v), 1000) FROM ({thousand}) GROUP BY g ORDER BY g"
        ),
        "0,true,true,333|1,true,true,334|2,true,true,333",
    )
    .await;
    check(
        &format!(
            "WITH parts AS (SELECT g, v % 7, hist(v) h FROM ({thousand}) GROUP BY 1, 2) \
             SELECT (SELECT hist_merge(h) FROM parts) = (SELECT hist(v) FROM ({thousand})), \
             (SELECT hist_quantile(hist_merge(h), 0.9) FROM parts) = (SELECT p90(v) FROM ({thousand}))"
        ),
        "true,true",
    )
    .await;
    check(&format!("SELECT p50(v) FILTER (WHERE v > 999) FROM ({thousand})"), "1000.0").await;
    check(
        &format!("SELECT g, p50(v) FILTER (WHERE v > 999) FROM ({thousand}) GROUP BY g ORDER BY g"),
        "0,|1,1000.0|2,",
    )
    .await;
    check(
        "SELECT hist_quantile(hist(v), 1.5) FROM (VALUES (1)) t(v)",
        "failed: a quantile lies between 0 and 1, not at 1.5",
    )
    .await;
    let told = ask("SELECT p50(DISTINCT v), count(v) FROM (VALUES (1)) t(v)").await;
    assert!(told.contains("p50 does not take DISTINCT"), "{told}");
    let told = ask("SELECT hist_merge(1)").await;
    assert!(told.starts_with("invalid: "), "{told}");
}

#[tokio::test]
async fn counters() {
    // Out of order, one repeated point, one restart: 10, +5, restart to 2, +3.
    let points = "(VALUES (15, 10), (10, 0), (15, 10), (2, 20), (5, 30), (NULL, 40)) t(v, s)";
    let time = "to_timestamp_seconds(s)::timestamp";
    check(&format!("SELECT increase(v, {time}) FROM {points}"), "10.0").await;
    check(&format!("SELECT round(rate(v, {time}), 4) FROM {points}"), "0.3333").await;
    check(&format!("SELECT increase(v, {time}), rate(v, {time}) FROM {points} WHERE s = 0"), ",")
        .await;
    let series = "(SELECT value AS v, arrow_cast(sha256('a' || (value % 10)), 'BinaryView') id, \
                  to_timestamp_seconds(value)::timestamp AS t, value % 2 AS g \
                  FROM generate_series(1, 1000))";
    let id = "arrow_cast(substr(encode(id, 'hex'), 1, 16)::bytea, 'FixedSizeBinary(16)')";
    check(
        &format!("SELECT g, increase(v, t, {id}), round(rate(v, t, {id}), 6) FROM {series} GROUP BY g ORDER BY g"),
        "0,4950.0,5.0|1,4950.0,5.0",
    )
    .await;
    check(&format!("SELECT increase(v, t, {id}) FROM {series}"), "9900.0").await;
    let told = ask("SELECT increase(1)").await;
    assert!(told.contains("increase takes increase(value, time)"), "{told}");
}

#[tokio::test]
async fn builders_are_capped() {
    for sql in [
        "SELECT repeat('a', 2000000000)",
        "SELECT repeat(repeat('a', 100000), 100000)",
        "SELECT rpad('a', 1000000000, 'b')",
        "SELECT lpad('a', 17000000, 'b')",
        "SELECT lpad('a', 5000000, 'é')",
        "SELECT range(9876543210)",
        "SELECT generate_series(0, 9876543210, 2)",
        "SELECT range(TIMESTAMP '2024-01-01', TIMESTAMP '2025-01-01', INTERVAL '1 microsecond')",
        "SELECT array_repeat(1, 100000000)",
        "SELECT list_repeat(repeat('a', 10000), 10000)",
        "SELECT array_resize([1], 100000000, 1)",
        "SELECT concat(a, a) FROM (SELECT repeat('a', 10000000) a)",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000))",
        "SELECT repeat('a', 1000000) || value, repeat(value || 'a', 1000000) FROM range(1000)",
    ] {
        let told = ask(sql).await;
        assert!(told.starts_with("failed: ") && told.contains("would build more"), "{sql}: {told}");
    }
    for (sql, expected) in [
        (
            "SELECT repeat('ab', 2), lpad('a', 3, 'x'), rpad('a', 3), concat('a', 1, NULL)",
            "abab,xxa,a  ,a1",
        ),
        ("SELECT length(repeat('a', 16000000))", "16000000"),
        (
            "SELECT range(3), generate_series(1, 5, 2), array_repeat('a', 2)",
            "\"[0,1,2]\",\"[1,3,5]\",\"[\"\"a\"\",\"\"a\"\"]\"",
        ),
        (
            "SELECT array_resize([1], 2, 7), replace('abc', 'b', 'xx'), concat_ws('-', 'a', 'b')",
            "\"[1,7]\",axxc,a-b",
        ),
        (
            "SELECT cardinality(range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', INTERVAL '1 hour'))",
            "24",
        ),
        ("SELECT count(*) FROM range(300)", "300"),
    ] {
        check(sql, expected).await;
    }
}

#[tokio::test]
async fn what_shows_the_inside_is_gone() {
    let told = ask("SELECT version()").await;
    assert!(told.starts_with("unknown_function: "), "{told}");
    let context = session();
    for name in super::caps::REMOVED {
        assert!(context.udf(name).is_err(), "{name}");
    }
}
