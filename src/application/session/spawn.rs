//! Children that an agent asks for while it works.
//!
//! Invariant: children together are promised no more than is left of what their parent may use. A child may
//! do without asking what its parent may, and nothing else.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::principal::RequestContext;
use crate::domain::field::FieldError;
use crate::domain::ids::SessionId;
use crate::domain::money::Usd;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::spec::SessionType;
use crate::domain::session::{RunState, Session};
use crate::domain::usage::budget::{BudgetScope, BudgetUse};
use crate::domain::version::Versioned;
use crate::domain::workspace::WorkspaceSpec;

use super::create::MAX_CHILDREN;

/// A child to be made; what is not said is as in the parent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spawn {
    /// What to do, 1 to 100,000 characters.
    pub prompt: String,
    /// What people call it; from the prompt when omitted.
    pub title: Option<String>,
    /// What kind of work it is.
    pub session_type: Option<SessionType>,
    /// A pinned agent, by name or id; routing chooses when omitted.
    pub agent: Option<String>,
    /// What the agent must be able to do.
    pub required_capabilities: Vec<String>,
    /// Its share of what is left to the parent, in US dollars; half of it when omitted.
    pub budget_usd: Option<Usd>,
    /// The same in tokens.
    pub token_budget: Option<u64>,
    /// How long it may work, in seconds.
    pub max_duration_seconds: Option<u32>,
}

/// What a parent may use, with what it and its children used or were promised; `None` where it has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Purse {
    cost: Option<BudgetUse>,
    tokens: Option<BudgetUse>,
}

impl SessionService {
    /// Makes a child of a session that runs, and queues it.
    ///
    /// # Errors
    /// `Invalid`, `BudgetExhausted` when nothing is left to give it, `QuotaExceeded`, `SessionNotFound`.
    pub async fn spawn(
        &self,
        ctx: &RequestContext,
        parent: SessionId,
        wanted: Spawn,
    ) -> Result<Versioned<Session>, AppError> {
        // Two that ask at once share what is left.
        let _turn = self.spawning.alone(parent).await;
        let lineage = self.child_of(ctx, &parent.to_string()).await?;
        let snapshot = self.snapshot(ctx.tenant).await?;
        let found = snapshot.session(parent).await?.ok_or(AppError::SessionNotFound)?.value;
        let left = purse(&*snapshot, &found).await?;
        drop(snapshot);
        let (budget_usd, token_budget) = left.share(&found, &wanted)?;
        let spec = found.spec;
        let draft = SessionDraft {
            title: wanted.title,
            description: None,
            session_type: wanted.session_type.or(Some(spec.session_type)),
            priority: Some(spec.priority),
            agent: wanted.agent,
            required_capabilities: wanted.required_capabilities,
            model_identifier: spec.model_identifier.clone(),
            initial_prompt: wanted.prompt,
            max_duration_seconds: wanted.max_duration_seconds,
            budget_usd,
            token_budget,
            workspace: of_child(spec.workspace.clone()),
            permission_policy: Some(spec.permission_policy.clone()),
            exclude_from_training: spec.exclude_from_training,
            ..SessionDraft::default()
        };
        let spec = self.accept(ctx, draft).await?;
        let by = ctx.principal.name.clone();
        self.insert(ctx, spec, lineage, RunState::default(), &by, true).await
    }
}

