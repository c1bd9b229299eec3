//! The name of one request, in the answer and in the log.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use super::state::AppState;
use crate::domain::redact::Redactor;

/// The header that carries it both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A valid request id, the client's own or a new one.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Sends it back.
    pub fn send(&self, response: &mut Response) {
        if let Ok(value) = HeaderValue::from_str(self.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
    }

    /// What the client sent, when it is 1 to 128 letters, digits, `.`, `_` and `-`,
    /// and nothing that may be a secret.
    fn sent(headers: &HeaderMap, redactor: &Redactor) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (text, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_plain = (1..=128).contains(&text.len()) && text.bytes().all(plain);
        (is_plain && redactor.redact(text) == text).then(|| Self(text.into()))
    }
}

/// Gives a request its id.
pub fn assign(app: &AppState, request: &mut Request) -> RequestId {
    let sent = RequestId::sent(request.headers(), &app.options.redactor);
    let id = sent.unwrap_or_else(|| RequestId(app.ids.uuid().to_string().into()));
    request.extensions_mut().insert(id.clone());
    id
}
