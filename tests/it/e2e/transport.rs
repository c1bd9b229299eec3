//! How a server may be reached: in the clear on this machine alone, over TLS or through a proxy from
//! elsewhere.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode, header, tls};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{eventually, text};
use crate::support::server::{ADMIN_KEY, Server, Site};

const SOON: Duration = Duration::from_secs(20);

fn port(server: &Server) -> u16 {
    server.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn certificate(site: &Site) -> Certificate {
    let pem = std::fs::read(site.data().join("self-signed.pem")).expect("a certificate");
    Certificate::from_pem(&pem).expect("PEM")
}

/// A client that trusts the server's own certificate alone.
fn trusting(site: &Site) -> reqwest::ClientBuilder {
    Client::builder().no_proxy().timeout(SOON).tls_certs_only([certificate(site)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_the_clear_does_not_start_beyond_this_machine() {
    let site = Site::simulated().with("LISTEN", "0.0.0.0:0");
    for (words, says) in [
        (&["serve"][..], "--tls self-signed"),
        (&["serve", "--dev", "--tls", "self-signed"][..], "--dev"),
        (&["serve", "--dev", "--allow-plaintext"][..], "--dev"),
        (&["demo", "--listen", "0.0.0.0:0"][..], "not a loopback address"),
        (&["serve", "--tls", "files"][..], "`server.tls_cert`"),
        (
            &["serve", "--tls-cert", "none.pem", "--tls-key", "none.key"][..],
            "none.pem cannot be read",
        ),
    ] {
        let ended = site.cli(words).await;
        assert_eq!((ended.exit, ended.out.as_str()), (78, ""), "{words:?}: {ended:?}");
        assert!(ended.err.contains(says), "{words:?}: {ended:?}");
        assert!(!site.data().exists(), "{words:?}: nothing was begun");
    }
    let behind = Site::simulated().with("SERVER__BEHIND_PROXY", "127.0.0.7");
    assert_eq!(behind.cli(&["serve", "--dev"]).await.exit, 78);
    let server = site.start(&["serve", "--allow-plaintext"]).await;
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    let path = format!("{}/health", server.url);
    for (host, status) in [("127.0.0.1", 200), ("192.168.1.5", 403)] {
        let host = format!("{host}:{}", port(&server));
        let answer = server.http.get(&path).header("host", &host).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{host}");
        assert!(answer.headers().get(header::STRICT_TRANSPORT_SECURITY).is_none());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_makes_its_own_certificate_and_its_command_line_knows_it() {
    let site = Site::simulated()
        .with("SERVER__TLS", "self-signed")
        .with("SERVER__ALLOWED_HOSTS", "box.example")
        .with("SERVER__HEADER_TIMEOUT_SECONDS", "2");
    let server = site.serve().await;
    let (url, port) = (server.url.clone(), port(&server));
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let fingerprint = text(&server.ready["fingerprint"]).to_owned();
    let der = CertificateDer::from_pem_file(site.data().join("self-signed.pem")).expect("PEM");
    let digest: Vec<String> =
        Sha256::digest(&der).iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(fingerprint, digest.join(":"));

    for version in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
        let http = trusting(&site).tls_version_max(version).build().expect("a client");
        for (name, stays) in [("127.0.0.1", true), ("localhost", false)] {
            let asked = http.get(format!("https://{name}:{port}/health")).send().await;
            let answer = asked.expect("it is trusted");
            assert_eq!(answer.status(), StatusCode::OK, "{name}");
            let strict = answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY);
            assert_eq!(strict, stays, "{name}");
        }
    }
    let named = trusting(&site).resolve("box.example", ([127, 0, 0, 1], port).into());
    let named = named.build().expect("a client");
    let answer = named.get(format!("https://box.example:{port}/health")).send().await;
    assert_eq!(answer.expect("the name is in it").status(), StatusCode::OK);
    let stranger = Client::builder().no_proxy().build().expect("a client");
    assert!(stranger.get(format!("{url}/health")).send().await.is_err(), "nobody vouches for it");

    command_line(&site, port).await;
    let doctor = site.cli(&["doctor"]).await;
    assert!(doctor.out.contains(&fingerprint), "{doctor:?}");
    strangers(port).await;
    socket(&site, port).await;
    server.stop().await;
    let again = site.serve().await;
    assert_eq!(text(&again.ready["fingerprint"]), fingerprint, "it is kept");
    again.stop().await;
    let file = site.data().join("self-signed.key");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).expect("there"));
    assert_eq!(mode & 0o777, 0o600);
}

async fn command_line(site: &Site, port: u16) {
    let found = site.cli(&["session", "list", "--json"]).await;
    assert_eq!(found.exit, 0, "{found:?}");
    let elsewhere = format!("https://localhost:{port}");
    let unknown = site.cli(&["session", "list", "--url", &elsewhere]).await;
    assert_eq!(unknown.exit, 69, "{unknown:?}");
    assert!(unknown.err.contains("not trusted") && unknown.err.contains("--cacert"), "{unknown:?}");
    let own = site.data().join("self-signed.pem");
    let words = ["session", "list", "--url", &elsewhere, "--cacert"];
    let with = |file: &Path| [&words[..], &[file.to_str().expect("UTF-8")]].concat().join("\n");
    for (file, exit) in [
        (own.clone(), 0),
        (site.data().join("self-signed.key"), 78),
        (site.root().join("none"), 78),
    ] {
        let line = with(&file);
        let ended = site.cli(&line.split('\n').collect::<Vec<_>>()).await;
        assert_eq!(ended.exit, exit, "{ended:?}");
    }
    // The note of another server does not make its certificate this one's.
    let note = site.data().join("server.json");
    let told = std::fs::read_to_string(&note).expect("a note");
    let mut forged: Value = serde_json::from_str(&told).expect("JSON");
    forged["fingerprint"] = vec!["0A"; 32].join(":").into();
    std::fs::write(&note, forged.to_string()).expect("written");
    let words = ["session", "list", "--url", &format!("https://127.0.0.1:{port}")];
    let refused = site.cli(&words).await;
    assert_eq!(refused.exit, 69, "{refused:?}");
    std::fs::write(&note, told).expect("written");
}

/// Those who do not speak TLS, or nothing at all.
async fn strangers(port: u16) {
    let said = |bytes: &'static str| async move {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        stream.write_all(bytes.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        drop(timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it ends in time"));
        String::from_utf8_lossy(&answer).into_owned()
    };
    let plain = said("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("https://"), "{plain}");
    let (silent, broken) = tokio::join!(said(""), said("\u{16}\u{3}\u{1}\u{2}"));
    assert_eq!((silent.as_str(), broken.as_str()), ("", ""), "cut off without a word");
}

async fn socket(site: &Site, port: u16) {
    let der = CertificateDer::from_pem_file(site.data().join("self-signed.pem")).expect("PEM");
    let mut roots = RootCertStore::empty();
    roots.add(der).expect("a certificate");
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let url = format!("wss://localhost:{port}/ws/sessions");
    let mut request = url.into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {ADMIN_KEY}").parse().expect("a value"));
    headers.insert("x-tenant-id", "default".parse().expect("a value"));
    headers.insert("origin", format!("https://localhost:{port}").parse().expect("a value"));
    let opened = tokio_tungstenite::client_async(request, stream).await;
    let (_, answer) = opened.expect("a socket over TLS");
    assert_eq!(answer.status().as_u16(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_ones_own_is_served_and_a_wrong_one_is_not() {
    let (maker, other) = (Site::simulated(), Site::simulated());
    for site in [&maker, &other] {
        site.start(&["serve", "--tls", "self-signed"]).await.stop().await;
    }
    let file = |site: &Site, name: &str| site.data().join(name).to_str().expect("UTF-8").to_owned();
    let (cert, key) = (file(&maker, "self-signed.pem"), file(&maker, "self-signed.key"));
    let foreign = file(&other, "self-signed.key");
    let site = Site::simulated();
    for (cert, key, says) in [
        (&cert, &foreign, "cannot be used with its key"),
        (&key, &key, "holds no certificate"),
        (&cert, &cert, "holds no private key"),
    ] {
        let ended = site.cli(&["serve", "--tls-cert", cert, "--tls-key", key]).await;
        assert_eq!(ended.exit, 78, "{ended:?}");
        assert!(ended.err.contains(says), "{ended:?}");
    }
    let server = site.start(&["serve", "--tls-cert", &cert, "--tls-key", &key]).await;
    let http = trusting(&maker).build().expect("a client");
    let answer = http.get(format!("{}/health", server.url)).send().await.expect("trusted");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(site.cli(&["session", "list"]).await.exit, 0, "its own command line finds it");
    server.stop().await;
}

/// The SHA-256 of the certificate that a new connection is shown, and the connection.
async fn shown(port: u16) -> (String, tokio_rustls::client::TlsStream<TcpStream>) {
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let seen =
        stream.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("a certificate");
    (hex(seen), stream)
}

fn hex(certificate: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(certificate);
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// Takes every certificate: what it is, is looked at afterwards.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let makers = [Site::simulated(), Site::simulated()];
    for maker in &makers {
        maker.start(&["serve", "--tls", "self-signed"]).await.stop().await;
    }
    let site = Site::simulated();
    let file = |name: &str| site.root().join(name).to_str().expect("UTF-8").to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let put = |maker: &Site, name: &str, to: &str| {
        std::fs::copy(maker.data().join(name), to).expect("copied");
    };
    let [old, new] = [&makers[0], &makers[1]].map(|maker| {
        let file = maker.data().join("self-signed.pem");
        hex(&CertificateDer::from_pem_file(file).expect("PEM"))
    });
    put(&makers[0], "self-signed.pem", &cert);
    put(&makers[0], "self-signed.key", &key);
    let server = site.start(&["serve", "--tls-cert", &cert, "--tls-key", &key]).await;
    let (port, hangup) = (port(&server), rustix::process::Signal::HUP);
    let (seen, mut early) = shown(port).await;
    assert_eq!(seen, old);

    // A half of the new pair is none.
    put(&makers[1], "self-signed.key", &key);
    rustix::process::kill_process(server.pid(), hangup).expect("it takes signals");
    let warned = || site.log().matches("cannot be used with its key").count();
    eventually("it is told", async || warned() == 1).await;
    assert!(site.log().contains("put a certificate and its own key into the two files"));
    assert_eq!(shown(port).await.0, old);

    put(&makers[1], "self-signed.pem", &cert);
    rustix::process::kill_process(server.pid(), hangup).expect("it takes signals");
    eventually("the new one is shown", async || shown(port).await.0 == new).await;
    let ask = format!("GET /health HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    early.write_all(ask.as_bytes()).await.expect("an old connection goes on");
    let mut answer = [0; 15];
    early.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let pinned = async || site.cli(&["session", "list"]).await.exit == 0;
    eventually("the command line knows the new one", pinned).await;

    std::fs::write(&cert, "nothing").expect("written");
    rustix::process::kill_process(server.pid(), hangup).expect("it takes signals");
    eventually("it is told", async || site.log().contains("holds no certificate in PEM")).await;
    assert_eq!(shown(port).await.0, new, "the one before stays");
    server.stop().await;
}

/// Asks from one of this machine's addresses.
async fn ask(
    server: &Server,
    from: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let from: IpAddr = from.parse().expect("an address");
    let http = Client::builder().no_proxy().timeout(SOON).local_address(from).build();
    let mut request = http.expect("a client").get(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_believed_and_nobody_else() {
    let site = Site::simulated()
        .with("SERVER__BEHIND_PROXY", "127.0.0.7")
        .with("SERVER__ALLOWED_HOSTS", "box.example")
        .with("SERVER__MAX_CONNECTIONS_PER_PEER", "16");
    let server = site.serve().await;
    let (proxy, other) = ("127.0.0.7", "127.0.0.8");
    let host = ("host", "box.example");
    let by = |client: &'static str| ("x-forwarded-for", client);
    let https = ("x-forwarded-proto", "https");

    // Who fails too often is the client, not the proxy that brings it.
    let bad = ("authorization", "Bearer wrong");
    for _ in 0..10 {
        let answer = ask(&server, proxy, "/api/v1/sessions", &[by("1.1.1.1, 9.9.9.9"), bad]).await;
        assert_eq!(answer.status().as_u16(), 401);
    }
    for (client, status) in [("9.9.9.9", 429), ("7.7.7.7, 9.9.9.9", 429), ("9.9.9.8", 401)] {
        let answer = ask(&server, proxy, "/api/v1/sessions", &[by(client), bad]).await;
        assert_eq!(answer.status().as_u16(), status, "{client}");
    }
    // Whoever is no proxy cannot pretend to be somebody else, each time another.
    let spoofed = ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4", "1.0.0.5", "1.0.0.6"];
    let mut last = 0;
    for client in spoofed.iter().chain(&spoofed) {
        let headers = [("x-forwarded-for", *client), bad];
        last = ask(&server, other, "/api/v1/sessions", &headers).await.status().as_u16();
    }
    assert_eq!(last, 429);

    // How the client reached the proxy is what pages and browsers are told by.
    for (from, origin, status) in [
        (proxy, "https://box.example", 200),
        (proxy, "http://box.example", 403),
        (other, "https://box.example", 403),
        (other, "http://box.example", 200),
    ] {
        let headers = [host, https, ("origin", origin)];
        let answer = ask(&server, from, "/health", &headers).await;
        assert_eq!(answer.status().as_u16(), status, "{from} {origin}");
        let strict = answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY);
        assert_eq!(strict, from == proxy, "{from} {origin}");
    }
    for (from, headers, status) in [
        ("127.0.0.9", vec![], 200),
        (proxy, vec![by("9.9.9.1")], 401),
        (proxy, vec![by("127.0.0.1")], 401),
        (proxy, vec![], 401),
        ("127.0.0.9", vec![("x-real-ip", "127.0.0.1")], 401),
        ("127.0.0.9", vec![by("127.0.0.1")], 401),
    ] {
        let answer = ask(&server, from, "/metrics", &headers).await;
        assert_eq!(answer.status().as_u16(), status, "{from} {headers:?}");
    }
    crowd(&server, proxy, other).await;
    server.stop().await;
}

/// A proxy brings as many connections as it has clients; others have their share.
async fn crowd(server: &Server, proxy: &str, other: &str) {
    for (from, refused) in [(proxy, false), (other, true)] {
        let mut held = Vec::new();
        for _ in 0..20 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(format!("{from}:0").parse().expect("an address")).expect("bound");
            let address = server.url.trim_start_matches("http://").parse().expect("an address");
            held.push(socket.connect(address).await.expect("a connection"));
        }
        let mut one = [0; 12];
        let last = held.last_mut().expect("many");
        let told = timeout(Duration::from_secs(2), last.read_exact(&mut one)).await;
        let is_refused = told.is_ok() && one.ends_with(b"503");
        assert_eq!(is_refused, refused, "{from}");
    }
}
