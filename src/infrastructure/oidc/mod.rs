//! An `OpenID Connect` provider: where it is, who comes from it, and with which keys it signs.
//!
//! The authorization code flow with PKCE. Nothing is asked before somebody signs in.
// Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749, 7636, 9207, 9700.
//!
//! Invariant: what the provider names is spoken to by https, or is on this machine; no redirect is
//! followed, no proxy of the environment is used, and no address inside the house is reached that the
//! issuer itself does not have.
//! Invariant: strangers cannot make this server ask the provider for its description or keys more often
//! than the times below say.

mod fetch;
mod keys;
mod token;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use self::fetch::Fetch;
use self::keys::Keys;
use self::token::{Claims, Expected};
use crate::application::ports::clock::Clock;
use crate::application::ports::identity_provider::{
    Flow, IdentityProvider, ProviderError, Vouched,
};
use crate::domain::time::Timestamp;

/// How long the provider's description and its keys are good.
const GOOD_FOR: Duration = Duration::from_hours(1);
/// How long a provider that failed is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Longest code that is passed on.
const LONGEST_CODE: usize = 4096;

/// What is known of the provider from the settings.
#[derive(Debug, Clone)]
pub struct OidcOptions {
    /// Its address, exactly as it calls itself.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What this server shows to it, unless it is known as public.
    pub client_secret: Option<SecretString>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Longest time of one answer.
    pub answer_time: Duration,
    /// Longest time of everything that one sign-in asks for.
    pub whole_time: Duration,
    /// Shortest time between two looks at its keys.
    pub refetch_after: Duration,
}

impl OidcOptions {
    /// With the usual scopes and times.
    #[must_use]
    pub fn new(issuer: String, client_id: String) -> Self {
        Self {
            issuer,
            client_id,
            client_secret: None,
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            answer_time: Duration::from_secs(10),
            whole_time: Duration::from_secs(20),
            refetch_after: Duration::from_mins(1),
        }
    }
}

/// What a provider tells about itself.
#[derive(Debug, Clone, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What was last heard of it, and when.
#[derive(Default)]
struct Heard(Option<(Timestamp, Result<Arc<Description>, ProviderError>)>);

/// What it gives for a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// A provider.
pub struct OidcProvider {
    options: OidcOptions,
    fetch: Fetch,
    heard: Mutex<Heard>,
    keys: Mutex<Keys>,
    clock: Arc<dyn Clock>,
}

/// Whether an address of a provider may be used: by https, or on this machine.
///
/// # Errors
/// What is wrong with it.
pub fn checked_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("`{text}` has no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(format!("`{text}` must begin with https://")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` may hold no name, no password and no part behind #"));
    }
    Ok(url)
}

impl OidcProvider {
    /// The provider of these options; nothing is asked yet.
    ///
    /// # Errors
    /// No HTTP client can be made on this machine.
    pub fn new(options: OidcOptions, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let fetch = Fetch::new(&options.issuer, options.answer_time)?;
        let (heard, keys) = (Mutex::default(), Mutex::default());
        Ok(Self { options, fetch, heard, keys, clock })
    }

    /// What the provider tells about itself. One caller asks at a time; the others wait for what comes.
    async fn description(&self) -> Result<Arc<Description>, ProviderError> {
        let mut heard = self.heard.lock().await;
        if let Some((at, told)) = &heard.0 {
            let good_for = if told.is_ok() { GOOD_FOR } else { LEFT_ALONE };
            if self.clock.now().since(*at) < good_for {
                return told.clone();
            }
        }
        let told = self.asked().await.map(Arc::new).map_err(ProviderError::Unavailable);
        heard.0 = Some((self.clock.now(), told.clone()));
        told
    }

    async fn asked(&self) -> Result<Description, String> {
        let issuer = &self.options.issuer;
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let told: Description = self.fetch.json(&place, None).await?;
        if told.issuer != *issuer {
            let other: String = told.issuer.chars().take(200).collect();
            return Err(format!("it calls itself `{other}`, and the settings call it `{issuer}`"));
        }
        let endpoints = [&told.authorization_endpoint, &told.token_endpoint, &told.jwks_uri];
        for endpoint in endpoints.into_iter().chain(&told.userinfo_endpoint) {
            checked_address(endpoint).map_err(|why| format!("one of its addresses: {why}"))?;
        }
        Ok(told)
    }

