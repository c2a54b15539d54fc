//! Browsers: who may talk to a port that listens on loopback, and the headers that tell them so.
//!
//! Any web page can make its visitor's browser send requests to 127.0.0.1. So a request that carries
//! an `Origin` must come from an allowed one, and on loopback the `Host` must be a name of this
//! machine, or a page could reach us under its own name (DNS rebinding).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Uri};
use std::net::IpAddr;

use crate::answers::{Condition, Refusal};

/// Which origins and hosts a collector accepts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitors {
    origins: Vec<String>,
    hosts: Vec<String>,
}

impl Visitors {
    pub(crate) fn new(origins: &[String], hosts: &[String]) -> Visitors {
        let lower = |texts: &[String]| -> Vec<String> {
            texts.iter().map(|t| t.trim_end_matches('/').to_ascii_lowercase()).collect()
        };
        Visitors { origins: lower(origins), hosts: lower(hosts) }
    }

    /// Refuses a request that this port should not answer.
    pub(crate) fn check(&self, head: &Head<'_>, on_loopback: bool) -> Result<(), Refusal> {
        if let Some(origin) = head.origin
            && !self.allows(origin)
        {
            return Err(not_allowed(format!(
                "origin {} may not send here; allow it with --allow-origin {}",
                shown(origin),
                shown(origin)
            )));
        }
        let host_matters = on_loopback || !self.hosts.is_empty() || head.origin.is_some();
        match head.host {
            Some(host) if host_matters && !self.is_ours(host) => Err(not_allowed(format!(
                "host \"{host}\" is no name of this server; use 127.0.0.1 or localhost, or allow it \
                 with --allow-host {host}"
            ))),
            _ => Ok(()),
        }
    }

    /// The headers that let an allowed page read the answer, errors included.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        let Some(origin) = origin else { return };
        answer.append(VARY, HeaderValue::from_static("Origin"));
        if self.allows(origin) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            // Never with `*`: `navigator.sendBeacon` always sends credentials.
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// The further headers of the answer to a preflight.
    pub(crate) fn preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if !request.get(ORIGIN).is_some_and(|o| self.allows(o)) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }

    /// Loopback origins and the configured ones.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|a| is_loopback(without_port(a))) || self.origins.contains(&origin)
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = without_port(host).to_ascii_lowercase();
        is_loopback(&host) || self.hosts.iter().any(|h| without_port(h) == host)
    }
}

/// What a request says about where it comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) origin: Option<&'a HeaderValue>,
    pub(crate) host: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// HTTP/2 has the host in the URI, HTTP/1.1 in a header.
    pub(crate) fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Head<'a> {
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let header = headers.get(HOST).map(|h| h.to_str().unwrap_or("?"));
        Head { origin: headers.get(ORIGIN), host: authority.or(header) }
    }
}

fn not_allowed(message: String) -> Refusal {
    Refusal::new(Condition::NotAllowed, message)
}

fn shown(origin: &HeaderValue) -> &str {
    origin.to_str().unwrap_or("(not text)")
}

fn without_port(authority: &str) -> &str {
    let host_end = match authority.strip_prefix('[') {
        Some(v6) => v6.find(']').map(|end| end + 2),
        None => authority.rfind(':'),
    };
    &authority[..host_end.unwrap_or(authority.len())]
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
