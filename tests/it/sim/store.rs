//! The store as the server under test sees it: slow, busy, full, cut off, and sometimes with a bug
//! that was planted to see whether it is found.

use std::sync::Arc;

use async_trait::async_trait;
use orchestrator::application::ports::changes::{ChangeSet, Counter, Expect, Write};
use orchestrator::application::ports::journal::{Appended, Entry, Journal, NewEntry, Stream};
use orchestrator::application::ports::reads::{Fleet, Snapshot};
use orchestrator::application::ports::store::{
    CommitError, Committed, Outdated, Sequence, Store, StoreError, StoreHealth,
};
use orchestrator::domain::attention::{AttentionKind, Decision};
use orchestrator::domain::event::StoredEvent;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::time::Timestamp;
use tokio::sync::broadcast;

use super::waited::{failing, failing_fleet};
use super::weather::{Fate, Weather};
use crate::recovery::disk::Disk;

/// Bugs that a product like this could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A commit is acknowledged and was never made.
    LostCommit,
    /// A counter is not kept.
    LostCount,
    /// The last event of a change is not written.
    LostEvent,
    /// Who did it is not written.
    LostAudit,
    /// Answers are not remembered.
    LostAnswer,
    /// Bounds are checked before the commit and not in it.
    NoGuards,
    /// The last writer wins.
    NoVersions,
    /// A fencing token is given out twice.
    SameToken,
    /// One tenant is shown another one's data.
    WrongTenant,
    /// Nobody looks for what is due.
    NoReconciler,
    /// Runs are left open at the agent.
    NeverClosed,
    /// What somebody allowed is stored as denied.
    AlteredDecision,
    /// What somebody allowed is told to the agent as denied.
    GarbledAnswer,
    /// What a call used is counted twice.
    DoubledUsage,
    /// What was used is not counted.
    LostUsage,
    /// A prompt that was taken is not there.
    LostPrompt,
}

impl Planted {
    pub(crate) const ALL: [Self; 16] = [
        Self::LostCommit,
        Self::LostCount,
        Self::LostEvent,
        Self::LostAudit,
        Self::LostAnswer,
        Self::NoGuards,
        Self::NoVersions,
        Self::SameToken,
        Self::WrongTenant,
        Self::NoReconciler,
        Self::NeverClosed,
        Self::AlteredDecision,
        Self::GarbledAnswer,
        Self::DoubledUsage,
        Self::LostUsage,
        Self::LostPrompt,
    ];
}

/// The store behind the weather.
pub(crate) struct SimStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) planted: Option<Planted>,
    /// The disk below, when there is one.
    pub(crate) disk: Option<Disk>,
}

impl SimStore {
    /// Reads until one fails, of a snapshot that is taken now.
    fn fails_after(&self) -> Option<u32> {
        let fails = self.weather.strikes(0.003);
        fails.then(|| u32::try_from(self.weather.below(4)).expect("small"))
    }

    fn has(&self, bug: Planted, one_in: u64) -> bool {
        self.planted == Some(bug) && self.weather.below(one_in) == 0
    }

    /// What a store with the planted bug makes of a change.
    async fn twisted(&self, mut changes: ChangeSet) -> ChangeSet {
        if self.has(Planted::LostCount, 10) {
            let is_number = |counter: &Counter| {
                matches!(counter, Counter::SessionCodes | Counter::FencingTokens)
            };
            changes.counters.retain(|(counter, _)| is_number(counter));
        }
        if self.has(Planted::LostEvent, 10) {
            changes.events.pop();
        }
        if self.has(Planted::LostAudit, 5) {
            changes.audit = None;
        }
        if self.has(Planted::LostAnswer, 1) {
            changes.remembered = None;
        }
        for write in &mut changes.writes {
            self.twist(write);
        }
        if self.has(Planted::NoGuards, 1) {
            changes.guards.clear();
        }
        if self.has(Planted::NoVersions, 1) {
            let now = self.inner.snapshot(changes.tenant).await.expect("readable");
            for write in &mut changes.writes {
                if let Write::Session(put) = write
                    && let Ok(Some(found)) = now.session(put.value.id).await
                {
                    put.expect = Expect::At(found.version);
                }
            }
        }
        changes
    }

    fn twist(&self, write: &mut Write) {
        if let Write::Attention(put) = write
            && put.value.resolved_by.as_deref() == Some("ann")
            && put.value.kind == AttentionKind::Permission
            && self.has(Planted::AlteredDecision, 2)
        {
            put.value.decision = Some(Decision::Deny);
        }
        let Write::Session(put) = write else { return };
        if self.has(Planted::DoubledUsage, 10) {
            let metrics = &mut put.value.metrics;
            metrics.usage = metrics.usage.plus(&metrics.usage);
        }
        if self.has(Planted::LostPrompt, 3) {
            put.value.run.prompts.pop();
        }
    }
}

