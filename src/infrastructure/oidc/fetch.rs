//! Asking a provider: guarded, bounded in time and size.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::checked_address;
use crate::application::ports::identity_provider::ProviderError;
use crate::infrastructure::webhooks::egress::{Allowed, Egress, HandedOver, SystemLookup};

/// Largest answer.
const LARGEST: usize = 256 * 1024;
/// Longest word of a provider that is repeated in a log.
const LONGEST_WORD: usize = 40;

/// Asks one provider.
pub(super) struct Fetch {
    client: Client,
    egress: Egress,
    time: Duration,
}

/// Why a provider gives nothing for a code.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Fetch {
    /// Each answer has to come within this time.
    pub(super) fn new(issuer: &str, time: Duration) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(HandedOver))
                .timeout(time)
                .pool_idle_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(2)
        };
        // A machine without root certificates still reaches a provider on this machine.
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "There are no root certificates: a provider with https will fail");
            builder().tls_certs_only([]).build()
        })?;
        // Where the issuer is was said by whoever runs the server; elsewhere only the public is reached.
        let host = checked_address(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let allowed = Allowed {
            hosts: host.iter().map(|host| bare(host).to_owned()).collect(),
            remedy: Some("inside the house only the host of the issuer itself is spoken to"),
            ..Allowed::default()
        };
        Ok(Self { client, egress: Egress::new(allowed, Arc::new(SystemLookup)), time })
    }

    /// What lies at an address.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        url: &str,
        access: Option<&str>,
    ) -> Result<T, String> {
        let ask = |client: &Client, url| {
            let request = client.get(url).header(ACCEPT, "application/json");
            access.iter().fold(request, RequestBuilder::bearer_auth)
        };
        let (status, body) = self.ask(url, ask).await?;
        if status != StatusCode::OK {
            return Err(format!("{} answered {}", shown(url), status.as_u16()));
        }
        read(url, &body)
    }

    /// What is told of whoever gave this access.
    pub(super) async fn told<T: DeserializeOwned>(
        &self,
        url: &str,
        access: &str,
    ) -> Result<T, ProviderError> {
        self.json(url, Some(access)).await.map_err(ProviderError::Unavailable)
    }

    /// What is given for a form.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        form: String,
        authorization: Option<String>,
    ) -> Result<T, ProviderError> {
        let ask = |client: &Client, url| {
            let request = client
                .post(url)
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
            authorization.iter().fold(request, |request, head| request.header(AUTHORIZATION, head))
        };
        let (status, body) = self.ask(url, ask).await.map_err(ProviderError::Unavailable)?;
        match status {
            StatusCode::OK => read(url, &body).map_err(ProviderError::NotVouched),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                let why = serde_json::from_slice::<Refused>(&body).ok();
                let why = why.map_or_else(|| "no reason".to_owned(), |why| word(&why.error));
                let text = format!("it takes no such code: {why}");
                // Who is not let in as this server has to be told to whoever runs it.
                if why == "invalid_client" || why == "unauthorized_client" {
                    return Err(ProviderError::Unavailable(text));
                }
                Err(ProviderError::NotVouched(text))
            }
            other => {
                let text = format!("{} answered {}", shown(url), other.as_u16());
                Err(ProviderError::Unavailable(text))
            }
        }
    }

    async fn ask(
        &self,
        url: &str,
        build: impl FnOnce(&Client, reqwest::Url) -> RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        checked_address(url)?;
        let asked = async {
            let checked = self.egress.check(url).await.map_err(|error| error.to_string())?;
            let request = build(&self.client, checked.url().clone());
            let response =
                checked.lend(request.send()).await.map_err(|error| unanswered(&error))?;
            let status = response.status();
            Ok::<_, String>((status, bounded(response).await?))
        };
        let place = shown(url);
        match tokio::time::timeout(self.time, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(format!("{place}: {why}")),
            Err(_) => Err(format!("{place}: no answer within {} ms", self.time.as_millis())),
        }
    }
}

/// The whole body, unless it is larger than any that is expected.
async fn bounded(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(format!("the answer is larger than {LARGEST} bytes"));
        }
    }
    Ok(bytes)
}

fn read<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, String> {
    // What stands in the body may be secret, so it is not repeated.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{} did not answer as a provider does (line {line}, column {column})", shown(url))
    })
}

/// An address without what stands behind `?`.
fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().chars().take(200).collect()
}

/// A word of a provider that may stand in a log.
pub(super) fn word(text: &str) -> String {
    let of_word = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    text.chars().filter(of_word).take(LONGEST_WORD).collect()
}

/// A host without the brackets of an address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Why no answer came.
fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let (mut cause, mut innermost) = (error.source(), None);
    while let Some(inner) = cause {
        innermost = Some(inner.to_string());
        cause = inner.source();
    }
    innermost.unwrap_or_else(|| "no answer".to_owned())
}
