//! `[server]`: where it listens, who may reach it in which way, and how much it takes.
//!
//! Invariant: beyond this machine nothing is listened on in the clear, unless a proxy stands before
//! it or somebody said so in as many words; `dev` is for this machine alone.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// Lengths of administrator keys that are accepted.
const ADMIN_KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=200;

/// `[server]`
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// How connections are encrypted.
    pub tls: TlsOptions,
    /// Proxies that are believed when they say for whom they ask.
    pub behind_proxy: Vec<IpNet>,
    /// Where everything is kept; absolute.
    pub data_dir: PathBuf,
    /// API key of the bootstrap administrator.
    pub admin_key: Option<SecretString>,
    /// Further names in `Host`.
    pub allowed_hosts: Vec<String>,
    /// Address of the server as others reach it, without a `/` at its end.
    pub public_url: Option<url::Url>,
    /// Further origins.
    pub allowed_origins: Vec<String>,
    /// Longest shutdown.
    pub shutdown_grace: Duration,
    /// Largest body.
    pub max_body_bytes: u32,
    /// How much may come in.
    pub admission: AdmissionOptions,
    /// How long the other side may take.
    pub times: TimeOptions,
    /// Whether `/metrics` is open to this machine.
    pub metrics_open_on_loopback: bool,
    /// Whether requests without a credential act as administrator.
    pub dev: bool,
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsOptions {
    /// Not at all.
    Off,
    /// With this certificate and its key, both PEM.
    Files {
        /// The certificate, and those between it and its authority.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// With a certificate that the server makes for itself.
    SelfSigned,
}

/// How much a server takes from those who ask.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionOptions {
    /// Requests that a key may send at once, and per second after that; `None` sets no limit.
    pub rate: Option<(u32, u32)>,
    /// Connections at once.
    pub connections: u32,
    /// Connections of one address.
    pub connections_per_peer: u32,
    /// `WebSockets` at once.
    pub sockets: u32,
    /// `WebSockets` of one tenant.
    pub sockets_per_tenant: u32,
    /// `WebSockets` of one key.
    pub sockets_per_key: u32,
}

/// How long the other side of a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeOptions {
    /// For a handshake, and for a head.
    pub header: Duration,
    /// For a whole request with its body.
    pub request: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Without taking anything of an answer.
    pub write: Duration,
}

impl ServerOptions {
    pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path, home: Option<&Path>) -> Self {
        let text = reader.text("server.listen");
        let listen = text.parse::<SocketAddr>().unwrap_or_else(|_| {
            let example = "such as 127.0.0.1:8000 or [::1]:0";
            reader.refuse(
                "server.listen",
                format!("`server.listen` must be an address with a port {example}, not `{text}`"),
            );
            SocketAddr::from(([127, 0, 0, 1], 8000))
        });
        let admin_key = reader.secret("server.admin_key");
        let fits = |key: &SecretString| ADMIN_KEY_BYTES.contains(&key.expose_secret().len());
        if !admin_key.as_ref().is_none_or(fits) {
            let (least, most) = (ADMIN_KEY_BYTES.start(), ADMIN_KEY_BYTES.end());
            reader.refuse(
                "server.admin_key",
                format!("the administrator's key must have {least} to {most} bytes"),
            );
        }
        reader.text("server.data_dir");
        let options = Self {
            listen,
            tls: TlsOptions::read(reader, home),
            behind_proxy: proxies(reader),
            data_dir: data_dir.to_owned(),
            admin_key,
            allowed_hosts: reader.list("server.allowed_hosts"),
            public_url: public_url(reader),
            allowed_origins: origins(reader),
            shutdown_grace: reader.seconds("server.shutdown_grace_seconds", 1..=600),
            max_body_bytes: reader.number("server.max_body_bytes", 1024..=67_108_864),
            admission: AdmissionOptions::read(reader),
            times: TimeOptions::read(reader),
            metrics_open_on_loopback: reader.flag("server.metrics_open_on_loopback"),
            dev: reader.flag("server.dev"),
        };
        let in_the_clear = reader.flag("server.allow_plaintext");
        options.check_exposure(reader, in_the_clear);
        options
    }

    /// Address of the server as others reach it, without a `/` at its end.
    #[must_use]
    pub fn public_origin(&self) -> Option<String> {
        self.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    /// Whether only this machine reaches it: nothing is forwarded to it either.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback() && self.behind_proxy.is_empty()
    }

    /// Who may reach the server in which way.
    fn check_exposure(&self, reader: &mut Reader<'_>, in_the_clear: bool) {
        let listen = self.listen;
        if self.dev && !self.is_local() {
            reader.refuse(
                "server.dev",
                "`--dev` opens the server to everybody who reaches it: it is refused on any address \
                 but loopback, and behind a proxy",
            );
        }
        let is_covered =
            self.tls != TlsOptions::Off || !self.behind_proxy.is_empty() || in_the_clear;
        if !listen.ip().to_canonical().is_loopback() && !is_covered {
            reader.refuse(
                "server.listen",
                format!(
                    "`server.listen` = {listen} is not a loopback address, and keys would cross the \
                     network in the clear: encrypt with --tls self-signed, or --tls-cert and \
                     --tls-key; or name the proxy that encrypts in `server.behind_proxy`; or say \
                     --allow-plaintext"
                ),
            );
        }
    }
}

