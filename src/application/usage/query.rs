//! The figures: what a tenant used, by day, model, agent or session.
//!
//! Days that are over come from their roll-ups, the rest from the records, so that the answer is
//! that of the records in any case.
//!
//! Invariant: what was simulated has groups of its own, and is in no total.
//! Invariant: an answer holds a bounded number of groups at any time, and takes a bounded number of
//! days, or of records by session; what would be more is refused with what helps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::UsageService;
use super::rollup::{day_of, each_record};
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::application::principal::RequestContext;
use crate::closed_enum;
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::record::UsageRecord;
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
/// Most records that are looked at for one answer by session.
const MOST_RECORDS: u64 = 1_000_000;

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
        let (groups, damaged) = if query.group_by == GroupBy::Session {
            (by_session(&*snapshot, from, to).await?, Vec::new())
        } else {
            by_day(&*snapshot, from, to, query.group_by, now).await?
        };
        let agents = snapshot.agents().await?;
        drop(snapshot);
        for day in damaged {
            if let Err(error) = self.rebuild_day(tenant, day).await {
                tracing::warn!(tenant.id = %tenant, %error, "The damaged roll-up of {day} could not be made anew");
            }
        }
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

/// Days by what else they are grouped by, and those whose roll-up is damaged.
async fn by_day(
    snapshot: &dyn Snapshot,
    from: Day,
    to: Day,
    group_by: GroupBy,
    now: Timestamp,
) -> Result<(BTreeMap<Key, Group>, Vec<Day>), AppError> {
    let (mut groups, mut damaged) = (BTreeMap::new(), Vec::new());
    let mut day = from;
    while day <= to {
        let rolled = match snapshot.usage_day(day).await {
            Ok(found) => found.map(|found| found.value),
            Err(StoreError::Quarantined) => {
                damaged.push(day);
                None
            }
            Err(other) => return Err(other.into()),
        };
        // Where the clock went back, a day that was over may go on.
        let rolled = rolled.filter(|rolled| rolled.is_whole() && now >= day.end());
        let usage = match rolled {
            Some(rolled) => rolled,
            None => day_of(snapshot, day, now).await?,
        };
        gather(&mut groups, &usage, group_by);
        if groups.len() > MOST_GROUPS {
            return Err(too_much(&format!("more than {MOST_GROUPS} groups")));
        }
        day = day.next();
    }
    Ok((groups, damaged))
}

/// Sessions, counted record by record.
async fn by_session(
    snapshot: &dyn Snapshot,
    from: Day,
    to: Day,
) -> Result<BTreeMap<Key, Group>, AppError> {
    let mut tally = SessionTally { most: (MOST_GROUPS, MOST_RECORDS), ..SessionTally::default() };
    each_record(snapshot, from.start(), to.end(), |record| tally.add(record)).await?;
    match tally.beyond {
        Some(what) => Err(too_much(&what)),
        None => Ok(tally.groups),
    }
}

/// Sessions in the making; it takes nothing more once there is too much of it.
#[derive(Default)]
struct SessionTally {
    groups: BTreeMap<Key, Group>,
    records: u64,
    most: (usize, u64),
    /// What there is too much of.
    beyond: Option<String>,
}

impl SessionTally {
    /// Adds a record; `Break` when there is too much.
    fn add(&mut self, record: &UsageRecord) -> ControlFlow<()> {
        let key = (None, None, None, Some(record.session_id), record.usage.simulated);
        let (most_groups, most_records) = self.most;
        self.records += 1;
        if self.records > most_records {
            self.beyond = Some(format!("more than {most_records} records"));
        } else if self.groups.len() >= most_groups && !self.groups.contains_key(&key) {
            self.beyond = Some(format!("more than {most_groups} sessions"));
        }
        if self.beyond.is_some() {
            return ControlFlow::Break(());
        }
        let group = self.groups.entry(key).or_default();
        group.sums.add(&Sums::of(record));
        (group.sessions, group.parts) = (1, 1);
        ControlFlow::Continue(())
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

/// The span is legal, and what lies in it is too much for one answer.
fn too_much(what: &str) -> AppError {
    wrong(
        "?from",
        format!(
            "{what} lie between from and to; ask for fewer days, or group by day, model or agent"
        ),
    )
}

fn wrong(pointer: &str, message: String) -> AppError {
    AppError::Invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        code: "out_of_range",
        message,
    }])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UsageId;
    use crate::domain::usage::{CostSource, Usage};

    fn record(session: u128) -> UsageRecord {
        UsageRecord {
            id: UsageId::new(Uuid::from_u128(1)),
            tenant_id: TenantId::BOOTSTRAP,
            session_id: SessionId::new(Uuid::from_u128(session)),
            attempt: 1,
            task_id: None,
            agent_id: AgentId::new(Uuid::from_u128(2)),
            model_identifier: None,
            usage: Usage::default(),
            cost_source: CostSource::Unknown,
            wall_ms: 0,
            turn: 1,
            recorded_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn counting_by_session_ends_at_the_first_that_is_too_much() {
        let beyond = |most, sessions: &[u128]| {
            let mut tally = SessionTally { most, ..SessionTally::default() };
            let taken = sessions.iter().take_while(|one| tally.add(&record(**one)).is_continue());
            (taken.count(), tally.groups.len(), tally.beyond)
        };
        assert_eq!(beyond((2, 9), &[1, 2, 1, 2]), (4, 2, None));
        let groups = Some("more than 2 sessions".to_owned());
        assert_eq!(beyond((2, 9), &[1, 2, 1, 3, 1]), (3, 2, groups));
        let records = Some("more than 3 records".to_owned());
        assert_eq!(beyond((2, 3), &[1, 1, 1, 1, 1]), (3, 1, records));
    }
}
