//! Reading sessions: one, many, their family, their figures.

use std::collections::BTreeMap;

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::changes::Counter;
use crate::application::ports::reads::{Order, SessionPage, SessionQuery};
use crate::application::principal::RequestContext;
use crate::domain::ids::SessionId;
use crate::domain::money::Usd;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::spec::{Priority, SessionType};
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Session, SessionCode};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// A session in its family.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeNode {
    /// Its identity.
    pub id: SessionId,
    /// What people call it.
    pub code: SessionCode,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// What kind of work it is.
    pub session_type: SessionType,
    /// Its place below the root of the whole tree.
    pub depth: u32,
    /// In order of creation.
    pub children: Vec<TreeNode>,
}

/// A spread of durations, in milliseconds; empty without a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Samples.
    pub count: u64,
    /// Mean, rounded down.
    pub mean: u64,
    /// Smallest.
    pub least: u64,
    /// Half are at most this.
    pub median: u64,
    /// 95 of 100 are at most this.
    pub p95: u64,
    /// Largest.
    pub most: u64,
}

/// Figures over all sessions of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionStats {
    /// When they were taken.
    pub at: Timestamp,
    /// Every status, with 0 too.
    pub by_status: BTreeMap<SessionStatus, u64>,
    /// Every type, with 0 too.
    pub by_type: BTreeMap<SessionType, u64>,
    /// Every priority, with 0 too.
    pub by_priority: BTreeMap<Priority, u64>,
    /// From creation to end.
    pub durations: Spread,
    /// Time in the queue.
    pub queue: Spread,
    /// Mean of the measured success rates; `None` when none was measured.
    pub success_rate: Option<f64>,
    /// Tokens of all sessions that reported any.
    pub tokens: u64,
    /// Cost of all sessions that reported any.
    pub cost: Option<Usd>,
    /// Whether an agent that only plays one had a part in these figures.
    pub simulated: bool,
}

impl SessionService {
    /// One session.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn get(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        self.snapshot(ctx.tenant).await?.session(id).await?.ok_or(AppError::SessionNotFound)
    }

    /// One page of sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        ctx: &RequestContext,
        query: SessionQuery,
    ) -> Result<SessionPage, AppError> {
        Ok(self.snapshot(ctx.tenant).await?.sessions(query).await?)
    }

    /// One session and its direct children, oldest first, at one moment.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn with_children(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<(Versioned<Session>, Vec<SessionId>), AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let found = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        Ok((found, snapshot.children(id, 1000).await?))
    }

    /// All attempts in order.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn attempts(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Vec<Attempt>, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        Ok(snapshot.attempts(id).await?.into_iter().map(|found| found.value).collect())
    }

    /// The session and what is below it, to a depth of 1–10 levels and 1,000 sessions.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn tree(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        levels: u32,
    ) -> Result<TreeNode, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let root = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?.value;
        let mut found = vec![(root, None)];
        let (mut next, mut end_of_level, mut level) = (0, 1, 0);
        while next < found.len() && level < levels {
            let parent = found[next].0.id;
            for child in snapshot.children(parent, 1000).await? {
                if found.len() < 1000
                    && let Some(child) = snapshot.session(child).await?
                {
                    found.push((child.value, Some(next)));
                }
            }
            next += 1;
            if next == end_of_level {
                (end_of_level, level) = (found.len(), level + 1);
            }
        }
        Ok(assemble(found))
    }

    /// Figures over all sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn stats(&self, ctx: &RequestContext) -> Result<SessionStats, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let mut stats = SessionStats {
            at: self.clock.now(),
            by_status: BTreeMap::new(),
            by_type: SessionType::ALL.iter().map(|kind| (*kind, 0)).collect(),
            by_priority: Priority::ALL.iter().map(|level| (*level, 0)).collect(),
            durations: Spread::default(),
            queue: Spread::default(),
            success_rate: None,
            tokens: 0,
            cost: None,
            simulated: false,
        };
        for status in SessionStatus::ALL {
            let count = snapshot.counter(Counter::SessionsIn(*status)).await?;
            stats.by_status.insert(*status, u64::try_from(count).unwrap_or(0));
        }
        let (mut durations, mut waits, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        let mut query =
            SessionQuery { order: Order::OldestFirst, limit: 200, ..Default::default() };
        loop {
            let page = snapshot.sessions(query.clone()).await?;
            for session in page.items.iter().map(|found| &found.value) {
                *stats.by_type.entry(session.spec.session_type).or_default() += 1;
                *stats.by_priority.entry(session.spec.priority).or_default() += 1;
                durations.extend(session.total_ms());
                waits.extend(session.metrics.queue_ms);
                rates.extend(session.metrics.success_rate);
                let usage = &session.metrics.usage;
                stats.simulated |= usage.simulated;
                stats.tokens = stats.tokens.saturating_add(usage.tokens_total());
                stats.cost = match (stats.cost, usage.cost_usd) {
                    (Some(sum), Some(cost)) => Some(sum + cost),
                    (sum, cost) => sum.or(cost),
                };
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        stats.durations = spread(durations);
        stats.queue = spread(waits);
        #[expect(clippy::cast_precision_loss, reason = "counts of sessions stay below 2^53")]
        let mean = (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64);
        stats.success_rate = mean;
        Ok(stats)
    }
}

/// Builds the tree from its nodes in order of levels, each with the index of its parent.
fn assemble(found: Vec<(Session, Option<usize>)>) -> TreeNode {
    let mut nodes: Vec<(TreeNode, Option<usize>)> = found
        .into_iter()
        .map(|(session, parent)| {
            let node = TreeNode {
                id: session.id,
                code: session.code,
                title: session.spec.title,
                status: session.standing.status(),
                session_type: session.spec.session_type,
                depth: session.lineage.depth,
                children: Vec::new(),
            };
            (node, parent)
        })
        .collect();
    while nodes.len() > 1 {
        let Some((node, parent)) = nodes.pop() else { break };
        if let Some((parent, _)) = parent.and_then(|index| nodes.get_mut(index)) {
            parent.children.insert(0, node);
        }
    }
    nodes.swap_remove(0).0
}

fn spread(mut samples: Vec<u64>) -> Spread {
    samples.sort_unstable();
    let count = samples.len();
    let at = |share: usize| samples[(count * share).div_ceil(100).max(1) - 1];
    if count == 0 {
        return Spread::default();
    }
    let number = count as u64;
    Spread {
        count: number,
        mean: samples.iter().sum::<u64>() / number,
        least: samples[0],
        median: at(50),
        p95: at(95),
        most: samples[count - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_spread_names_the_usual_points() {
        let spread = spread((1..=100).rev().collect());
        let points = (spread.count, spread.least, spread.median, spread.p95, spread.most);
        assert_eq!(points, (100, 1, 50, 95, 100));
    }
}