impl SessionService {
    /// What a child of a graph gets of what is left to it: half; `None` when nothing is left.
    pub(super) async fn share_of(
        &self,
        snapshot: &dyn Snapshot,
        parent: &Session,
    ) -> Result<Option<(Option<Usd>, Option<u64>)>, AppError> {
        match purse(snapshot, parent).await?.share(parent, &Spawn::default()) {
            Ok(share) => Ok(Some(share)),
            Err(AppError::BudgetExhausted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The same place, where a branch of its own is made in it.
pub(in crate::application) fn of_child(mut workspace: WorkspaceSpec) -> WorkspaceSpec {
    if let WorkspaceSpec::Git { branch, .. } = &mut workspace {
        *branch = None;
    }
    workspace
}

fn micros(amount: Usd) -> u64 {
    u64::try_from(amount.micros()).unwrap_or(0)
}

/// What a session used, as far as it counts.
fn used(session: &Session) -> (u64, u64) {
    let usage = &session.metrics.usage;
    if usage.simulated {
        return (0, 0);
    }
    (usage.cost_usd.map_or(0, micros), usage.tokens_total())
}

async fn purse(snapshot: &dyn Snapshot, parent: &Session) -> Result<Purse, AppError> {
    let (mut cost, mut tokens) = used(parent);
    for id in snapshot.children(parent.id, MAX_CHILDREN).await? {
        let Some(child) = snapshot.session(id).await? else { continue };
        let child = child.value;
        let (of_cost, of_tokens) = used(&child);
        let is_over = child.status().is_terminal();
        let promised = |budget: Option<u64>| budget.filter(|_| !is_over).unwrap_or(0);
        cost += of_cost.max(promised(child.spec.budget_usd.map(micros)));
        tokens += of_tokens.max(promised(child.spec.token_budget));
    }
    let of = |scope, limit: Option<u64>, used| limit.map(|limit| BudgetUse { scope, limit, used });
    Ok(Purse {
        cost: of(BudgetScope::SessionCost, parent.spec.budget_usd.map(micros), cost),
        tokens: of(BudgetScope::SessionTokens, parent.spec.token_budget, tokens),
    })
}

impl Purse {
    /// What a child gets of it.
    fn share(
        self,
        parent: &Session,
        wanted: &Spawn,
    ) -> Result<(Option<Usd>, Option<u64>), AppError> {
        let empty = [self.cost, self.tokens].into_iter().flatten().find(|use_| left(use_) == 0);
        if let Some(budget) = empty {
            return Err(AppError::BudgetExhausted { code: parent.code.to_string(), budget });
        }
        let cost = part(self.cost, wanted.budget_usd.map(micros), "/budget_usd")?;
        let tokens = part(self.tokens, wanted.token_budget, "/token_budget")?;
        let usd = |micros| Usd::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        Ok((cost.map(usd), tokens))
    }
}

const fn left(budget: &BudgetUse) -> u64 {
    budget.limit.saturating_sub(budget.used)
}

/// What is asked for, or half of what is left.
fn part(
    budget: Option<BudgetUse>,
    wanted: Option<u64>,
    pointer: &str,
) -> Result<Option<u64>, AppError> {
    let Some(budget) = budget else { return Ok(wanted) };
    let rest = left(&budget);
    match wanted {
        None => Ok(Some(rest.div_ceil(2))),
        Some(wanted) if wanted <= rest => Ok(Some(wanted)),
        Some(_) => {
            let message = format!("is more than is left to the parent and its children: {budget}");
            let error = FieldError { pointer: pointer.to_owned(), code: "out_of_range", message };
            Err(AppError::Invalid(vec![error]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_what_it_asks_for_within_what_is_left_and_half_of_that_otherwise() {
        let of = |limit, used| Some(BudgetUse { scope: BudgetScope::SessionTokens, limit, used });
        assert_eq!(part(None, None, "/a").expect("no bound"), None);
        assert_eq!(part(None, Some(7), "/a").expect("no bound"), Some(7));
        assert_eq!(part(of(20, 10), None, "/a").expect("half"), Some(5));
        assert_eq!(part(of(11, 10), None, "/a").expect("the rest"), Some(1));
        assert_eq!(part(of(20, 10), Some(10), "/a").expect("all"), Some(10));
        let refused = part(of(20, 10), Some(11), "/a").expect_err("too much");
        let AppError::Invalid(errors) = refused else { panic!("{refused:?}") };
        assert_eq!((errors[0].pointer.as_str(), errors[0].code), ("/a", "out_of_range"));
    }
}
