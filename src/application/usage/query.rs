//! The figures: what a tenant used, by day, model, agent or session.
//!
//! Days that are over come from their roll-ups, the rest from the records, so that the answer is
//! that of the records in any case.
//!
//! Invariant: what was simulated has groups of its own, and is in no total.

use std::collections::{BTreeMap, BTreeSet};

use super::UsageService;
use super::rollup::{day_of, each_record};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::closed_enum;
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::rollup::{DayUsage, Sums};

closed_enum!(
    /// What use is grouped by.
    GroupBy {
        Day = "day",
        Model = "model",
        Agent = "agent",
        Session = "session",
    }
);

/// Most days of one answer.
const MOST_DAYS: u32 = 366;
/// Most days of one answer by session: these are counted record by record.
const MOST_DAYS_BY_SESSION: u32 = 31;
/// Most groups of one answer.
const MOST_GROUPS: usize = 10_000;

/// What somebody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// First day; the first of the month when omitted.
    pub from: Option<Day>,
    /// Last day, included; today when omitted.
    pub to: Option<Day>,
    /// How it is grouped.
    pub group_by: GroupBy,
}

/// What one group used. Only the fields that it is grouped by are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroup {
    /// The day.
    pub day: Option<Day>,
    /// The model; `None` also when the agent did not tell it.
    pub model: Option<String>,
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// Its name, while it is registered.
    pub agent_name: Option<String>,
    /// The session.
    pub session_id: Option<SessionId>,
    /// Whether it was simulated.
    pub simulated: bool,
    /// Sessions of the group, each counted once; `None` when days overlap and nobody knows.
    pub sessions: Option<u64>,
    /// The sums.
    pub sums: Sums,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// Whose.
    pub tenant: TenantId,
    /// First day.
    pub from: Day,
    /// Last day, included.
    pub to: Day,
    /// How it is grouped.
    pub group_by: GroupBy,
    /// The groups, in their order.
    pub groups: Vec<UsageGroup>,
    /// All groups together, without what was simulated.
    pub totals: Sums,
}

type Key = (Option<Day>, Option<String>, Option<AgentId>, Option<SessionId>, bool);

/// A group in the making, and the sessions of its parts.
#[derive(Default)]
struct Group {
    sums: Sums,
    sessions: u64,
    parts: u64,
}

impl UsageService {
    /// What the caller's tenant used: for everybody who may see it.
    ///
    /// # Errors
    /// `Invalid` for a span that is empty or too long, or the store's.
    pub async fn usage(
        &self,
        ctx: &RequestContext,
        query: &UsageQuery,
    ) -> Result<UsageReport, AppError> {
        self.usage_of(ctx.tenant, query).await
    }

    /// What a tenant used; who may know is the caller's matter.
    ///
    /// # Errors
    /// As `usage`.
    pub async fn usage_of(
        &self,
        tenant: TenantId,
        query: &UsageQuery,
    ) -> Result<UsageReport, AppError> {
        let now = self.clock.now();
        let to = query.to.unwrap_or_else(|| Day::of(now));
        let from = query.from.unwrap_or_else(|| Day::of(Month::of(to.start()).start()));
        check(from, to, query.group_by)?;
        let snapshot = self.store.snapshot(tenant).await?;
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        if query.group_by == GroupBy::Session {
            let (start, end) = (from.start(), to.end());
            each_record(&*snapshot, start, end, |record| {
                let key = (None, None, None, Some(record.session_id), record.usage.simulated);
                let group = groups.entry(key).or_default();
                group.sums.add(&Sums::of(record));
                (group.sessions, group.parts) = (1, 1);
            })
            .await?;
        } else {
            let mut day = from;
            while day <= to {
                let rolled = snapshot.usage_day(day).await?.map(|found| found.value);
                // Where the clock went back, a day that was over may go on.
                let rolled = rolled.filter(|rolled| rolled.is_whole() && now >= day.end());
                let usage = match rolled {
                    Some(rolled) => rolled,
                    None => day_of(&*snapshot, day, now).await?,
                };
                gather(&mut groups, &usage, query.group_by);
                day = day.next();
            }
        }
        if groups.len() > MOST_GROUPS {
            let message = format!("this would give more than {MOST_GROUPS} groups; ask for less");
            return Err(wrong("?from", message));
        }
        let agents = snapshot.agents().await?;
        drop(snapshot);
        let names: BTreeMap<AgentId, String> =
            agents.into_iter().map(|found| (found.value.id, found.value.name)).collect();
        let mut totals = Sums::default();
        let mut finished = Vec::with_capacity(groups.len());
        for ((day, model, agent_id, session_id, simulated), group) in groups {
            if !simulated {
                totals.add(&group.sums);
            }
            finished.push(UsageGroup {
                day,
                model,
                agent_id,
                agent_name: agent_id.and_then(|id| names.get(&id).cloned()),
                session_id,
                simulated,
                sessions: (group.parts == 1).then_some(group.sessions),
                sums: group.sums,
            });
        }
        let group_by = query.group_by;
        Ok(UsageReport { tenant, from, to, group_by, groups: finished, totals })
    }
}

/// Adds a day to the groups.
fn gather(groups: &mut BTreeMap<Key, Group>, usage: &DayUsage, group_by: GroupBy) {
    let mut seen: BTreeSet<Key> = BTreeSet::new();
    for row in &usage.rows {
        let key: Key = match group_by {
            GroupBy::Day => (Some(usage.day), None, None, None, row.simulated),
            GroupBy::Model => (None, row.model.clone(), None, None, row.simulated),
            GroupBy::Agent | GroupBy::Session => {
                (None, None, Some(row.agent_id), None, row.simulated)
            }
        };
        let group = groups.entry(key.clone()).or_default();
        group.sums.add(&row.sums);
        if group_by == GroupBy::Day {
            // The day knows how many sessions it had, however many models each of them used.
            let (real, simulated) = usage.sessions;
            group.sessions = if row.simulated { simulated } else { real };
            group.parts += u64::from(seen.insert(key));
        } else {
            group.sessions += row.sessions;
            group.parts += 1;
        }
    }
}

fn check(from: Day, to: Day, group_by: GroupBy) -> Result<(), AppError> {
    if from > to {
        return Err(wrong("?from", "must not come after to".to_owned()));
    }
    let most = if group_by == GroupBy::Session { MOST_DAYS_BY_SESSION } else { MOST_DAYS };
    if to.number() - from.number() >= most {
        let message = format!("must lie at most {most} days before to when grouped by {group_by}");
        return Err(wrong("?from", message));
    }
    Ok(())
}

fn wrong(pointer: &str, message: String) -> AppError {
    AppError::Invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        code: "out_of_range",
        message,
    }])
}
