//! OTLP/gRPC: unary calls framed by hand (docs/decisions/0001-own-grpc-framing.md).
//!
//! A unary call is an HTTP/2 POST whose body is one frame, a flag byte, a length of four bytes and the
//! message, answered by one frame and trailers, or by headers alone when it is refused.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use schemas::Signal;
use storage::Encoding;
use tokio::time::{Instant, timeout_at};

use crate::answers::{self, Condition, Refusal};
use crate::body::{self, Reader};
use crate::cors::Head;
use crate::decompress::Compression;
use crate::doors::{Answer, AnswerBody, Doors, Failed, Plain};
use crate::intake::{self, Accepted, Parcel};
use crate::stats::{Origin, Transport};

const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const FRAME_HEADER_BYTES: usize = 5;

/// Whether a content type means gRPC, of any kind.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    const PREFIX: &[u8] = b"application/grpc";
    content_type.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Answers one call.
pub(crate) async fn serve(
    doors: &Doors,
    request: Request<Incoming>,
    on_loopback: bool,
) -> Result<Answer, Failed> {
    if request.version() < Version::HTTP_2 {
        let text = "gRPC needs HTTP/2; a proxy on the way may have changed the protocol";
        let refusal = Refusal::new(Condition::GrpcNeedsHttp2, text);
        return Ok(doors.refuse_http(&refusal, Encoding::Json));
    }
    if let Err(refusal) = check_content_type(request.headers()) {
        return Ok(doors.refuse_http(&refusal, Encoding::Json));
    }
    let head = Head::of(request.uri(), request.headers());
    if let Err(refusal) = doors.visitors.check(&head, on_loopback) {
        return Ok(refuse(doors, &refusal));
    }
    if is_companion(request.uri().path()) {
        return Ok(doors.companion(request).await);
    }
    let call = Call::of(&request);
    let mut reader = Reader::new(request.into_body(), &doors.timeouts);
    let outcome = match call {
        Ok(call) => receive(doors, &call, &mut reader).await.map(|done| (call.signal, done)),
        Err(refusal) => Err(Failed::Refused(refusal)),
    };
    match outcome {
        Ok((signal, accepted)) => Ok(success(signal, &accepted)),
        Err(Failed::Refused(refusal)) => {
            reader.discard(doors.timeouts.discard).await;
            Ok(refuse(doors, &refusal))
        }
        Err(lost @ Failed::Lost(_)) => Err(lost),
    }
}

/// What the headers of a call say.
struct Call {
    signal: Signal,
    /// `None` when the header is absent.
    compression: Option<Compression>,
    deadline: Option<Instant>,
}

impl Call {
    fn of(request: &Request<Incoming>) -> Result<Call, Refusal> {
        let headers = request.headers();
        if request.method() != Method::POST {
            return Err(Refusal::new(Condition::WrongMethod, "a gRPC call is an HTTP/2 POST"));
        }
        Ok(Call {
            signal: signal_of(request.uri().path())?,
            compression: compression_of(headers)?,
            deadline: headers.get("grpc-timeout").and_then(timeout).map(|t| Instant::now() + t),
        })
    }
}

async fn receive(doors: &Doors, call: &Call, reader: &mut Reader) -> Result<Accepted, Failed> {
    doors.check_open()?;
    let parcel = match call.deadline {
        Some(deadline) => timeout_at(deadline, read_parcel(doors, call, reader))
            .await
            .map_err(|_| Failed::Refused(intake::deadline_over()))?,
        None => read_parcel(doors, call, reader).await,
    }?;
    Ok(doors.intake.accept(parcel).await?)
}