impl SimStore {
    /// I7: no committed state goes beyond the quotas, which nobody changes here.
    async fn watch_bounds(&self, tenant: TenantId) {
        let now = self.inner.snapshot(tenant).await.expect("readable");
        let Some(found) = now.tenant().await.expect("readable") else { return };
        let quotas = found.value.quotas;
        for (counter, limit) in [
            (Counter::OpenSessions, quotas.max_concurrent_sessions),
            (Counter::SessionsIn(SessionStatus::Queued), quotas.max_queue_depth),
        ] {
            let used = now.counter(counter).await.expect("readable");
            if limit.is_some_and(|limit| i128::from(used) > i128::from(limit)) {
                self.weather.saw(format!("I7: {counter:?} of {tenant} was {used} of {limit:?}"));
            }
        }
    }
}

#[async_trait]
impl Store for SimStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.weather.moment().await;
        if self.weather.strikes(0.002) {
            return Err(StoreError::Unavailable);
        }
        if self.has(Planted::WrongTenant, 10) {
            return self.inner.snapshot(TenantId::BOOTSTRAP).await;
        }
        let found = self.inner.snapshot(tenant).await?;
        Ok(match self.fails_after() {
            Some(after) => failing(found, after),
            None => found,
        })
    }

    async fn fleet(&self) -> Result<Box<dyn Fleet>, StoreError> {
        self.weather.moment().await;
        if self.weather.strikes(0.002) {
            return Err(StoreError::Unavailable);
        }
        let found = self.inner.fleet().await?;
        Ok(match self.fails_after() {
            Some(after) => failing_fleet(found, after),
            None => found,
        })
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError> {
        self.weather.moment().await;
        let fate = self.weather.fate();
        match fate {
            Fate::Busy => return Err(CommitError::Busy),
            Fate::Stale => return Err(CommitError::Stale),
            Fate::Full => return Err(CommitError::ReadOnly("the disk is full".to_owned())),
            Fate::DiesBefore => {
                // On a disk the power goes somewhere within the commit.
                if let Some(disk) = &self.disk {
                    disk.power_for(self.weather.below(12));
                    drop(self.inner.commit(changes).await);
                }
                return self.weather.die().await;
            }
            Fate::Done | Fate::DiesAfter | Fate::Unsure => {}
        }
        if self.has(Planted::LostCommit, 20) {
            return Ok(Committed { last_seq: 0 });
        }
        let changes = self.twisted(changes).await;
        let tenant = changes.tenant;
        let committed = self.inner.commit(changes).await;
        if committed.is_ok() {
            self.watch_bounds(tenant).await;
        }
        if fate == Fate::DiesAfter {
            return self.weather.die().await;
        }
        self.weather.moment().await;
        if fate == Fate::Unsure && committed.is_ok() {
            return Err(CommitError::ReadOnly("the last sync failed".to_owned()));
        }
        committed
    }

    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Result<u64, StoreError> {
        self.weather.moment().await;
        if self.weather.strikes(0.005) {
            return Err(StoreError::Unavailable);
        }
        if sequence == Sequence::FencingTokens && self.has(Planted::SameToken, 3) {
            // Whoever begins again begins where the first began.
            self.inner.allocate(tenant, sequence).await?;
            return Ok(1);
        }
        self.inner.allocate(tenant, sequence).await
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.inner.feed()
    }

    fn health(&self) -> StoreHealth {
        let full = || "the disk is full".to_owned();
        StoreHealth {
            read_only: self.weather.is_full().then(full),
            short_of_room: self.weather.is_short().then(full),
            ..self.inner.health()
        }
    }

    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError> {
        self.weather.moment().await;
        self.weather.chore()?;
        self.inner.remove_outdated(what, limit).await
    }

    async fn forget_expired(&self, now: Timestamp, limit: usize) -> Result<usize, CommitError> {
        self.weather.moment().await;
        self.weather.chore()?;
        self.inner.forget_expired(now, limit).await
    }
}

/// The journal behind the weather.
pub(crate) struct SimJournal {
    pub(crate) inner: Arc<dyn Journal>,
    pub(crate) weather: Arc<Weather>,
}

#[async_trait]
impl Journal for SimJournal {
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError> {
        self.weather.moment().await;
        self.weather.chore()?;
        self.inner.append(tenant, session, stream, entries).await
    }

    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(tenant, session, stream, after, limit).await
    }

    async fn weight(&self, tenant: TenantId, session: SessionId) -> Result<u64, StoreError> {
        if self.weather.strikes(0.01) {
            return Err(StoreError::Unavailable);
        }
        self.inner.weight(tenant, session).await
    }

    fn appended(&self) -> broadcast::Receiver<Arc<Appended>> {
        self.inner.appended()
    }
}
