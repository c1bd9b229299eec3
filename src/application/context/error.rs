//! What can go wrong with contexts.

use uuid::Uuid;

use crate::domain::context::ContextScope;
use crate::domain::context::write::Conflict;
use crate::domain::ids::ContextId;

/// Why a use case of contexts was refused.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It does not exist for this caller, or that version of it is kept no longer.
    #[error("no such context")]
    NotFound,
    /// Nothing stands at this path.
    #[error("nothing is remembered at {path}")]
    KeyNotFound {
        /// Where.
        path: String,
    },
    /// Somebody else wrote the same, or what was expected is not there.
    #[error("the context was changed since it was read: {}", told(&.0.conflicting_keys))]
    Conflict(Conflict),
    /// It belongs to somebody else.
    #[error("this context belongs to another session or agent")]
    AccessDenied {
        /// Who asked.
        accessor: Uuid,
        /// What they would need: `read`, `write`, `share` or `promote`.
        required: &'static str,
    },
    /// Clashes are left about which nothing was decided.
    #[error("nothing was decided about {}", told(keys))]
    MergeConflict {
        /// What is merged.
        source_ids: Vec<ContextId>,
        /// Where it clashes.
        keys: Vec<String>,
    },
    /// An input of a merge was changed while it waited.
    #[error("a context of this merge was changed meanwhile")]
    MergeStale,
    /// Contexts of this scope are not for that.
    #[error("a {actual} context cannot be used for this: {operation}")]
    ScopeMismatch {
        /// The scopes that would do.
        expected: &'static [&'static str],
        /// The one that it has.
        actual: ContextScope,
        /// What was to be done.
        operation: &'static str,
    },
    /// It would hold too much.
    #[error("a context may hold at most 1 MiB of data")]
    TooLarge,
}

/// The first of some paths, for a sentence.
fn told(keys: &[String]) -> String {
    let more = keys.len().saturating_sub(5);
    let first = keys.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}
