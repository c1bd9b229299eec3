//! The client of the HTTP interface: finds the server and its key, sends, and turns every problem
//! into an error with what helps.
//!
//! Invariant: the administrator's key of this machine is sent to loopback addresses only, and to the
//! server that shows the certificate of this data directory; the key of a member only to the server that
//! gave it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

pub use super::connection::{CERTIFICATE, Connection, MEMBERSHIP};
use super::connection::{is_loopback, is_same};
use super::exit::{CliError, code};
use super::output::Spinner;
use super::trust::Trust;
use crate::application::ports::clock::Clock;

/// Where a server listens when nothing else is known.
const USUAL_URL: &str = "http://127.0.0.1:8000";
/// The tenant of a machine's own administrator.
const USUAL_TENANT: &str = "default";
/// Larger answers are not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Speaks to one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
    /// As was said, else what goes with the key; `None` before that is known.
    tenant: Option<String>,
    certificate: Option<PathBuf>,
    /// Time, for waits and ages.
    pub clock: Arc<dyn Clock>,
}

impl Client {
    /// A client of the server that the connection names, else of the local one.
    ///
    /// # Errors
    /// An address that is none, or a key that cannot be sent.
    pub fn new(connection: &Connection, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let member = connection.membership();
        let joined = || member.as_ref().map(|(url, _)| url.clone());
        let given = connection.url.clone().or_else(|| connection.noted_url()).or_else(joined);
        let text = given.unwrap_or_else(|| USUAL_URL.to_owned());
        let base = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| {
            CliError::usage(format!("`{text}` is not an address such as {USUAL_URL}"))
        })?;
        let connection = &connection.with_kept_certificate(&base);
        let (trust, is_here) = connection.trust(&base);
        let certificate = matches!(trust, Trust::Pinned(_)).then(|| connection.own_certificate());
        let own = member.filter(|(url, _)| is_same(url, &base)).map(|(_, key)| key);
        let is_somebody = connection.key.is_some() || own.is_some();
        let stored = || is_here.then(|| connection.stored_key()).flatten();
        let key = connection.key.clone().or(own).or_else(stored);
        let http = http_client(trust)?;
        let usual = || (!is_somebody).then(|| USUAL_TENANT.to_owned());
        let tenant = connection.tenant.clone().or_else(usual);
        Ok(Self { http, base, key, tenant, clock, certificate: certificate.flatten() })
    }

    /// The same for whoever has no key yet.
    #[must_use]
    pub fn as_nobody(self) -> Self {
        Self { key: None, tenant: None, ..self }
    }

    /// The certificate that the server made for itself, when it is the one of the data directory.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Finds out which tenant somebody's key belongs to, when none was named.
    #[must_use]
    pub async fn at_home(mut self) -> Self {
        if self.tenant.is_none() {
            let asked = self.request(Method::GET, &["whoami"]).timeout(Duration::from_secs(5));
            let who = self.json(asked).await.unwrap_or_default();
            let own = who["tenant_id"].as_str();
            let is_system = who["is_system"].as_bool() == Some(true);
            // Without an answer the server is left to say what is wrong.
            self.tenant = own.map(|own| if is_system { USUAL_TENANT } else { own }.to_owned());
        }
        self
    }

    /// The same for another tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    /// Whether this machine alone reaches the server under its address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// The address of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The tenant that is acted for, by short name or id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(USUAL_TENANT)
    }

    /// Whether a server answers there within two seconds.
    pub async fn is_alive(&self) -> bool {
        let request = self.http.get(format!("{}/health/live", self.url()));
        let answer = request.timeout(Duration::from_secs(2)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Whether the key begins so.
    #[must_use]
    pub fn has_key_with(&self, beginning: &str) -> bool {
        self.key.as_ref().is_some_and(|key| key.expose_secret().starts_with(beginning))
    }

    /// A request under `/api/v1`; each segment is escaped.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.at(method, &[&["api", "v1"], segments].concat())
    }

    /// A request to any path; each segment is escaped.
    pub fn at(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let mut request = self.http.request(method, url);
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Tenant-ID", tenant);
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        request
    }

    /// Sends, and gives the answer when it is a success.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = self.body(answer).await.unwrap_or_default();
        Err(CliError::from_problem(status, &body))
    }

    /// Sends, and reads a JSON answer; nothing is null.
    ///
    /// # Errors
    /// No answer, a problem, or an answer that is no JSON.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let request =
            request.header(header::ACCEPT, "application/json").timeout(Duration::from_mins(2));
        let answer = self.send(request).await?;
        let body = self.body(answer).await?;
        if body.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|_| {
            CliError::new(
                code::UNAVAILABLE,
                format!("{} gave an answer that is no JSON", self.url()),
            )
            .remedy("is --url the address of an orchestrator?")
        })
    }

    /// GET of a JSON answer with a query.
    ///
    /// # Errors
    /// As `json`.
    pub async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, CliError> {
        self.patiently(self.request(Method::GET, segments).query(query)).await
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As `json`.
    pub async fn all(&self, segments: &[&str]) -> Result<Vec<Value>, CliError> {
        self.all_of(segments, &[]).await
    }

    /// The same of a list of which not everything is wanted.
    ///
    /// # Errors
    /// As `json`.
    pub async fn all_of(
        &self,
        segments: &[&str],
        wanted: &[(&'static str, &str)],
    ) -> Result<Vec<Value>, CliError> {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let mut query = vec![("limit", "200".to_owned())];
            query.extend(wanted.iter().map(|(name, value)| (*name, (*value).to_owned())));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.get(segments, &query).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// As `json`.
    pub async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, CliError> {
        self.patiently(self.request(Method::POST, segments).json(body)).await
    }

    /// PUT of a JSON body.
    ///
    /// # Errors
    /// As `json`.
    pub async fn put(&self, segments: &[&str], body: &Value) -> Result<Value, CliError> {
        self.patiently(self.request(Method::PUT, segments).json(body)).await
    }

    /// Shows a sign of life when the answer takes more than a second.
    async fn patiently(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let mut answer = std::pin::pin!(self.json(request));
        tokio::select! {
            answer = &mut answer => return answer,
            () = self.clock.sleep(Duration::from_secs(1)) => {}
        }
        let _spinner = Spinner::new("waiting for the server");
        answer.await
    }

    async fn body(&self, mut answer: Response) -> Result<String, CliError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                let message = "the answer is larger than 64 MiB".to_owned();
                return Err(CliError::new(code::FAILED, message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What to say when the server does not answer.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> CliError {
        if is_about_certificates(error) {
            let text =
                format!("the server at {} shows a certificate that is not trusted", self.url());
            return CliError::new(code::UNAVAILABLE, text).remedy(
                "name its certificate, self-signed.pem in the data directory when it made its own: \
                 --cacert FILE",
            );
        }
        let what = if error.is_timeout() {
            "did not answer in time".to_owned()
        } else if error.is_connect() {
            "cannot be reached".to_owned()
        } else {
            format!("broke off: {}", error.to_string().replace(self.url(), ""))
        };
        CliError::new(code::UNAVAILABLE, format!("the server at {} {what}", self.url()))
            .remedy("start one with `orchestrator serve`, or name another with --url")
    }
}

/// An HTTP client that trusts so, follows nobody and asks no proxy.
fn http_client(trust: Trust<'_>) -> Result<reqwest::Client, CliError> {
    let plain = || {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
    };
    let built = trust.apply(plain())?.build();
    let built = built.or_else(|error| match trust {
        // Where no authorities are installed nobody is trusted, and whoever asks is told so.
        Trust::Machine => plain().tls_certs_only([]).build(),
        Trust::Clear | Trust::File(_) | Trust::Pinned(_) => Err(error),
    });
    built.map_err(|error| CliError::new(code::FAILED, format!("no HTTP client: {error}")))
}

fn is_about_certificates(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.to_string().contains("invalid peer certificate") {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use super::*;
    use crate::domain::time::Timestamp;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::EPOCH
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    fn connection(url: Option<&str>, note: &str) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("admin.key"), "stored-key\n").expect("written");
        std::fs::write(dir.path().join("server.json"), note).expect("written");
        let url = url.map(str::to_owned);
        let data_dir = Some(dir.path().to_owned());
        (dir, Connection { url, data_dir, ..Connection::default() })
    }

    #[test]
    fn the_stored_key_never_leaves_this_machine() {
        for (url, sent) in [
            (None, true),
            (Some("http://localhost:9"), true),
            (Some("http://[::1]:9"), true),
            (Some("https://example.org"), false),
            (Some("http://127.0.0.1.example.org"), false),
        ] {
            let (_dir, connection) = connection(url, "{}");
            let client = Client::new(&connection, Arc::new(Still)).expect("valid");
            assert_eq!(client.key.is_some(), sent, "{url:?}");
        }
    }

    #[test]
    fn the_key_of_a_member_goes_to_the_server_that_gave_it() {
        let (dir, connection) = connection(None, "{}");
        let kept = r#"{"url":"http://team.example:8000","key":"members-key"}"#;
        std::fs::write(dir.path().join(MEMBERSHIP), kept).expect("written");
        let client =
            |connection: &Connection| Client::new(connection, Arc::new(Still)).expect("valid");
        let sent = |client: &Client| {
            client.key.as_ref().map(|key| key.expose_secret().to_owned()).unwrap_or_default()
        };
        let joined = client(&connection);
        assert_eq!((joined.url(), &*sent(&joined)), ("http://team.example:8000", "members-key"));
        assert_eq!(joined.tenant, None, "the server says which");
        for url in ["http://team.example:8001", "https://team.example:8000", "http://other.example"]
        {
            let elsewhere = Connection { url: Some(url.to_owned()), ..connection.clone() };
            assert_eq!(sent(&client(&elsewhere)), "", "{url}");
        }
        let here =
            Connection { url: Some("http://127.0.0.1:8000".to_owned()), ..connection.clone() };
        assert_eq!(sent(&client(&here)), "stored-key");
        std::fs::write(dir.path().join("store.redb"), "").expect("written");
        assert_eq!((client(&connection).url(), connection.is_named()), (USUAL_URL, false));
    }

    #[test]
    fn a_note_about_a_server_elsewhere_is_not_believed() {
        let (_dir, here) = connection(None, r#"{"url":"http://127.0.0.1:4711","pid":1}"#);
        let client = Client::new(&here, Arc::new(Still)).expect("valid");
        assert_eq!(client.url(), "http://127.0.0.1:4711");
        for note in [r#"{"url":"http://example.org"}"#, "{", ""] {
            let (_dir, elsewhere) = connection(None, note);
            let client = Client::new(&elsewhere, Arc::new(Still)).expect("valid");
            assert_eq!(client.url(), USUAL_URL);
        }
    }

    #[test]
    fn the_server_of_the_data_directory_is_known_by_its_certificate() {
        let fingerprint = vec!["0A"; 32].join(":");
        let url = "https://192.168.1.5:8000";
        let note = format!(r#"{{"url":"{url}","fingerprint":"{fingerprint}"}}"#);
        let (_dir, here) = connection(None, &note);
        let client = Client::new(&here, Arc::new(Still)).expect("valid");
        assert_eq!((client.url(), client.key.is_some()), (url, true));
        let parsed = |text: &str| Url::parse(text).expect("an address");
        assert_eq!(here.trust(&parsed(url)), (Trust::Pinned([10; 32]), true));
        for (other, trust, is_here) in [
            ("https://192.168.1.6:8000", Trust::Machine, false),
            ("http://192.168.1.5:8000", Trust::Clear, false),
            ("https://127.0.0.1:8000", Trust::Machine, true),
        ] {
            assert_eq!(here.trust(&parsed(other)), (trust, is_here), "{other}");
        }
        let (_dir, plain) = connection(None, &note.replace("https", "http"));
        assert_eq!(plain.noted_url(), None);
    }

    #[test]
    fn segments_are_escaped() {
        let (_dir, connection) = connection(Some("http://127.0.0.1:9/base/"), "{}");
        let client = Client::new(&connection, Arc::new(Still)).expect("valid");
        let request = client.request(Method::GET, &["sessions", "a/b?c#d"]).build().expect("valid");
        assert_eq!(request.url().path(), "/base/api/v1/sessions/a%2Fb%3Fc%23d");
    }
}
