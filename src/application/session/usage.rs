//! What the model calls of a session used, and what happens when that comes near a bound: its own
//! budget, or the bounds of its tenant's month.
//!
//! Invariant: a call is counted, recorded and charged to the month in one commit, once.

use serde_json::json;
use uuid::Uuid;

use super::SessionService;
use super::change::{By, Change, item_id};
use super::explain::Blocker;
use super::limits::{Bounds, bounds_in, no_room};
use super::report::{CallUsage, SUPERVISOR};
use crate::application::error::AppError;
use crate::application::ports::changes::{Counter, Write};
use crate::application::ports::usage::UsageWrite;
use crate::domain::attention::{AttentionKind, News};
use crate::domain::event::EventType;
use crate::domain::ids::{SessionId, TenantId, UsageId};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::metrics::Warning;
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;
use crate::domain::usage::budget::{BudgetLevel, BudgetScope, BudgetUse, tightest_of};
use crate::domain::usage::month::Purse;
use crate::domain::usage::period::Month;
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;

/// The reason of a pause by a budget.
pub(super) const EXHAUSTED: &str = "budget_exhausted";

/// Counts what a call used, once.
pub(super) fn count(
    change: &mut Change,
    call: &CallUsage,
    prices: &PriceTable,
    id: Uuid,
    now: Timestamp,
) {
    let session = &mut change.session;
    let (Some(attempt), Some(lease)) = (&mut change.attempt, &session.run.lease) else { return };
    if attempt.counted_calls.contains(&call.key) {
        return;
    }
    attempt.counted_calls.push(call.key.clone());
    let (cost_usd, cost_source) = prices.charge(call.model.as_deref(), &call.usage);
    let usage = Usage { cost_usd, ..call.usage };
    attempt.usage = attempt.usage.plus(&usage);
    session.metrics.usage = session.metrics.usage.plus(&usage);
    session.metrics.api_calls_count += 1;
    let clock = u64::try_from(session.run.clock.at(now).as_millis()).unwrap_or(u64::MAX);
    let wall_ms = clock.saturating_sub(attempt.counted_ms);
    attempt.counted_ms = attempt.counted_ms.max(clock);
    let record = UsageRecord {
        id: UsageId::new(id),
        tenant_id: session.tenant_id,
        session_id: session.id,
        attempt: attempt.number,
        task_id: None,
        agent_id: lease.agent_id,
        model_identifier: call.model.clone(),
        usage,
        cost_source,
        wall_ms,
        turn: u64::try_from(attempt.counted_calls.len()).unwrap_or(u64::MAX),
        recorded_at: now,
    };
    let event = session.event(EventType::UsageRecorded, now, record.payload());
    let month = Month::of(now);
    let (tokens, micros) = (record.charged_tokens(), record.charged_micros());
    for (counter, by) in
        [(Counter::MonthTokens(month), tokens), (Counter::MonthMicros(month), micros)]
    {
        if by != 0 {
            change.count(counter, by);
        }
    }
    change.tell([event]);
    change.write(Write::Usage(UsageWrite::Record(record)));
    warn_of_unknown_cost(change, call, &usage, now);
}

/// What nobody knows the price of is not charged: whoever set a budget is told once.
fn warn_of_unknown_cost(change: &mut Change, call: &CallUsage, usage: &Usage, now: Timestamp) {
    const TYPE: &str = "cost_unknown";
    let metrics = &mut change.session.metrics;
    let known = usage.cost_usd.is_some() || usage.simulated;
    let told = metrics.warnings.iter().any(|warning| warning.warning_type == TYPE);
    if known || told || change.session.spec.budget_usd.is_none() {
        return;
    }
    metrics.warn(Warning {
        warning_type: TYPE.to_owned(),
        message: "the agent does not tell what its model costs: budget_usd bounds nothing; set its price (`orchestrator usage prices`), or use token_budget".to_owned(),
        timestamp: now,
        context: json!({ "model_identifier": call.model }),
    });
}

