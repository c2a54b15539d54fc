//! OTLP/HTTP: three paths, two encodings, and a helpful answer to every wrong turn.

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use schemas::Signal;
use storage::Encoding;

use crate::answers::{self, Condition, Refusal};
use crate::body::Reader;
use crate::cors::Head;
use crate::decompress::Compression;
use crate::doors::{self, Answer, AnswerBody, Doors, Failed, Plain};
use crate::grpc;
use crate::intake::{Accepted, Parcel};
use crate::stats::{Origin, Transport};

/// Answers one request that is not gRPC.
pub(crate) async fn serve(
    doors: &Doors,
    request: Request<Incoming>,
    on_loopback: bool,
) -> Result<Answer, Failed> {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut answer = match *request.method() {
        Method::OPTIONS => preflight(doors, request.headers()),
        _ => exchange(doors, request, on_loopback).await?,
    };
    // On errors too: a page must be able to read why it was refused.
    doors.visitors.mark(origin.as_ref(), answer.headers_mut());
    Ok(answer)
}

/// The content type of requests and answers.
pub(crate) fn media_type(encoding: Encoding) -> HeaderValue {
    HeaderValue::from_static(match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    })
}

async fn exchange(
    doors: &Doors,
    request: Request<Incoming>,
    on_loopback: bool,
) -> Result<Answer, Failed> {
    let head = Head::of(request.uri(), request.headers());
    let admitted = doors.visitors.check(&head, on_loopback);
    if admitted.is_ok() && is_page(&request) {
        return Ok(page(request.headers()));
    }
    // An error about the encoding itself is answered in JSON, which people can read.
    let encoding = encoding_of(doors, request.headers());
    let answer_encoding = *encoding.as_ref().unwrap_or(&Encoding::Json);
    let export = admitted.and_then(|()| Export::of(doors, &request, encoding));
    let (head, body) = request.into_parts();
    let mut reader = Reader::new(body, &doors.timeouts);
    let outcome = match export {
        Ok(export) => receive(doors, &export, &mut reader).await.map(|done| (export, done)),
        Err(refusal) => Err(Failed::Refused(refusal)),
    };
    match outcome {
        Ok((export, accepted)) => Ok(success(&export, &accepted)),
        Err(Failed::Refused(refusal)) => {
            let mut answer = doors.refuse_http(&refusal, answer_encoding);
            // With `Expect: 100-continue` the client has not begun to send.
            let whole =
                head.headers.contains_key(EXPECT) || reader.discard(doors.timeouts.discard).await;
            if !whole && head.version < Version::HTTP_2 {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        }
        Err(lost @ Failed::Lost(_)) => Err(lost),
    }
}

/// What the head of an export request says.
struct Export {
    signal: Signal,
    encoding: Encoding,
    compression: Compression,
}

impl Export {
    fn of(
        doors: &Doors,
        request: &Request<Incoming>,
        encoding: Result<Encoding, Refusal>,
    ) -> Result<Export, Refusal> {
        let path = request.uri().path();
        let signal = signal_of(doors, path)?;
        if request.method() != Method::POST {
            let text = format!("{path} takes POST, not {}", request.method());
            return Err(Refusal::new(Condition::WrongMethod, text));
        }
        let compression = compression_of(request.headers())?;
        Ok(Export { signal, encoding: encoding?, compression })
    }
}

async fn receive(doors: &Doors, export: &Export, reader: &mut Reader) -> Result<Accepted, Failed> {
    doors.check_open()?;
    let announced = reader.announced_bytes();
    if announced.is_some_and(|n| n > doors.wire_bytes_max as u64) {
        return Err(doors.wire_too_large(announced).into());
    }
    let mut charge =
        doors.intake.admit(reader.first_charge_bytes(doors.wire_bytes_max), None).await?;
    let wire = reader
        .all(doors.wire_bytes_max, &mut charge)
        .await
        .map_err(|failure| doors.body_failed(failure))?;
    let parcel = Parcel {
        origin: Origin {
            signal: export.signal,
            transport: Transport::Http,
            encoding: export.encoding,
        },
        compression: export.compression,
        wire,
        charge,
        deadline: None,
        skip_fingerprint: false,
    };
    Ok(doors.intake.accept(parcel).await?)
}

fn success(export: &Export, accepted: &Accepted) -> Answer {
    let Export { signal, encoding, .. } = *export;
    let body = answers::success(signal, encoding, accepted.rejected, &accepted.message);
    let mut response = Response::new(AnswerBody::Left(Plain::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, media_type(encoding));
    response
}

fn preflight(doors: &Doors, request: &HeaderMap) -> Answer {
    let mut response = Response::new(AnswerBody::Left(Plain::new(Bytes::new())));
    *response.status_mut() = StatusCode::NO_CONTENT;
    doors.visitors.preflight(request, response.headers_mut());
    response
}

fn signal_of(doors: &Doors, path: &str) -> Result<Signal, Refusal> {
    let bare = match doors.path_prefix.as_deref() {
        Some(prefix) => path.strip_prefix(prefix).filter(|p| p.starts_with('/')).unwrap_or(path),
        None => path,
    };
    match bare.strip_suffix('/').unwrap_or(bare) {
        "/v1/traces" => Ok(Signal::Traces),
        "/v1/metrics" => Ok(Signal::Metrics),
        "/v1/logs" => Ok(Signal::Logs),
        "/v1development/profiles" | "/v1/profiles" => Err(grpc::profiles()),
        _ => Err(Refusal::new(
            Condition::UnknownPath,
            format!(
                "no such path {path}; {}",
                right_path(bare).unwrap_or(
                    "OTLP/HTTP takes POST to /v1/traces, /v1/metrics and /v1/logs \
                     (a per-signal endpoint variable needs the whole path)"
                )
            ),
        )),
    }
}

/// What a client that came to this path probably wanted.
fn right_path(path: &str) -> Option<&'static str> {
    const ZIPKIN: &str = "this looks like Zipkin; export OTLP to /v1/traces instead";
    const JAEGER: &str = "this looks like Jaeger; export OTLP to /v1/traces instead";
    const GRPC: &str = "this is the path of a gRPC call; send it with content type \
                        application/grpc, or POST OTLP/HTTP to /v1/traces, /v1/metrics or /v1/logs";
    match path.trim_end_matches('/') {
        "/v1/trace" | "/v1/span" | "/v1/spans" | "/traces" => Some("did you mean /v1/traces?"),
        "/v1/metric" | "/metrics" => Some("did you mean /v1/metrics?"),
        "/v1/log" | "/logs" => Some("did you mean /v1/logs?"),
        "/api/v1/spans" | "/api/v2/spans" => Some(ZIPKIN),
        "/api/traces" => Some(JAEGER),
        other if other.starts_with("/opentelemetry.proto.collector.") => Some(GRPC),
        _ => None,
    }
}

fn encoding_of(doors: &Doors, headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut media_types: Vec<String> = headers
        .get_all(CONTENT_TYPE)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|one| one.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
        .collect();
    media_types.dedup();
    match media_types.as_slice() {
        [one] if one == "application/x-protobuf" => Ok(Encoding::Protobuf),
        [one] if one == "application/json" => Ok(Encoding::Json),
        // Beacons of old browser SDKs. No preflight guards this type, so the origin must.
        [one] if one == "text/plain" && from_allowed_page(doors, headers) => Ok(Encoding::Json),
        [] => Err(unknown_type("the content type is missing")),
        [one] => Err(unknown_type(&format!("content type {one} is not OTLP{}", looks_like(one)))),
        several => Err(unknown_type(&format!("several content types: {}", several.join(", ")))),
    }
}

fn from_allowed_page(doors: &Doors, headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| doors.visitors.allows(origin))
}

