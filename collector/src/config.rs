//! What a collector can be told, with the defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::decode::Limits;

/// Addresses, limits and permissions of a [`crate::Collector`].
#[derive(Clone, Debug)]
pub struct CollectorConfig {
    /// Where gRPC clients are told to connect; speaks HTTP as well. Port 0 takes a free one.
    pub grpc_addr: SocketAddr,
    /// Where HTTP clients are told to connect; speaks gRPC as well. Port 0 takes a free one.
    pub http_addr: SocketAddr,
    /// A prefix that is accepted in front of `/v1/traces` and its like.
    pub path_prefix: Option<String>,
    /// Largest request as sent.
    pub wire_bytes_max: usize,
    /// Largest request after decompression.
    pub decoded_bytes_max: usize,
    /// Budget of all requests being read, decoded and stored. Neither limit above can exceed a
    /// quarter of it.
    pub in_flight_bytes: usize,
    /// How long a request waits for room in the budget before it is read, and again for its turn and
    /// for room in the store before it is decoded; then it is refused.
    pub admission_wait: Duration,
    /// Origins of web pages that may send, besides those on loopback: `https://app.example`.
    pub allowed_origins: Vec<String>,
    /// Host names that clients may use for us, besides those of loopback.
    pub allowed_hosts: Vec<String>,
    /// Connections beyond this are closed at once.
    pub connections_max: usize,
    /// Limits of single records.
    pub limits: Limits,
    /// The clocks of connections and requests.
    pub timeouts: Timeouts,
}

/// The clocks of connections and requests.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From accepting a connection to its first bytes, and from these to the first request's head.
    pub first_request: Duration,
    /// An HTTP/1.1 connection without a request, or with a later head half sent.
    pub idle: Duration,
    /// A body without a new byte.
    pub body_progress: Duration,
    /// A body from its first to its last byte.
    pub body_total: Duration,
    /// Discarding the rest of a body that is refused.
    pub discard: Duration,
    /// Age at which a connection is asked to go, so that load spreads over servers again.
    pub connection_age: Duration,
    /// Finishing what is in flight when the server stops.
    pub shutdown: Duration,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        CollectorConfig {
            grpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            http_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)),
            path_prefix: None,
            wire_bytes_max: 64 << 20,
            decoded_bytes_max: 64 << 20,
            in_flight_bytes: 256 << 20,
            admission_wait: Duration::from_secs(1),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            connections_max: 1000,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_progress: Duration::from_secs(10),
            body_total: Duration::from_secs(30),
            discard: Duration::from_secs(2),
            connection_age: Duration::from_secs(3600),
            shutdown: Duration::from_secs(10),
        }
    }
}
