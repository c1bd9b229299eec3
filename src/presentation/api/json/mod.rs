//! JSON answers, written into one buffer of the right size.
//!
//! Why not the framework's own: it writes through a growing byte buffer of another kind, which costs
//! several times more than the serialisation itself for objects with many small fields.

mod writer;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use self::writer::Writer;
use super::codes::ErrorCode;
use super::problem::Problem;

/// Room for one session; a page grows from here by doubling.
const ROOM: usize = 4096;

/// A value that is sent as JSON.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match bytes(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                (StatusCode::OK, [(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "An answer could not be written as JSON");
                Problem::new(ErrorCode::InternalError, "internal error").into_response()
            }
        }
    }
}

/// A value as JSON.
///
/// # Errors
/// For values that JSON has no spelling for.
pub fn bytes(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut writer = Writer(Vec::with_capacity(ROOM));
    value.serialize(&mut writer)?;
    Ok(writer.0)
}
