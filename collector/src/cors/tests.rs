//! Who counts as a neighbour and who does not.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use http::HeaderValue;

use super::{Head, Visitors};

fn check(on_loopback: bool, hosts: &[&str], origin: &str, host: &str, allowed: bool) {
    let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
    let visitors = Visitors::new(&["https://App.example".to_owned()], &hosts);
    let origin_value = HeaderValue::from_str(origin).unwrap();
    let head = Head {
        origin: (!origin.is_empty()).then_some(&origin_value),
        host: (!host.is_empty()).then_some(host),
    };
    let answer = visitors.check(&head, on_loopback);
    assert_eq!(answer.is_ok(), allowed, "{on_loopback} {hosts:?} {origin} {host}: {answer:?}");
}

#[test]
fn on_loopback() {
    let cases = [
        ("", "", true),
        ("", "localhost", true),
        ("", "LOCALHOST:4318", true),
        ("", "127.0.0.1:4318", true),
        ("", "127.8.9.1", true),
        ("", "[::1]:4318", true),
        ("", "[::1", false),
        ("", "app.localhost:1", true),
        ("", "evil.example:4318", false),
        ("", "localhost.evil.example", false),
        ("", "192.168.0.7", false),
        ("http://localhost:3000", "localhost", true),
        ("http://localhost.evil.example", "localhost", false),
        ("http://127.0.0.1.evil.example", "localhost", false),
        ("https://app.example", "localhost", true),
        ("https://app.example:8443", "localhost", false),
        ("http://app.example", "localhost", false),
        ("https://app.example", "evil.example", false),
        ("null", "localhost", false),
        ("file://", "localhost", false),
    ];
    for (origin, host, allowed) in cases {
        check(true, &[], origin, host, allowed);
    }
}

#[test]
fn elsewhere_any_host_serves_unless_configured() {
    let cases: [(&[&str], &str, &str, bool); 6] = [
        (&[], "", "collector.prod", true),
        (&[], "https://app.example", "collector.prod", false),
        (&["collector.prod"], "", "Collector.Prod:4318", true),
        (&["collector.prod"], "", "other", false),
        (&["collector.prod"], "https://app.example", "collector.prod", true),
        (&["[2001:db8::1]:4318"], "", "[2001:db8::1]", true),
    ];
    for (hosts, origin, host, allowed) in cases {
        check(false, hosts, origin, host, allowed);
    }
}
