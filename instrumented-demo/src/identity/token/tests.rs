//! Tokens that are good, and all the ways in which they are not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{ApiKeys, Issuer, Refusal, TokenError};
use crate::identity::is_secret;

const NOW_S: u64 = 1_800_000_000;

fn issuer() -> Issuer {
    Issuer::new(b"secret").with_client("gateway", "pass", &["orders:read", "orders:write"])
}

#[test]
fn unit_a_granted_token_says_who_and_what() {
    let token =
        issuer().grant(("gateway", "pass"), " orders:read  orders:write", NOW_S, 60).unwrap();
    let claims = issuer().verify(&token, NOW_S + 59).unwrap();
    assert_eq!((claims.sub.as_str(), claims.iat, claims.exp), ("gateway", NOW_S, NOW_S + 60));
    for (scope, allowed) in [
        ("orders:read", true),
        ("orders:write", true),
        ("orders", false),
        ("", true),
        ("users:read", false),
    ] {
        assert_eq!(claims.allow(scope), allowed, "{scope:?}");
    }
}

#[test]
fn unit_clients_get_no_more_than_they_may() {
    let grant = |client, scope| issuer().grant(client, scope, NOW_S, 60);
    assert_eq!(grant(("gateway", "guess"), "orders:read"), Err(Refusal::Client));
    assert_eq!(grant(("stranger", "pass"), "orders:read"), Err(Refusal::Client));
    let refused = Err(Refusal::Scope("users:write".to_owned()));
    assert_eq!(grant(("gateway", "pass"), "orders:read users:write"), refused);
}

#[test]
fn unit_tokens_that_are_not_good() {
    let token = issuer().sign("u1", "orders:read", NOW_S, 60);
    let verify = |token: &str, now_s| issuer().verify(token, now_s).unwrap_err();
    assert_eq!(verify(&token, NOW_S + 60), TokenError::Expired);
    let other = Issuer::new(b"other").sign("u1", "orders:read", NOW_S, 60);
    assert_eq!(verify(&other, NOW_S), TokenError::Forged);
    let (claims, signature) = token.split_once('.').unwrap();
    let (grander, _) = issuer()
        .sign("u1", "orders:read admin", NOW_S, 60)
        .split_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(verify(&format!("{grander}.{signature}"), NOW_S), TokenError::Forged);
    for malformed in ["", ".", claims, "a.b", "ü.ü", &format!("{claims}."), &format!("{token}.")]
    {
        assert_eq!(verify(malformed, NOW_S), TokenError::Malformed, "{malformed:?}");
    }
}

#[test]
fn unit_an_expired_token_is_one_issued_long_ago() {
    let token = issuer().grant(("gateway", "pass"), "orders:read", NOW_S - 3_600, 60).unwrap();
    assert_eq!(issuer().verify(&token, NOW_S), Err(TokenError::Expired));
}

#[test]
fn unit_partners_are_known_by_their_keys() {
    let keys = ApiKeys::new([("k1", "acme"), ("k2", "globex")]);
    assert_eq!(keys.partner("k2"), Some("globex"));
    assert_eq!(keys.partner("k1"), Some("acme"));
    assert_eq!(keys.partner(""), None);
    assert_eq!(format!("{keys:?}"), r#"["acme", "globex"]"#);
    assert!(!format!("{:?}", issuer()).contains("pass"));
}

#[test]
fn unit_secrets_are_known_by_name() {
    for (name, secret) in [("Authorization", true), ("X-API-Key", true), ("x-user-id", false)] {
        assert_eq!(is_secret(name), secret, "{name}");
    }
}