impl TlsOptions {
    fn read(reader: &mut Reader<'_>, home: Option<&Path>) -> Self {
        /// What is said.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Word {
            Off,
            Files,
            SelfSigned,
        }
        let words = [("off", Word::Off), ("files", Word::Files), ("self-signed", Word::SelfSigned)];
        let word = reader.word("server.tls", &words, Word::Off);
        let cert = reader.path("server.tls_cert", home);
        let key = reader.path("server.tls_key", home);
        match (word, cert, key) {
            (Word::Files, Some(cert), Some(key)) => Self::Files { cert, key },
            (Word::Files, _, _) => {
                let needs = "`server.tls` = files needs `server.tls_cert` and `server.tls_key`";
                reader.refuse("server.tls", needs);
                Self::Off
            }
            (Word::Off, None, None) => Self::Off,
            (Word::SelfSigned, None, None) => Self::SelfSigned,
            (Word::Off | Word::SelfSigned, _, _) => {
                let unused =
                    "a certificate is named that is not used; set `server.tls` = \"files\"";
                reader.refuse("server.tls", unused);
                Self::Off
            }
        }
    }
}

impl AdmissionOptions {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut count = |key| reader.number(key, 1..=1_000_000);
        let burst = count("server.request_burst");
        let (connections, connections_per_peer) =
            (count("server.max_connections"), count("server.max_connections_per_peer"));
        let sockets = count("server.max_sockets");
        let sockets_per_tenant = count("server.max_sockets_per_tenant");
        let sockets_per_key = count("server.max_sockets_per_key");
        let per_second = reader.number("server.requests_per_second", 0..=1_000_000);
        Self {
            rate: (per_second > 0).then_some((burst, per_second)),
            connections,
            connections_per_peer,
            sockets,
            sockets_per_tenant,
            sockets_per_key,
        }
    }
}

impl TimeOptions {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            header: reader.seconds("server.header_timeout_seconds", 1..=600),
            request: reader.seconds("server.request_timeout_seconds", 1..=3600),
            idle: reader.seconds("server.idle_timeout_seconds", 1..=3600),
            write: reader.seconds("server.write_timeout_seconds", 1..=3600),
        }
    }
}

/// An address without anything behind the host: the server answers nowhere else.
fn public_url(reader: &mut Reader<'_>) -> Option<url::Url> {
    let text = reader.optional("server.public_url")?;
    let url = url::Url::parse(&text).ok().filter(|url| {
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_nobody = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare && is_nobody
    });
    if url.is_none() {
        let example = "such as https://orchestrator.example.org, with nothing behind the host";
        let message = format!("`server.public_url` must be an address {example}, not `{text}`");
        reader.refuse("server.public_url", message);
    }
    url
}

fn proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in reader.list("server.behind_proxy") {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) if network.prefix_len() > 0 => networks.push(network),
            Ok(_) => {
                let everybody = format!("`{text}` would believe everybody; name the proxies alone");
                reader.refuse("server.behind_proxy", everybody);
            }
            Err(_) => reader.refuse(
                "server.behind_proxy",
                format!("`{text}` is no address or network such as 10.0.0.5 or 10.0.0.0/8"),
            ),
        }
    }
    networks
}

fn origins(reader: &mut Reader<'_>) -> Vec<String> {
    let given = reader.list("server.allowed_origins");
    for origin in &given {
        let good = url::Url::parse(origin).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.origin().ascii_serialization() == *origin
        });
        if !good {
            reader.refuse(
                "server.allowed_origins",
                format!("`{origin}` is not an origin such as https://example.org"),
            );
        }
    }
    given
}
