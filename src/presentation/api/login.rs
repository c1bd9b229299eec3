//! `/login`, `/logout`, `/login-links`, `/ws-tickets`: browsers that act for somebody.
//!
//! Invariant: whoever signs in passes the same walls as a change by cookie, so that no other page can
//! sign a browser in as somebody else; and our own page asks before it uses a link that it was opened with.

use std::net::IpAddr;

use axum::extract::{FromRequest, Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::browser;
use super::caller::{may_fail, peer, unauthenticated, within_rate};
use super::dto::login::{
    LinkedDto, Login, LoginBody, LoginLinkDto, Look, LookBody, SignedInDto, WsTicketDto,
};
use super::extract::{STRANGERS_BODY, json_object, read_body};
use super::fields::{Fields, FromFields, Nothing};
use super::idempotency::Command;
use super::json::Json;
use super::params::Params;
use super::problem::Problem;
use super::request_id::RequestId;
use super::state::AppState;
use crate::domain::tenant::key::BROWSER_LIFE;

/// Somebody who wants to sign in.
pub struct SigningIn<T> {
    body: T,
    device: String,
    peer: IpAddr,
    extensions: Extensions,
    request_id: String,
    /// What the browser shows of whoever was signed in before.
    before: Option<String>,
}

impl<T: FromFields> FromRequest<AppState> for SigningIn<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        browser::may_act(&parts)?;
        // Two cookies of the name are nobody's in particular; the one that is set now is looked at next.
        let before = browser::cookie(app, &parts).ok().flatten();
        Params::parse(parts.uri.query()).finish()?;
        let body = read_body(body, STRANGERS_BODY).await?;
        let map = json_object(&parts.headers, &body)?;
        let body = Fields::read(map).map_err(|errors| Problem::fields(&errors))?;
        let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
        Ok(Self {
            body,
            device: device(&parts.headers),
            peer: peer(&parts.extensions),
            request_id: request_id.to_owned(),
            extensions: parts.extensions,
            before,
        })
    }
}

/// What a browser is called among the keys.
pub(super) fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    // Those further down stand in the names of those further up.
    let known = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let found = known.iter().find(|(mark, _)| agent.contains(mark));
    found.map_or_else(|| "browser".to_owned(), |(_, name)| format!("browser ({name})"))
}

/// Sign a browser in, with the token of a login link or with a key.
///
/// The browser is listed among the keys, has the rights of the key behind it, and is signed out after
/// 12 hours or with that key. The request must come from a page of this server, as every change by cookie.
#[utoipa::path(post, path = "/api/v1/login", tag = "browsers", request_body = LoginBody,
    responses((status = 200, description = "Who is signed in; the cookie comes with the answer", body = SignedInDto)))]
pub async fn login(
    State(app): State<AppState>,
    signing: SigningIn<Login>,
) -> Result<Response, Problem> {
    let SigningIn { body: Login(proof), device, peer, extensions, request_id, before } = signing;
    let opener = match &proof {
        Some(proof) => app.identity.opener(proof, peer).await?,
        None => None,
    };
    let Some(opener) = opener else {
        may_fail(&app, peer)?;
        app.audit.not_recognised(&peer.to_string(), "sign_in", &request_id).await;
        return Err(unauthenticated());
    };
    if let Err(problem) = within_rate(&app, (opener.key.tenant_id, opener.key.id), &extensions) {
        app.identity.not_opened(&opener);
        return Err(problem);
    }
    let signed = app.identity.sign_in(&opener, &device, &request_id).await?;
    let left = signed.key.expires_at.map_or(BROWSER_LIFE, |end| end.since(signed.key.created_at));
    let cookie = browser::remember(&app, &extensions, &signed.secret, left);
    let known = app.identity.known(&signed.key).await?;
    // The browser forgets whoever was signed in there; so does the server.
    if let Some(before) = before {
        app.identity.replace_browser(&before, &request_id).await?;
    }
    Ok(([(header::SET_COOKIE, cookie)], Json(SignedInDto::of(&signed, known))).into_response())
}

