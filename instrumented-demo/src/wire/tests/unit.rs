//! How errors of the wire are told apart, and what becomes of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;

use http::StatusCode;
use tonic::Code;

use crate::resilience::{CallError, Failure, Verdict};
use crate::wire::{Fault, WireError};

/// An error that wraps another, as clients wrap those of connections.
#[derive(Debug, thiserror::Error)]
#[error("sending failed")]
struct Wrapped(#[source] io::Error);

#[test]
fn unit_errors_of_connections_are_told_apart() {
    let tls = || io::Error::other(rustls::Error::HandshakeNotComplete);
    let cases = [
        (io::Error::from(io::ErrorKind::ConnectionRefused), "connection_refused"),
        (io::Error::from(io::ErrorKind::ConnectionReset), "connection_reset"),
        (io::Error::from(io::ErrorKind::UnexpectedEof), "connection_reset"),
        (io::Error::from(io::ErrorKind::TimedOut), "timeout"),
        (io::Error::other("something"), "connection_reset"),
        (tls(), "tls"),
        (io::Error::other(tls()), "tls"),
    ];
    for (error, expected) in cases {
        let words = format!("{error:?}");
        assert_eq!(WireError::of_transport(&Wrapped(error)).error_type(), expected, "{words}");
    }
}

#[test]
fn unit_verdicts_follow_who_is_to_blame() {
    let cases = [
        (WireError::Refused, Verdict::Transient),
        (WireError::Tls(String::new()), Verdict::Permanent),
        (WireError::Status(404), Verdict::CallerFault),
        (WireError::Status(500), Verdict::Permanent),
        (WireError::Status(503), Verdict::Transient),
        (WireError::Rpc(Code::NotFound), Verdict::CallerFault),
        (WireError::Rpc(Code::Internal), Verdict::Permanent),
        (WireError::Rpc(Code::Unavailable), Verdict::Transient),
    ];
    for (error, expected) in cases {
        assert_eq!(error.verdict(), expected, "{error:?}");
    }
}

#[test]
fn unit_a_call_that_fails_fails_the_request() {
    let cases = [
        (CallError::OutOfTime, 504, "timeout"),
        (CallError::Failed(WireError::Timeout), 504, "timeout"),
        (CallError::Failed(WireError::Refused), 502, "connection_refused"),
        (CallError::Failed(WireError::Status(404)), 404, "404"),
        (CallError::Failed(WireError::Status(500)), 502, "500"),
        (CallError::Failed(WireError::Status(503)), 503, "503"),
        (CallError::Failed(WireError::Rpc(Code::Unavailable)), 503, "UNAVAILABLE"),
        (CallError::Failed(WireError::Rpc(Code::FailedPrecondition)), 409, "FAILED_PRECONDITION"),
    ];
    for (error, status, error_type) in cases {
        let fault = Fault::from(error);
        assert_eq!(fault.status, StatusCode::from_u16(status).unwrap());
        assert_eq!(fault.error_type, error_type);
    }
}
