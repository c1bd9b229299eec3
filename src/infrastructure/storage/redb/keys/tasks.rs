//! Keys of tasks and of what belongs to them.

use sha2::{Digest, Sha256};

use super::{Key, Span, join};
use crate::domain::ids::{SessionId, TaskId, TenantId};

pub(in super::super) fn task(tenant: TenantId, session: SessionId, id: TaskId) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), id.as_bytes()])
}

/// All tasks of a session.
pub(in super::super) fn tasks_of(tenant: TenantId, session: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), session.as_bytes()]), 48)
}

pub(in super::super) fn task_by_id(tenant: TenantId, id: TaskId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

/// All tasks of a tenant by their ids.
pub(in super::super) fn tasks_by_id(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

pub(in super::super) fn template(tenant: TenantId, key: &str) -> Key {
    join(&[tenant.as_bytes(), &Sha256::digest(key.as_bytes())])
}

pub(in super::super) fn templates(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 48)
}
