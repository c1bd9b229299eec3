//! What is sent about locks.

use std::time::Duration;

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::locks::Wanted;
use crate::domain::field::FieldErrors;
use crate::domain::ids::LockId;
use crate::domain::lock::{
    DEFAULT_TTL, DEFAULT_WAIT, HIGHEST_PRIORITY, LONGEST_WAIT_SECONDS, LockMode, LockName,
    MOST_NAMES, TTL_SECONDS,
};
use crate::presentation::api::fields::{Fields, FromFields};

/// How a lock is to be held.
#[derive(Debug, ToSchema)]
#[schema(as = AcquireLock, example = json!({ "ttl_seconds": 30, "wait_seconds": 10 }))]
pub struct AcquireLockBody {
    /// `exclusive` when omitted.
    pub mode: Option<LockMode>,
    /// How long it lasts unless it is renewed; 30 when omitted.
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_seconds: Option<u64>,
    /// How long to wait for it, 0 to try once; 10 when omitted.
    #[schema(minimum = 0, maximum = 300)]
    pub wait_seconds: Option<u64>,
    /// Higher ones come first; 0 when omitted.
    #[schema(minimum = 0, maximum = 100)]
    pub priority: Option<u8>,
    /// What people call the holder; the name of the key when omitted.
    #[schema(min_length = 1, max_length = 200)]
    pub owner: Option<String>,
    /// Id or code of a session: the lock ends with it.
    #[schema(min_length = 1, max_length = 64)]
    pub session_id: Option<String>,
    /// At most 64 KiB; kept as it is.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// Which locks are to be held, and how.
#[derive(Debug, ToSchema)]
#[schema(as = AcquireLocks, example = json!({ "names": ["build", "deploy/staging"] }))]
pub struct AcquireLocksBody {
    /// All of them, or none; each once.
    #[schema(min_items = 1, max_items = 32)]
    pub names: Vec<String>,
    /// `exclusive` when omitted.
    pub mode: Option<LockMode>,
    /// How long they last unless they are renewed; 30 when omitted.
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_seconds: Option<u64>,
    /// How long to wait for them, 0 to try once; 10 when omitted.
    #[schema(minimum = 0, maximum = 300)]
    pub wait_seconds: Option<u64>,
    /// Higher ones come first; 0 when omitted.
    #[schema(minimum = 0, maximum = 100)]
    pub priority: Option<u8>,
    /// What people call the holder; the name of the key when omitted.
    #[schema(min_length = 1, max_length = 200)]
    pub owner: Option<String>,
    /// Id or code of a session: the locks end with it.
    #[schema(min_length = 1, max_length = 64)]
    pub session_id: Option<String>,
    /// At most 64 KiB; kept as it is.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The body of `POST /locks/{name}/acquire`, read; the name comes from the path.
pub struct AcquireLock(pub Wanted);

/// The body of `POST /locks/acquire`, read.
pub struct AcquireLocks(pub Wanted);

fn seconds(
    fields: &mut Fields,
    name: &'static str,
    range: (u64, u64),
    usual: Duration,
) -> Duration {
    let Some(given) = fields.integer::<u64>(name) else { return usual };
    if !(range.0..=range.1).contains(&given) {
        let message = format!("must be between {} and {}", range.0, range.1);
        fields.wrong(name, "out_of_range", message);
        return usual;
    }
    Duration::from_secs(given)
}

fn wanted(fields: &mut Fields, names: Vec<LockName>) -> Wanted {
    let priority = fields.integer::<u64>("priority").unwrap_or(0);
    if priority > u64::from(HIGHEST_PRIORITY) {
        fields.wrong("priority", "out_of_range", "must be between 0 and 100");
    }
    let metadata = fields.map("metadata").unwrap_or_default();
    let mut errors = FieldErrors::default();
    errors.map("/metadata", &metadata);
    fields.complete(errors.into_result(()).err().unwrap_or_default());
    Wanted {
        names,
        mode: fields.word("mode").unwrap_or(LockMode::Exclusive),
        ttl: seconds(fields, "ttl_seconds", TTL_SECONDS, DEFAULT_TTL),
        wait: seconds(fields, "wait_seconds", (0, LONGEST_WAIT_SECONDS), DEFAULT_WAIT),
        priority: u8::try_from(priority).unwrap_or(HIGHEST_PRIORITY),
        label: fields.bounded_text("owner", 1, 200),
        session: fields.bounded_text("session_id", 1, 64),
        metadata,
    }
}

impl FromFields for AcquireLock {
    fn read(fields: &mut Fields) -> Self {
        Self(wanted(fields, Vec::new()))
    }
}

/// What a name must look like.
pub const NAME_RULE: &str =
    "must have 1 to 200 of the characters A-Z a-z 0-9 : _ . / - and begin with a letter or a digit";

impl FromFields for AcquireLocks {
    fn read(fields: &mut Fields) -> Self {
        let given = fields.texts("names");
        if given.is_empty() {
            fields.require_one("names", "names at least one lock");
        } else if given.len() > MOST_NAMES {
            fields.wrong("names", "too_many", format!("names at most {MOST_NAMES} locks"));
        }
        let mut names: Vec<LockName> = Vec::with_capacity(given.len());
        for (index, text) in given.iter().enumerate() {
            match LockName::parse(text) {
                None => fields.wrong_at("names", index, NAME_RULE),
                Some(name) if names.contains(&name) => {
                    fields.wrong_at("names", index, "is named twice");
                }
                Some(name) => names.push(name),
            }
        }
        Self(wanted(fields, names))
    }
}

/// How a hold is to be renewed.
#[derive(Debug, ToSchema)]
#[schema(as = RenewLock, example = json!({ "lock_id": "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3" }))]
pub struct RenewLockBody {
    /// The hold, as it was granted.
    #[schema(format = Uuid)]
    pub lock_id: String,
    /// How long from now; as it was granted when omitted.
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_seconds: Option<u64>,
    /// The token that the caller works with: an old one is refused.
    pub fencing_token: Option<u64>,
}

/// The body of `POST /locks/{name}/renew`, read.
pub struct RenewLock {
    /// The hold.
    pub lock_id: Option<LockId>,
    /// How long from now.
    pub ttl: Option<Duration>,
    /// The token that the caller works with.
    pub fencing_token: Option<u64>,
}

fn lock_id(fields: &mut Fields) -> Option<LockId> {
    let text = fields.required_text("lock_id");
    let id = LockId::parse(&text);
    if id.is_none() && !text.is_empty() {
        fields.wrong("lock_id", "invalid", "must be the id of a hold, as it was granted");
    }
    id
}

impl FromFields for RenewLock {
    fn read(fields: &mut Fields) -> Self {
        let has_ttl = fields.has("ttl_seconds");
        let ttl = seconds(fields, "ttl_seconds", TTL_SECONDS, DEFAULT_TTL);
        Self {
            lock_id: lock_id(fields),
            ttl: has_ttl.then_some(ttl),
            fencing_token: fields.integer("fencing_token"),
        }
    }
}

/// Which hold is given back.
#[derive(Debug, ToSchema)]
#[schema(as = ReleaseLock, example = json!({ "lock_id": "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3" }))]
pub struct ReleaseLockBody {
    /// The hold, as it was granted.
    #[schema(format = Uuid)]
    pub lock_id: String,
}

/// The body of `POST /locks/{name}/release`, read.
pub struct ReleaseLock {
    /// The hold.
    pub lock_id: Option<LockId>,
}

impl FromFields for ReleaseLock {
    fn read(fields: &mut Fields) -> Self {
        Self { lock_id: lock_id(fields) }
    }
}
