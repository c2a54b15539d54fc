//! The one table condition → gRPC code, HTTP code, delay; and the bytes of every answer.
//!
//! No other file names a status code. A [`Refusal`] is built from a [`Condition`] and a sentence; what
//! the client reads of it (status, `google.rpc.Status`, `RetryInfo`, `Retry-After`) follows from the
//! row of the table. Why the codes are these: a client drops its data on a final code and repeats it
//! on a retryable one, and `RESOURCE_EXHAUSTED` is retryable only with a `RetryInfo`.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use schemas::{Signal, json};
use storage::Encoding;
use tonic::Code;
use tonic_types::pb;

use crate::decompress::Compression;

/// Everything that makes us answer a whole request with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The envelope, or every record, breaks the rules of its encoding.
    Undecodable,
    /// The compressed stream is corrupt or cut.
    BrokenCompression,
    /// A content encoding we do not know.
    UnknownCompression,
    /// No content type, an unknown one, or several.
    UnknownContentType,
    /// A known path, but not by POST.
    WrongMethod,
    /// A path or RPC we do not have.
    UnknownPath,
    /// The profiles signal, which is still in development upstream.
    Profiles,
    /// More bytes on the wire than allowed.
    WireTooLarge,
    /// More bytes after decompression than allowed.
    DecodedTooLarge,
    /// An origin or host that may not talk to this port.
    NotAllowed,
    /// The byte budget is used up.
    Overloaded,
    /// The store cannot take data now: disk full, failed sync, buffers full.
    StoreUnavailable,
    /// The server is going away.
    ShuttingDown,
    /// The client's deadline passed before anything was stored.
    DeadlineOver,
    /// The decoder panicked on bytes not seen before.
    DecoderPanicked,
    /// The decoder panicked on the same bytes again.
    DecoderPanickedAgain,
    /// A gRPC frame that breaks the framing rules.
    BadFrame,
    /// Two messages in a call that takes one.
    TwoMessages,
    /// gRPC over HTTP/1.1.
    GrpcNeedsHttp2,
}

/// What a client may do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Sending the same bytes again gives the same answer.
    Never,
    /// Retryable by its code; the client's own delay serves.
    OwnDelay,
    /// Retryable after this delay, ±20 %.
    After(Duration),
}

/// One row of the table of answers.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What happened.
    pub condition: Condition,
    /// The word in counters and logs.
    pub name: &'static str,
    /// `grpc-status`, and `code` of the HTTP body.
    pub grpc: Code,
    /// HTTP status.
    pub http: u16,
    /// Whether and when to try again.
    pub retry: Retry,
}

const SHORT: Retry = Retry::After(Duration::from_secs(1));
/// Nothing may exceed this: most clients give up 10 s after their first try, and a delay that does not
/// fit into what is left means "drop now" to them.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// Longest text in an answer, so that no client refuses to read it.
const MESSAGE_BYTES_MAX: usize = 2048;

const fn row(condition: Condition, name: &'static str, grpc: Code, http: u16, retry: Retry) -> Row {
    Row { condition, name, grpc, http, retry }
}

/// The table of answers, in the order of [`Condition`].
#[rustfmt::skip]
pub const TABLE: [Row; 19] = [
    row(Condition::Undecodable,          "undecodable",            Code::InvalidArgument,    400, Retry::Never),
    row(Condition::BrokenCompression,    "broken_compression",     Code::InvalidArgument,    400, Retry::Never),
    row(Condition::UnknownCompression,   "unknown_compression",    Code::Unimplemented,      415, Retry::Never),
    row(Condition::UnknownContentType,   "unknown_content_type",   Code::InvalidArgument,    415, Retry::Never),
    row(Condition::WrongMethod,          "wrong_method",           Code::Unimplemented,      405, Retry::Never),
    row(Condition::UnknownPath,          "unknown_path",           Code::Unimplemented,      404, Retry::Never),
    row(Condition::Profiles,             "profiles",               Code::Unimplemented,      404, Retry::Never),
    row(Condition::WireTooLarge,         "wire_too_large",         Code::ResourceExhausted,  413, Retry::Never),
    row(Condition::DecodedTooLarge,      "decoded_too_large",      Code::ResourceExhausted,  413, Retry::Never),
    row(Condition::NotAllowed,           "not_allowed",            Code::PermissionDenied,   403, Retry::Never),
    row(Condition::Overloaded,           "overloaded",             Code::Unavailable,        503, SHORT),
    row(Condition::StoreUnavailable,     "store_unavailable",      Code::Unavailable,        503, Retry::After(RETRY_DELAY_MAX)),
    row(Condition::ShuttingDown,         "shutting_down",          Code::Unavailable,        503, SHORT),
    row(Condition::DeadlineOver,         "deadline_over",          Code::DeadlineExceeded,   503, Retry::OwnDelay),
    row(Condition::DecoderPanicked,      "decoder_panicked",       Code::Unavailable,        503, SHORT),
    row(Condition::DecoderPanickedAgain, "decoder_panicked_again", Code::InvalidArgument,    400, Retry::Never),
    row(Condition::BadFrame,             "bad_frame",              Code::Internal,           400, Retry::Never),
    row(Condition::TwoMessages,          "two_messages",           Code::InvalidArgument,    400, Retry::Never),
    row(Condition::GrpcNeedsHttp2,       "grpc_needs_http2",       Code::InvalidArgument,    400, Retry::Never),
];

