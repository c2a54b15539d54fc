//! OTLP over plain HTTP. Exporters run on threads of their own, so the requests are made on the
//! runtime that all exporters share.

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// Bytes of an answer that are read; it says what was not accepted.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Sends requests of one signal.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
}

impl Sender {
    pub(super) fn new(runtime: &Handle, timeout: Duration) -> Sender {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Sender { client, runtime: runtime.clone(), timeout }
    }

    /// Sends a request and reads its answer, whatever its status.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let timeout = self.timeout;
        // Also the clock is that of the runtime.
        let bounded = async move { tokio::time::timeout(timeout, exchange).await };
        self.runtime.spawn(bounded).await??
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.send(request).await
    }
}
