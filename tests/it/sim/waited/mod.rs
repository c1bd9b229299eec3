//! The embedded store as one step of a simulation: whoever calls it waits on the spot, so that its
//! threads decide nothing about the order in which things happen.

mod contexts;
mod fleet;
mod tasks;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use async_trait::async_trait;
use orchestrator::application::ports::changes::{ChangeSet, Counter, Remembered};
use orchestrator::application::ports::journal::{Appended, Entry, Journal, NewEntry, Stream};
use orchestrator::application::ports::people::PeopleReads;
use orchestrator::application::ports::reads::{
    AttentionReads, EventReads, Fleet, Logged, SessionPage, SessionQuery, SessionReads, Snapshot,
};
use orchestrator::application::ports::store::{
    CommitError, Committed, Outdated, Sequence, Store, StoreError, StoreHealth,
};
use orchestrator::application::ports::usage::{UsageCursor, UsageReads};
use orchestrator::application::ports::vitals::VitalsReads;
use orchestrator::application::ports::webhooks::WebhookReads;
use orchestrator::domain::agent::Agent;
use orchestrator::domain::agent::heartbeat::Heartbeat;
use orchestrator::domain::agent::vitals::Vitals;
use orchestrator::domain::attention::{AttentionItem, AttentionState};
use orchestrator::domain::audit::StoredAudit;
use orchestrator::domain::event::StoredEvent;
use orchestrator::domain::ids::{
    AgentId, AttentionId, DeliveryId, KeyId, SessionId, TenantId, UserId, WebhookId,
};
use orchestrator::domain::session::attempt::Attempt;
use orchestrator::domain::session::checkpoint::Checkpoint;
use orchestrator::domain::session::{Session, SessionCode};
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::ApiKey;
use orchestrator::domain::tenant::user::{ProviderIdentity, User};
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::month::LimitsTold;
use orchestrator::domain::usage::period::Day;
use orchestrator::domain::usage::price::PriceTable;
use orchestrator::domain::usage::record::UsageRecord;
use orchestrator::domain::usage::rollup::DayUsage;
use orchestrator::domain::version::Versioned;
use orchestrator::domain::webhook::Webhook;
use orchestrator::domain::webhook::delivery::{Delivery, DeliveryState};
use orchestrator::domain::webhook::progress::Progress;
use orchestrator::domain::webhook::waiting::Waiting;
use orchestrator::infrastructure::storage::redb::RedbStore;
use tokio::sync::broadcast;

use self::fleet::Seen;

type Read<T> = Result<T, StoreError>;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on the spot, whatever other threads have to do for it.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    // The budget of the task that calls must not run out in here.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The embedded store, waited for.
pub(crate) struct Waited {
    store: Arc<RedbStore>,
    events: broadcast::Sender<Arc<Vec<StoredEvent>>>,
}

impl Waited {
    pub(crate) fn new(store: Arc<RedbStore>) -> Self {
        Self { store, events: broadcast::Sender::new(4096) }
    }
}

#[async_trait]
impl Store for Waited {
    async fn snapshot(&self, tenant: TenantId) -> Read<Box<dyn Snapshot>> {
        wait(self.store.snapshot(tenant))
            .map(|inner| Box::new(Shown(inner, Reads(None))) as Box<dyn Snapshot>)
    }

    async fn fleet(&self) -> Read<Box<dyn Fleet>> {
        wait(self.store.fleet()).map(|inner| Box::new(Seen(inner, Reads(None))) as Box<dyn Fleet>)
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError> {
        let tells = !changes.events.is_empty();
        let mut feed = self.store.feed();
        let committed = wait(self.store.commit(changes))?;
        if tells && let Ok(batch) = wait(feed.recv()) {
            // Fails when nobody listens.
            self.events.send(batch).ok();
        }
        Ok(committed)
    }

    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Read<u64> {
        wait(self.store.allocate(tenant, sequence))
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.events.subscribe()
    }

    fn health(&self) -> StoreHealth {
        self.store.health()
    }

    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError> {
        wait(self.store.remove_outdated(what, limit))
    }

    async fn forget_expired(&self, now: Timestamp, limit: usize) -> Result<usize, CommitError> {
        wait(self.store.forget_expired(now, limit))
    }
}

#[async_trait]
impl Journal for Waited {
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError> {
        wait(self.store.append(tenant, session, stream, entries))
    }

    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Read<Vec<Entry>> {
        wait(self.store.read(tenant, session, stream, after, limit))
    }

