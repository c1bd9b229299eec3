//! The cookie of a browser that was signed in, and which pages may use it.
//!
//! A browser sends a cookie with whatever any page makes it send, and it takes all ports of a machine for
//! one site. So the cookie says who the browser belongs to, and the headers that no other page can make
//! it send say that a page of this server asks.
//!
//! Invariant: a cookie changes nothing and opens no socket unless the request shows that a page of this
//! very origin, scheme and port included, sent it.

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header};

use super::caller::Scheme;
use super::codes::ErrorCode;
use super::extract::is_json;
use super::problem::Problem;
use super::state::AppState;

/// The header that no page of another origin can send without being asked first, and its value.
pub const REQUESTED_WITH: (HeaderName, &str) =
    (HeaderName::from_static("x-requested-with"), "orchestrator");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Longer values are no cookie of ours.
const LONGEST: usize = 200;
/// What travels with a sign-in elsewhere is longer.
const LONGEST_FLOW: usize = 2000;

/// In the clear when nobody says anything else.
fn scheme(extensions: &Extensions) -> Scheme {
    extensions.get().copied().unwrap_or(Scheme::Http)
}

/// What a browser keeps for the server.
#[derive(Clone, Copy)]
enum Kept {
    /// Who it is signed in as.
    Session,
    /// A sign-in that is on its way through an identity provider.
    Flow,
}

/// What the cookie is called. Cookies know no ports: with its port in the name, a server does not take
/// away the cookie of another one on the same machine.
fn name(app: &AppState, scheme: Scheme, kept: Kept) -> String {
    let name = match kept {
        Kept::Session => "orchestrator_session",
        Kept::Flow => "orchestrator_sign_in",
    };
    match scheme {
        Scheme::Http => format!("{name}_{}", app.options.port),
        Scheme::Https => format!("__Host-{name}"),
    }
}

/// What the browser shows.
///
/// # Errors
/// `PROTOCOL_ERROR` when it shows two: one of them was put there by somebody else.
pub fn cookie(app: &AppState, parts: &Parts) -> Result<Option<String>, Problem> {
    found(parts, &name(app, scheme(&parts.extensions), Kept::Session), LONGEST)
}

/// What the browser brings back of a sign-in that it began.
///
/// # Errors
/// `PROTOCOL_ERROR` when it brings two.
pub fn flow(app: &AppState, parts: &Parts) -> Result<Option<String>, Problem> {
    found(parts, &name(app, scheme(&parts.extensions), Kept::Flow), LONGEST_FLOW)
}

fn found(parts: &Parts, wanted: &str, longest: usize) -> Result<Option<String>, Problem> {
    let lines = parts.headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim());
    let first = found.next();
    if found.next().is_some() {
        let detail = format!("the cookie {wanted} is given twice; delete the cookies of this site");
        return Err(Problem::new(ErrorCode::ProtocolError, detail));
    }
    Ok(first.filter(|value| !value.is_empty() && value.len() <= longest).map(str::to_owned))
}

/// The cookie with this secret.
#[must_use]
pub fn remember(
    app: &AppState,
    extensions: &Extensions,
    secret: &str,
    life: Duration,
) -> HeaderValue {
    baked(app, extensions, Kept::Session, secret, life.as_secs())
}

/// The cookie of a sign-in that is on its way; it comes back although another site leads here.
#[must_use]
pub fn send_away(
    app: &AppState,
    extensions: &Extensions,
    sealed: &str,
    life: Duration,
) -> HeaderValue {
    baked(app, extensions, Kept::Flow, sealed, life.as_secs())
}

/// What makes the browser forget such a sign-in.
#[must_use]
pub fn come_back(app: &AppState, extensions: &Extensions) -> HeaderValue {
    baked(app, extensions, Kept::Flow, "", 0)
}

/// What makes the browser forget it.
#[must_use]
pub fn forget(app: &AppState, extensions: &Extensions) -> HeaderValue {
    baked(app, extensions, Kept::Session, "", 0)
}

fn baked(
    app: &AppState,
    extensions: &Extensions,
    kept: Kept,
    secret: &str,
    seconds: u64,
) -> HeaderValue {
    let scheme = scheme(extensions);
    let name = name(app, scheme, kept);
    let site = match kept {
        Kept::Session => "Strict",
        Kept::Flow => "Lax",
    };
    let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
    let text =
        format!("{name}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite={site}{secure}");
    HeaderValue::try_from(text).expect("our secrets and names are plain characters")
}

/// Whether a page of this server asks, as far as a request can show it.
///
/// # Errors
/// `CSRF_REFUSED`; `UNSUPPORTED_MEDIA_TYPE` for a change whose body is not JSON.
pub fn may_act(parts: &Parts) -> Result<(), Problem> {
    let headers = &parts.headers;
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return match site {
            // Typed, or chosen by whoever sits there.
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(refused("a page of another origin may not read by cookie")),
        };
    }
    let own = origin_is_own(parts);
    let shown = own.is_some() || site.is_some();
    if !shown || own == Some(false) || site.is_some_and(|site| site != b"same-origin") {
        return Err(refused("only a page of this server may change anything by cookie"));
    }
    let (name, value) = REQUESTED_WITH;
    if headers.get(name).is_none_or(|sent| sent.as_bytes() != value.as_bytes()) {
        return Err(refused("a change by cookie needs the header X-Requested-With: orchestrator"));
    }
    match headers.get(header::CONTENT_TYPE) {
        Some(media_type) if media_type.to_str().is_ok_and(is_json) => Ok(()),
        None if !has_body(headers) => Ok(()),
        Some(_) | None => {
            let detail = "a change by cookie must be sent as application/json";
            Err(Problem::new(ErrorCode::UnsupportedMediaType, detail))
        }
    }
}

