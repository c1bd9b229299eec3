//! One change of one session in the making: what was read, what becomes of it, and the change set
//! that says so.
//!
//! Invariant: what follows from a move for other records (attempt, open items, counters) is derived
//! here from the session before and after, so that no verb can forget it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::contexts::ContextWrite;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::vitals::VitalsWrite;
use crate::application::principal::{RequestContext, Subject};
use crate::domain::agent::vitals::Ended;
use crate::domain::attention::{AttentionItem, AttentionState, most_urgent};
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::ids::{AttentionId, CheckpointId, SessionId, TenantId};
use crate::domain::session::attempt::{Attempt, Lease};
use crate::domain::session::checkpoint::{Checkpoint, CheckpointState, CheckpointTrigger, KEPT};
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Cause, Session};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Contexts of a session whose versions a checkpoint records.
const CONTEXTS: usize = 1000;
/// Marks an item that this change raises.
const NOT_STORED: Version = Version::new(0);

/// Who changes a session.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// A caller of the API; audited.
    Caller(&'a RequestContext),
    /// A part of the product: `scheduler`, `supervisor`, `recovery`.
    Part(TenantId, &'static str),
}

impl<'a> By<'a> {
    /// Whose data.
    #[must_use]
    pub const fn tenant(self) -> TenantId {
        match self {
            Self::Caller(ctx) => ctx.tenant,
            Self::Part(tenant, _) => tenant,
        }
    }

    /// The actor's name, for events.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Caller(ctx) => ctx.actor_name(),
            Self::Part(_, name) => name,
        }
    }

    /// A cause without a reason.
    #[must_use]
    pub fn cause(self, at: Timestamp) -> Cause<'a> {
        Cause::by(self.name(), at)
    }
}

/// A session, what belongs to it, and what is to become of both.
pub struct Change {
    /// The session; changed in place by the decision.
    pub session: Session,
    /// The current or latest attempt.
    pub attempt: Option<Attempt>,
    /// Items that wait for a decision, oldest first; changed in place.
    pub items: Vec<AttentionItem>,
    /// The version of each of its contexts, for checkpoints.
    pub context_versions: BTreeMap<String, u64>,
    before: Versioned<Session>,
    attempt_before: Option<Versioned<Attempt>>,
    items_before: Vec<Versioned<AttentionItem>>,
    writes: Vec<Write>,
    guards: Vec<Guard>,
    counters: Vec<(Counter, CounterChange)>,
    events: Vec<DomainEvent>,
    noted: Option<Value>,
}

impl Change {
    /// Reads what a decision about this session may need. The snapshot can be dropped afterwards.
    ///
    /// # Errors
    /// `SessionNotFound`, or the store's.
    pub async fn read(snapshot: &dyn Snapshot, id: SessionId) -> Result<Self, AppError> {
        let before = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        let number = before.value.run.attempt;
        let attempt_before = if number > 0 { snapshot.attempt(id, number).await? } else { None };
        let open = Some(AttentionState::Open);
        let items_before = snapshot.attention_items(Some(id), open, None, 200).await?;
        let contexts = snapshot.context_versions(id, CONTEXTS).await?.into_iter();
        Ok(Self {
            context_versions: contexts.map(|(id, version)| (id.to_string(), version)).collect(),
            session: before.value.clone(),
            attempt: attempt_before.as_ref().map(|found| found.value.clone()),
            items: items_before.iter().map(|found| found.value.clone()).collect(),
            before,
            attempt_before,
            items_before,
            writes: Vec::new(),
            guards: Vec::new(),
            counters: Vec::new(),
            events: Vec::new(),
            noted: None,
        })
    }