impl Condition {
    /// The row of the table.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// A whole request answered with an error: what happened, in one sentence that says what to do.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What happened.
    pub condition: Condition,
    /// The sentence for the person who sent it.
    pub message: Cow<'static, str>,
    /// The field or byte offset at fault.
    pub field: Option<String>,
    /// When to try again, for conditions that ask for it. Already jittered.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with the table's own delay.
    pub fn new(condition: Condition, message: impl Into<Cow<'static, str>>) -> Refusal {
        let retry_after = match condition.row().retry {
            Retry::After(delay) => Some(jittered(delay)),
            Retry::Never | Retry::OwnDelay => None,
        };
        Refusal { condition, message: message.into(), field: None, retry_after }
    }

    /// Names the field or byte offset at fault.
    pub fn at(mut self, field: String) -> Refusal {
        self.field = Some(field);
        self
    }

    /// Replaces the delay of a retryable refusal, within what clients accept.
    pub fn after(mut self, delay: Duration) -> Refusal {
        self.retry_after = self.retry_after.map(|_| jittered(delay));
        self
    }

    /// The headers of a gRPC answer that consists of this refusal alone ("trailers only").
    pub(crate) fn grpc_headers(&self) -> HeaderMap {
        let code = self.condition.row().grpc;
        let message = cut(&self.message, MESSAGE_BYTES_MAX);
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from(code as i32));
        insert(&mut headers, "grpc-message", &percent_encoded(message));
        let status = self.status();
        if !status.details.is_empty() {
            insert(&mut headers, "grpc-status-details-bin", &base64(&status.encode_to_vec()));
        }
        if let Some(delay) = self.retry_after {
            // Python's exporter reads the delay from here alone, the others from the details.
            let info = retry_info(delay).encode_to_vec();
            insert(&mut headers, "google.rpc.retryinfo-bin", &base64(&info));
        }
        if self.condition == Condition::UnknownCompression {
            headers.insert("grpc-accept-encoding", HeaderValue::from_static(Compression::ACCEPTED));
        }
        headers
    }

    /// Status, headers and `google.rpc.Status` body of an HTTP answer in the given encoding.
    pub(crate) fn http(&self, encoding: Encoding) -> (StatusCode, HeaderMap, Bytes) {
        let status = StatusCode::from_u16(self.condition.row().http)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        match self.condition {
            Condition::WrongMethod => {
                headers.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            }
            Condition::UnknownCompression => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Compression::ACCEPTED));
            }
            _ => {}
        }
        if let Some(delay) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
        }
        let body = match encoding {
            Encoding::Protobuf => Bytes::from(self.status().encode_to_vec()),
            Encoding::Json => self.status_json(),
        };
        (status, headers, body)
    }

    fn status(&self) -> pb::Status {
        let mut details = Vec::new();
        if let Some(delay) = self.retry_after {
            details.push(any("RetryInfo", retry_info(delay).encode_to_vec()));
        }
        if let Some(field) = &self.field {
            details.push(any("BadRequest", bad_request(field, &self.message).encode_to_vec()));
        }
        pb::Status {
            code: self.condition.row().grpc as i32,
            message: cut(&self.message, MESSAGE_BYTES_MAX).to_owned(),
            details,
        }
    }

    fn status_json(&self) -> Bytes {
        let message = cut(&self.message, MESSAGE_BYTES_MAX);
        let mut out = Vec::with_capacity(128 + message.len());
        out.extend_from_slice(b"{\"code\":");
        json::write_int(&mut out, self.condition.row().grpc as i64);
        out.extend_from_slice(b",\"message\":");
        json::write_string(&mut out, message);
        out.extend_from_slice(b",\"details\":[");
        if let Some(delay) = self.retry_after {
            let text = format!("{}.{:03}s", delay.as_secs(), delay.subsec_millis());
            write_detail(&mut out, "RetryInfo", "retryDelay", |out| json::write_string(out, &text));
        }
        if let Some(field) = &self.field {
            if self.retry_after.is_some() {
                out.push(b',');
            }
            write_detail(&mut out, "BadRequest", "fieldViolations", |out| {
                out.extend_from_slice(b"[{\"field\":");
                json::write_string(out, field);
                out.extend_from_slice(b",\"description\":");
                json::write_string(out, message);
                out.extend_from_slice(b"}]");
            });
        }
        out.extend_from_slice(b"]}");
        Bytes::from(out)
    }
}

