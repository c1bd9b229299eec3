//! `/login/oidc`: a browser goes to the identity provider, and comes back signed in.
//!
//! Both are places that a browser is led to, not calls of a page: what they answer is for people.
//!
//! Invariant: coming back is the only thing that another site can make a browser do here, and it does
//! nothing in a browser that did not go there from here; nothing that the provider or the browser says
//! stands on a page as it was said.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::browser;
use super::caller::{may_fail, peer, within_rate};
use super::codes::ErrorCode;
use super::invites::Base;
use super::login::device;
use super::problem::Problem;
use super::request_id::RequestId;
use super::sign_in::Words;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::identity::provider::{FLOW_LIFE, ProviderSignIn, Returned, SignInError};
use crate::application::ports::identity_provider::ProviderError;
use crate::domain::tenant::key::BROWSER_LIFE;

/// Where browsers come back to.
const CALLBACK: &str = "/login/oidc/callback";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Longest text that is taken from the address.
const LONGEST: usize = 4096;

/// A browser that is to go.
pub struct Going {
    base: Base,
    is_asked_here: bool,
    extensions: Extensions,
}

impl FromRequestParts<AppState> for Going {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        provider(app)?;
        let base = Base::from_request_parts(parts, app).await?;
        let site = parts.headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        Ok(Self {
            base,
            is_asked_here: matches!(site, None | Some(b"same-origin" | b"none")),
            extensions: parts.extensions.clone(),
        })
    }
}

/// A browser that comes back.
pub struct Coming {
    sealed: Vec<u8>,
    asked: Asked,
    device: String,
    peer: IpAddr,
    request_id: String,
    extensions: Extensions,
}

/// What stands in the address that the provider led to.
#[derive(Default)]
struct Asked {
    state: String,
    code: Option<String>,
    issuer: Option<String>,
}

impl Asked {
    /// Nothing of what is given twice or is too long; what else providers say is passed over.
    fn read(query: Option<&str>) -> Self {
        let query = query.filter(|query| query.len() <= 4 * LONGEST).unwrap_or_default();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let only = |wanted: &str| {
            let mut found = pairs.iter().filter(|(name, _)| name == wanted);
            let value = found.next().filter(|(_, value)| value.len() <= LONGEST)?;
            found.next().is_none().then(|| value.1.to_string())
        };
        // An error beside a code is one all the same.
        let code = only("code").filter(|_| !pairs.iter().any(|(name, _)| name == "error"));
        Self { state: only("state").unwrap_or_default(), code, issuer: only("iss") }
    }
}

impl FromRequestParts<AppState> for Coming {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        provider(app)?;
        let into = parts.headers.get(FETCH_DEST).map(HeaderValue::as_bytes);
        if into.is_some_and(|into| into != b"document") {
            let detail = "only a browser that is led here by the identity provider may come";
            return Err(Problem::new(ErrorCode::CsrfRefused, detail));
        }
        let sealed = browser::flow(app, parts)?;
        let sealed = sealed.and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok());
        let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
        Ok(Self {
            sealed: sealed.unwrap_or_default(),
            asked: Asked::read(parts.uri.query()),
            device: device(&parts.headers),
            peer: peer(&parts.extensions),
            request_id: request_id.to_owned(),
            extensions: parts.extensions.clone(),
        })
    }
}

/// There is nothing here without a provider.
fn provider(app: &AppState) -> Result<&ProviderSignIn, Problem> {
    let missing = || Problem::new(ErrorCode::RouteNotFound, "there is nothing at this path");
    app.provider.as_ref().ok_or_else(missing)
}

/// Go to the identity provider to sign in there.
///
/// For browsers: it answers with pages. Without a provider in the settings there is nothing here.
#[utoipa::path(get, path = "/login/oidc", tag = "browsers",
    responses((status = 303, description = "To the identity provider")))]
pub async fn begin(State(app): State<AppState>, going: Going) -> Result<Response, Problem> {
    let Going { base, is_asked_here, extensions } = going;
    if !is_asked_here {
        // Whoever sits there decides whether to sign in, not a page of others.
        return Ok(Redirect::to("/login").into_response());
    }
    let begun = provider(&app)?.begin(format!("{}{CALLBACK}", base.as_str())).await;
    match begun {
        Ok(begun) => {
            let sealed = URL_SAFE_NO_PAD.encode(&begun.sealed);
            let cookie = browser::send_away(&app, &extensions, &sealed, FLOW_LIFE);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&begun.address)).into_response())
        }
        Err(SignInError::App(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "A sign-in could not begin");
            Ok(refusal(&app, &error))
        }
    }
}

/// Come back from the identity provider, and be signed in.
///
/// For browsers: it answers with pages.
#[utoipa::path(get, path = "/login/oidc/callback", tag = "browsers",
    params(
        ("state" = Option<String>, Query, description = "As the provider was given it"),
        ("code" = Option<String>, Query, description = "What the provider gives for who signed in"),
        ("error" = Option<String>, Query, description = "Why it let nobody in"),
        ("iss" = Option<String>, Query, description = "Address of the provider"),
    ),
    responses((status = 200, description = "The browser is signed in; the cookie comes with the page, which leads on", body = String, content_type = "text/html")))]
