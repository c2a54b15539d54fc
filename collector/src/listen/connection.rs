//! One connection: which protocol it speaks, its clocks, its end.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::doors::Doors;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TLS_HELLO: u8 = 0x16;
const FIRST_READ_BYTES: usize = 4096;

const HEADER_BYTES_MAX: usize = 16 << 10;
const STREAMS_MAX: u32 = 200;
/// Windows are memory outside of the byte budget: connections × window.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What the first bytes of a connection say.
enum Greeting {
    Http1(Vec<u8>),
    Http2(Vec<u8>),
    Tls,
    /// Closed, or nothing that could still become a protocol.
    Nothing,
}

/// Serves a connection to its end: the client's, the server's, or that of a clock.
pub(super) async fn serve(doors: &Arc<Doors>, mut stream: TcpStream, on_loopback: bool) {
    let _ = stream.set_nodelay(true);
    let greeting = tokio::select! {
        greeting = timeout(doors.timeouts.first_request, greet(&mut stream)) => greeting,
        () = doors.closing.cancelled() => return,
    };
    let (first, is_http2) = match greeting {
        Ok(Greeting::Http1(first)) => (first, false),
        Ok(Greeting::Http2(first)) => (first, true),
        Ok(Greeting::Tls) => {
            doors.stats.tls_hellos.fetch_add(1, Relaxed);
            tracing::debug!("a client speaks TLS, this port does not");
            return;
        }
        Ok(Greeting::Nothing) => return,
        Err(_) => {
            doors.stats.connections_silent.fetch_add(1, Relaxed);
            return;
        }
    };
    let (read, write) = stream.into_split();
    let io = tokio::io::join(Cursor::new(first).chain(read), write);
    if is_http2 {
        serve_http2(doors, io, on_loopback).await
    } else {
        serve_http1(doors, io, on_loopback).await
    }
}

/// Reads until the protocol is known. hyper's own detection waits for ever on half a preface.
async fn greet(stream: &mut TcpStream) -> Greeting {
    let mut first = Vec::with_capacity(FIRST_READ_BYTES);
    loop {
        match stream.read_buf(&mut first).await {
            Ok(0) | Err(_) => return Greeting::Nothing,
            Ok(_) => {}
        }
        let n = first.len().min(PREFACE.len());
        if first[0] == TLS_HELLO {
            return Greeting::Tls;
        }
        if first[..n] != PREFACE[..n] {
            return Greeting::Http1(first);
        }
        if n == PREFACE.len() {
            return Greeting::Http2(first);
        }
    }
}

async fn serve_http2(
    doors: &Arc<Doors>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    on_loopback: bool,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let doors = Arc::clone(doors);
        async move { doors.answer(request, on_loopback).await }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(io), service);
    drive(doors, connection).await;
}

async fn serve_http1(
    doors: &Arc<Doors>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    on_loopback: bool,
) {
    let seen = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        seen.store(true, Relaxed);
        doors.answer(request, on_loopback)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // hyper's clock also runs between requests, so it is that of an idle connection; the head of
        // the first request has its own below.
        .header_read_timeout(doors.timeouts.idle)
        .max_header_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    tokio::select! {
        () = drive(doors, connection) => {}
        () = first_head_missing(doors, &seen) => {
            doors.stats.connections_silent.fetch_add(1, Relaxed);
        }
    }
}

async fn first_head_missing(doors: &Doors, seen: &AtomicBool) {
    sleep(doors.timeouts.first_request).await;
    if seen.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Runs a connection; when the server stops or the connection is old, lets it finish.
async fn drive<C>(doors: &Doors, connection: C)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = doors.closing.cancelled() => None,
        () = sleep(doors.timeouts.connection_age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
