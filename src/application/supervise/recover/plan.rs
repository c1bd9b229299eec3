//! What is to be done for everything that an earlier process left open, as stored state tells it.

use super::super::Supervisors;
use crate::application::error::AppError;
use crate::application::ports::store::Store;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::life::Due;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Session, SessionCode};
use crate::domain::time::Timestamp;

/// Families that one plan shows.
const FAMILIES: usize = 1000;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The agent worked on meanwhile: its run is followed again.
    Adopt,
    /// The conversation goes on where it was cut off.
    Resume,
    /// It begins again, from its checkpoint if it has one.
    Restart,
    /// The agent was done: the gates run.
    Judge,
    /// Everything was done: the session ends well.
    Finish,
    /// Nobody here can take it up: it fails with the reason.
    Fail,
    /// Its time is over: it ends so.
    Expire,
    /// Its folder is put away; the work is kept.
    PutAway,
    /// Its children follow its end, which was then.
    EndChildren(Timestamp),
}

impl Measure {
    /// Its stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Judge => "judge",
            Self::Finish => "finish",
            Self::Fail => "fail",
            Self::Expire => "expire",
            Self::PutAway => "put_away",
            Self::EndChildren(_) => "end_children",
        }
    }

    /// What it is about: `attempt`, `worktree` or `children`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Adopt
            | Self::Resume
            | Self::Restart
            | Self::Judge
            | Self::Finish
            | Self::Fail
            | Self::Expire => "attempt",
            Self::PutAway => "worktree",
            Self::EndChildren(_) => "children",
        }
    }
}

/// One thing that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub tenant: TenantId,
    /// Which session it is about.
    pub session: SessionId,
    /// What people call it; `None` when it cannot be read.
    pub code: Option<SessionCode>,
    /// What.
    pub measure: Measure,
    /// Why, for people.
    pub reason: String,
}

impl Step {
    /// What it is chosen by: the same as long as the thing is left open.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.measure.kind(), self.session)
    }
}

/// Everything that is to be done now.
///
/// # Errors
/// The store's, `Workspace`.
pub async fn everything(
    supervisors: &Supervisors,
    store: &dyn Store,
) -> Result<Vec<Step>, AppError> {
    let mut steps = attempts(supervisors, store).await?;
    for (tenant, session) in supervisors.tools.sessions.leftovers().await? {
        let code = code_of(store, tenant, session).await?;
        let reason = "its session has ended or was deleted, and its folder is still there";
        steps.push(Step {
            tenant,
            session,
            code,
            measure: Measure::PutAway,
            reason: reason.into(),
        });
    }
    for owed in store.fleet().await?.owed_children(FAMILIES).await? {
        let (tenant, session) = (owed.tenant, owed.parent);
        let code = code_of(store, tenant, session).await?;
        let reason = format!("it ended abnormally at {}, and its children are not told", owed.at);
        steps.push(Step { tenant, session, code, measure: Measure::EndChildren(owed.at), reason });
    }
    Ok(steps)
}

/// What is to be done for sessions that execute and that nobody here supervises.
///
/// # Errors
/// The store's.
pub async fn attempts(supervisors: &Supervisors, store: &dyn Store) -> Result<Vec<Step>, AppError> {
    let statuses = [SessionStatus::Running, SessionStatus::Degraded];
    let sessions = store.fleet().await?.sessions_in(&statuses).await?;
    let is_left = |session: &Session| {
        !session.is_graph() && !supervisors.tools.sessions.wake.is_supervised(session.id)
    };
    let left = sessions.into_iter().map(|found| found.value).filter(is_left);
    let mut steps = Vec::new();
    for session in left {
        let (measure, reason) = measure(supervisors, &session).await?;
        let Session { tenant_id: tenant, id, code, .. } = session;
        steps.push(Step { tenant, session: id, code: Some(code), measure, reason });
    }
    Ok(steps)
}

async fn measure(
    supervisors: &Supervisors,
    session: &Session,
) -> Result<(Measure, String), AppError> {
    let (tools, run) = (&supervisors.tools, &session.run);
    match session.due(tools.clock.now()) {
        Some(Due::ExecutionTimeout) => {
            return Ok((Measure::Expire, "its time limit was over meanwhile".to_owned()));
        }
        Some(Due::GraceOver) => {
            let reason = "its agent could not be reached for too long";
            return Ok((Measure::Expire, reason.to_owned()));
        }
        _ => {}
    }
    let agents = tools.agents.list(session.tenant_id).await?;
    let lease = run.lease.as_ref();
    let agent = lease.and_then(|lease| agents.iter().find(|agent| agent.id == lease.agent_id));
    if let (None, Some(lease), Some(_)) = (agent, lease, &run.prompt) {
        let reason = format!("{} was removed: it waits for another agent", lease.agent_name);
        return Ok((Measure::Restart, reason));
    }
    let Some(driver) = agent.and_then(|agent| tools.agents.driver(agent.kind)) else {
        let name = lease.map_or("its agent", |lease| lease.agent_name.as_str());
        return Ok((Measure::Fail, format!("this server has no driver for {name} any more")));
    };
    let name = lease.map_or("", |lease| lease.agent_name.as_str());
    let abilities = driver.abilities();
    Ok(match (&run.prompt, &run.handle, run.resume_from) {
        (None, _, _) if session.must_pass_gates() => {
            (Measure::Judge, format!("{name} was done, and the gates have not spoken"))
        }
        (None, _, _) => {
            (Measure::Finish, format!("{name} was done, and nothing is left to be told"))
        }
        (Some(_), Some(_), None) if abilities.outlives => {
            (Measure::Adopt, format!("{name} runs by itself and may have worked on"))
        }
        (Some(_), Some(_), None) if abilities.resume => {
            (Measure::Resume, format!("the conversation with {name} is known and goes on"))
        }
        (Some(_), _, Some(sequence)) => {
            (Measure::Restart, format!("it was to go on from checkpoint {sequence}"))
        }
        (Some(_), _, None) => (
            Measure::Restart,
            format!("{name} had not begun a conversation that can be found again"),
        ),
    })
}

async fn code_of(
    store: &dyn Store,
    tenant: TenantId,
    id: SessionId,
) -> Result<Option<SessionCode>, AppError> {
    let snapshot = store.snapshot(tenant).await?;
    let found = match snapshot.session(id).await? {
        Some(found) => Some(found),
        None => snapshot.deleted_session(id).await?,
    };
    Ok(found.map(|found| found.value.code))
}
