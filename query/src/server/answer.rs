//! Rows to an HTTP answer.
//!
//! The first 64 KiB are held back: an answer that ends or fails within them goes out whole, with
//! the right status, its final statistics as the header `X-Query-Stats` and a length. A longer one
//! is streamed batch by batch as the client reads; then statistics and an error after the first
//! byte are HTTP trailers, `X-Query-Stats` and `X-Query-Error`, besides what the format has of its
//! own. Dropping the body drops the rows and so cancels the query.

use std::pin::Pin;

use api::sql::Stats;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Serialize;

use crate::encode::{self, Encoder, Format, Options};
use crate::{QueryError, Running};

/// Bytes that are held back before the answer starts.
const HELD_BYTES: usize = 64 << 10;

const QUERY_ID: HeaderName = HeaderName::from_static("x-query-id");
const QUERY_STATS: HeaderName = HeaderName::from_static("x-query-stats");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-query-error");

/// Rows on their way, and what they are built on. The engine's [`Running`]; tests have their own.
pub(super) trait Rows:
    Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static
{
    /// Final once the stream has ended.
    fn stats(&self) -> Stats;
}

impl Rows for Running {
    fn stats(&self) -> Stats {
        Running::stats(self)
    }
}

/// The answer for `rows`.
///
/// # Errors
/// When the query fails before the answer has started.
pub(super) async fn answer<R: Rows>(
    rows: R,
    id: &str,
    schema: &SchemaRef,
    format: Format,
    options: Options,
) -> Result<Response, QueryError> {
    let mut writer =
        Writer { rows: Box::pin(rows), encoder: Encoder::new(format, schema, options)? };
    let mut held = Vec::new();
    writer.encoder.start(&mut held);
    let mut ended = false;
    while !ended && held.len() < HELD_BYTES {
        ended = !writer.step(&mut held).await?;
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(QUERY_ID, id);
    }
    if ended {
        if let Some(stats) = header_value(&writer.rows.stats()) {
            headers.insert(QUERY_STATS, stats);
        }
        *response.body_mut() = Body::from(held);
    } else {
        let names = HeaderValue::from_static("x-query-stats, x-query-error");
        headers.insert(header::TRAILER, names);
        *response.body_mut() = Body::new(StreamBody::new(frames(writer, held)));
    }
    Ok(response)
}

struct Writer<R> {
    rows: Pin<Box<R>>,
    encoder: Encoder,
}

impl<R: Rows> Writer<R> {
    /// Appends the next batch, or the end; false when that was the end.
    async fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, QueryError> {
        match self.rows.next().await {
            Some(batch) => self.encoder.rows(&batch?, out).map(|()| true),
            None => self.encoder.finish(&self.rows.stats(), out).map(|()| false),
        }
    }
}

enum Stage<R> {
    Held(Writer<R>, Vec<u8>),
    Rows(Writer<R>),
    Trailers(HeaderMap),
    Ended,
}

/// The held bytes, the rest batch by batch, the trailers.
fn frames<R: Rows>(
    writer: Writer<R>,
    held: Vec<u8>,
) -> impl Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> {
    futures::stream::unfold(Stage::Held(writer, held), |stage| async move {
        let (frame, next) = match stage {
            Stage::Held(writer, held) => (Frame::data(held.into()), Stage::Rows(writer)),
            Stage::Rows(mut writer) => {
                let mut out = Vec::new();
                let next = match writer.step(&mut out).await {
                    Ok(true) => Stage::Rows(writer),
                    Ok(false) => Stage::Trailers(trailers(&writer.rows.stats(), None)),
                    Err(error) => {
                        writer.encoder.fail(&error, &mut out);
                        Stage::Trailers(trailers(&writer.rows.stats(), Some(&error)))
                    }
                };
                (Frame::data(out.into()), next)
            }
            Stage::Trailers(trailers) => (Frame::trailers(trailers), Stage::Ended),
            Stage::Ended => return None,
        };
        Some((Ok(frame), next))
    })
}

fn trailers(stats: &Stats, error: Option<&QueryError>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.extend(header_value(stats).map(|v| (QUERY_STATS, v)));
    trailers.extend(error.and_then(|e| header_value(&e.0)).map(|v| (QUERY_ERROR, v)));
    trailers
}

/// A plain struct as JSON in a header. `None` when it holds what a header cannot.
fn header_value(value: &impl Serialize) -> Option<HeaderValue> {
    let mut json = Vec::new();
    encode::write_json(value, &mut json);
    HeaderValue::from_bytes(&json).ok()
}
