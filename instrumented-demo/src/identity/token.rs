//! Tokens by client credentials: an issuer that knows its clients, and signs what they may do and
//! until when. The form is `claims.signature`, both base64url, the claims JSON.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Says which key is derived; another program with the same secret gets another key.
const KEY_CONTEXT: &str = "instrumented-demo 2025 token signing";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who may do it.
    pub sub: String,
    /// What may be done, separated by blanks.
    pub scope: String,
    /// When it was issued, in seconds since 1970.
    pub iat: u64,
    /// From when on it is void.
    pub exp: u64,
}

impl Claims {
    /// Whether this may be done. Nothing to ask for is always allowed.
    pub fn allow(&self, scope: &str) -> bool {
        scope.is_empty() || self.scope.split(' ').any(|granted| granted == scope)
    }
}

/// Why no token is issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client is not known, or its secret is another.
    #[error("client id or secret is wrong")]
    Client,
    /// The client may not do what it asks for.
    #[error("scope {0} is not granted to this client")]
    Scope(String),
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has not the form of a token.
    #[error("token is malformed")]
    Malformed,
    /// It was not signed by this issuer.
    #[error("token has a wrong signature")]
    Forged,
    /// Its time is over.
    #[error("token has expired")]
    Expired,
}

impl TokenError {
    /// The value of `error.type`.
    pub fn name(self) -> &'static str {
        match self {
            TokenError::Malformed => "token_malformed",
            TokenError::Forged => "token_forged",
            TokenError::Expired => "token_expired",
        }
    }
}

/// Issues tokens, and verifies them wherever it is known: all who share the secret are the same
/// issuer.
#[derive(Clone)]
pub struct Issuer {
    key: [u8; 32],
    clients: BTreeMap<String, Client>,
}

#[derive(Clone)]
struct Client {
    secret: blake3::Hash,
    scopes: Vec<String>,
}

impl fmt::Debug for Issuer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("clients", &self.clients.keys()).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer without clients.
    pub fn new(secret: &[u8]) -> Issuer {
        Issuer { key: blake3::derive_key(KEY_CONTEXT, secret), clients: BTreeMap::new() }
    }

    /// Makes a client known, with all it may ever ask for.
    #[must_use]
    pub fn with_client(mut self, id: &str, secret: &str, scopes: &[&str]) -> Issuer {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let client = Client { secret: blake3::hash(secret.as_bytes()), scopes };
        self.clients.insert(id.to_owned(), client);
        self
    }

    /// Issues a token for some of the client's scopes.
    pub fn grant(
        &self,
        (id, secret): (&str, &str),
        scope: &str,
        now_s: u64,
        lifetime_s: u64,
    ) -> Result<String, Refusal> {
        let client = self.clients.get(id).ok_or(Refusal::Client)?;
        // Hashes are compared in constant time.
        if client.secret != blake3::hash(secret.as_bytes()) {
            return Err(Refusal::Client);
        }
        let refused = scope.split_whitespace().find(|one| !client.scopes.iter().any(|s| s == one));
        if let Some(refused) = refused {
            return Err(Refusal::Scope(refused.to_owned()));
        }
        Ok(self.sign(id, scope, now_s, lifetime_s))
    }

    /// A token for someone who has shown by other means who they are, as a customer does at login.
    pub fn sign(&self, subject: &str, scope: &str, now_s: u64, lifetime_s: u64) -> String {
        let claims = Claims {
            sub: subject.to_owned(),
            scope: scope.split_whitespace().collect::<Vec<_>>().join(" "),
            iat: now_s,
            exp: now_s + lifetime_s,
        };
        let claims = serde_json::json!(claims).to_string();
        let signature = blake3::keyed_hash(&self.key, claims.as_bytes());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(claims.as_bytes()), encode(signature.as_bytes()))
    }

    /// What a token says, if it is one of this issuer's and still good.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        let (claims, signature) = token.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed);
        let (claims, signature) = (decode(claims)?, decode(signature)?);
        let signature: [u8; 32] = signature.try_into().map_err(|_| TokenError::Malformed)?;
        if blake3::keyed_hash(&self.key, &claims) != signature {
            return Err(TokenError::Forged);
        }
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
        if claims.exp <= now_s { Err(TokenError::Expired) } else { Ok(claims) }
    }
}

/// Keys of partners. Only their hashes are kept.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(blake3::Hash, String)>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, partner)| partner)).finish()
    }
}

impl ApiKeys {
    /// Keys and whose they are.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> ApiKeys {
        let keys = keys.into_iter();
        ApiKeys(
            keys.map(|(key, partner)| (blake3::hash(key.as_bytes()), partner.to_owned())).collect(),
        )
    }

    /// Whose key this is. Compares hashes, in constant time.
    pub fn partner(&self, key: &str) -> Option<&str> {
        let hash = blake3::hash(key.as_bytes());
        let (_, partner) = self.0.iter().find(|(own, _)| *own == hash)?;
        Some(partner)
    }
}