/// See whom the token of a login link signs in, without using it up.
///
/// The page to sign in with asks this, so that people see who they are about to be before they are. The
/// request must come from a page of this server, as signing in itself.
#[utoipa::path(post, path = "/api/v1/login/look", tag = "browsers", request_body = LookBody,
    responses((status = 200, description = "Who would be signed in", body = LinkedDto)))]
pub async fn look(
    State(app): State<AppState>,
    signing: SigningIn<Look>,
) -> Result<Response, Problem> {
    let SigningIn { body: Look(token), peer, extensions, request_id, .. } = signing;
    let Some(opener) = app.identity.shown_by(&token, peer).await? else {
        may_fail(&app, peer)?;
        app.audit.not_recognised(&peer.to_string(), "look_at_login_link", &request_id).await;
        return Err(unauthenticated());
    };
    within_rate(&app, (opener.key.tenant_id, opener.key.id), &extensions)?;
    let known = app.identity.known(&opener.key).await?;
    Ok(Json(LinkedDto::from(known)).into_response())
}

/// Sign this browser out; what it opened ends within a second.
///
/// With a key there is nothing to sign out, and nothing happens.
#[utoipa::path(post, path = "/api/v1/logout", tag = "browsers",
    responses((status = 204, description = "The cookie is refused from now on")))]
pub async fn logout(State(app): State<AppState>, leaving: Leaving) -> Result<Response, Problem> {
    app.identity.sign_out(&leaving.command.ctx).await?;
    let cookie = browser::forget(&app, &leaving.extensions);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Somebody who wants to leave.
pub struct Leaving {
    command: Command<Nothing>,
    extensions: Extensions,
}

impl FromRequest<AppState> for Leaving {
    type Rejection = super::idempotency::Instead;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Self::Rejection> {
        let extensions = request.extensions().clone();
        Ok(Self { command: Command::from_request(request, app).await?, extensions })
    }
}

/// Make a link that signs a browser in with the rights of the key that asks; it is good once, for ten
/// minutes. A browser makes none.
#[utoipa::path(post, path = "/api/v1/login-links", tag = "browsers",
    responses((status = 201, description = "The link; it is shown once", body = LoginLinkDto)))]
pub async fn link(
    State(app): State<AppState>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let lent = app.identity.login_link(&command.ctx).await?;
    Ok((StatusCode::CREATED, Json(LoginLinkDto::from(lent))).into_response())
}

/// Make a ticket that opens one socket as the caller; it is good once, for 30 seconds.
#[utoipa::path(post, path = "/api/v1/ws-tickets", tag = "browsers",
    responses((status = 201, description = "The ticket; it is shown once", body = WsTicketDto)))]
pub async fn ticket(
    State(app): State<AppState>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let lent = app.identity.ticket(&command.ctx)?;
    Ok((StatusCode::CREATED, Json(WsTicketDto::from(lent))).into_response())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_are_called_by_their_names() {
        let agent = |text: &'static str| {
            let headers = [(header::USER_AGENT, HeaderValue::from_static(text))];
            device(&headers.into_iter().collect())
        };
        let webkit = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        assert_eq!(
            agent("Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "browser (Firefox)"
        );
        assert_eq!(device(&HeaderMap::new()), "browser");
        assert_eq!(agent("curl/8.0"), "browser");
        for (rest, name) in [
            ("Chrome/140.0.0.0 Safari/537.36", "browser (Chrome)"),
            ("Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "browser (Edge)"),
            ("Version/18.0 Safari/605.1.15", "browser (Safari)"),
        ] {
            let mut headers = HeaderMap::new();
            let text = format!("{webkit} {rest}");
            headers.insert(header::USER_AGENT, HeaderValue::try_from(text).expect("plain"));
            assert_eq!(device(&headers), name);
        }
    }
}
