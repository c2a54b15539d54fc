//! How instances speak to each other: HTTP, gRPC, lines of text and the bus, each with the context of
//! the work in its headers, a span on either side, a deadline, and the layers of [`crate::resilience`].

pub mod bodies;
pub mod bus;
mod caller;
mod discovery;
pub mod grpc;
pub mod http;
pub mod lines;
pub mod proto;
mod request;
mod server;
#[cfg(test)]
mod tests;

use std::io;

use ::http::StatusCode;

pub use caller::{Answer, Ask, Caller, Setup};
pub use discovery::{Addresses, Redirects};
pub use request::{Facts, Headers, deadline, facts};
pub use server::{ErrorType, Served, json, problem, traced, write_line};

use crate::resilience::{CallError, Failure, TimedOut, Verdict};

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// The connection broke.
    #[error("connection reset")]
    Reset,
    /// The other side could not prove who it is.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// No address is known.
    #[error("no address is known")]
    NoAddress,
    /// An HTTP status of 400 or more.
    #[error("answered with status {0}")]
    Status(u16),
    /// A gRPC code other than `OK`.
    #[error("answered with {0:?}")]
    Rpc(tonic::Code),
    /// The answer is none.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
}

impl From<TimedOut> for WireError {
    fn from(_: TimedOut) -> WireError {
        WireError::Timeout
    }
}

impl WireError {
    /// What an error of a connection says, looking through those that wrap it.
    fn of_transport(error: &(dyn std::error::Error + 'static)) -> WireError {
        let mut cause = Some(error);
        while let Some(inner) = cause {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return WireError::Tls(tls.to_string());
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                if let Some(found) = WireError::of_io(io) {
                    return found;
                }
                // An io::Error does not count what it wraps among its sources.
                if let Some(wrapped) = io.get_ref() {
                    cause = Some(wrapped as &(dyn std::error::Error + 'static));
                    continue;
                }
            }
            cause = inner.source();
        }
        WireError::Reset
    }

    fn of_io(error: &io::Error) -> Option<WireError> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(WireError::Refused),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(WireError::Reset),
            io::ErrorKind::TimedOut => Some(WireError::Timeout),
            _ => None,
        }
    }
}

impl Failure for WireError {
    fn verdict(&self) -> Verdict {
        match self {
            WireError::Timeout | WireError::Refused | WireError::Reset | WireError::NoAddress => {
                Verdict::Transient
            }
            WireError::Tls(_) | WireError::Malformed(_) => Verdict::Permanent,
            WireError::Status(502..=504) => Verdict::Transient,
            WireError::Status(500..) => Verdict::Permanent,
            WireError::Status(_) => Verdict::CallerFault,
            WireError::Rpc(code) => grpc::verdict(*code),
        }
    }

    fn error_type(&self) -> &'static str {
        match self {
            WireError::Timeout => "timeout",
            WireError::Refused => "connection_refused",
            WireError::Reset => "connection_reset",
            WireError::Tls(_) => "tls",
            WireError::NoAddress => "no_address",
            WireError::Malformed(_) => "malformed",
            WireError::Status(status) => http::status_text(*status),
            WireError::Rpc(code) => grpc::code_text(*code),
        }
    }
}

/// Why a request is answered with an error: what the caller is told, and what telemetry is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The HTTP status; gRPC has a code for it.
    pub status: StatusCode,
    /// The value of `error.type`.
    pub error_type: &'static str,
    /// For people.
    pub message: String,
}

impl Fault {
    /// A fault with this status.
    pub fn new(status: StatusCode, error_type: &'static str, message: impl Into<String>) -> Fault {
        Fault { status, error_type, message: message.into() }
    }

    /// What was asked for makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// It does not fit what is there.
    pub fn conflict(error_type: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::CONFLICT, error_type, message)
    }
}

/// A call failed, and so does the request that needed it.
impl From<CallError<WireError>> for Fault {
    fn from(error: CallError<WireError>) -> Fault {
        let status = match &error {
            CallError::OutOfTime | CallError::Failed(WireError::Timeout) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            CallError::CircuitOpen { .. } | CallError::BulkheadFull(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            CallError::Failed(WireError::Status(status @ 400..=499)) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            CallError::Failed(WireError::Status(503)) => StatusCode::SERVICE_UNAVAILABLE,
            CallError::Failed(WireError::Status(504)) => StatusCode::GATEWAY_TIMEOUT,
            CallError::Failed(WireError::Rpc(code)) => grpc::http_status(*code),
            CallError::Failed(_) => StatusCode::BAD_GATEWAY,
        };
        Fault { status, error_type: error.error_type(), message: error.to_string() }
    }
}
