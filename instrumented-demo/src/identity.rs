//! Who is who: certificates between services, tokens of clients, keys of partners, and the names of
//! secrets that never reach telemetry.

mod connect;
mod tls;
mod token;

pub use connect::{Connector, Listener, Stream};
pub use tls::{Authority, Papers, TlsError};
pub use token::{ApiKeys, Claims, Issuer, Refusal, TokenError};

/// Names of headers and fields whose values are secrets. Telemetry leaves them out.
pub const SECRET_NAMES: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "password",
    "token",
    "access_token",
    "client_secret",
    "card_number",
];

/// Whether values under this name are kept out of telemetry.
pub fn is_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}
