//! Counts work that ended on agents: figures, tier and breaker follow from it.
//!
//! What ended is written with the end of its attempt and counted here, by one writer, so that the end of
//! a session never waits for the figures of its agent.
//!
//! Invariant: work is counted once: its row goes in the commit that counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::AgentService;
use super::outlook::vitals_in;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::ports::vitals::VitalsWrite;
use crate::application::session::change::{item_id, item_payload};
use crate::domain::agent::Agent;
use crate::domain::agent::trend::Direction;
use crate::domain::agent::vitals::{Ended, Shift, Vitals};
use crate::domain::attention::{Attention, AttentionItem, AttentionKind, News};
use crate::domain::event::{DomainEvent, EventType, StoredEvent, Subject, SubjectKind};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// How often uncounted work is looked for, whatever happened.
const AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// Work that is read at once.
const BATCH: usize = 500;

impl AgentService {
    /// Counts what ends, until cancelled.
    pub async fn keep_figures(self, stop: CancellationToken) {
        let mut feed = self.store.feed();
        loop {
            if let Err(error) = self.count_all().await {
                tracing::warn!(%error, "Work that ended could not be counted; it is in a moment");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(AT_LEAST_EVERY) => {}
                () = work_ended(&mut feed) => {}
            }
        }
    }