/// Tells once when most of the budget is used, and once when all of it is; then the session pauses
/// at the end of its turn.
pub(super) fn watch(change: &mut Change, uuid: Uuid, now: Timestamp) {
    let Some(budget) = change.session.budget() else { return };
    let (level, told) = (budget.level(), change.session.run.budget_told);
    if level == BudgetLevel::Free || told.is_some_and(|told| told >= level) {
        return;
    }
    if told.is_none() {
        tell(change, EventType::UsageSoftLimitReached, &budget, now);
        let item = news(&change.session, &budget, None).item(item_id(uuid), now);
        change.raise(item, now);
    }
    if level == BudgetLevel::Hard {
        tell(change, EventType::UsageHardLimitReached, &budget, now);
    }
    change.session.run.budget_told = Some(level);
}

fn tell(change: &mut Change, event_type: EventType, budget: &BudgetUse, now: Timestamp) {
    let (limit, used) = budget.figures();
    let payload = json!({ "scope": budget.scope, "limit": limit, "used": used, "period": null });
    let event = change.session.event(event_type, now, payload);
    change.tell([event]);
}

/// What tells people of a bound that is near; `month` for one of the tenant.
fn news(session: &Session, budget: &BudgetUse, month: Option<Month>) -> News {
    let (limit, used) = budget.figures();
    let title = match month {
        None => format!("{budget} are used; at the bound the session pauses"),
        Some(month) => {
            format!("{budget} of the tenant are used in {month}; at the bound its sessions pause")
        }
    };
    News {
        tenant_id: session.tenant_id,
        session_id: session.id,
        attempt: session.run.attempt,
        kind: AttentionKind::Budget,
        title,
        payload: json!({ "scope": budget.scope, "limit": limit, "used": used, "period": month }),
        about: about(budget, month),
    }
}

/// One item for each bound of a session, and of each month.
fn about(budget: &BudgetUse, month: Option<Month>) -> String {
    let (limit, _) = budget.figures();
    let month = month.map(|month| format!(":{month}")).unwrap_or_default();
    format!("{}:{limit}{month}", budget.scope)
}

impl SessionService {
    /// Tells the people of an executing session, once, that its tenant comes near to a bound of
    /// this month.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell_of_bound(
        &self,
        tenant: TenantId,
        id: SessionId,
        budget: &BudgetUse,
        month: Month,
    ) -> Result<(), AppError> {
        let mark = News::fingerprint_of(id, &about(budget, Some(month)));
        if self.is_told(tenant, id, &mark).await? {
            return Ok(());
        }
        let uuid = self.ids.uuid();
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let is_known = change.items.iter().any(|item| item.fingerprint == mark);
            if change.session.status().is_executing() && !is_known {
                let item = news(&change.session, budget, Some(month)).item(item_id(uuid), now);
                change.raise(item, now);
                change.session.stamps.updated_at = now;
            }
            Ok(())
        };
        match self.change(By::Part(tenant, SUPERVISOR), id, "budget", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What keeps a session that is executed from going on in the middle of a turn: what is stored breaks
    /// none off.
    ///
    /// # Errors
    /// The store's.
    pub async fn obstacle(&self, session: &Session) -> Result<Option<Obstacle>, AppError> {
        let snapshot = self.readable(session.tenant_id).await?;
        let bounds = bounds_in(&*snapshot, self.clock.now()).await?;
        Ok(obstacle_of(session, &bounds, None))
    }
}

/// What keeps a session from going on that nobody asked to pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Its tenant is switched off.
    TenantInactive,
    /// Nothing is left of what bounds it: its own budget, its tenant's month, or what may be stored.
    Spent,
}

impl Obstacle {
    /// Why a session pauses for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TenantInactive => "tenant_inactive",
            Self::Spent => EXHAUSTED,
        }
    }
}

/// The obstacle of a session between two turns, the worse one first.
pub(super) fn obstacle(session: &Session, bounds: &Bounds) -> Option<Obstacle> {
    obstacle_of(session, bounds, bounds.purse.storage())
}