    async fn weight(&self, tenant: TenantId, session: SessionId) -> Read<u64> {
        wait(self.store.weight(tenant, session))
    }

    fn appended(&self) -> broadcast::Receiver<Arc<Appended>> {
        self.store.appended()
    }
}

/// The reads of a snapshot: in bad weather one of them fails.
struct Reads(Option<AtomicU32>);

impl Reads {
    fn read<T>(&self, reading: impl Future<Output = Read<T>>) -> Read<T> {
        if let Some(left) = &self.0
            && left.fetch_sub(1, Ordering::Relaxed) == 0
        {
            return Err(StoreError::Unavailable);
        }
        wait(reading)
    }
}

/// A snapshot of which a read fails after so many that go well.
pub(crate) fn failing(inner: Box<dyn Snapshot>, after: u32) -> Box<dyn Snapshot> {
    Box::new(Shown(inner, Reads(Some(AtomicU32::new(after)))))
}

/// The same for what is seen of all tenants.
pub(crate) fn failing_fleet(inner: Box<dyn Fleet>, after: u32) -> Box<dyn Fleet> {
    Box::new(Seen(inner, Reads(Some(AtomicU32::new(after)))))
}

struct Shown(Box<dyn Snapshot>, Reads);

#[async_trait]
impl SessionReads for Shown {
    async fn session(&self, id: SessionId) -> Read<Option<Versioned<Session>>> {
        self.1.read(self.0.session(id))
    }

    async fn deleted_session(&self, id: SessionId) -> Read<Option<Versioned<Session>>> {
        self.1.read(self.0.deleted_session(id))
    }

    async fn session_by_code(&self, code: SessionCode) -> Read<Option<SessionId>> {
        self.1.read(self.0.session_by_code(code))
    }

    async fn sessions(&self, query: SessionQuery) -> Read<SessionPage> {
        self.1.read(self.0.sessions(query))
    }

    async fn children(&self, parent: SessionId, limit: usize) -> Read<Vec<SessionId>> {
        self.1.read(self.0.children(parent, limit))
    }

    async fn followers(&self, awaited: SessionId, limit: usize) -> Read<Vec<SessionId>> {
        self.1.read(self.0.followers(awaited, limit))
    }

    async fn attempt(&self, session: SessionId, number: u32) -> Read<Option<Versioned<Attempt>>> {
        self.1.read(self.0.attempt(session, number))
    }

    async fn attempts(&self, session: SessionId) -> Read<Vec<Versioned<Attempt>>> {
        self.1.read(self.0.attempts(session))
    }

    async fn checkpoint(&self, session: SessionId, sequence: u64) -> Read<Option<Checkpoint>> {
        self.1.read(self.0.checkpoint(session, sequence))
    }

    async fn checkpoints(&self, session: SessionId) -> Read<Vec<Checkpoint>> {
        self.1.read(self.0.checkpoints(session))
    }
}

#[async_trait]
impl AttentionReads for Shown {
    async fn attention(&self, id: AttentionId) -> Read<Option<Versioned<AttentionItem>>> {
        self.1.read(self.0.attention(id))
    }

    async fn attention_items(
        &self,
        session: Option<SessionId>,
        state: Option<AttentionState>,
        after: Option<AttentionId>,
        limit: usize,
    ) -> Read<Vec<Versioned<AttentionItem>>> {
        self.1.read(self.0.attention_items(session, state, after, limit))
    }
}

#[async_trait]
impl EventReads for Shown {
    async fn last_seq(&self) -> Read<u64> {
        self.1.read(self.0.last_seq())
    }

    async fn first_seq(&self) -> Read<u64> {
        self.1.read(self.0.first_seq())
    }

    async fn events(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Read<Vec<StoredEvent>> {
        self.1.read(self.0.events(after, session, limit))
    }

    async fn log(&self, after: u64, session: Option<SessionId>, limit: usize) -> Read<Vec<Logged>> {
        wait(self.0.log(after, session, limit))
    }

    async fn audit_head(&self) -> Read<Option<(u64, String)>> {
        self.1.read(self.0.audit_head())
    }

    async fn audit(&self, after: u64, limit: usize) -> Read<Vec<StoredAudit>> {
        self.1.read(self.0.audit(after, limit))
    }
}

#[async_trait]
impl WebhookReads for Shown {
    async fn webhooks(&self) -> Read<Vec<Versioned<Webhook>>> {
        self.1.read(self.0.webhooks())
    }

