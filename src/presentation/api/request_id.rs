//! The name of one request, in the answer and in the log.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::state::AppState;

/// The header that carries it both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A valid request id, the client's own or a new one.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// The id that the middleware gave to this request; empty outside of it.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self(String::new()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the client sent, when it is 1 to 128 letters, digits, `.`, `_` and `-`.
    fn sent(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (text, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=128).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }
}

/// Gives every request its id and sends it back.
pub async fn assign(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id =
        RequestId::sent(request.headers()).unwrap_or_else(|| RequestId(app.ids.uuid().to_string()));
    let value = HeaderValue::from_str(id.as_str());
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}
