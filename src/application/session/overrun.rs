//! Work that takes longer than its agent said that any would: people are told, once, and decide.

use serde_json::json;

use super::SessionService;
use super::change::{By, Change, item_id};
use super::report::SUPERVISOR;
use crate::application::error::AppError;
use crate::domain::attention::{AttentionKind, News};
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{AgentId, SessionId, TenantId};

/// Items that are read at once.
const PAGE: usize = 1000;

/// Work that takes too long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overrun {
    /// Who works on it.
    pub agent: AgentId,
    /// By which right.
    pub fencing_token: u64,
    /// For how long by now.
    pub hours: f64,
    /// The longest that the agent said.
    pub limit_hours: f64,
}

impl SessionService {
    /// Whether people were told this of a session before, be it settled or not.
    pub(super) async fn is_told(
        &self,
        tenant: TenantId,
        id: SessionId,
        mark: &str,
    ) -> Result<bool, AppError> {
        let (snapshot, mut after) = (self.snapshot(tenant).await?, None);
        loop {
            let items = snapshot.attention_items(Some(id), None, after, PAGE).await?;
            if items.iter().any(|item| item.value.fingerprint == mark) {
                return Ok(true);
            }
            match items.last() {
                Some(last) if items.len() == PAGE => after = Some(last.value.id),
                Some(_) | None => return Ok(false),
            }
        }
    }

    /// Tells the people of a session, once for each right to it, that its agent takes too long.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell_of_overrun(
        &self,
        tenant: TenantId,
        id: SessionId,
        overrun: &Overrun,
    ) -> Result<(), AppError> {
        let Overrun { agent, fencing_token, hours, limit_hours } = *overrun;
        let about = format!("overrun:{fencing_token}");
        let mark = News::fingerprint_of(id, &about);
        if self.is_told(tenant, id, &mark).await? {
            return Ok(());
        }
        let uuid = self.ids.uuid();
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let lease = change.session.run.lease.as_ref();
            let is_it = lease.is_some_and(|lease| lease.fencing_token == fencing_token);
            let is_known = change.items.iter().any(|item| item.fingerprint == mark);
            if !change.session.status().is_executing() || !is_it || is_known {
                return Ok(());
            }
            let told = json!({
                "session_id": id, "task_id": id, "hours": hours, "limit_hours": limit_hours,
            });
            let subject = Subject { kind: SubjectKind::Agent, id: agent.uuid() };
            let news = News {
                tenant_id: tenant,
                session_id: id,
                attempt: change.session.run.attempt,
                kind: AttentionKind::Review,
                title: format!(
                    "it takes longer than its agent said that any work would: {limit_hours} h"
                ),
                payload: json!({
                    "reason": "task_overrun", "agent_id": agent, "hours": hours,
                    "limit_hours": limit_hours,
                }),
                about: about.clone(),
            };
            change.raise(news.item(item_id(uuid), now), now);
            change.tell([DomainEvent::new(EventType::AgentTaskOverrun, subject, now, told)]);
            change.session.stamps.updated_at = now;
            Ok(())
        };
        match self.change(By::Part(tenant, SUPERVISOR), id, "task_overrun", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