    /// The version that the decision is based on.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.before.version
    }

    /// Where the session stood when it was read.
    #[must_use]
    pub const fn status_before(&self) -> SessionStatus {
        self.before.value.status()
    }

    /// Adds what happened, in order.
    pub fn tell(&mut self, events: impl IntoIterator<Item = DomainEvent>) {
        self.events.extend(events);
    }

    /// Tells that fields changed which have no event of their own.
    pub fn updated(&mut self, fields: &[&str], now: Timestamp) {
        self.session.stamps.updated_at = now;
        let event =
            self.session.event(EventType::SessionUpdated, now, json!({ "changed": fields }));
        self.tell([event]);
    }

    /// Begins an attempt: its record comes into being with its first lease.
    pub fn begin_attempt(&mut self, lease: Lease, from_checkpoint: Option<u64>, now: Timestamp) {
        self.attempt_before = None;
        self.attempt = Some(Attempt {
            session_id: self.session.id,
            number: self.session.run.attempt,
            started_at: now,
            ended_at: None,
            outcome: None,
            error: None,
            resumed_from_checkpoint: from_checkpoint,
            usage: crate::domain::usage::Usage::default(),
            used_before: crate::domain::usage::Usage::default(),
            counted_calls: Vec::new(),
            counted_ms: 0,
            leases: vec![lease],
            stale_reports: 0,
        });
    }

    /// Takes a checkpoint; the oldest leaves when there are more than are kept.
    pub fn checkpoint(
        &mut self,
        id: Uuid,
        trigger: CheckpointTrigger,
        state: CheckpointState,
        now: Timestamp,
    ) -> Checkpoint {
        let run = &mut self.session.run;
        run.last_checkpoint += 1;
        if run.checkpoint_count == KEPT {
            let sequence = run.last_checkpoint - KEPT;
            self.writes.push(Write::DropCheckpoint { session: self.session.id, sequence });
        } else {
            run.checkpoint_count += 1;
        }
        let state_hash = state.hash();
        let checkpoint = Checkpoint {
            id: CheckpointId::new(id),
            session_id: self.session.id,
            sequence: run.last_checkpoint,
            created_at: now,
            trigger,
            data: state.data,
            agent_session_ref: state.agent_session_ref,
            agent_message_ref: state.agent_message_ref,
            workspace_ref: state.workspace_ref,
            context_versions: state.context_versions,
            state_hash,
        };
        if checkpoint.workspace_ref.is_some() {
            run.workspace_ref.clone_from(&checkpoint.workspace_ref);
        }
        self.session.metrics.last_checkpoint_at = Some(now);
        let payload = json!({
            "sequence": checkpoint.sequence, "trigger": trigger,
            "state_hash": checkpoint.state_hash,
        });
        let event = self.session.event(EventType::SessionCheckpointCreated, now, payload);
        self.tell([event]);
        self.writes.push(Write::Checkpoint(checkpoint.clone()));
        checkpoint
    }

    /// Raises an item.
    pub fn raise(&mut self, item: AttentionItem, now: Timestamp) {
        if item.kind.blocks() {
            self.session.block(now);
        }
        self.items_before.push(Versioned { version: NOT_STORED, value: item.clone() });
        self.items.push(item);
    }

    /// Adds any other write.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Adds conditions beyond the session itself.
    pub fn guard(&mut self, guards: Vec<Guard>) {
        self.guards.extend(guards);
    }

    /// Changes a counter beyond those that follow from the session.
    pub fn count(&mut self, counter: Counter, by: i64) {
        self.counters.push((counter, CounterChange::Add(by)));
    }

    /// What the audit has to say of it besides where the session stands.
    pub fn note(&mut self, facts: Value) {
        self.noted = Some(facts);
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let as_read = |(item, before): (&AttentionItem, &Versioned<AttentionItem>)| {
            before.version != NOT_STORED && *item == before.value
        };
        self.events.is_empty()
            && self.writes.is_empty()
            && self.session == self.before.value
            && self.items.iter().zip(&self.items_before).all(as_read)
    }

    /// Whether the session was read as it would stand after this commit.
    #[must_use]
    pub fn was_read_as(&self, saved: &Versioned<Session>) -> bool {
        self.before == *saved
    }

    /// The session as it was read.
    #[must_use]
    pub fn unchanged(self) -> Versioned<Session> {
        self.before
    }

    /// The change set, and the session as it will stand once that is committed.
    #[must_use]
    pub fn finish(
        mut self,
        by: By<'_>,
        action: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> (ChangeSet, Versioned<Session>) {
        self.settle_items(by.name(), now);
        self.settle_attempt(now);
        let (before, after) = (&self.before.value, &self.session);
        let mut set = ChangeSet::new(before.tenant_id).events(self.events);
        set.guards = self.guards;
        set.counters = counter_changes(Some(before), after);
        set.counters.extend(self.counters);
        set.audit = audit(by, action, reason, Some(before), after, now);
        if let (Some(entry), Some(Value::Object(noted))) = (&mut set.audit, self.noted)
            && let Some(Value::Object(after)) = &mut entry.after
        {
            after.extend(noted);
        }
        set.writes.push(Write::Session(Put {
            expect: Expect::At(self.before.version),
            value: self.session.clone(),
        }));
        set.writes.extend(self.writes);
        if let (None, Some(at)) = (before.broke_off_at(), after.broke_off_at()) {
            set.writes.push(Write::ChildrenOwed { parent: after.id, at });
        }
        if before.status().is_open() && !after.status().is_open() {
            set.writes.push(Write::Context(ContextWrite::OwnerEnded(after.id)));
        }
        let saved = Versioned { version: self.before.version.next(), value: self.session };
        if let By::Caller(ctx) = by {
            set.remembered = ctx.remembered(&Subject::Session(&saved), now);
        }
        (set, saved)
    }

    /// Open items end with the session; what the session shows follows from those that are left.
    fn settle_items(&mut self, by: &str, now: Timestamp) {
        if ended_as(&self.events).is_some() {
            for item in &mut self.items {
                item.expire(by, now);
            }
        }
        let known = self.items_before.iter();
        for (item, before) in self.items.iter().zip(known) {
            let expect = match before.version {
                NOT_STORED => Expect::Absent,
                _ if *item == before.value => continue,
                version => Expect::At(version),
            };
            self.writes.push(Write::Attention(Put { expect, value: item.clone() }));
        }
        let status = self.session.status();
        let shown = if status.is_executing() || status == SessionStatus::Paused {
            let open = self.items.iter().filter(|item| item.state == AttentionState::Open);
            most_urgent(open.map(|item| item.kind))
        } else {
            crate::domain::attention::Attention::None
        };
        if shown != self.before.value.attention {
            self.session.attention = shown;
            let newest = self.items.iter().rev().find(|item| item.state == AttentionState::Open);
            let payload = json!({ "attention": shown, "item": newest.map(item_payload) });
            let event = self.session.event(EventType::SessionAttentionChanged, now, payload);
            self.events.push(event);
        }
    }

    /// The attempt's record follows the session: leases end, and with the run the attempt.
    fn settle_attempt(&mut self, now: Timestamp) {
        let Some(attempt) = &mut self.attempt else { return };
        let lease = self.session.run.lease.as_ref();
        for granted in &mut attempt.leases {
            let held = lease.is_some_and(|lease| lease.fencing_token == granted.fencing_token);
            if !held && granted.released_at.is_none() {
                granted.released_at = Some(now);
            }
        }
        if let Some(lease) = lease
            && !attempt.leases.iter().any(|known| known.fencing_token == lease.fencing_token)
        {
            attempt.leases.push(lease.clone());
            attempt.used_before = attempt.usage;
        }
        if attempt.ended_at.is_none()
            && let Some(outcome) = ended_as(&self.events)
        {
            attempt.ended_at = Some(now);
            let metrics = &self.session.metrics;
            attempt.error = metrics.error.clone().or_else(|| {
                (outcome == "failed" || outcome == "timeout")
                    .then(|| metrics.previous_errors.last().cloned())
                    .flatten()
            });
            attempt.outcome = Some(outcome);
            let took = metrics
                .execution_ms
                .map(|all| all.saturating_sub(self.before.value.metrics.execution_ms.unwrap_or(0)));
            let ended = Ended::of(&self.session, attempt, took);
            self.writes.extend(ended.map(|ended| Write::Vitals(VitalsWrite::Ended(ended))));
        }
        let expect = match &self.attempt_before {
            Some(before) if before.value == *attempt => return,
            Some(before) => Expect::At(before.version),
            None => Expect::Absent,
        };
        self.writes.push(Write::Attempt(Put { expect, value: attempt.clone() }));
    }
}

