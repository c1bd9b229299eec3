//! What can go wrong in a use case, sorted by what the caller can do about it.
//!
//! Invariant: `Display` is safe to show to a client; anything private lives in a source.

use std::collections::BTreeMap;

use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::attention::ResolveError;
use crate::domain::field::FieldError;
use crate::domain::lock::Refusal;
use crate::domain::session::life::RetryRefused;
use crate::domain::session::status::{InvalidTransition, SessionStatus};
use crate::domain::tenant::quotas::QuotaName;
use crate::domain::tenant::right::Lack;
use crate::domain::usage::budget::BudgetUse;

use super::context::error::ContextError;
use super::ports::store::{CommitError, StoreError};
use super::ports::workspaces::WorkspaceError;
use super::session::limits::quota_of;
use super::task::error::TaskRefused;

/// Why a use case was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Every broken rule of the input.
    #[error("the request has {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// It does not exist for this caller.
    #[error("no such session")]
    SessionNotFound,
    /// It does not exist for this caller.
    #[error("no such checkpoint")]
    CheckpointNotFound,
    /// It does not exist for this caller.
    #[error("no such attention item")]
    AttentionNotFound,
    /// It does not exist for this caller.
    #[error("no such agent")]
    AgentNotFound,
    /// It does not exist for this caller, or not any more.
    #[error("no such file")]
    ArtifactNotFound,
    /// It does not exist for this caller.
    #[error("no such webhook")]
    WebhookNotFound,
    /// It does not exist for this caller.
    #[error("no such delivery")]
    DeliveryNotFound,
    /// It does not exist for this caller.
    #[error("no such key")]
    KeyNotFound,
    /// They do not exist for this caller.
    #[error("no such user")]
    UserNotFound,
    /// It does not exist for this caller, or not any more.
    #[error("no such invitation")]
    InviteNotFound,
    /// Somebody of the tenant has this address.
    #[error("somebody of this tenant has this e-mail address")]
    EmailTaken,
    /// Another agent of the tenant has this name.
    #[error("another agent of this tenant has this name")]
    AgentNameTaken,
    /// What the settings say is changed there.
    #[error("{name} comes from the settings of this server; {what}")]
    AgentBuiltIn {
        /// Name of the agent.
        name: String,
        /// What follows from that.
        what: String,
    },
    /// No agent server has this name.
    #[error("no such host")]
    HostNotFound,
    /// Its server cannot be replaced as it stands.
    #[error("host {id} cannot be recycled: {why}")]
    HostBusy {
        /// Its name.
        id: String,
        /// Why not.
        why: String,
    },
    /// A tenant keeps an administrator.
    #[error("the last administrator of a tenant stays its administrator")]
    LastAdministrator,
    /// Another tenant has this short name.
    #[error("another tenant has this slug")]
    SlugTaken,
    /// It was revoked or has come to its end, which stays so.
    #[error("this key was revoked or has expired; make another one")]
    KeyRevoked,
    /// Whoever revokes a key uses another one.
    #[error("a key cannot revoke itself")]
    OwnKey,
    /// A key has signed in as many browsers as are remembered.
    #[error("this key has signed in {limit} browsers that are still listed")]
    TooManyBrowsers {
        /// As many as that.
        limit: u64,
    },
    /// No more secrets can be lent now.
    #[error("as many login links or tickets as this server keeps wait to be used")]
    TooManyLinks,
    /// Nobody grants more than they have.
    #[error("nobody can grant more than they have")]
    PrivilegeEscalation,
    /// An address leads where the server may not send anything.
    #[error("messages may not be sent to this address")]
    EndpointNotAllowed {
        /// Which field names the address.
        pointer: &'static str,
        /// What is wrong with it, and what would help.
        message: String,
    },
    /// The table of statuses has no such move.
    #[error("session {code} is {}; it cannot become {}", refused.current, refused.requested)]
    Transition {
        /// What people call the session.
        code: String,
        /// The refusal.
        refused: InvalidTransition,
    },
    /// A session in this status cannot be deleted, restored or changed so.
    #[error("session {code} is {status}; {what}")]
    NotNow {
        /// What people call the session.
        code: String,
        /// Where it stands.
        status: SessionStatus,
        /// What is not possible, and what would be.
        what: &'static str,
    },
    /// No checkpoint or no retry left.
    #[error("{0}")]
    NotRetryable(RetryRefused),
    /// The attention item does not take this.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// `If-Match` named another version.
    #[error("the object changed since it was read")]
    VersionMismatch {
        /// As the caller said.
        expected: u64,
        /// As it stands.
        actual: u64,
    },
    /// A report came with a token that is no longer current.
    #[error("this report belongs to an earlier lease")]
    StaleResult,
    /// A lock was refused.
    #[error(transparent)]
    Lock(#[from] Box<Refusal>),
    /// Nobody holds this lock or waits for it.
    #[error("nobody holds this lock or waits for it")]
    LockNotFound,
    /// The caller has not the rights.
    #[error(transparent)]
    Forbidden(#[from] Lack),
    /// No such tenant, for this caller.
    #[error("no such tenant")]
    TenantNotFound,
    /// A manual checkpoint is too large.
    #[error("checkpoint data may have at most 256 KiB")]
    CheckpointTooLarge,
    /// What would be stored is larger than a record may be.
    #[error("the session would hold more than can be stored in one record")]
    RecordTooLarge,
    /// A quota is used up.
    #[error("{quota} is reached: {used} of {limit}")]
    QuotaExceeded {
        /// Name of the quota.
        quota: &'static str,
        /// Its bound.
        limit: u64,
        /// What is used.
        used: u64,
    },
    /// Nothing is left of a budget.
    #[error("nothing is left of the budget of {code}: {budget}")]
    BudgetExhausted {
        /// What people call the session.
        code: String,
        /// Which budget.
        budget: BudgetUse,
    },
    /// The workspace cannot be used so.
    #[error(transparent)]
    Workspace(WorkspaceError),
    /// No agent can take the work.
    #[error("no agent can take the work: {}", reason.words())]
    NoAgent {
        /// Why.
        reason: NoAgent,
        /// How many agents each gate refuses; nothing when only the best were to be told.
        refused: BTreeMap<Gate, usize>,
    },
    /// A context cannot be used so.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A task cannot be used so.
    #[error(transparent)]
    Task(Box<TaskRefused>),
    /// Events before this are gone.
    #[error("events up to {oldest} are no longer kept")]
    CursorExpired {
        /// The oldest number that can be asked for.
        oldest: u64,
    },
    /// Too many lost races.
    #[error("too many changes at once; try again")]
    Contended,
    /// One copy of the store is made at a time.
    #[error("another backup or export is being made; this one was not begun")]
    CopyUnderWay,
    /// The write queue is full.
    #[error("too many writes are waiting; try again")]
    Busy,
    /// The disk is full or fails.
    #[error("the store accepts no writes: {0}")]
    StoreReadOnly(String),
    /// The disk has too little room for more work; what runs goes on.
    #[error("the store is short of room: {0}")]
    ShortOfRoom(String),
    /// A record was damaged.
    #[error("a stored record is damaged and was set aside")]
    RecordQuarantined,
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Everything else; details are in the log.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    /// Whether it passes by itself: a full disk, a store that is being reopened, too much at once.
    /// Nothing was changed, and the same may be asked again in a moment.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::StoreReadOnly(_) | Self::Busy | Self::Contended)
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Quarantined => Self::RecordQuarantined,
            StoreError::Unavailable => Self::StoreReadOnly("it is being reopened".to_owned()),
            StoreError::UnknownSchema { .. } | StoreError::Failed(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<CommitError> for AppError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stale | CommitError::Refused => Self::Contended,
            CommitError::Exceeded { counter, limit, used } => {
                let quota = quota_of(counter);
                let unit = quota.map_or(1, QuotaName::unit);
                let quota = quota.map_or("unnamed", QuotaName::as_str);
                Self::QuotaExceeded { quota, limit: limit / unit, used: used.div_ceil(unit) }
            }
            CommitError::TooLarge => Self::RecordTooLarge,
            CommitError::ReadOnly(reason) => Self::StoreReadOnly(reason),
            CommitError::Busy => Self::Busy,
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<Vec<FieldError>> for AppError {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Invalid(errors)
    }
}

impl From<WorkspaceError> for AppError {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Invalid { pointer, message } => Self::Invalid(vec![FieldError {
                pointer: pointer.to_owned(),
                code: "invalid",
                message,
            }]),
            WorkspaceError::NotAllowed { .. }
            | WorkspaceError::Conflict { .. }
            | WorkspaceError::Obstructed(_)
            | WorkspaceError::Failed(_) => Self::Workspace(error),
        }
    }
}