    async fn webhook(&self, id: WebhookId) -> Read<Option<Versioned<Webhook>>> {
        self.1.read(self.0.webhook(id))
    }

    async fn webhook_progress(&self, id: WebhookId) -> Read<Option<Versioned<Progress>>> {
        self.1.read(self.0.webhook_progress(id))
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Read<Option<Versioned<Delivery>>> {
        self.1.read(self.0.delivery(webhook, id))
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Read<Vec<Versioned<Delivery>>> {
        self.1.read(self.0.deliveries(webhook, state, before, limit))
    }

    async fn waiting_deliveries(&self, webhook: WebhookId) -> Read<Vec<Waiting>> {
        self.1.read(self.0.waiting_deliveries(webhook))
    }

    async fn oldest_finished(&self, webhook: WebhookId, limit: usize) -> Read<Vec<DeliveryId>> {
        self.1.read(self.0.oldest_finished(webhook, limit))
    }
}

#[async_trait]
impl UsageReads for Shown {
    async fn usage_records(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<UsageCursor>,
        limit: usize,
    ) -> Read<Vec<UsageRecord>> {
        self.1.read(self.0.usage_records(from, to, after, limit))
    }

    async fn usage_day(&self, day: Day) -> Read<Option<Versioned<DayUsage>>> {
        self.1.read(self.0.usage_day(day))
    }

    async fn last_usage_day(&self) -> Read<Option<Day>> {
        self.1.read(self.0.last_usage_day())
    }

    async fn prices(&self) -> Read<Option<Versioned<PriceTable>>> {
        self.1.read(self.0.prices())
    }

    async fn limits_told(&self) -> Read<Option<Versioned<LimitsTold>>> {
        wait(self.0.limits_told())
    }
}
#[async_trait]
impl VitalsReads for Shown {
    async fn vitals(&self, agent: AgentId) -> Read<Option<Versioned<Vitals>>> {
        self.1.read(self.0.vitals(agent))
    }
    async fn all_vitals(&self) -> Read<Vec<Vitals>> {
        self.1.read(self.0.all_vitals())
    }
    async fn heartbeat(&self, agent: AgentId) -> Read<Option<Heartbeat>> {
        self.1.read(self.0.heartbeat(agent))
    }
    async fn heartbeats(&self) -> Read<Vec<Heartbeat>> {
        self.1.read(self.0.heartbeats())
    }
}

#[async_trait]
impl PeopleReads for Shown {
    async fn user(&self, id: UserId) -> Read<Option<Versioned<User>>> {
        self.1.read(self.0.user(id))
    }

    async fn user_by_email(&self, email: &str) -> Read<Option<UserId>> {
        self.1.read(self.0.user_by_email(email))
    }

    async fn user_by_identity(&self, identity: &ProviderIdentity) -> Read<Option<UserId>> {
        self.1.read(self.0.user_by_identity(identity))
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Read<Vec<Versioned<User>>> {
        self.1.read(self.0.users(after, limit))
    }

    async fn keys_of(&self, user: UserId) -> Read<Vec<Versioned<ApiKey>>> {
        self.1.read(self.0.keys_of(user))
    }

    async fn invites(&self, after: Option<KeyId>, limit: usize) -> Read<Vec<Versioned<ApiKey>>> {
        self.1.read(self.0.invites(after, limit))
    }

    async fn key_used(&self, id: KeyId) -> Read<Option<Timestamp>> {
        self.1.read(self.0.key_used(id))
    }
}

#[async_trait]
impl Snapshot for Shown {
    async fn tenant(&self) -> Read<Option<Versioned<Tenant>>> {
        self.1.read(self.0.tenant())
    }

    async fn counter(&self, counter: Counter) -> Read<i64> {
        self.1.read(self.0.counter(counter))
    }

    async fn remembered(&self, key: [u8; 32]) -> Read<Option<Remembered>> {
        self.1.read(self.0.remembered(key))
    }

    async fn agent(&self, id: AgentId) -> Read<Option<Versioned<Agent>>> {
        self.1.read(self.0.agent(id))
    }

    async fn api_key(&self, id: KeyId) -> Read<Option<Versioned<ApiKey>>> {
        self.1.read(self.0.api_key(id))
    }

    async fn api_keys(&self, after: Option<KeyId>, limit: usize) -> Read<Vec<Versioned<ApiKey>>> {
        self.1.read(self.0.api_keys(after, limit))
    }

    async fn agents(&self) -> Read<Vec<Versioned<Agent>>> {
        self.1.read(self.0.agents())
    }
}
