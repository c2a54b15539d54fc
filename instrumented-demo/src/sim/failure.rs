//! Why calls fail, and in which words each protocol tells it.

use super::catalog::{Kind, Protocol};
use super::wire;

/// Index into [`FAILURES`]; 0 is none.
pub(super) type FailureId = u8;

pub(super) const NONE: FailureId = 0;
pub(super) const INTERNAL: FailureId = 1;
pub(super) const BAD_GATEWAY: FailureId = 2;
pub(super) const UNAVAILABLE: FailureId = 3;
pub(super) const GATEWAY_TIMEOUT: FailureId = 4;
pub(super) const UNAUTHORIZED: FailureId = 5;
pub(super) const REFUSED: FailureId = 6;
pub(super) const RESET: FailureId = 7;
pub(super) const CERTIFICATE: FailureId = 8;
pub(super) const TIMEOUT: FailureId = 9;
pub(super) const LOCKED: FailureId = 10;
pub(super) const UNREADABLE: FailureId = 11;
pub(super) const NO_WORKER: FailureId = 12;

/// A reason.
#[derive(Debug)]
pub(super) struct Failure {
    /// Status in HTTP; 0 where no answer came.
    http: u16,
    /// Status in gRPC.
    grpc: &'static str,
    /// Type of the exception, and `error.type` where the protocol has no better one.
    kind: &'static str,
    pub(super) message: &'static str,
    /// With what a server fails because its call failed so.
    pub(super) above: FailureId,
}

const fn failure(
    http: u16,
    grpc: &'static str,
    kind: &'static str,
    message: &'static str,
    above: FailureId,
) -> Failure {
    Failure { http, grpc, kind, message, above }
}

/// All reasons by their numbers.
pub(super) static FAILURES: [Failure; 13] = [
    failure(200, "OK", "", "", NONE),
    failure(500, "INTERNAL", "InternalError", "the request could not be completed", INTERNAL),
    failure(502, "UNAVAILABLE", "BadGateway", "a service behind this one failed", BAD_GATEWAY),
    failure(503, "UNAVAILABLE", "ServiceUnavailable", "the service is unavailable", UNAVAILABLE),
    failure(504, "DEADLINE_EXCEEDED", "GatewayTimeout", "no answer in time", GATEWAY_TIMEOUT),
    failure(
        401,
        "UNAUTHENTICATED",
        "TokenRejected",
        "the token is not valid any more",
        BAD_GATEWAY,
    ),
    failure(0, "UNAVAILABLE", "connection_refused", "connection refused", UNAVAILABLE),
    failure(0, "UNAVAILABLE", "connection_reset", "connection reset by peer", BAD_GATEWAY),
    failure(0, "UNAVAILABLE", "tls_handshake", "invalid peer certificate: Expired", BAD_GATEWAY),
    failure(0, "DEADLINE_EXCEEDED", "timeout", "the deadline has passed", GATEWAY_TIMEOUT),
    failure(500, "INTERNAL", "SQLITE_BUSY", "database is locked", INTERNAL),
    failure(500, "INTERNAL", "InvalidPayload", "the payload could not be read", UNREADABLE),
    failure(503, "UNAVAILABLE", "NoFreeWorker", "no worker was free", NO_WORKER),
];

/// Codes for which a gRPC server answers.
const GRPC_SERVER_ERRORS: [&str; 5] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// How a failure shows on a span of one protocol and side.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Attributes of the span.
    pub(super) attributes: Vec<u8>,
    /// Its status, empty where it is unset.
    pub(super) status: Vec<u8>,
    /// Attributes of the event where the failure begins.
    pub(super) exception: Vec<u8>,
    pub(super) is_error: bool,
}

impl Failure {
    pub(super) fn outcome(&self, protocol: Protocol, kind: Kind) -> Outcome {
        if self.kind.is_empty() {
            return Outcome::default();
        }
        let is_error = self.is_error(protocol, kind);
        let mut outcome = Outcome { is_error, ..Outcome::default() };
        self.write_attributes(&mut outcome.attributes, protocol, is_error);
        if is_error {
            wire::message(&mut outcome.status, 15, |out| {
                wire::text(out, 2, self.message);
                wire::uint(out, 3, 2);
            });
            let event = &mut outcome.exception;
            wire::text_attribute(event, 3, "exception.type", [self.kind, ""]);
            wire::text_attribute(event, 3, "exception.message", [self.message, ""]);
        }
        outcome
    }

    fn is_error(&self, protocol: Protocol, kind: Kind) -> bool {
        match (protocol, kind) {
            (Protocol::Http, Kind::Server) => self.http >= 500,
            (Protocol::Grpc, Kind::Server) => GRPC_SERVER_ERRORS.contains(&self.grpc),
            _ => true,
        }
    }

    /// Status in HTTP as the metrics tell it.
    pub(super) fn http_status(&self, success: u16) -> u16 {
        if self.kind.is_empty() { success } else { self.http }
    }

    fn write_attributes(&self, out: &mut Vec<u8>, protocol: Protocol, is_error: bool) {
        let status = wire::Digits::new(u64::from(self.http));
        let has_answer = self.http > 0;
        let error_type = match protocol {
            Protocol::Http if has_answer => status.as_str(),
            Protocol::Grpc if has_answer => self.grpc,
            _ => self.kind,
        };
        match protocol {
            Protocol::Http if has_answer => {
                wire::int_attribute(out, 9, "http.response.status_code", i64::from(self.http));
            }
            Protocol::Grpc => {
                wire::text_attribute(out, 9, "rpc.response.status_code", [self.grpc, ""]);
            }
            _ => {}
        }
        if is_error {
            wire::text_attribute(out, 9, "error.type", [error_type, ""]);
        }
    }
}