fn obstacle_of(
    session: &Session,
    bounds: &Bounds,
    storage: impl IntoIterator<Item = BudgetUse>,
) -> Option<Obstacle> {
    if bounds.is_off {
        return Some(Obstacle::TenantInactive);
    }
    let all = bounds.purse.uses().into_iter().chain(storage);
    spent_of(session, all).map(|_| Obstacle::Spent)
}

/// The bound that nothing is left of: of the session's budgets, those of its tenant's month and what it
/// may have stored the tightest counts.
pub(super) fn spent(session: &Session, purse: &Purse) -> Option<BudgetUse> {
    spent_of(session, purse.uses().into_iter().chain(purse.storage()))
}

fn spent_of(session: &Session, all: impl IntoIterator<Item = BudgetUse>) -> Option<BudgetUse> {
    tightest_of(session.budget().into_iter().chain(all))
        .filter(|budget| budget.level() == BudgetLevel::Hard)
}

/// Whether the session may begin or go on.
///
/// # Errors
/// `BudgetExhausted` when nothing is left of a budget, `QuotaExceeded` when that is the quota of
/// tokens.
pub(super) fn check(session: &Session, purse: &Purse) -> Result<(), AppError> {
    let Some(budget) = spent(session, purse) else { return Ok(()) };
    let BudgetUse { scope, limit, used } = budget;
    Err(match scope {
        BudgetScope::TenantTokens => AppError::QuotaExceeded { quota: scope.as_str(), limit, used },
        BudgetScope::TenantStorage => no_room(&budget),
        BudgetScope::TenantCost => {
            AppError::BudgetExhausted { code: format!("this tenant in {}", purse.month), budget }
        }
        BudgetScope::SessionCost | BudgetScope::SessionTokens => {
            AppError::BudgetExhausted { code: session.code.to_string(), budget }
        }
    })
}

/// Nothing is left of a bound: which, and what would help.
pub(super) fn exhausted(session: &Session, budget: &BudgetUse, purse: &Purse) -> Blocker {
    let (code, month, end) = (session.code, purse.month, purse.month.end());
    let (text, remedy, command) = match budget.scope {
        BudgetScope::SessionCost => (
            format!("nothing is left of its budget: {budget}"),
            "raise its budget and resume it, or fork it with another one".to_owned(),
            format!("orchestrator session edit {code} --budget DOLLARS"),
        ),
        BudgetScope::SessionTokens => (
            format!("nothing is left of its token budget: {budget}"),
            "fork it with another token budget".to_owned(),
            format!("orchestrator session fork {code}"),
        ),
        BudgetScope::TenantCost => (
            format!("nothing is left of the tenant's budget for {month}: {budget}"),
            format!("raise the budget of the month, or wait until it ends at {end}"),
            "orchestrator usage budgets --monthly DOLLARS".to_owned(),
        ),
        BudgetScope::TenantTokens => (
            format!("nothing is left of the tenant's quota of tokens for {month}: {budget}"),
            format!("have the quota raised, or wait until the month ends at {end}"),
            "orchestrator tenant quotas --set max_tokens_per_month=NUMBER".to_owned(),
        ),
        BudgetScope::TenantStorage => (
            format!("nothing is left of the tenant's quota of storage: {budget}"),
            "purge sessions that are not needed any more, or have the quota raised".to_owned(),
            "orchestrator tenant quotas --set max_storage_mb=NUMBER".to_owned(),
        ),
    };
    let code = match budget.scope {
        BudgetScope::TenantTokens => BlockerCode::QuotaTokens,
        BudgetScope::TenantStorage => BlockerCode::QuotaStorage,
        BudgetScope::SessionCost | BudgetScope::SessionTokens | BudgetScope::TenantCost => {
            BlockerCode::BudgetExhausted
        }
    };
    Blocker {
        code,
        text,
        object: Some(budget.scope.to_string()),
        since: Some(session.status_updated_at()),
        remedy,
        command: Some(command),
    }
}
