//! Mutual TLS: one authority per run, and for each service a certificate that is valid and one that
//! has expired.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

use crate::faults::Knobs;

/// Certificates end in these years; all begin in 2020.
const VALID_UNTIL: i32 = 2100;
const EXPIRED_SINCE: i32 = 2021;

/// Why there is no certificate or no configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate or key is refused.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The authority's certificate is refused.
    #[error("tls authority: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// Signs the certificates of one run. Its key never leaves it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What a service shows to others and knows them by. Serialized, it can be handed to a process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// Certificate of the authority.
    authority: Vec<u8>,
    valid: Certificate,
    expired: Certificate,
}

impl fmt::Debug for Papers {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Papers").finish_non_exhaustive()
    }
}

/// A certificate and its key, as DER.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Certificate {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Result<Authority, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = params("demo authority", Vec::new(), VALID_UNTIL)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Authority { issuer: Issuer::new(params, key), certificate })
    }

    /// The papers of a service. Others know it by this name, wherever it listens.
    pub fn papers(&self, service: &str) -> Result<Papers, TlsError> {
        Ok(Papers {
            authority: self.certificate.clone(),
            valid: self.sign(service, VALID_UNTIL)?,
            expired: self.sign(service, EXPIRED_SINCE)?,
        })
    }

    fn sign(&self, service: &str, until_year: i32) -> Result<Certificate, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = params(service, vec![service.to_owned()], until_year)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.der().to_vec();
        Ok(Certificate { certificate, key: key.serialize_der() })
    }
}

fn params(name: &str, names: Vec<String>, until_year: i32) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until_year, 1, 1);
    Ok(params)
}

impl Papers {
    /// A server that asks callers for their papers, and shows the expired certificate on new
    /// connections while its knob says so.
    pub fn server(&self, knobs: Knobs) -> Result<Arc<ServerConfig>, TlsError> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let wallet = Wallet { valid: self.valid.load()?, expired: self.expired.load()?, knobs };
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(wallet));
        Ok(Arc::new(config))
    }

    /// A client that trusts the authority alone. The server name of a connection is the service's.
    /// Which protocol is spoken inside is agreed on before, by who calls whom.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(vec![self.valid.chain()], self.valid.key())?;
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.clone()))?;
        Ok(Arc::new(roots))
    }
}

impl Certificate {
    fn chain(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.certificate.clone())
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    fn load(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let key = CertifiedKey::from_der(vec![self.chain()], self.key(), &provider())?;
        Ok(Arc::new(key))
    }
}

/// Our own, named each time: the host program may have another default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Chooses a certificate for each new connection.
#[derive(Debug)]
struct Wallet {
    valid: Arc<CertifiedKey>,
    expired: Arc<CertifiedKey>,
    knobs: Knobs,
}

impl ResolvesServerCert for Wallet {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let expired = self.knobs.read().certificate_expired;
        Some(Arc::clone(if expired { &self.expired } else { &self.valid }))
    }
}
