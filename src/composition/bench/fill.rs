//! Fills a store with sessions that were worked through, without a server: the same change sets,
//! through the same `Store::commit`, synced in groups as always.
//!
//! Each session is one change set: the session as its life left it, its attempt, every event of
//! that life, the audit entry of its creation, counters, code and fencing token. What a server would
//! write besides is left out and no part of the figures: the states in between, remembered answers,
//! transcripts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use serde_json::json;
use tokio::task::JoinSet;

use super::tell;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::store::{Sequence, Store};
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::event::DomainEvent;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::attempt::{Attempt, Lease, LeaseReason};
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::life::Outcome;
use crate::domain::session::{Cause, Lineage, Session, SessionCode};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::storage::redb::{RedbOptions, RedbStore};

/// Change sets under way at once; fewer than the store lets wait.
const COMMITTERS: usize = 512;
/// How often it is told how far it is.
const TOLD_EVERY: u64 = 100_000;

/// Adds so many sessions to the store of a directory that no server holds; the last `open` of them
/// wait in the queue, all others are completed.
pub(super) async fn fill(dir: &Path, count: u64, open: u64) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let store = RedbStore::open(
        RedbOptions::new(dir),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SystemIds),
    )
    .context("the store cannot be opened")?;
    let next = Arc::new(AtomicU64::new(0));
    let agent = AgentId::new(SystemIds.uuid());
    let mut committers = JoinSet::new();
    for _ in 0..COMMITTERS {
        let (store, clock, next) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&next));
        committers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                if number > 0 && number.is_multiple_of(TOLD_EVERY) {
                    tell(&format!("bench: {number} of {count} sessions …"));
                }
                let code = store.allocate(TenantId::BOOTSTRAP, Sequence::SessionCodes).await?;
                let token = store.allocate(TenantId::BOOTSTRAP, Sequence::FencingTokens).await?;
                let is_open = number >= count.saturating_sub(open);
                let life = Life { code, token, agent, now: clock.now() };
                store.commit(life.set(is_open)?).await?;
            }
        });
    }
    while let Some(ended) = committers.join_next().await {
        ended??;
    }
    store.close().await;
    Ok(())
}

/// What one session of the store is made from.
struct Life {
    code: u64,
    token: u64,
    agent: AgentId,
    now: Timestamp,
}

impl Life {
    /// The change set of a session that was completed, or still waits.
    fn set(&self, is_open: bool) -> anyhow::Result<ChangeSet> {
        let (mut session, created) = self.session()?;
        let mut events = vec![created];
        events.extend(session.start(Cause::by("bench", self.now))?);
        let mut set = ChangeSet::new(session.tenant_id)
            .count(Counter::SessionCodes, CounterChange::AtLeast(self.code))
            .count(Counter::FencingTokens, CounterChange::AtLeast(self.token))
            .audit(Some(self.audit(&session)));
        if is_open {
            set = set.count(Counter::OpenSessions, CounterChange::Add(1));
        } else {
            events.extend(self.work(&mut session)?);
            let value = self.attempt(session.id);
            set = set.write(Write::Attempt(Put { expect: Expect::Absent, value }));
        }
        Ok(set
            .count(Counter::SessionsIn(session.status()), CounterChange::Add(1))
            .events(events)
            .write(Write::Session(Put { expect: Expect::Absent, value: session })))
    }

    fn session(&self) -> anyhow::Result<(Session, DomainEvent)> {
        let draft = SessionDraft {
            title: Some("Make the parser accept trailing commas".to_owned()),
            initial_prompt: "The parser refuses lists that end in a comma. Accept them, keep the \
                positions in error messages right, and add tests for nested lists and for comments \
                between the last element and the comma. Do not change the public interface."
                .to_owned(),
            tags: vec!["bench".to_owned()],
            ..SessionDraft::default()
        };
        let spec = draft.accept().map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let (id, code) = (SessionId::new(SystemIds.uuid()), SessionCode::new(self.code));
        let tenant = TenantId::BOOTSTRAP;
        Ok(Session::create(id, tenant, code, spec, Lineage::default(), "bench", self.now))
    }

    /// From the queue to the end.
    fn work(&self, session: &mut Session) -> anyhow::Result<Vec<DomainEvent>> {
        let mut events = session.dispatch(self.lease(), None, Cause::by("scheduler", self.now))?;
        let outcome = Outcome {
            result: json!({ "summary": "Trailing commas are accepted; 12 tests were added." }),
            success_rate: None,
            source: None,
            confidence_score: None,
        };
        events.extend(session.complete(outcome, Cause::by("supervisor", self.now))?);
        Ok(events)
    }

    fn lease(&self) -> Lease {
        Lease {
            agent_id: self.agent,
            agent_name: "AGENT-A".to_owned(),
            fencing_token: self.token,
            granted_at: self.now,
            released_at: None,
            settled: None,
            reason: LeaseReason::Start,
        }
    }

    fn attempt(&self, session_id: SessionId) -> Attempt {
        Attempt {
            session_id,
            number: 1,
            started_at: self.now,
            ended_at: Some(self.now),
            outcome: Some("completed".to_owned()),
            error: None,
            resumed_from_checkpoint: None,
            usage: Usage::default(),
            used_before: Usage::default(),
            counted_calls: Vec::new(),
            counted_ms: 0,
            leases: vec![Lease { released_at: Some(self.now), ..self.lease() }],
            stale_reports: 0,
        }
    }

    fn audit(&self, session: &Session) -> AuditEntry {
        AuditEntry {
            at: self.now,
            actor: Actor::plain("key", "bench"),
            action: "create".to_owned(),
            subject: session.subject(),
            ok: true,
            reason: None,
            before: None,
            after: None,
            request_id: None,
        }
    }
}
