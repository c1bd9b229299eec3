//! The door: which Host and Origin a request may name, and what every answer carries.
//!
//! Invariant: both checks are made on every path, static files and sockets included, before anything
//! else looks at the request; names are compared whole, never by their beginning or end.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::caller::Scheme;
use super::codes::ErrorCode;
use super::problem::Problem;
use super::state::ApiOptions;
use crate::application::identity::browsers::SECRETS;

/// Set by the server on a request whose framing is ambiguous.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousFraming;

/// Policy of every page that does not bring its own.
const CSP: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// Browsers that were once answered over TLS come back over TLS alone, for a year.
const HSTS: &str = "max-age=31536000";

/// Refuses foreign hosts and origins and keys in the URL; gives back a foreign origin that is listed.
///
/// # Errors
/// `PROTOCOL_ERROR`, `HOST_NOT_ALLOWED`, `ORIGIN_NOT_ALLOWED`.
pub fn check(request: &Request, options: &ApiOptions) -> Result<Option<HeaderValue>, Problem> {
    framing(request)?;
    host(request, options)?;
    let origin = origin(request.headers(), scheme(request), options)?;
    no_keys(request.uri().query().unwrap_or(""))?;
    Ok(origin)
}

/// A key in a URL ends up in logs and histories.
fn no_keys(query: &str) -> Result<(), Problem> {
    let named =
        ["key", "token", "ticket", "api_key", "access_token", "bearer", "authorization", "secret"];
    let is_secret = |value: &str| SECRETS.iter().any(|beginning| value.starts_with(beginning));
    let shown = form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| named.contains(&&*name) || is_secret(&value));
    if shown {
        let detail = "neither a key nor a ticket may stand in a URL; send it in the Authorization \
                      header, for a socket as a sub-protocol";
        return Err(Problem::new(ErrorCode::ProtocolError, detail));
    }
    Ok(())
}

/// How the request came.
#[must_use]
pub fn scheme(request: &Request) -> Scheme {
    request.extensions().get::<Scheme>().copied().unwrap_or(Scheme::Http)
}

impl Scheme {
    /// The port that nobody has to name.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }
}

/// Whether browsers should come back over TLS alone: it holds for every port of a name, so that it is
/// not said of this machine itself, where other programs answer in the clear.
#[must_use]
pub fn wants_tls(request: &Request) -> bool {
    if scheme(request) == Scheme::Http {
        return false;
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    host.and_then(name_of).is_some_and(|name| name != "localhost")
}

/// The name in `host` or `host:port`, lower-case and without the brackets of an address.
#[must_use]
pub fn name_of(listed: &str) -> Option<String> {
    let (name, _) = parse_authority(listed)?;
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    Some(bare.unwrap_or(&name).to_owned())
}

/// Whether a browser only asks whether it may ask.
#[must_use]
pub fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets pages of a listed origin read the answer.
pub fn admit_origin(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("ETag, Location, X-Request-ID, Retry-After, Idempotency-Replayed"),
    );
}

/// The answer to such a question.
#[must_use]
pub fn preflight() -> Response {
    let allow = "Authorization, Content-Type, X-Tenant-ID, X-Request-ID, Idempotency-Key, If-Match, Last-Event-ID";
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, PUT, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, allow),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn framing(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let both = lengths > 0 && headers.contains_key(header::TRANSFER_ENCODING);
    if lengths > 1 || both || request.extensions().get::<AmbiguousFraming>().is_some() {
        let detail = "where the request ends is not clear: its length is given twice, or its lines do \
                      not end with CR LF";
        return Err(Problem::new(ErrorCode::ProtocolError, detail)
            .header(header::CONNECTION, HeaderValue::from_static("close")));
    }
    Ok(())
}

fn host(request: &Request, options: &ApiOptions) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(value), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::new(
            ErrorCode::ProtocolError,
            "a request needs exactly one Host header",
        ));
    };
    let usual = scheme(request).port();
    let named = value.to_str().ok().and_then(parse_authority);
    let by_target = request.uri().authority().map(|target| parse_authority(target.as_str()));
    let allowed = |named: &Option<(String, Option<u16>)>| {
        named.as_ref().is_some_and(|(name, port)| is_allowed(name, *port, usual, options))
    };
    if allowed(&named) && by_target.as_ref().is_none_or(allowed) {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::HostNotAllowed, "this server does not answer to that Host"))
}