    /// What is sent for a code: a form, and a header where the provider takes the secret there.
    fn asking(&self, described: &Description, code: &str, flow: &Flow) -> (String, Option<String>) {
        let OidcOptions { client_id, client_secret, .. } = &self.options;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &flow.redirect_uri)
            .append_pair("code_verifier", &flow.verifier);
        let known = described.token_endpoint_auth_methods_supported.as_ref();
        let in_head =
            known.is_none_or(|known| known.iter().any(|way| way == "client_secret_basic"));
        let secret = client_secret.as_ref().map(ExposeSecret::expose_secret);
        let mut authorization = None;
        match secret {
            Some(secret) if in_head => authorization = Some(basic(client_id, secret)),
            Some(secret) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret);
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        (form.finish(), authorization)
    }

    /// Who the token is about.
    async fn judged(
        &self,
        described: &Description,
        id_token: &str,
        flow: &Flow,
    ) -> Result<Claims, ProviderError> {
        let header = token::header(id_token).map_err(ProviderError::NotVouched)?;
        let key = {
            let mut keys = self.keys.lock().await;
            let known = (&self.fetch, described.jwks_uri.as_str(), self.options.refetch_after);
            keys.find(&header, known, self.clock.as_ref()).await?
        };
        let expected = Expected {
            issuer: &self.options.issuer,
            client_id: &self.options.client_id,
            nonce: &flow.nonce,
            now: self.clock.now(),
        };
        token::claims(id_token, &header, &key, &expected).map_err(ProviderError::NotVouched)
    }

    /// The address, from the token or from where the provider tells more.
    async fn vouched(
        &self,
        described: &Description,
        claims: Claims,
        access: Option<&str>,
    ) -> Result<Vouched, ProviderError> {
        let Claims { sub, mut about, .. } = claims;
        if let (None, Some(place), Some(access)) =
            (&about.email, &described.userinfo_endpoint, access)
        {
            let told: UserInfo = self.fetch.told(place, access).await?;
            if told.sub != sub {
                let why = "it tells of somebody else than it vouched for";
                return Err(ProviderError::NotVouched(why.to_owned()));
            }
            about = told.about;
        }
        match about.email.filter(|email| !email.is_empty()) {
            Some(email) if is_true(about.email_verified.as_ref()) => {
                Ok(Vouched { subject: sub, email, full_name: about.name })
            }
            Some(_) | None => Err(ProviderError::NoEmail),
        }
    }

    async fn redeemed(&self, code: &str, flow: &Flow) -> Result<Vouched, ProviderError> {
        let described = self.description().await?;
        let (form, authorization) = self.asking(&described, code, flow);
        let given = self.fetch.post(&described.token_endpoint, form, authorization).await?;
        let Tokens { id_token, access_token } = given;
        let claims = self.judged(&described, &id_token, flow).await?;
        self.vouched(&described, claims, access_token.as_deref()).await
    }
}

/// What a provider tells of somebody.
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    about: token::About,
}

/// Some providers spell it as a text.
fn is_true(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.is_some_and(|value| value == "true")
}

/// Name and secret for a header.
// Source: RFC 6749 §2.3.1: both are encoded as in a form first.
fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encoded(client_id), encoded(secret));
    format!("Basic {}", STANDARD.encode(both))
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn issuer(&self) -> &str {
        &self.options.issuer
    }

    async fn probe(&self) -> Result<(), ProviderError> {
        self.description().await.map(drop)
    }

    async fn address(&self, flow: &Flow) -> Result<String, ProviderError> {
        let described = self.description().await?;
        let mut url = checked_address(&described.authorization_endpoint)
            .map_err(ProviderError::Unavailable)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(flow.verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", &flow.redirect_uri)
            .append_pair("scope", &self.options.scopes.join(" "))
            .append_pair("state", &flow.state)
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    async fn redeem(&self, code: &str, flow: &Flow) -> Result<Vouched, ProviderError> {
        if code.is_empty() || code.len() > LONGEST_CODE {
            return Err(ProviderError::NotVouched("the code is none".to_owned()));
        }
        let redeemed = tokio::time::timeout(self.options.whole_time, self.redeemed(code, flow));
        redeemed.await.unwrap_or_else(|_| {
            Err(ProviderError::Unavailable("it takes too long to answer".to_owned()))
        })
    }
}
