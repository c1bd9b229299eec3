//! Keys of contexts and of what belongs to them.

use std::ops::Bound;

use super::{Key, Span, join};
use crate::application::ports::contexts::ContextsOf;
use crate::domain::context::ContextScope;
use crate::domain::ids::{ContextId, TenantId};
use crate::domain::time::Timestamp;

pub(in super::super) fn context(tenant: TenantId, id: ContextId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(in super::super) fn contexts(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

fn context_owner(tenant: TenantId, owner: ContextsOf) -> Key {
    let (kind, id) = match owner {
        ContextsOf::All => (0, [0; 16]),
        ContextsOf::Global => (1, [0; 16]),
        ContextsOf::Session(id) => (2, *id.as_bytes()),
        ContextsOf::Task(id) => (3, *id.as_bytes()),
        ContextsOf::Agent(id) => (4, *id.as_bytes()),
    };
    join(&[tenant.as_bytes(), &[kind], &id])
}

pub(in super::super) fn context_of(tenant: TenantId, owner: ContextsOf, id: ContextId) -> Key {
    join(&[&context_owner(tenant, owner), id.as_bytes()])
}

pub(in super::super) fn contexts_of(tenant: TenantId, owner: ContextsOf) -> Span {
    Span::of(context_owner(tenant, owner), 49)
}

pub(in super::super) fn context_age(
    tenant: TenantId,
    scope: ContextScope,
    (at, id): (Timestamp, ContextId),
) -> Key {
    let scope = match scope {
        ContextScope::Temporary => 1,
        ContextScope::Task => 2,
        ContextScope::Session => 3,
        ContextScope::Agent => 4,
        ContextScope::Global => 5,
    };
    join(&[tenant.as_bytes(), &[scope], &at.key_millis().to_be_bytes(), id.as_bytes()])
}

/// Contexts of one scope that were last written then or before.
pub(in super::super) fn context_ages(
    tenant: TenantId,
    scope: ContextScope,
    until: Timestamp,
) -> Span {
    let first = (Timestamp::EPOCH, ContextId::from_bytes([0; 16]));
    Span {
        low: Bound::Included(context_age(tenant, scope, first)),
        high: Bound::Included(context_age(
            tenant,
            scope,
            (until, ContextId::from_bytes([0xFF; 16])),
        )),
    }
}

/// When a context was last written, and which.
pub(in super::super) fn context_aged(key: &[u8]) -> Option<(Timestamp, ContextId)> {
    let at = u64::from_be_bytes(key.get(17..25)?.try_into().ok()?);
    let id = ContextId::from_bytes(key.get(25..41)?.try_into().ok()?);
    Some((Timestamp::from_millis(i64::try_from(at).ok()?), id))
}

pub(in super::super) fn context_group(tenant: TenantId, id: ContextId, version: u64) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes(), &version.to_be_bytes()])
}

/// The history of all contexts of a tenant.
pub(in super::super) fn context_histories(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 40)
}

/// What versions above the one and below the other changed.
pub(in super::super) fn context_groups(
    tenant: TenantId,
    id: ContextId,
    (after, before): (u64, u64),
) -> Span {
    Span {
        low: Bound::Excluded(context_group(tenant, id, after)),
        high: Bound::Excluded(context_group(tenant, id, before)),
    }
}
