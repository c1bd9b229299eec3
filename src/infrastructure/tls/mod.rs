//! What the server shows of itself when a connection is encrypted: a certificate with its key.
//!
//! Invariant: TLS 1.2 or newer, HTTP/1.1 inside, and no key leaves this room.

mod renewal;
mod self_signed;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

pub use self::renewal::Renewal;
pub use self::self_signed::{Made, made, stored};

/// A certificate that connections can be encrypted with.
#[derive(Clone)]
pub struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint` prints it.
    pub fingerprint: String,
}

/// Why there is no such certificate. Everything that is said is safe to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{} cannot be {what}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not go together, or are none that can be used.
    #[error("{} cannot be used with its key: {error}", path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// No certificate could be made.
    #[error("no certificate can be made: {0}")]
    Unmade(String),
}

/// The certificate of these two files.
///
/// # Errors
/// A file that cannot be read, holds something else, or does not belong to the other.
pub fn from_files(cert: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unread(cert, "certificate", error))?;
    let leaf = chain.first().ok_or_else(|| missing(cert, "certificate"))?;
    let fingerprint = fingerprint(leaf);
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, "private key", error))?;
    let unusable = |error| TlsError::Unusable { path: cert.to_owned(), error };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), fingerprint })
}

fn unread(path: &Path, what: &'static str, error: pem::Error) -> TlsError {
    if let pem::Error::Io(error) = error {
        return TlsError::File { path: path.to_owned(), what: "read", error };
    }
    missing(path, what)
}

fn missing(path: &Path, what: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), what }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::new();
    for (index, byte) in Sha256::digest(certificate).iter().enumerate() {
        let joint = if index == 0 { "" } else { ":" };
        // Writing to a text does not fail.
        write!(text, "{joint}{byte:02X}").ok();
    }
    text
}

#[cfg(test)]
mod tests;
