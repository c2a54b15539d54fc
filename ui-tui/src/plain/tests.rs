//! What is said and answered in lines.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures::future::BoxFuture;

use api::ask::Call;
use api::client::Answer;
use bytes::Bytes;

use super::*;
use crate::action::Place;
use crate::scope::Scope;
use crate::screens;
use crate::testing::{NOW_NS, appearance, incident};

/// Answers from the incident, over the trait that servers answer through. Its checkout has this name, as
/// JSON writes it.
struct Canned(&'static str);

impl Ask for Canned {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, ClientError>> {
        let (status, bytes) = match incident::bytes_of(&call) {
            Some(bytes) => {
                (200, String::from_utf8(bytes).unwrap().replace("checkout", self.0).into())
            }
            None => (404, b"nothing canned".to_vec()),
        };
        let body = futures::stream::iter([Ok(Bytes::from(bytes))]);
        Box::pin(async move { Ok(Answer::new(status, None, Box::pin(body))) })
    }
}

/// What is told from the start and after each of some lines.
async fn said_to(lines: &'static str) -> String {
    said_of("checkout", lines).await
}

async fn said_of(checkout: &'static str, lines: &'static str) -> String {
    let now = Now { mono_ms: 0, unix_ns: NOW_NS };
    let screen = screens::root(Place::Services);
    let app = App::new(appearance("ascii"), screen, Place::Services, Scope::default(), now);
    let mut out = Vec::new();
    talk(Arc::new(Canned(checkout)), app, lines.as_bytes(), &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn a_number_opens_a_row_and_words_act() {
    let told = said_to("1\nwords without meaning zzz\nesc\nt 1h\n").await;
    assert!(told.starts_with("services; last 15m; no filter\n"), "{told}");
    assert!(told.contains("1/9 checkout, per second 212"), "{told}");
    assert!(told.contains("services, checkout; last 15m"), "{told}");
    assert!(told.contains("1/7 payment  POST /charge, mean ms 1.31 k, share 0.708"), "{told}");
    assert!(told.contains("not understood"), "{told}");
    assert!(told.contains("services; last 1h; no filter"), "{told}");
    assert!(told.is_ascii() && !told.contains('\u{1b}'), "{told}");
}

#[tokio::test]
async fn the_way_to_the_trace_and_its_end() {
    let told = said_to("1\nx\nq\nq\nq\nnever read\n").await;
    assert!(told.contains("services, checkout, trace 4bf92f35"), "{told}");
    assert!(told.contains("service acme, name POST /v1/charge"), "{told}");
    assert!(!told.contains("never read") && !told.contains("not understood"), "{told}");
}

#[tokio::test]
async fn a_line_end_in_a_name_begins_no_line() {
    let told = said_of("check\\n2/9 out", "").await;
    assert!(told.contains("1/9 check"), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("2/9 ")).count(), 1, "{told}");
}
