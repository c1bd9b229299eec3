//! Tells when an agent is in another state, or busier or less busy than it was, and when it works on something
//! for longer than it said it ever would.
//!
//! What changes within a moment is told as one change, and what changes back within it is not told at all.
//!
//! Invariant: a change is told once: what was told last is known here. A server that was just started tells
//! what changes from then on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::AgentService;
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::scheduler::roster::Stirred;
use crate::application::session::SessionService;
use crate::application::session::overrun::Overrun;
use crate::domain::agent::load::LoadLevel;
use crate::domain::agent::status::{AgentState, Standing};
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Changes that come closer than this are told as one.
const MOMENT: Duration = Duration::from_secs(1);
/// How often it is looked who works for too long.
const OVERRUNS: Duration = Duration::from_secs(15);
/// Changes that are told in one commit.
const AT_ONCE: usize = 500;

/// What was told of an agent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    state: AgentState,
    level: LoadLevel,
}

impl Told {
    fn of(standing: &Standing) -> Self {
        Self { state: standing.state(), level: standing.burden.level() }
    }
}

/// What was told of all agents last.
#[derive(Debug, Default)]
struct Known(BTreeMap<(TenantId, AgentId), Told>);

impl Known {
    /// What is to be told of an agent that stirred. One that was never seen before was as it was when it
    /// came.
    fn note(
        &mut self,
        (tenant, agent): (TenantId, AgentId),
        stirred: &Stirred,
        now: Timestamp,
    ) -> Vec<DomainEvent> {
        let Some(standing) = &stirred.now else {
            self.0.remove(&(tenant, agent));
            return Vec::new();
        };
        let is = Told::of(standing);
        let before = self.0.insert((tenant, agent), is);
        let Some(was) = before.or_else(|| stirred.first.as_ref().map(Told::of)) else {
            return Vec::new();
        };
        let subject = Subject { kind: SubjectKind::Agent, id: agent.uuid() };
        let state = (was.state != is.state).then(|| {
            let payload = json!({ "old_state": was.state, "new_state": is.state });
            DomainEvent::new(EventType::AgentStateChanged, subject, now, payload)
        });
        let load = (was.level != is.level).then(|| {
            let used = standing.burden.utilization() * 100.0;
            let payload = json!({ "load_level": is.level, "utilization_percentage": used });
            DomainEvent::new(EventType::AgentLoadChanged, subject, now, payload)
        });
        state.into_iter().chain(load).collect()
    }
}

impl AgentService {
    /// Tells of changes until cancelled.
    pub async fn tell_of_changes(self, sessions: SessionService, stop: CancellationToken) {
        let (mut known, mut looked_at) = (Known::default(), Timestamp::EPOCH);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(MOMENT) => {}
            }
            self.tell_of_standing(&mut known).await;
            let now = self.clock.now();
            if now.since(looked_at) >= OVERRUNS {
                looked_at = now;
                if let Err(error) = self.tell_of_overruns(&sessions).await {
                    tracing::warn!(%error, "Who works for too long could not be looked for");
                }
            }
        }
    }

    /// What cannot be stored now is told when the agent changes next.
    async fn tell_of_standing(&self, known: &mut Known) {
        let now = self.clock.now();
        let mut told: BTreeMap<TenantId, Vec<DomainEvent>> = BTreeMap::new();
        for (tenant, agent, stirred) in self.queue.take_stirred() {
            let events = known.note((tenant, agent), &stirred, now);
            if !events.is_empty() {
                told.entry(tenant).or_default().extend(events);
            }
        }
        for (tenant, events) in told {
            for some in events.chunks(AT_ONCE) {
                let set = ChangeSet::new(tenant).events(some.to_vec());
                if let Err(error) = self.store.commit(set).await {
                    tracing::debug!(%error, "How agents changed could not be told");
                }
            }
        }
    }

    /// Tells of work that takes an agent longer than it said that any would.
    async fn tell_of_overruns(&self, sessions: &SessionService) -> Result<(), AppError> {
        let executing = [SessionStatus::Running, SessionStatus::Degraded];
        let found = self.store.fleet().await?.sessions_in(&executing).await?;
        let now = self.clock.now();
        for session in found.into_iter().map(|found| found.value) {
            let Some(lease) =
                session.run.lease.as_ref().filter(|lease| lease.released_at.is_none())
            else {
                continue;
            };
            let worked = now.since(lease.granted_at);
            if worked < SHORTEST {
                continue;
            }
            let snapshot = self.store.snapshot(session.tenant_id).await?;
            let Some(agent) = snapshot.agent(lease.agent_id).await? else { continue };
            drop(snapshot);
            let limit_hours = agent.value.behavior.max_task_duration_hours;
            let hours = worked.as_secs_f64() / 3600.0;
            if hours > limit_hours {
                let (agent, fencing_token) = (lease.agent_id, lease.fencing_token);
                let overrun = Overrun { agent, fencing_token, hours, limit_hours };
                sessions.tell_of_overrun(session.tenant_id, session.id, &overrun).await?;
            }
        }
        Ok(())
    }
}

/// No agent may say that all its work is done sooner.
const SHORTEST: Duration = Duration::from_mins(30);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::agent::breaker::BreakerState;
    use crate::domain::agent::load::{Burden, Load, Units};
    use crate::domain::agent::performance::Tier;
    use crate::domain::agent::profile::Switches;

    fn standing(tasks: u32) -> Standing {
        let load = (0..tasks).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
        Standing {
            switches: Switches::ON,
            is_alive: true,
            heartbeat: None,
            tier: Tier::Competent,
            breaker: BreakerState::Closed,
            is_probing: false,
            burden: Burden { load, capacity: 4, reported: 0.0 },
            assigned_at: None,
        }
    }

    #[test]
    fn what_differs_from_what_was_told_is_told_once() {
        let mut known = Known::default();
        let who = (TenantId::BOOTSTRAP, AgentId::new(Uuid::from_u128(1)));
        let mut tell = |first: Option<Standing>, now: Option<Standing>| {
            let events = known.note(who, &Stirred { first, now }, Timestamp::EPOCH);
            let spell = |event: DomainEvent| {
                (event.event_type, serde_json::to_string(&event.payload).expect("JSON"))
            };
            events.into_iter().map(spell).collect::<Vec<_>>()
        };
        let none: [(EventType, String); 0] = [];
        assert_eq!(tell(Some(standing(0)), Some(standing(0))), none, "so it came");
        assert_eq!(tell(None, Some(standing(0))), none);
        let id = who.1;
        let busier = tell(Some(standing(3)), Some(standing(1)));
        let state = format!(r#"{{"agent_id":"{id}","new_state":"active","old_state":"idle"}}"#);
        let load = r#""load_level":"optimal","utilization_percentage":25.0"#;
        assert_eq!(busier[0], (EventType::AgentStateChanged, state));
        assert_eq!(busier[1].0, EventType::AgentLoadChanged);
        assert!(busier[1].1.contains(load), "{busier:?}");
        assert_eq!(tell(None, Some(standing(2))), none, "as busy as before");
        let gone = Standing { is_alive: false, ..standing(2) };
        assert_eq!(tell(None, Some(gone)).len(), 1);
        assert_eq!(tell(Some(gone), None), none);
        let came = tell(Some(standing(0)), Some(standing(2)));
        assert_eq!(came.len(), 2, "it came anew, and changed at once: {came:?}");
    }
}