/// Whether a page of this server opens a socket.
///
/// # Errors
/// `CSRF_REFUSED`.
pub fn may_listen(parts: &Parts) -> Result<(), Problem> {
    if origin_is_own(parts) == Some(true) {
        return Ok(());
    }
    Err(refused("only a page of this server may open a socket by cookie"))
}

fn refused(detail: &str) -> Problem {
    Problem::new(ErrorCode::CsrfRefused, detail)
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length.as_bytes() != b"0")
        || headers.contains_key(header::TRANSFER_ENCODING)
}

/// Whether the page is of this very origin; `None` when the browser does not say.
fn origin_is_own(parts: &Parts) -> Option<bool> {
    let origin = parts.headers.get(header::ORIGIN)?;
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let text = origin.to_str().unwrap_or("").to_ascii_lowercase();
    let authority = match scheme(&parts.extensions) {
        // Who is not told of a proxy cannot know what stands before it.
        Scheme::Http => text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")),
        Scheme::Https => text.strip_prefix("https://"),
    };
    Some(host.zip(authority).is_some_and(|(host, authority)| authority.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const HOST: (&str, &str) = ("host", "box.example");
    const CUSTOM: (&str, &str) = ("x-requested-with", "orchestrator");
    const OWN: (&str, &str) = ("origin", "http://box.example");
    const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
    const JSON: (&str, &str) = ("content-type", "application/json");

    fn parts(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn code(method: &Method, headers: &[(&str, &str)]) -> Option<ErrorCode> {
        may_act(&parts(method.clone(), headers)).err().map(|problem| problem.code())
    }

    #[test]
    fn a_change_needs_everything() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let code = |headers: &[(&str, &str)]| code(&method, headers);
            assert_eq!(code(&[HOST, CUSTOM, OWN, JSON]), None);
            assert_eq!(code(&[HOST, CUSTOM, SAME, JSON]), None);
            assert_eq!(code(&[HOST, CUSTOM, SAME, OWN]), None, "without a body");
            let csrf = Some(ErrorCode::CsrfRefused);
            assert_eq!(code(&[HOST, CUSTOM, JSON]), csrf, "nobody says where it comes from");
            assert_eq!(code(&[HOST, OWN, SAME, JSON]), csrf, "no header of ours");
            for origin in
                ["null", "http://box.example:81", "http://box.example.evil", "box.example"]
            {
                assert_eq!(code(&[HOST, CUSTOM, SAME, JSON, ("origin", origin)]), csrf, "{origin}");
            }
            for site in ["same-site", "cross-site", "none", ""] {
                let site = ("sec-fetch-site", site);
                assert_eq!(code(&[HOST, CUSTOM, OWN, JSON, site]), csrf, "{site:?}");
            }
            let other = ("x-requested-with", "XMLHttpRequest");
            assert_eq!(code(&[HOST, other, OWN, JSON]), csrf);
            let wrong = Some(ErrorCode::UnsupportedMediaType);
            assert_eq!(code(&[HOST, CUSTOM, OWN, ("content-type", "text/plain")]), wrong);
            assert_eq!(code(&[HOST, CUSTOM, OWN, ("content-length", "2")]), wrong);
            assert_eq!(code(&[HOST, CUSTOM, OWN, ("content-length", "0")]), None);
        }
    }

    #[test]
    fn reading_is_for_pages_of_this_server_and_for_who_types() {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(code(&method, &[HOST]), None);
            assert_eq!(code(&method, &[HOST, SAME]), None);
            assert_eq!(code(&method, &[HOST, ("sec-fetch-site", "none")]), None);
            for site in ["same-site", "cross-site", "anything"] {
                let refused = code(&method, &[HOST, ("sec-fetch-site", site)]);
                assert_eq!(refused, Some(ErrorCode::CsrfRefused), "{site}");
            }
        }
    }

    #[test]
    fn a_socket_needs_the_own_origin() {
        let told = |headers: &[(&str, &str)]| may_listen(&parts(Method::GET, headers)).is_ok();
        assert!(told(&[HOST, OWN]));
        assert!(!told(&[HOST]) && !told(&[HOST, ("origin", "http://box.example:81")]));
    }

    #[test]
    fn over_tls_a_plain_page_of_the_same_name_is_another_origin() {
        let mut parts = parts(Method::POST, &[HOST, CUSTOM, OWN]);
        assert!(may_act(&parts).is_ok());
        parts.extensions.insert(Scheme::Https);
        assert!(may_act(&parts).is_err());
        parts.headers.insert("origin", HeaderValue::from_static("https://box.example"));
        assert!(may_act(&parts).is_ok());
    }
}
