//! Who may ask. A loopback port is reachable by every web page the user has open: `Host` is
//! checked against DNS rebinding, `Origin` and `Sec-Fetch-Site` against pages of others.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, header};

use super::{ServerInfo, problem};
use crate::QueryError;

pub(super) async fn check(
    State(info): State<Arc<ServerInfo>>,
    request: Request,
    next: Next,
) -> Response {
    // HTTP/2 has the host in the URI.
    let host = request.uri().authority().map(|a| a.as_str().to_owned());
    match allowed(&info, request.method(), host.as_deref(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            tracing::warn!(error = %error, "request refused at the door");
            problem(&error)
        }
    }
}

pub(super) fn allowed(
    info: &ServerInfo,
    method: &Method,
    authority: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), QueryError> {
    let text = |name| headers.get(name).map(|v: &http::HeaderValue| v.to_str().unwrap_or("?"));
    let host = authority.or_else(|| text(header::HOST)).unwrap_or("");
    if !host_allowed(info, without_port(host)) {
        return Err(QueryError::forbidden("the Host header names another server")
            .with_hint("use localhost or 127.0.0.1, or allow the name in the configuration"));
    }
    if let Some(origin) = text(header::ORIGIN)
        && !info.allowed_origins.iter().any(|o| o == origin)
    {
        return Err(QueryError::forbidden("web pages of this origin may not ask")
            .with_hint("allow the origin in the configuration"));
    }
    // A page can send a GET without an Origin, as an image for example.
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    if method == Method::GET && !matches!(site, None | Some("none" | "same-origin")) {
        return Err(QueryError::forbidden("web pages of other sites may not ask"));
    }
    Ok(())
}

fn host_allowed(info: &ServerInfo, host: &str) -> bool {
    let listed = info.allowed_hosts.iter().any(|h| h.eq_ignore_ascii_case(host));
    if info.loopback {
        return listed || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    }
    listed || info.allowed_hosts.is_empty()
}

/// `[::1]:4319` and `localhost:4319` without the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}
