//! What people say of the work of agents, and beginning to judge them anew.

use serde_json::{Value, json};

use super::AgentService;
use super::change::same_version;
use super::figures::{shifted, updated};
use super::outlook::{Outlook, vitals_in};
use super::query::AgentView;
use super::register::Audited;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Put, Write};
use crate::application::ports::vitals::VitalsWrite;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::agent::performance::{Finished, Outcome};
use crate::domain::agent::vitals::{Shift, Vitals};
use crate::domain::audit::AuditEntry;
use crate::domain::money::Usd;

/// Work of an agent that somebody judges.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are those of domain 2.4")]
pub struct Report {
    pub task_success: bool,
    pub partial_success: bool,
    pub quality_score: Option<f64>,
    pub execution_time_seconds: Option<f64>,
    pub tokens_used: Option<u64>,
    pub cost: Option<Usd>,
}

impl Report {
    fn outcome(&self) -> Outcome {
        match (self.partial_success, self.task_success) {
            (true, _) => Outcome::Partial,
            (false, true) => Outcome::Success,
            (false, false) => Outcome::Failure,
        }
    }
}

impl AgentService {
    /// Counts work that somebody reports, like an outcome of a session.
    ///
    /// # Errors
    /// `AgentNotFound`, `VersionMismatch`.
    pub async fn report(
        &self,
        ctx: &RequestContext,
        reference: &str,
        report: &Report,
    ) -> Result<Outlook, AppError> {
        self.learn(ctx.tenant).await?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let agent = self.find(ctx.tenant, reference).await?;
            same_version(ctx, agent.version)?;
            let (id, now) = (agent.value.id, self.clock.now());
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let (mut vitals, expect) = vitals_in(&*snapshot, id, now).await?;
            let heard = snapshot.heartbeat(id).await?.map(|heartbeat| heartbeat.heard_at);
            drop(snapshot);
            let before = facts(&vitals);
            let finished = Finished {
                quality_score: report.quality_score,
                execution_time_seconds: report.execution_time_seconds,
                tokens: report.tokens_used,
                cost: report.cost,
                ..Finished::plain(report.outcome(), now)
            };
            let active_at = vitals.last_active_at;
            let least_quality = agent.value.behavior.min_quality_threshold;
            let shift = vitals.count(&finished, least_quality, self.queue.rules().breaker, now);
            // Somebody spoke of it; it gave no sign of life by that.
            vitals.last_active_at = active_at;
            let audit = AuditEntry {
                before: Some(before),
                after: Some(facts(&vitals)),
                ..self.audit(ctx, &agent.value, &Audited::of("report_performance"))
            };
            let view = self.judged(self.view(agent), &vitals);
            let outlook = self.outlook_of(view, vitals, heard);
            let vitals = &outlook.vitals;
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Vitals(VitalsWrite::Vitals(Put { expect, value: vitals.clone() })))
                .events(shifted(vitals, shift, now))
                .events([updated(vitals, now)])
                .audit(Some(audit))
                .remember(ctx.remembered(&Subject::Outlook(&outlook), now));
            if self.tried(set).await? {
                self.tell(&outlook.view.agent.value, Some(vitals));
                return Ok(outlook);
            }
        }
        Err(AppError::Contended)
    }

    /// Judges an agent anew from now on: its window begins again, and its breaker is closed. Its totals
    /// stay.
    ///
    /// # Errors
    /// `AgentNotFound`, `VersionMismatch`.
    pub async fn reset_metrics(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<AgentView, AppError> {
        self.learn(ctx.tenant).await?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let agent = self.find(ctx.tenant, reference).await?;
            same_version(ctx, agent.version)?;
            let (id, now) = (agent.value.id, self.clock.now());
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let (mut vitals, expect) = vitals_in(&*snapshot, id, now).await?;
            drop(snapshot);
            let (rules, before) = (self.queue.rules().breaker, facts(&vitals));
            let (tier, breaker) = (vitals.tier(), vitals.breaker.state(rules, now).0);
            vitals.reset(now);
            let (tier_now, breaker_now) = (vitals.tier(), vitals.breaker.state(rules, now).0);
            let shift = Shift {
                tier: (tier != tier_now).then_some((tier, tier_now)),
                breaker: (breaker != breaker_now).then_some((breaker, breaker_now)),
            };
            let audit = AuditEntry {
                before: Some(before),
                after: Some(facts(&vitals)),
                ..self.audit(ctx, &agent.value, &Audited::of("reset_metrics"))
            };
            let view = self.judged(self.view(agent), &vitals);
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Vitals(VitalsWrite::Vitals(Put { expect, value: vitals.clone() })))
                .events(shifted(&vitals, shift, now))
                .events([updated(&vitals, now)])
                .audit(Some(audit))
                .remember(ctx.remembered(&Subject::Agent(&view), now));
            if self.tried(set).await? {
                self.tell(&view.agent.value, Some(&vitals));
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// An agent as it stands with these figures.
    fn judged(&self, mut view: AgentView, vitals: &Vitals) -> AgentView {
        let (rules, now) = (self.queue.rules().breaker, self.clock.now());
        let standing = &mut view.standing;
        standing.tier = vitals.tier();
        standing.breaker = vitals.breaker.state(rules, now).0;
        standing.is_probing = vitals.breaker.is_probing(rules, now, standing.assigned_at);
        view.performance = Some(Box::new(vitals.performance.clone()));
        view
    }
}

/// What the audit keeps of figures.
fn facts(vitals: &Vitals) -> Value {
    let performance = &vitals.performance;
    json!({
        "performance_tier": vitals.tier(), "breaker": vitals.breaker.parts().0,
        "total_tasks": performance.total.count, "success_rate": performance.success_rate(),
        "tasks_in_window": performance.latest(usize::MAX).count,
    })
}