/// The body of a success: empty when all was accepted, else how many were not, and why.
pub(crate) fn success(signal: Signal, encoding: Encoding, rejected: u64, text: &str) -> Bytes {
    match (rejected == 0 && text.is_empty(), encoding) {
        (true, Encoding::Protobuf) => Bytes::new(),
        (true, Encoding::Json) => Bytes::from_static(b"{}"),
        (false, Encoding::Protobuf) => partial_protobuf(rejected, text),
        (false, Encoding::Json) => partial_json(signal, rejected, text),
    }
}

/// The same with the 5-byte header of a gRPC frame in front.
pub(crate) fn framed_success(signal: Signal, rejected: u64, text: &str) -> Bytes {
    if rejected == 0 && text.is_empty() {
        return Bytes::from_static(&[0; 5]);
    }
    let message = success(signal, Encoding::Protobuf, rejected, text);
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    // At most 2 kB of text: never cut.
    frame.put_u32(message.len() as u32);
    frame.put(message);
    frame.freeze()
}

/// The longest start of `text` within `bytes_max` that ends on a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The answers of the three signals are the same bytes: field 1 the partial success, in it field 1
/// the count and field 2 the text.
fn partial_protobuf(rejected: u64, text: &str) -> Bytes {
    let partial = ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: cut(text, MESSAGE_BYTES_MAX).to_owned(),
    };
    Bytes::from(ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
}

/// int64 is a string in OTLP/JSON, and a zero is left out.
fn partial_json(signal: Signal, rejected: u64, text: &str) -> Bytes {
    let field = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let mut out = Vec::with_capacity(80 + text.len());
    out.extend_from_slice(b"{\"partialSuccess\":{");
    if rejected > 0 {
        out.extend_from_slice(format!("\"{field}\":\"{rejected}\",").as_bytes());
    }
    out.extend_from_slice(b"\"errorMessage\":");
    json::write_string(&mut out, cut(text, MESSAGE_BYTES_MAX));
    out.extend_from_slice(b"}}");
    Bytes::from(out)
}

fn write_detail(out: &mut Vec<u8>, kind: &str, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"@type\":");
    json::write_string(out, &type_url(kind));
    out.push(b',');
    json::write_string(out, key);
    out.push(b':');
    value(out);
    out.push(b'}');
}

fn type_url(kind: &str) -> String {
    format!("type.googleapis.com/google.rpc.{kind}")
}

fn any(kind: &str, value: Vec<u8>) -> prost_types::Any {
    prost_types::Any { type_url: type_url(kind), value }
}

fn retry_info(delay: Duration) -> pb::RetryInfo {
    pb::RetryInfo { retry_delay: prost_types::Duration::try_from(delay).ok() }
}

fn bad_request(field: &str, description: &str) -> pb::BadRequest {
    let violation = pb::bad_request::FieldViolation {
        field: field.to_owned(),
        description: cut(description, MESSAGE_BYTES_MAX).to_owned(),
        ..Default::default()
    };
    pb::BadRequest { field_violations: vec![violation] }
}

/// ±20 %, so that refused clients do not come back all at once; never beyond what clients accept.
fn jittered(delay: Duration) -> Duration {
    // The hasher's random keys are the randomness the standard library has.
    let permille = 800 + std::hash::RandomState::new().hash_one(()) % 401;
    (delay * permille as u32 / 1000).min(RETRY_DELAY_MAX)
}

/// Clients parse whole seconds only, and take 0 for "at once".
fn whole_seconds(delay: Duration) -> u64 {
    (delay.as_secs_f64().round() as u64).max(1)
}

fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// gRPC's encoding of `grpc-message`: printable ASCII but `%` stands for itself.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(byte as char),
        }
    }
    out
}

#[cfg(test)]
mod tests;
