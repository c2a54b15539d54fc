//! What both ports share: the way from a request to its answer, whichever protocol it speaks.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use storage::Encoding;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tonic::service::Routes;

use crate::answers::{Condition, Refusal};
use crate::body::{self, Lost};
use crate::config::Timeouts;
use crate::cors::Visitors;
use crate::intake::{self, Intake};
use crate::stats::{CollectorStats, Transport};
use crate::{grpc, http as otlp_http};

/// Everything a request needs on its way, shared by all connections.
pub(crate) struct Doors {
    pub(crate) intake: Intake,
    pub(crate) visitors: Visitors,
    pub(crate) wire_bytes_max: usize,
    pub(crate) path_prefix: Option<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) stats: Arc<CollectorStats>,
    /// Cancelled when the server begins to stop.
    pub(crate) closing: CancellationToken,
    /// gRPC health and reflection.
    pub(crate) companions: Routes,
}

/// The body of an answer: ours, or that of a companion service.
pub(crate) type AnswerBody = Either<Plain, tonic::body::Body>;
/// An answer.
pub(crate) type Answer = Response<AnswerBody>;

/// Why a request gets no success.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It gets an error.
    Refused(Refusal),
    /// It gets nothing: the client is gone, or too slow to deserve an answer.
    Lost(Lost),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Failed {
        Failed::Refused(refusal)
    }
}

impl Doors {
    /// Answers one request. An error resets the stream, or closes an HTTP/1.1 connection.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        on_loopback: bool,
    ) -> Result<Answer, h2::Error> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let answer = if content_type.is_some_and(|t| grpc::is_grpc(t.as_bytes())) {
            grpc::serve(self, request, on_loopback).await
        } else {
            otlp_http::serve(self, request, on_loopback).await
        };
        answer.map_err(|failed| {
            if let Failed::Lost(lost) = failed {
                let counter = match lost {
                    Lost::Slow => &self.stats.bodies_slow,
                    Lost::Gone => &self.stats.bodies_gone,
                };
                counter.fetch_add(1, Relaxed);
            }
            h2::Error::from(h2::Reason::CANCEL)
        })
    }

    /// Refuses what arrives after the server began to stop.
    pub(crate) fn check_open(&self) -> Result<(), Refusal> {
        if self.closing.is_cancelled() { Err(intake::shutting_down()) } else { Ok(()) }
    }

    pub(crate) fn body_failed(&self, failure: body::Failure) -> Failed {
        match failure {
            body::Failure::Lost(lost) => Failed::Lost(lost),
            body::Failure::NoRoom => Failed::Refused(self.intake.no_room()),
            body::Failure::TooLarge => Failed::Refused(self.wire_too_large(None)),
        }
    }

    pub(crate) fn wire_too_large(&self, announced_bytes: Option<u64>) -> Refusal {
        let size = match announced_bytes {
            Some(n) => format!("{n} bytes are"),
            None => "the request is".to_owned(),
        };
        Refusal::new(
            Condition::WireTooLarge,
            format!(
                "{size} more than the {} a request may have; send smaller batches or raise \
                 --wire-bytes-max",
                self.wire_bytes_max
            ),
        )
    }

    /// A refusal as an HTTP answer.
    pub(crate) fn refuse_http(&self, refusal: &Refusal, encoding: Encoding) -> Answer {
        self.stats.count_refused(Transport::Http, refusal.condition);
        let (status, headers, body) = refusal.http(encoding);
        let mut response = Response::new(AnswerBody::Left(Plain::new(body)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, otlp_http::media_type(encoding));
        response
    }

    /// Hands a call to health or reflection.
    pub(crate) async fn companion(&self, request: Request<Incoming>) -> Answer {
        match self.companions.clone().call(request).await {
            Ok(response) => response.map(AnswerBody::Right),
            Err(never) => match never {},
        }
    }
}

/// A body of one piece, and trailers if it is gRPC's.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl Plain {
    pub(crate) fn new(data: Bytes) -> Plain {
        Plain { data, trailers: None }
    }

    pub(crate) fn with_trailers(data: Bytes, trailers: HeaderMap) -> Plain {
        Plain { data, trailers: Some(trailers) }
    }
}

impl Body for Plain {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = if self.data.is_empty() {
            self.trailers.take().map(Frame::trailers)
        } else {
            Some(Frame::data(std::mem::take(&mut self.data)))
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}

/// A plain text answer of the server itself.
pub(crate) fn text(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(AnswerBody::Left(Plain::new(body.into())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
