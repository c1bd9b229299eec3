//! What the tests of stores begin with: a clock that can be set, stores of both kinds, sessions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::journal::Journal;
use orchestrator::application::ports::store::Store;
use orchestrator::domain::attention::{AttentionItem, AttentionKind, AttentionState, Risk};
use orchestrator::domain::audit::{Actor, AuditEntry};
use orchestrator::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use orchestrator::domain::ids::{AgentId, AttentionId, CheckpointId, SessionId, TenantId};
use orchestrator::domain::session::attempt::{Attempt, Lease, LeaseReason};
use orchestrator::domain::session::checkpoint::{Checkpoint, CheckpointTrigger};
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::{Cause, Lineage, Session, SessionCode};
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::Usage;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use orchestrator::infrastructure::storage::redb::{RedbOptions, RedbStore};
use serde_json::{Value, json};
use tempfile::TempDir;

/// When tests begin.
pub(crate) const START: i64 = 1_800_000_000_000;

/// An instant after the beginning.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// A clock that stands still until it is moved.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(START)))
    }

    pub(crate) fn set(&self, to: Timestamp) {
        self.0.store(to.millis(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A store of one kind, with what it needs to live.
pub(crate) struct Kit {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<SetClock>,
    _dir: Option<TempDir>,
}

impl Kit {
    pub(crate) fn memory() -> Self {
        let clock = SetClock::new();
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemIds));
        Self { store: Arc::clone(&store) as Arc<dyn Store>, journal: store, clock, _dir: None }
    }

    pub(crate) fn redb() -> Self {
        let (clock, dir) = (SetClock::new(), TempDir::new().expect("a directory"));
        let store = open_redb(dir.path(), &clock);
        let journal = Arc::clone(&store) as Arc<dyn Journal>;
        Self { store, journal, clock, _dir: Some(dir) }
    }
}

/// The embedded store of a directory.
pub(crate) fn open_redb(dir: &std::path::Path, clock: &Arc<SetClock>) -> Arc<RedbStore> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    RedbStore::open(RedbOptions::new(dir), clock, Arc::new(SystemIds)).expect("the store opens")
}

/// Two tenants whose ids are neighbours.
pub(crate) const TENANT: TenantId = TenantId::BOOTSTRAP;

/// The tenant whose id comes next.
pub(crate) fn neighbour() -> TenantId {
    TenantId::new(uuid::Uuid::from_u128(2))
}

/// A new id.
pub(crate) fn session_id() -> SessionId {
    SessionId::new(SystemIds.uuid())
}

/// A new pending session.
pub(crate) fn session(tenant: TenantId, code: u64) -> (Session, DomainEvent) {
    session_from(
        tenant,
        code,
        SessionDraft { initial_prompt: "Repair the parser".to_owned(), ..Default::default() },
        Lineage::default(),
    )
}

/// A new pending session from a draft.
pub(crate) fn session_from(
    tenant: TenantId,
    code: u64,
    draft: SessionDraft,
    lineage: Lineage,
) -> (Session, DomainEvent) {
    let code = SessionCode::new(code);
    let spec = draft.accept().expect("a valid draft");
    Session::create(session_id(), tenant, code, spec, lineage, "tests", at(0))
}

/// A write of something that must not exist.
pub(crate) fn fresh<T>(value: T) -> Put<T> {
    Put { expect: Expect::Absent, value }
}

/// The change set that makes a session.
pub(crate) fn creation(session: &Session, event: DomainEvent) -> ChangeSet {
    ChangeSet::new(session.tenant_id).write(Write::Session(fresh(session.clone()))).events([event])
}

/// Stores a new session and returns it.
pub(crate) async fn stored(store: &dyn Store, tenant: TenantId, code: u64) -> Session {
    let (session, event) = session(tenant, code);
    store.commit(creation(&session, event)).await.expect("it is stored");
    session
}

/// A lease.
pub(crate) fn lease(fencing_token: u64) -> Lease {
    Lease {
        agent_id: AgentId::new(SystemIds.uuid()),
        agent_name: "AGENT-A".to_owned(),
        fencing_token,
        granted_at: at(1),
        released_at: None,
        settled: None,
        reason: LeaseReason::Start,
    }
}

/// Who did it.
pub(crate) fn by() -> Cause<'static> {
    Cause::by("tests", at(1))
}

/// An attempt.
pub(crate) fn attempt(session_id: SessionId, number: u32) -> Attempt {
    Attempt {
        session_id,
        number,
        started_at: at(1),
        ended_at: None,
        outcome: None,
        error: None,
        resumed_from_checkpoint: None,
        usage: Usage::default(),
        used_before: Usage::default(),
        counted_calls: Vec::new(),
        counted_ms: 0,
        leases: vec![lease(1)],
        stale_reports: 0,
    }
}

/// A checkpoint.
pub(crate) fn checkpoint(session_id: SessionId, sequence: u64) -> Checkpoint {
    Checkpoint {
        id: CheckpointId::new(SystemIds.uuid()),
        session_id,
        sequence,
        created_at: at(1),
        trigger: CheckpointTrigger::Turn,
        data: json!({ "step": sequence }),
        agent_session_ref: None,
        agent_message_ref: None,
        workspace_ref: None,
        context_versions: std::collections::BTreeMap::new(),
        state_hash: "00".to_owned(),
    }
}

/// An open item with a deadline.
pub(crate) fn item(tenant_id: TenantId, session_id: SessionId, deadline: i64) -> AttentionItem {
    AttentionItem {
        id: AttentionId::new(SystemIds.uuid()),
        tenant_id,
        session_id,
        attempt: 1,
        kind: AttentionKind::Question,
        title: "Which one?".to_owned(),
        payload: Value::Null,
        fingerprint: "f".to_owned(),
        risk: Risk::Low,
        state: AttentionState::Open,
        decision: None,
        answer: None,
        resolved_by: None,
        created_at: at(0),
        deadline: at(deadline),
        resolved_at: None,
        agent_ref: String::new(),
    }
}

/// An audit entry.
pub(crate) fn audit(action: &str) -> AuditEntry {
    AuditEntry {
        at: at(0),
        actor: Actor::plain("key", "k"),
        action: action.to_owned(),
        subject: Subject { kind: SubjectKind::System, id: uuid::Uuid::nil() },
        ok: true,
        reason: None,
        before: None,
        after: Some(json!({ "a": 1 })),
        request_id: None,
    }
}

/// An event about the system.
pub(crate) fn note(number: u64) -> DomainEvent {
    let subject = Subject { kind: SubjectKind::System, id: uuid::Uuid::nil() };
    DomainEvent::new(EventType::SystemStarted, subject, at(0), json!({ "n": number }))
}
