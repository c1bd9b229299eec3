//! Which server is meant, as whom, and what a data directory knows of it.
//!
//! Invariant: what lies in a data directory is believed about this machine, and about a server that was
//! joined from there, and about no other.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::trust::{Trust, parse_fingerprint};

/// What `team join` keeps in the data directory: address, key and e-mail address.
pub const MEMBERSHIP: &str = "member.json";
/// The certificate of the server that was joined, when it is no authority of this machine that vouches for
/// it.
pub const CERTIFICATE: &str = "member.pem";
/// Larger files are neither a key nor a note about a server.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Which server to speak to, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// As given; else the server of the data directory.
    pub url: Option<String>,
    /// As given; else the key in the data directory.
    pub key: Option<SecretString>,
    /// As given; else `default`.
    pub tenant: Option<String>,
    /// The data directory, when one is known.
    pub data_dir: Option<PathBuf>,
    /// Certificate that the server's is checked by; else this machine's authorities.
    pub cacert: Option<PathBuf>,
    /// SHA-256 of the certificate that the server has to show, in hex.
    pub fingerprint: Option<String>,
}

/// What the server of a data directory says of itself.
struct Note {
    url: String,
    /// Of its certificate: nobody else can show it.
    fingerprint: Option<[u8; 32]>,
}

impl Connection {
    /// The server that said it serves the data directory; it may be gone.
    #[must_use]
    pub fn noted_url(&self) -> Option<String> {
        self.note().map(|note| note.url)
    }

    /// The note, when it is about this machine, or a server that can be told from all others.
    fn note(&self) -> Option<Note> {
        let text = read_small(&self.data_dir.as_ref()?.join("server.json"))?;
        let note: Value = serde_json::from_str(&text).ok()?;
        let url = note.get("url")?.as_str()?.to_owned();
        let parsed = Url::parse(&url).ok()?;
        let fingerprint = note.get("fingerprint").and_then(Value::as_str);
        let fingerprint = fingerprint.and_then(parse_fingerprint);
        let is_certain = parsed.scheme() == "https" && fingerprint.is_some();
        (is_loopback(&parsed) || is_certain).then_some(Note { url, fingerprint })
    }

    /// Whom to trust at an address, and whether it is the server of the data directory.
    pub(super) fn trust(&self, base: &Url) -> (Trust<'_>, bool) {
        let note = self.note().filter(|note| {
            Url::parse(&note.url).is_ok_and(|noted| noted.origin() == base.origin())
        });
        if base.scheme() != "https" {
            return (Trust::Clear, is_loopback(base));
        }
        let given = self.fingerprint.as_deref().and_then(parse_fingerprint);
        match (&self.cacert, given.or_else(|| note.and_then(|note| note.fingerprint))) {
            (Some(file), _) => (Trust::File(file), is_loopback(base)),
            (None, Some(digest)) => (Trust::Pinned(digest), true),
            (None, None) => (Trust::Machine, is_loopback(base)),
        }
    }

    /// Whether the data directory holds a store that a server could open.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.data_dir.as_ref().is_some_and(|dir| dir.join("store.redb").is_file())
    }

    /// The server that was joined from here, and the key that it gave. A data directory with a store
    /// belongs to a server of its own.
    pub(super) fn membership(&self) -> Option<(String, SecretString)> {
        if self.has_store() {
            return None;
        }
        let text = read_small(&self.data_dir.as_ref()?.join(MEMBERSHIP))?;
        let kept: Value = serde_json::from_str(&text).ok()?;
        let text = |name: &str| kept[name].as_str().map(str::to_owned);
        Some((text("url")?, SecretString::from(text("key")?)))
    }

    /// The same, with the certificate that was kept when the server was joined, when no other is named.
    pub(super) fn with_kept_certificate(&self, base: &Url) -> Self {
        let joined = self.membership().is_some_and(|(url, _)| is_same(&url, base));
        let kept = self.data_dir.as_ref().map(|dir| dir.join(CERTIFICATE));
        let kept = kept.filter(|file| joined && base.scheme() == "https" && file.is_file());
        Self { cacert: self.cacert.clone().or(kept), ..self.clone() }
    }

    /// The certificate that the server of the data directory made for itself.
    pub(super) fn own_certificate(&self) -> Option<PathBuf> {
        let file = self.data_dir.as_ref()?.join("self-signed.pem");
        file.is_file().then_some(file)
    }

    /// Who joined from here, and what: their address, when it is known, and that of the server.
    #[must_use]
    pub fn joined(&self) -> Option<(Option<String>, String)> {
        let text = read_small(&self.data_dir.as_ref()?.join(MEMBERSHIP))?;
        let kept: Value = serde_json::from_str(&text).ok()?;
        let text = |name: &str| kept[name].as_str().map(str::to_owned);
        Some((text("email"), text("url")?))
    }

    /// Whether it is said, now or by joining, which server is meant.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.url.is_some() || self.membership().is_some()
    }

    pub(super) fn stored_key(&self) -> Option<SecretString> {
        let text = read_small(&self.data_dir.as_ref()?.join("admin.key"))?;
        Some(text.trim()).filter(|key| !key.is_empty()).map(SecretString::from)
    }
}

fn read_small(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    (meta.is_file() && meta.len() <= MAX_FILE_BYTES).then(|| std::fs::read_to_string(path).ok())?
}

/// Whether two addresses lead to the same server.
pub(super) fn is_same(one: &str, other: &Url) -> bool {
    Url::parse(one).is_ok_and(|one| one.origin() == other.origin())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