    /// Counts all that ended.
    ///
    /// # Errors
    /// The store's; agents whose work can be counted are.
    pub async fn count_all(&self) -> Result<(), AppError> {
        loop {
            let found = self.store.fleet().await?.uncounted(BATCH).await?;
            let (is_all, mut failed) = (found.len() < BATCH, None);
            let mut by_agent: BTreeMap<(TenantId, AgentId), Vec<Ended>> = BTreeMap::new();
            for (tenant, ended) in found {
                by_agent.entry((tenant, ended.agent_id)).or_default().push(ended);
            }
            for ((tenant, agent), mut work) in by_agent {
                work.sort_by_key(|ended| (ended.finished.at, ended.session_id));
                match self.count(tenant, agent, work).await {
                    Ok(()) => {}
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => return Err(error),
                None if is_all => return Ok(()),
                None => {}
            }
        }
    }

    /// Counts work of one agent.
    async fn count(&self, tenant: TenantId, id: AgentId, work: Vec<Ended>) -> Result<(), AppError> {
        let now = self.clock.now();
        let snapshot = self.store.snapshot(tenant).await?;
        let agent = snapshot.agent(id).await?;
        let (mut vitals, expect) = vitals_in(&*snapshot, id, now).await?;
        let least_quality = agent.as_ref().map(|agent| agent.value.behavior.min_quality_threshold);
        let mut poor_ones = BTreeSet::new();
        for ended in &work {
            let is_poor = least_quality.is_some_and(|least| ended.finished.is_poor(least));
            if is_poor && snapshot.session(ended.session_id).await?.is_some() {
                poor_ones.insert((ended.session_id, ended.attempt));
            }
        }
        drop(snapshot);
        let done = work.iter().map(|ended| (ended.agent_id, ended.session_id, ended.attempt));
        let mut set = ChangeSet::new(tenant);
        set.writes.extend(done.map(|work| Write::Vitals(VitalsWrite::Counted(work))));
        if let Some(agent) = agent {
            let least_quality = agent.value.behavior.min_quality_threshold;
            let rules = self.queue.rules().breaker;
            for ended in &work {
                let shift = vitals.count(&ended.finished, least_quality, rules, now);
                set.events.push(completed(ended, now));
                if poor_ones.contains(&(ended.session_id, ended.attempt)) {
                    let item = poor(&agent.value, ended).item(item_id(self.ids.uuid()), now);
                    set.events.push(told(&item, now));
                    set.writes.push(Write::Attention(Put { expect: Expect::Absent, value: item }));
                }
                set.events.extend(shifted(&vitals, shift, now));
            }
            set.events.push(updated(&vitals, now));
            let put = Put { expect, value: vitals };
            set.writes.push(Write::Vitals(VitalsWrite::Vitals(put)));
        }
        match self.store.commit(set).await {
            Ok(_) => Ok(()),
            // Somebody changed the figures meanwhile.
            Err(CommitError::Stale) => Err(AppError::Contended),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits until work may have ended.
async fn work_ended(feed: &mut Receiver<Arc<Vec<StoredEvent>>>) {
    let ends = |event: &StoredEvent| {
        matches!(
            event.event.event_type,
            EventType::SessionCompleted
                | EventType::SessionPartiallyCompleted
                | EventType::SessionFailed
                | EventType::SessionTimedOut
        )
    };
    loop {
        match feed.recv().await {
            Ok(batch) if !batch.iter().any(ends) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // The store is closed; whoever waits is cancelled.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

const fn subject(id: AgentId) -> Subject {
    Subject { kind: SubjectKind::Agent, id: id.uuid() }
}

/// What tells people of a result that is worse than its agent's results are to be.
fn poor(agent: &Agent, ended: &Ended) -> News {
    let (least, score) = (agent.behavior.min_quality_threshold, ended.finished.quality_score);
    let shown = score.unwrap_or_default();
    News {
        tenant_id: agent.tenant_id,
        session_id: ended.session_id,
        attempt: ended.attempt,
        kind: AttentionKind::Review,
        title: format!("the quality of its result is {shown}; at least {least} is wanted"),
        payload: json!({
            "reason": "low_quality", "agent_id": agent.id, "quality_score": score,
            "min_quality_threshold": least,
        }),
        about: format!("quality:{}", ended.attempt),
    }
}

/// The session is over, and shows nothing that waits.
fn told(item: &AttentionItem, now: Timestamp) -> DomainEvent {
    let of = Subject { kind: SubjectKind::Session, id: item.session_id.uuid() };
    let payload = json!({ "attention": Attention::None, "item": item_payload(item) });
    DomainEvent::new(EventType::SessionAttentionChanged, of, now, payload)
}

fn completed(ended: &Ended, now: Timestamp) -> DomainEvent {
    let finished = &ended.finished;
    let payload = json!({
        "session_id": ended.session_id, "attempt": ended.attempt, "outcome": finished.outcome,
        "execution_time_seconds": finished.execution_time_seconds,
        "tokens_used": finished.tokens, "cost_usd": finished.cost,
    });
    DomainEvent::new(EventType::AgentTaskCompleted, subject(ended.agent_id), now, payload)
}

pub(super) fn shifted(vitals: &Vitals, shift: Shift, now: Timestamp) -> Vec<DomainEvent> {
    let of = subject(vitals.agent_id);
    let performance = &vitals.performance;
    let tier = shift.tier.map(|(old, new)| {
        let payload =
            json!({ "old": old, "new": new, "provisional": performance.is_provisional() });
        DomainEvent::new(EventType::AgentTierChanged, of, now, payload)
    });
    let breaker = shift.breaker.map(|(old, new)| {
        let payload = json!({ "old": old, "new": new, "rate": performance.success_rate() });
        DomainEvent::new(EventType::AgentBreakerChanged, of, now, payload)
    });
    tier.into_iter().chain(breaker).collect()
}

pub(super) fn updated(vitals: &Vitals, now: Timestamp) -> DomainEvent {
    let performance = &vitals.performance;
    let trend = performance.days.success_trend(now);
    let payload = json!({
        "performance_tier": vitals.tier(), "tier_provisional": performance.is_provisional(),
        "total_tasks": performance.total.count, "successful_tasks": performance.successful,
        "partially_successful_tasks": performance.partial, "failed_tasks": performance.failed(),
        "success_rate": performance.success_rate(),
        "average_quality_score": performance.quality.value(),
        "success_rate_trend": Direction::of(trend),
    });
    DomainEvent::new(EventType::AgentPerformanceUpdated, subject(vitals.agent_id), now, payload)
}
