//! One connection to a server: OTLP requests over gRPC (h2) or HTTP/1.1 (a plain socket, kept
//! alive), and SQL. Only what loopback and a well-behaved server need.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use schemas::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Template;

#[cfg(test)]
mod tests;

/// An answer longer than this is not one to an OTLP request or a count.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Door {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// What the server said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Durable, but for so many rejected records.
    Accepted { rejected: u64 },
    /// Nothing of it was taken; a client would come again.
    Refused(String),
}

/// A connection that carries one request at a time.
pub(crate) enum Connection {
    Grpc(h2::client::SendRequest<Bytes>, String),
    Http(Http1, String),
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr, door: Door, signal: Signal) -> Result<Connection> {
        ensure!(to.ip().is_loopback(), "{to} is not on this machine: load is for loopback only");
        let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        stream.set_nodelay(true)?;
        if door == Door::Http {
            let head = format!(
                "POST /v1/{} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/x-protobuf\r\n",
                signal.name()
            );
            return Ok(Connection::Http(Http1::new(stream), head));
        }
        let (sender, connection) = h2::client::handshake(stream).await?;
        // It ends with the connection; its errors come back through the requests.
        tokio::spawn(connection);
        Ok(Connection::Grpc(sender, format!("http://{to}{}", grpc_path(signal))))
    }

    /// Sends the template's request and waits for its answer.
    pub(crate) async fn send(&mut self, template: &mut Template) -> Result<Answer> {
        match self {
            Connection::Http(http, head) => {
                let (status, body) = http.call(head, template.message()).await?;
                http_answer(status, &body)
            }
            Connection::Grpc(sender, uri) => {
                let lent = std::mem::take(template.frame()).freeze();
                let answer = grpc_call(sender, uri, lent.clone()).await;
                // h2 is done with the bytes, so this takes them back rather than copying them.
                *template.frame() = lent.try_into_mut().unwrap_or_else(|b| BytesMut::from(&b[..]));
                answer
            }
        }
    }
}

fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

async fn grpc_call(
    sender: &mut h2::client::SendRequest<Bytes>,
    uri: &str,
    frame: Bytes,
) -> Result<Answer> {
    let request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut ready = sender.clone().ready().await?;
    let (response, mut stream) = ready.send_request(request, false)?;
    stream.send_data(frame, true)?;
    let (head, mut body) = response.await?.into_parts();
    ensure!(head.status == 200, "the server answered gRPC with HTTP {}", head.status);
    let mut message = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        ensure!(message.len() + chunk.len() <= ANSWER_BYTES_MAX, "the answer does not end");
        message.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    grpc_answer(&trailers, &message)
}

fn grpc_answer(trailers: &http::HeaderMap, message: &[u8]) -> Result<Answer> {
    let text = |name| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "0" => accepted(message.get(5..).unwrap_or_default()),
        // RESOURCE_EXHAUSTED and UNAVAILABLE: come again.
        code @ ("8" | "14") => Ok(Answer::Refused(format!("{code} {}", text("grpc-message")))),
        code => bail!("the server answered with gRPC status {code}: {}", text("grpc-message")),
    }
}

fn http_answer(status: u16, body: &[u8]) -> Result<Answer> {
    match status {
        200 => accepted(body),
        429 | 502..=504 => Ok(Answer::Refused(status.to_string())),
        _ => bail!("the server answered with {status}: {}", String::from_utf8_lossy(body)),
    }
}

/// The answers of the three signals have the same fields under the same tags.
fn accepted(message: &[u8]) -> Result<Answer> {
    let answer = ExportTraceServiceResponse::decode(message)?;
    let rejected = answer.partial_success.map_or(0, |p| p.rejected_spans.unsigned_abs());
    Ok(Answer::Accepted { rejected })
}

/// Asks a server for one number by SQL.
pub async fn sql(to: SocketAddr, statement: &str) -> Result<u64> {
    ensure!(to.ip().is_loopback(), "{to} is not on this machine");
    let head = format!(
        "POST /api/v1/sql?format=csv HTTP/1.1\r\nhost: {to}\r\ncontent-type: text/plain\r\n"
    );
    let mut http = Http1::new(TcpStream::connect(to).await?);
    let (status, body) = http.call(&head, statement.as_bytes()).await?;
    let body = String::from_utf8_lossy(&body);
    ensure!(status == 200, "the server answered `{statement}` with {status}: {body}");
    let value = body.lines().nth(1).ok_or_else(|| anyhow!("no row in the answer: {body}"))?;
    value.trim().parse().with_context(|| format!("a count in the answer: {body}"))
}

/// HTTP/1.1 on a socket that is kept alive.
pub(crate) struct Http1 {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http1 {
    fn new(stream: TcpStream) -> Http1 {
        Http1 { stream, buffer: Vec::new() }
    }

    /// Sends head, length and body; gives status and body of the answer.
    async fn call(&mut self, head: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.read().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| anyhow!("not an HTTP answer: {head}"))?;
        let body = match header(&head, "content-length").and_then(|l| l.parse::<usize>().ok()) {
            Some(length) => self.sized(end, length).await?,
            None => self.chunked(end).await?,
        };
        Ok((status, body))
    }

    async fn sized(&mut self, from: usize, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < from + length {
            self.read().await?;
        }
        Ok(self.buffer[from..from + length].to_vec())
    }

    async fn chunked(&mut self, mut from: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.buffer[from..].windows(2).position(|w| w == b"\r\n") {
                    Some(length) => break from + length,
                    None => self.read().await?,
                }
            };
            let size = String::from_utf8_lossy(&self.buffer[from..line]).into_owned();
            let size = usize::from_str_radix(&size, 16).context("the size of a chunk")?;
            from = line + 2;
            body.extend(self.sized(from, size + 2).await?);
            body.truncate(body.len() - 2);
            from += size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.buffer.len() < ANSWER_BYTES_MAX, "the answer does not end");
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| *n == name).map(|(_, v)| v.trim())
}
