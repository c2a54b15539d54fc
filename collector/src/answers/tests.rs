//! The table itself, and the limits of what is written from it.

use std::time::Duration;

use storage::Encoding;
use tonic::Code;

use super::{
    Condition, Refusal, Retry, TABLE, cut, jittered, percent_encoded, success, whole_seconds,
};

#[test]
fn the_table_is_in_order_and_keeps_the_rules() {
    for (i, row) in TABLE.iter().enumerate() {
        assert_eq!(row.condition as usize, i, "{}", row.name);
        let grpc_retryable = matches!(row.grpc, Code::Unavailable | Code::DeadlineExceeded);
        let http_retryable = matches!(row.http, 429 | 502 | 503 | 504);
        let retryable = row.retry != Retry::Never;
        assert_eq!((grpc_retryable, http_retryable), (retryable, retryable), "{}", row.name);
        assert_ne!(row.http, 500, "{}: a client drops its data on 500", row.name);
        assert_ne!(row.grpc, Code::OutOfRange, "{}: clients repeat it in vain", row.name);
        if let Retry::After(delay) = row.retry {
            assert!(delay <= Duration::from_secs(5), "{}", row.name);
        }
        let named = TABLE.iter().filter(|r| r.name == row.name).count();
        assert_eq!(named, 1, "{}", row.name);
    }
}

#[test]
fn only_retryable_refusals_carry_a_delay() {
    for row in &TABLE {
        let refusal = Refusal::new(row.condition, "text").after(Duration::from_secs(1));
        let asks = matches!(row.retry, Retry::After(_));
        let grpc = refusal.grpc_headers();
        let (_, http, body) = refusal.http(Encoding::Json);
        assert_eq!(grpc.contains_key("google.rpc.retryinfo-bin"), asks, "{}", row.name);
        assert_eq!(grpc.contains_key("grpc-status-details-bin"), asks, "{}", row.name);
        assert_eq!(http.contains_key("retry-after"), asks, "{}", row.name);
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(text.contains("RetryInfo"), asks, "{text}");
    }
}

#[test]
fn a_json_status_with_both_details_is_json() {
    let refusal = Refusal::new(Condition::Overloaded, "a \"quoted\" text").at("body".to_owned());
    let (_, _, body) = refusal.http(Encoding::Json);
    let text = String::from_utf8_lossy(&body).into_owned();
    let delay = refusal.retry_after.unwrap_or_default().as_millis();
    let expected = format!(
        r#"{{"code":14,"message":"a \"quoted\" text","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{}.{:03}s"}},{{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{{"field":"body","description":"a \"quoted\" text"}}]}}]}}"#,
        delay / 1000,
        delay % 1000
    );
    assert_eq!(text, expected);
}

#[test]
fn long_texts_are_cut_on_a_character() {
    let long = "é".repeat(5000);
    assert_eq!(cut(&long, 2047).len(), 2046);
    let json = success(schemas::Signal::Logs, Encoding::Json, 1, &long);
    let protobuf = success(schemas::Signal::Logs, Encoding::Protobuf, 1, &long);
    assert!(json.len() < 2200 && protobuf.len() < 2200);
    assert!(Refusal::new(Condition::Undecodable, long).http(Encoding::Json).2.len() < 2200);
}

#[test]
fn delays() {
    for seconds in [1, 5, 60] {
        let delay = jittered(Duration::from_secs(seconds)).as_secs_f64();
        let most = (seconds as f64 * 1.2).min(5.0);
        assert!((0.8 * (seconds as f64).min(5.0)..=most).contains(&delay), "{delay}");
    }
    let cases = [(0, 1), (400, 1), (1200, 1), (1600, 2), (5000, 5)];
    for (ms, seconds) in cases {
        assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms} ms");
    }
}

#[test]
fn percent_encoding() {
    let cases = [("plain text", "plain text"), ("100 %", "100 %25"), ("é\n", "%C3%A9%0A")];
    for (text, expected) in cases {
        assert_eq!(percent_encoded(text), expected);
    }
}
