//! Locks on the wire.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::ports::locks::Overview;
use crate::domain::ids::{LockId, SessionId};
use crate::domain::lock::{Edge, Grant, LockMode, Look, Owner, Waiter};
use crate::domain::time::Timestamp;

/// Whose a lock is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockOwner)]
pub struct LockOwnerDto {
    /// `key`, `agent` or `session`.
    #[schema(value_type = String, example = "key")]
    pub kind: &'static str,
    /// Id of the key, the agent or the session.
    #[schema(value_type = String, format = Uuid)]
    pub id: uuid::Uuid,
    /// For people.
    pub name: String,
}

impl LockOwnerDto {
    fn of(owner: Owner, label: &str) -> Self {
        Self { kind: owner.kind(), id: owner.id(), name: label.to_owned() }
    }
}

/// A hold of a lock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockGrant)]
pub struct GrantDto {
    /// Which hold; it is renewed and released by this.
    pub lock_id: LockId,
    /// Which lock.
    pub name: String,
    /// Who else may hold it.
    pub mode: LockMode,
    /// Whose it is.
    pub owner: LockOwnerDto,
    /// It ends with this session.
    pub session_id: Option<SessionId>,
    /// Larger than that of every earlier grant: what is locked can refuse older ones.
    pub fencing_token: u64,
    /// When it was given.
    pub acquired_at: Timestamp,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// What a renewal adds.
    pub ttl_seconds: u64,
    /// How often it was renewed.
    pub renewal_count: u64,
    /// How many releases it takes.
    pub hold_count: u64,
    /// As it was asked for.
    pub priority: u8,
    /// As it was asked for.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

impl From<&Grant> for GrantDto {
    fn from(grant: &Grant) -> Self {
        let Grant {
            lock_id,
            name,
            mode,
            owner,
            label,
            session,
            fencing_token,
            acquired_at,
            expires_at,
            ttl,
            renewal_count,
            hold_count,
            priority,
            metadata,
        } = grant;
        Self {
            lock_id: *lock_id,
            name: name.to_string(),
            mode: *mode,
            owner: LockOwnerDto::of(*owner, label),
            session_id: *session,
            fencing_token: *fencing_token,
            acquired_at: *acquired_at,
            expires_at: *expires_at,
            ttl_seconds: ttl.as_secs(),
            renewal_count: *renewal_count,
            hold_count: *hold_count,
            priority: *priority,
            metadata: (**metadata).clone(),
        }
    }
}

/// Holds of all names that were asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockGrants)]
pub struct GrantsDto {
    /// One for each name, in byte order of the names.
    pub grants: Vec<GrantDto>,
}

/// What became of a hold that was given back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockReleased)]
pub struct ReleasedDto {
    /// Which lock.
    pub name: String,
    /// Which hold.
    pub lock_id: LockId,
    /// Whether the caller holds nothing by it any more.
    pub released: bool,
    /// How many releases it still takes.
    pub hold_count: u64,
}

/// A request that waits for a lock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockWaiter)]
pub struct WaiterDto {
    /// The request.
    pub request_id: LockId,
    /// For which lock.
    pub name: String,
    /// What it wants.
    pub mode: LockMode,
    /// Who waits.
    pub owner: LockOwnerDto,
    /// As it was asked for.
    pub priority: u8,
    /// With what waiting has added.
    pub effective_priority: u8,
    /// Since when.
    pub requested_at: Timestamp,
    /// How long already.
    pub waited_seconds: f64,
    /// Until when.
    pub expires_at: Timestamp,
    /// From 1.
    pub position: usize,
}

impl WaiterDto {
    fn of(waiter: &Waiter, now: Timestamp) -> Self {
        let Waiter {
            request_id,
            name,
            mode,
            owner,
            label,
            priority,
            effective_priority,
            requested_at,
            expires_at,
            position,
        } = waiter;
        Self {
            request_id: *request_id,
            name: name.to_string(),
            mode: *mode,
            owner: LockOwnerDto::of(*owner, label),
            priority: *priority,
            effective_priority: *effective_priority,
            requested_at: *requested_at,
            waited_seconds: now.since(*requested_at).as_secs_f64(),
            expires_at: *expires_at,
            position: *position,
        }
    }
}

/// One owner waits for another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockEdge)]
pub struct EdgeDto {
    /// Who waits, as `kind:id`.
    pub owner: String,
    /// For whom, as `kind:id`.
    pub waits_for: String,
    /// Over which lock.
    pub name: String,
    /// By which request.
    pub request_id: LockId,
}

impl From<&Edge> for EdgeDto {
    fn from(edge: &Edge) -> Self {
        let Edge { owner, waits_for, name, request_id } = edge;
        let (owner, waits_for) = (owner.to_string(), waits_for.to_string());
        Self { owner, waits_for, name: name.to_string(), request_id: *request_id }
    }
}

/// A lock that somebody holds or waits for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lock)]
pub struct LockDto {
    /// Its name.
    pub name: String,
    /// Who holds it, in order of their grants.
    pub holders: Vec<GrantDto>,
    /// Who waits, in order.
    pub queue: Vec<WaiterDto>,
    /// Who waits for whom over it.
    pub wait_for_edges: Vec<EdgeDto>,
}

impl LockDto {
    /// As it stands now.
    #[must_use]
    pub fn of(look: &Look, now: Timestamp) -> Self {
        let Look { name, holds, queue, edges } = look;
        Self {
            name: name.to_string(),
            holders: holds.iter().map(GrantDto::from).collect(),
            queue: queue.iter().map(|waiter| WaiterDto::of(waiter, now)).collect(),
            wait_for_edges: edges.iter().map(EdgeDto::from).collect(),
        }
    }
}

/// Figures of one lock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockStat)]
pub struct LockStatDto {
    /// Its name.
    pub name: String,
    /// How many hold it.
    pub holders: usize,
    /// How many wait for it.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub longest_wait_seconds: Option<f64>,
}

/// Figures of all locks of the tenant; what is told of single ones is about those on the page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LockStatistics)]
pub struct LockStatisticsDto {
    /// Names that somebody holds or waits for.
    pub total_locks: usize,
    /// Names that somebody holds.
    pub active_locks: usize,
    /// Requests that wait.
    pub waiting_requests: usize,
    /// One for each lock on the page.
    pub lock_stats: Vec<LockStatDto>,
    /// Who waits for whom over the locks on the page.
    pub wait_for_edges: Vec<EdgeDto>,
    /// When that was so.
    pub timestamp: Timestamp,
}

/// Locks in byte order of their names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Locks)]
pub struct LocksDto {
    /// The locks in order.
    pub items: Vec<LockDto>,
    /// Send it as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// Figures.
    pub statistics: LockStatisticsDto,
}

impl LocksDto {
    /// One page.
    #[must_use]
    pub fn of(overview: &Overview, next_cursor: Option<String>, now: Timestamp) -> Self {
        let Overview { locks, has_more, total, active, waiting } = overview;
        let longest = |look: &Look| {
            let since = look.queue.iter().map(|waiter| waiter.requested_at).min();
            since.map(|since| now.since(since).as_secs_f64())
        };
        let stat = |look: &Look| LockStatDto {
            name: look.name.to_string(),
            holders: look.holds.len(),
            waiting: look.queue.len(),
            longest_wait_seconds: longest(look),
        };
        Self {
            items: locks.iter().map(|look| LockDto::of(look, now)).collect(),
            next_cursor,
            has_more: *has_more,
            statistics: LockStatisticsDto {
                total_locks: *total,
                active_locks: *active,
                waiting_requests: *waiting,
                lock_stats: locks.iter().map(stat).collect(),
                wait_for_edges: overview.edges().map(EdgeDto::from).collect(),
                timestamp: now,
            },
        }
    }
}
