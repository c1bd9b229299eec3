//! Which servers the client takes for the right one when a connection is encrypted.
//!
//! Invariant: the certificate is always checked: against authorities, a file, or the fingerprint that
//! the server of this data directory left in its private note.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};

use super::exit::{CliError, code};
use crate::domain::canonical::from_hex;

/// Whom to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust<'a> {
    /// Nobody has to be: the connection is in the clear.
    Clear,
    /// Those whom this machine trusts.
    Machine,
    /// The certificates in this file alone.
    File(&'a Path),
    /// The certificate with this SHA-256 alone.
    Pinned([u8; 32]),
}

impl Trust<'_> {
    /// The client that trusts so.
    ///
    /// # Errors
    /// A file that holds no certificate.
    pub(super) fn apply(self, builder: ClientBuilder) -> Result<ClientBuilder, CliError> {
        match self {
            // A machine without any authority speaks to itself all the same.
            Self::Clear => Ok(builder.tls_certs_only([])),
            Self::Machine => Ok(builder),
            Self::File(path) => Ok(builder.tls_certs_only(certificates(path)?)),
            Self::Pinned(digest) => {
                let config = pinned(digest).map_err(|error| {
                    CliError::new(code::FAILED, format!("no TLS client: {error}"))
                })?;
                Ok(builder.tls_backend_preconfigured(config))
            }
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, CliError> {
    let wrong = |why: String| {
        CliError::new(code::CONFIG, format!("{} {why}", path.display()))
            .remedy("name a file with the server's certificate in PEM: --cacert FILE")
    };
    let text = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let found = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if found.is_empty() {
        return Err(wrong("holds no certificate in PEM".to_owned()));
    }
    Ok(found)
}

/// The 32 bytes of `AB:CD:…`.
pub(super) fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let pairs: Vec<&str> = text.split(':').collect();
    let is_spelled = pairs.iter().all(|pair| pair.len() == 2);
    is_spelled.then(|| from_hex(&pairs.concat().to_ascii_lowercase())).flatten()
}

fn pinned(digest: [u8; 32]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let verifier = Pinned { digest, provider: Arc::clone(&provider) };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Takes exactly one certificate, whatever names it has; that the other side has its key is checked
/// as ever.
#[derive(Debug)]
struct Pinned {
    digest: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.digest == <[u8; 32]>::from(Sha256::digest(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_they_are_printed() {
        let text = vec!["0A"; 32].join(":");
        assert_eq!(parse_fingerprint(&text), Some([10; 32]));
        assert_eq!(parse_fingerprint(&text.to_lowercase()), Some([10; 32]));
        for wrong in ["", "0A", &text[1..], &format!("{text}:0A"), "sha256"] {
            assert_eq!(parse_fingerprint(wrong), None, "{wrong}");
        }
    }
}