/// Lower-case host and port of `host[:port]`; nothing with a user, a path or an empty part.
fn parse_authority(text: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    if text.contains('@') || authority.host().is_empty() || text.ends_with(':') {
        return None;
    }
    let rest = text.strip_prefix(authority.host())?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        None if rest.is_empty() => None,
        Some(_) | None => return None,
    };
    Some((authority.host().to_ascii_lowercase(), port))
}

fn is_allowed(name: &str, port: Option<u16>, usual: u16, options: &ApiOptions) -> bool {
    let own_port = port.unwrap_or(usual) == options.port;
    let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]") && own_port;
    local
        || options.allowed_hosts.iter().filter_map(|host| parse_authority(host)).any(
            |(listed, wanted)| {
                listed == name
                    && match wanted {
                        Some(wanted) => port == Some(wanted),
                        None => port.is_none() || own_port,
                    }
            },
        )
}

/// `None` without an Origin or with the server's own; the value itself for a listed foreign one.
fn origin(
    headers: &HeaderMap,
    scheme: Scheme,
    options: &ApiOptions,
) -> Result<Option<HeaderValue>, Problem> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    let refused = || {
        Problem::new(ErrorCode::OriginNotAllowed, "pages of that origin may not use this server")
    };
    let text = origin.to_str().map_err(|_| refused())?.to_ascii_lowercase();
    if origins.next().is_some() {
        return Err(refused());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let place = |authority: &str| {
        let (name, port) = parse_authority(authority)?;
        Some((name, port.unwrap_or(scheme.port())))
    };
    let own = text.strip_prefix(scheme.prefix()).and_then(place);
    if own.is_some() && own == place(host) {
        return Ok(None);
    }
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let listed = options.allowed_origins.iter().any(|listed| listed.eq_ignore_ascii_case(&text));
    if listed && is_web { Ok(Some(origin.clone())) } else { Err(refused()) }
}

/// What a browser must know of every answer.
pub fn secure(response: &mut Response, keeps_tls: bool) {
    let headers = response.headers_mut();
    if keeps_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CSP));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ApiOptions {
        ApiOptions {
            port: 8000,
            allowed_hosts: vec!["box.example".to_owned(), "other.example:9000".to_owned()],
            ..ApiOptions::default()
        }
    }

    fn allowed(host: &str) -> bool {
        parse_authority(host).is_some_and(|(name, port)| is_allowed(&name, port, 80, &options()))
    }

    #[test]
    fn the_usual_port_is_that_of_the_scheme() {
        let at = |port| ApiOptions { port, ..options() };
        for (usual, port, fits) in [(80, 80, true), (443, 443, true), (443, 80, false)] {
            assert_eq!(is_allowed("localhost", None, usual, &at(port)), fits, "{usual} {port}");
        }
    }

    #[test]
    fn an_origin_is_the_own_one_only_with_scheme_name_and_port() {
        let check = |scheme, host: &'static str, from: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.insert(header::ORIGIN, HeaderValue::from_static(from));
            matches!(origin(&headers, scheme, &options()), Ok(None))
        };
        for (scheme, host, from, own) in [
            (Scheme::Http, "localhost:8000", "http://localhost:8000", true),
            (Scheme::Https, "localhost:8000", "https://LOCALHOST:8000", true),
            (Scheme::Https, "box.example", "https://box.example", true),
            (Scheme::Https, "box.example:443", "https://box.example", true),
            (Scheme::Https, "localhost:8000", "http://localhost:8000", false),
            (Scheme::Http, "localhost:8000", "https://localhost:8000", false),
            (Scheme::Http, "box.example", "http://box.example:443", false),
            (Scheme::Http, "", "http://", false),
        ] {
            assert_eq!(check(scheme, host, from), own, "{host} {from}");
        }
    }

    #[test]
    fn names_of_certificates_are_without_port_and_brackets() {
        let name = |text| name_of(text).unwrap_or_default();
        assert_eq!((&*name("Box.example:8000"), &*name("[::1]:80")), ("box.example", "::1"));
        assert_eq!((&*name("10.0.0.5"), &*name("a b")), ("10.0.0.5", ""));
    }

    #[test]
    fn hosts_are_compared_whole_with_their_port() {
        for host in [
            "localhost:8000",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "box.example",
            "box.example:8000",
            "other.example:9000",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "localhost",
            "localhost:8001",
            "localhost:",
            "localhost.:8000",
            "localhost.evil.example:8000",
            "evil-localhost:8000",
            "user@localhost:8000",
            "127.0.0.1.nip.io:8000",
            "2130706433:8000",
            "[::ffff:127.0.0.1]:8000",
            "box.example:443",
            "other.example",
            "",
            "localhost:8000/x",
            "localhost:+8000",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }
}
