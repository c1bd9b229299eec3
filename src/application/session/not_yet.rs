//! What this version would accept and not do is refused, each field by its name.
//!
//! Invariant: a field that changes nothing is never accepted with anything but its default.

use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::session::spec::SessionSpec;

/// Everything that a definition wants and this version does not do.
///
/// # Errors
/// Every such field.
pub(super) fn not_yet(spec: &SessionSpec) -> Result<(), Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    let mut refuse = |wanted: bool, pointer: &str, instead: &str| {
        if wanted {
            errors.add(pointer, "unsupported", message(instead));
        }
    };
    refuse(spec.cpu_limit.is_some(), "/cpu_limit", INSTEAD_OF_A_LIMIT);
    refuse(spec.memory_limit_mb.is_some(), "/memory_limit_mb", INSTEAD_OF_A_LIMIT);
    errors.into_result(())
}

const INSTEAD_OF_A_LIMIT: &str = "bound the server's own process";
fn message(instead: &str) -> String {
    format!("is not part of this version; {instead}")
}