pub async fn callback(State(app): State<AppState>, coming: Coming) -> Result<Response, Problem> {
    let Coming { sealed, asked, device, peer, request_id, extensions } = coming;
    let mut response = if let Some(seconds) = app.failures.wait(peer, app.clock.now()) {
        too_many(seconds)
    } else {
        let returned = Returned {
            sealed: &sealed,
            state: &asked.state,
            issuer: asked.issuer.as_deref(),
            code: asked.code.as_deref(),
            device: &device,
            request_id: &request_id,
        };
        finish(&app, &returned, peer, &extensions).await?
    };
    response.headers_mut().append(header::SET_COOKIE, browser::come_back(&app, &extensions));
    Ok(response)
}

async fn finish(
    app: &AppState,
    returned: &Returned<'_>,
    peer: IpAddr,
    extensions: &Extensions,
) -> Result<Response, Problem> {
    let error = match provider(app)?.finish(returned).await {
        Ok(signed) => {
            within_rate(app, (signed.key.tenant_id, signed.key.id), extensions)?;
            let left =
                signed.key.expires_at.map_or(BROWSER_LIFE, |end| end.since(signed.key.created_at));
            let cookie = browser::remember(app, extensions, &signed.secret, left);
            let words = Words {
                title: "Signed in",
                text: "You are signed in; this page leads on by itself.",
                goes_on: true,
            };
            return Ok(([(header::SET_COOKIE, cookie)], words.page()).into_response());
        }
        Err(SignInError::App(AppError::QuotaExceeded { .. })) => return Ok(crowded()),
        Err(SignInError::App(error)) => return Err(error.into()),
        Err(error) => error,
    };
    tracing::warn!(%error, "A sign-in through the identity provider was refused");
    if !matches!(error, SignInError::Provider(ProviderError::Unavailable(_))) {
        may_fail(app, peer)?;
        let (who, id) = (peer.to_string(), returned.request_id);
        app.audit.not_let_in(&who, "sign_in", reason(&error), id).await;
    }
    Ok(refusal(app, &error))
}

/// What the audit keeps of a refusal: nothing that others said.
const fn reason(error: &SignInError) -> &'static str {
    match error {
        SignInError::NotBegun => "a sign-in that was not begun here",
        SignInError::Denied => "refused by the identity provider",
        SignInError::Provider(ProviderError::NoEmail) => "no verified e-mail address",
        SignInError::Provider(_) => "not vouched for by the identity provider",
        SignInError::NotKnown | SignInError::App(_) => {
            "nobody here is known by this name or address"
        }
    }
}

/// The page of a refusal.
fn refusal(app: &AppState, error: &SignInError) -> Response {
    let provider = app.provider.as_ref();
    let name = provider.map_or("the identity provider", ProviderSignIn::name);
    let tenant = provider.map(ProviderSignIn::tenant_name).unwrap_or_default();
    let (status, title, text) = match error {
        SignInError::NotBegun => (
            StatusCode::UNAUTHORIZED,
            "Please sign in again",
            "This sign-in was not begun in this browser, took longer than ten minutes, or is over."
                .to_owned(),
        ),
        SignInError::Denied => {
            let text = format!("{name} did not let you in, or you turned back there.");
            (StatusCode::UNAUTHORIZED, "Not signed in", text)
        }
        SignInError::Provider(ProviderError::Unavailable(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            format!(
                "{name} cannot be used at the moment. Those who run this server find the reason in its log."
            ),
        ),
        SignInError::Provider(ProviderError::NoEmail) => (
            StatusCode::UNAUTHORIZED,
            "Not signed in",
            format!("{name} vouches for no e-mail address of yours. Verify your address there."),
        ),
        SignInError::Provider(ProviderError::NotVouched(_)) => (
            StatusCode::UNAUTHORIZED,
            "Not signed in",
            format!(
                "What {name} said of you does not hold. Those who run this server find the reason in its log."
            ),
        ),
        SignInError::NotKnown | SignInError::App(_) => (
            StatusCode::UNAUTHORIZED,
            "Nobody knows you here yet",
            format!(
                "{name} knows you, and {tenant} does not. Ask an administrator of {tenant} for an invitation."
            ),
        ),
    };
    (status, Words { title, text: &text, goes_on: false }.page()).into_response()
}

fn too_many(seconds: u64) -> Response {
    let text = "Too many sign-ins from your address have failed. Wait a minute, then try again.";
    let page = Words { title: "Too often", text, goes_on: false }.page();
    let wait = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
    (StatusCode::TOO_MANY_REQUESTS, wait, page).into_response()
}

fn crowded() -> Response {
    let text = "You are signed in with too many browsers. Sign out of some of them.";
    let page = Words { title: "Not signed in", text, goes_on: false }.page();
    (StatusCode::TOO_MANY_REQUESTS, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_once_counts() {
        let asked = Asked::read(Some("state=s&code=c&iss=i&session_state=x"));
        let said = (&*asked.state, asked.code.as_deref(), asked.issuer.as_deref());
        assert_eq!(said, ("s", Some("c"), Some("i")));
        for query in
            ["state=s&code=c&code=d", "state=s&code=c&error=", "state=s&error=x", "state=s"]
        {
            assert_eq!(Asked::read(Some(query)).code, None, "{query}");
        }
        assert_eq!(Asked::read(Some("state=s&state=t&code=c")).state, "");
        assert_eq!(Asked::read(None).state, "");
    }
}