fn unknown_type(what: &str) -> Refusal {
    let text = format!("{what}; send application/x-protobuf or application/json");
    Refusal::new(Condition::UnknownContentType, text)
}

fn looks_like(media_type: &str) -> &'static str {
    match media_type {
        t if t.contains("thrift") => " (it looks like Jaeger's thrift)",
        "application/protobuf" | "application/vnd.google.protobuf" => {
            " (OTLP's protobuf is called application/x-protobuf)"
        }
        "application/x-www-form-urlencoded" => " (curl needs -H 'content-type: application/json')",
        "text/plain" => " (taken only from allowed web origins)",
        _ => "",
    }
}

fn compression_of(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Compression::Identity) };
    let name = value.to_str().unwrap_or("?");
    Compression::from_name(name).ok_or_else(|| grpc::unknown_compression(name))
}

fn is_page(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == "/"
}

/// For people who open the port in a browser, or with curl.
fn page(headers: &HeaderMap) -> Answer {
    const LINE: &str = "otlake receives OpenTelemetry data here: OTLP over gRPC, or POST to /v1/traces, \
                        /v1/metrics and /v1/logs\n";
    const PAGE: &str = "<!doctype html><meta charset=utf-8><title>otlake</title>\
        <h1>This port receives OpenTelemetry data</h1>\
        <p>Nothing to see here: send OTLP over gRPC, or POST it to <code>/v1/traces</code>, \
        <code>/v1/metrics</code> and <code>/v1/logs</code>.\
        <p>To look at what arrived run <code>otlake tui</code>, or ask in SQL with \
        <code>otlake sql</code>.\n";
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !accept.contains("text/html") {
        return doors::text("text/plain; charset=utf-8", LINE);
    }
    let mut answer = doors::text("text/html; charset=utf-8", PAGE);
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    answer
}

#[cfg(test)]
mod tests;