/// Reads the one frame of a call; room for it is taken as soon as its length is known.
async fn read_parcel(doors: &Doors, call: &Call, reader: &mut Reader) -> Result<Parcel, Failed> {
    let mut header = read(doors, reader, FRAME_HEADER_BYTES)
        .await?
        .ok_or_else(|| bad_frame("the call ends before the 5-byte header of its message"))?;
    let flag = header.get_u8();
    let length = header.get_u32() as usize;
    let compression = match (flag, call.compression) {
        (0, _) => Compression::Identity,
        (1, Some(compression)) => compression,
        (1, None) => {
            return Err(bad_frame(
                "the message is marked as compressed, but grpc-encoding is absent",
            )
            .into());
        }
        _ => return Err(bad_frame("the flag byte of a message is 0 or 1").into()),
    };
    if length > doors.wire_bytes_max {
        return Err(doors.wire_too_large(Some(length as u64)).into());
    }
    let charge = doors.intake.admit(length, call.deadline).await?;
    let wire = read(doors, reader, length)
        .await?
        .ok_or_else(|| bad_frame("the call ends in the middle of its message"))?;
    if reader.chunk().await.map_err(|f| doors.body_failed(f))?.is_some() {
        let text = "a unary call takes one message, this one has more; nothing was stored";
        return Err(Refusal::new(Condition::TwoMessages, text).into());
    }
    let origin =
        Origin { signal: call.signal, transport: Transport::Grpc, encoding: Encoding::Protobuf };
    Ok(Parcel {
        origin,
        compression,
        wire,
        charge,
        deadline: call.deadline,
        skip_fingerprint: false,
    })
}

async fn read(doors: &Doors, reader: &mut Reader, n: usize) -> Result<Option<Bytes>, Failed> {
    reader.exactly(n).await.map_err(|failure: body::Failure| doors.body_failed(failure))
}

fn success(signal: Signal, accepted: &Accepted) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let data = answers::framed_success(signal, accepted.rejected, &accepted.message);
    let mut response = Response::new(AnswerBody::Left(Plain::with_trailers(data, trailers)));
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}

/// A refusal has no body: its status stands in the headers ("trailers only").
fn refuse(doors: &Doors, refusal: &Refusal) -> Answer {
    doors.stats.count_refused(Transport::Grpc, refusal.condition);
    let mut response = Response::new(AnswerBody::Left(Plain::new(Bytes::new())));
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = refusal.grpc_headers();
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}

/// gRPC's own rule: a content type that begins like gRPC but is another dialect gets HTTP 415.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media_type = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/grpc" | "application/grpc+proto" => Ok(()),
        other => Err(Refusal::new(
            Condition::UnknownContentType,
            format!(
                "{other} is not spoken here; use application/grpc, or POST application/x-protobuf \
                 or application/json to /v1/traces, /v1/metrics or /v1/logs"
            ),
        )),
    }
}

fn signal_of(path: &str) -> Result<Signal, Refusal> {
    const PREFIX: &str = "/opentelemetry.proto.collector.";
    match path.strip_prefix(PREFIX) {
        Some("trace.v1.TraceService/Export") => Ok(Signal::Traces),
        Some("metrics.v1.MetricsService/Export") => Ok(Signal::Metrics),
        Some("logs.v1.LogsService/Export") => Ok(Signal::Logs),
        Some(rest) if rest.starts_with("profiles.") => Err(profiles()),
        _ => Err(Refusal::new(
            Condition::UnknownPath,
            format!(
                "no such call {path}; this server has Export of {PREFIX}trace.v1.TraceService, \
                 metrics.v1.MetricsService and logs.v1.LogsService"
            ),
        )),
    }
}

/// The answer to profiles, on both transports.
pub(crate) fn profiles() -> Refusal {
    let text = "profiles are not stored; send traces, metrics and logs";
    Refusal::new(Condition::Profiles, text)
}

fn compression_of(headers: &HeaderMap) -> Result<Option<Compression>, Refusal> {
    let Some(value) = headers.get("grpc-encoding") else { return Ok(None) };
    let name = value.to_str().unwrap_or("?");
    match Compression::from_name(name) {
        Some(compression) => Ok(Some(compression)),
        None => Err(unknown_compression(name)),
    }
}

/// The answer to a compression we lack, on both transports.
pub(crate) fn unknown_compression(name: &str) -> Refusal {
    let text = format!("compression {name} is not known; use one of {}", Compression::ACCEPTED);
    Refusal::new(Condition::UnknownCompression, text)
}

fn bad_frame(text: &'static str) -> Refusal {
    Refusal::new(Condition::BadFrame, text)
}

/// `grpc-timeout`: up to eight digits and a unit. Anything else is as if absent.
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

/// Health and reflection are tonic's.
fn is_companion(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")
}

#[cfg(test)]
mod tests;