/// The first terminal status that these events tell of.
fn ended_as(events: &[DomainEvent]) -> Option<String> {
    let changes = events.iter().filter(|event| event.event_type == EventType::SessionStatusChanged);
    let mut statuses = changes.filter_map(|event| event.payload.get("new_status")?.as_str());
    statuses
        .find(|slug| SessionStatus::parse(slug).is_some_and(SessionStatus::is_terminal))
        .map(str::to_owned)
}

/// What an event tells of an item.
#[must_use]
pub fn item_payload(item: &AttentionItem) -> Value {
    json!({
        "id": item.id, "kind": item.kind, "title": item.title, "risk": item.risk,
        "deadline": item.deadline, "state": item.state, "decision": item.decision,
    })
}

/// How the tenant's counters follow from a session before and after a change.
#[must_use]
pub fn counter_changes(before: Option<&Session>, after: &Session) -> Vec<(Counter, CounterChange)> {
    let standing =
        |session: &Session| session.stamps.deleted_at.is_none().then(|| session.status());
    let (old, new) = (before.and_then(standing), standing(after));
    let mut changes = Vec::new();
    if old == new {
        return changes;
    }
    if let Some(status) = old {
        changes.push((Counter::SessionsIn(status), CounterChange::Add(-1)));
    }
    if let Some(status) = new {
        changes.push((Counter::SessionsIn(status), CounterChange::Add(1)));
    }
    let open =
        |status: Option<SessionStatus>| i64::from(status.is_some_and(SessionStatus::is_open));
    if open(old) != open(new) {
        changes.push((Counter::OpenSessions, CounterChange::Add(open(new) - open(old))));
    }
    changes
}

/// The audit entry of a change that a caller asked for; parts of the product need none. A new session
/// whose agent may do anything without asking is told with that.
#[must_use]
pub fn audit(
    by: By<'_>,
    action: &str,
    reason: Option<&str>,
    before: Option<&Session>,
    after: &Session,
    now: Timestamp,
) -> Option<AuditEntry> {
    let By::Caller(ctx) = by else { return None };
    let brief = |session: &Session| json!({ "status": session.status(), "priority": session.spec.priority.level() });
    let mut stands = brief(after);
    let policy = &after.spec.permission_policy;
    if before.is_none() && policy.allows_anything() {
        stands["permission_policy"] = policy.facts();
    }
    Some(AuditEntry {
        at: now,
        actor: ctx.actor(),
        action: action.to_owned(),
        subject: after.subject(),
        ok: true,
        reason: reason.map(str::to_owned),
        before: before.map(brief),
        after: Some(stands),
        request_id: Some(ctx.request_id.clone()),
    })
}

/// A new attention item's identity.
#[must_use]
pub const fn item_id(id: Uuid) -> AttentionId {
    AttentionId::new(id)
}
