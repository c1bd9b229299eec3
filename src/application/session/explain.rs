//! Why a session stands where it stands, and what would move it.

use serde::Serialize;

use super::SessionService;
use super::after::{Before, before};
use super::limits::{blocked_by_quota, bounds_in};
use super::usage::{exhausted, spent};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::application::scheduler::Queue;
use crate::application::scheduler::position::Position;
use crate::domain::attention::{AttentionKind, AttentionState};
use crate::domain::ids::SessionId;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::life::Due;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// One reason for waiting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blocker {
    /// Stable word.
    pub code: BlockerCode,
    /// What it waits for, for people.
    pub text: String,
    /// The thing that it waits for, when there is one.
    pub object: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What would help.
    pub remedy: String,
    /// The command that does it.
    pub command: Option<String>,
}

/// Why a session stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Its status.
    pub state: SessionStatus,
    /// Since when.
    pub since: Timestamp,
    /// One sentence for people.
    pub summary: String,
    /// Reasons for waiting, most important first; empty while an agent works.
    pub blockers: Vec<Blocker>,
    /// Place among the waiting sessions.
    pub queue_position: Option<Position>,
    /// When it is expected to be given to an agent, by how fast others were; always an estimate.
    pub eta: Option<Timestamp>,
    /// The agent that works on it.
    pub agent: Option<String>,
    /// When something happens by itself if nothing else does.
    pub next_deadline: Option<Timestamp>,
}

impl SessionService {
    /// Explains a session.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn explain(
        &self,
        ctx: &RequestContext,
        queue: &Queue,
        id: SessionId,
    ) -> Result<Explanation, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let session = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?.value;
        let open = Some(AttentionState::Open);
        let items = snapshot.attention_items(Some(id), open, None, 200).await?;
        let now = self.clock.now();
        let waits = session.status() == SessionStatus::Pending
            && session.due(now).is_some_and(|due| due == Due::Start);
        let before = if waits { before(&*snapshot, &session).await? } else { Before::default() };
        let bounded = if waits { blocked_by_quota(&*snapshot, &session).await? } else { None };
        let purse = bounds_in(&*snapshot, now).await?.purse;
        drop(snapshot);
        let stands = matches!(session.status(), SessionStatus::Queued | SessionStatus::Paused);
        let spent = spent(&session, &purse).filter(|_| waits || stands);
        let exhausted = spent.map(|budget| exhausted(&session, &budget, &purse));
        let is_exhausted = exhausted.is_some();
        let mut blockers: Vec<Blocker> =
            before.unmet.iter().map(|one| one.blocker(&session)).collect();
        blockers.extend(exhausted.or(bounded));
        if session.status().is_open()
            && let Some(reason) = self.store.health().read_only
        {
            let since = queue.held_back_since().unwrap_or(now);
            let text = format!("the store accepts no writes: {reason}");
            let goes_on = "writing resumes by itself";
            blockers.push(of_machine(BlockerCode::StoreReadOnly, text, goes_on, since));
        }
        let resumes = session.status() == SessionStatus::Paused && session.run.resume_wanted;
        let queued = session.status() == SessionStatus::Queued || resumes;
        if queued && let Some(reason) = self.store.health().short_of_room {
            let since = queue.held_back_since().unwrap_or(now);
            let text = format!("the disk has too little room for more work: {reason}");
            let goes_on = "work goes on by itself";
            blockers.push(of_machine(BlockerCode::DiskLow, text, goes_on, since));
        }
        if session.status().is_executing() {
            for item in items.iter().map(|found| &found.value) {
                blockers.extend(waits_for_person(item));
            }
        }
        if queued && self.wake.is_supervised(id) {
            blockers.push(files_in_use(&session, "its last run is still being ended"));
        } else if queued && self.turns.is_taken(id) {
            let text = "somebody works on its files: they are judged, merged, restored or put away";
            blockers.push(files_in_use(&session, text));
        }
        // What is due already waits for nothing else.
        if !(stands && is_exhausted || waits && !blockers.is_empty()) {
            blockers.extend(waiting(&session, queue, now));
        }
        let agent = session.run.lease.as_ref().map(|lease| lease.agent_name.clone());
        Ok(Explanation {
            state: session.status(),
            since: session.status_updated_at(),
            summary: summary(&session, blockers.first()),
            queue_position: queue.position(session.id, now),
            eta: queue.expected(session.id, now).filter(|_| only_slots(&blockers)),
            agent,
            next_deadline: session.deadline().filter(|_| !waits),
            blockers,
        })
    }
}

/// Whether it waits for nothing but its turn: only then others tell how long that takes.
fn only_slots(blockers: &[Blocker]) -> bool {
    let of_turn =
        [BlockerCode::SlotsFull, BlockerCode::NoAgentCapacity, BlockerCode::AgentUnavailable];
    blockers.iter().all(|blocker| of_turn.contains(&blocker.code))
}

/// The machine itself holds everything back.
fn of_machine(code: BlockerCode, text: String, goes_on: &str, since: Timestamp) -> Blocker {
    Blocker {
        code,
        text,
        object: None,
        since: Some(since),
        remedy: format!("free space on the disk of the data directory; {goes_on}"),
        command: Some("orchestrator doctor".to_owned()),
    }
}

fn files_in_use(session: &Session, text: &str) -> Blocker {
    Blocker {
        code: BlockerCode::WorkspaceLocked,
        text: text.to_owned(),
        object: None,
        since: Some(session.status_updated_at()),
        remedy: "wait a moment; it goes on by itself".to_owned(),
        command: Some(format!("orchestrator why {}", session.code)),
    }
}

fn waits_for_person(item: &crate::domain::attention::AttentionItem) -> Option<Blocker> {
    let (code, wants, verb) = match item.kind {
        AttentionKind::Permission => (BlockerCode::HumanPermission, "permission", "allow"),
        AttentionKind::Question => (BlockerCode::HumanQuestion, "an answer", "answer"),
        AttentionKind::Review | AttentionKind::Budget => return None,
    };
    let (decision, _) = item.kind.default_decision();
    Some(Blocker {
        code,
        text: format!("the agent waits for {wants}: {}", item.title),
        object: Some(item.id.to_string()),
        since: Some(item.created_at),
        remedy: format!(
            "decide, or it is settled by itself with `{decision}` at {}",
            item.deadline
        ),
        command: Some(format!("orchestrator attention resolve {} {verb}", item.id)),
    })
}

/// Why a session that no agent works on waits.
fn waiting(session: &Session, queue: &Queue, now: Timestamp) -> Option<Blocker> {
    let code = session.code;
    let blocker = |code, text: String, since, remedy: &str, command: Option<String>| Blocker {
        code,
        text,
        object: None,
        since: Some(since),
        remedy: remedy.to_owned(),
        command,
    };
    let since = session.status_updated_at();
    match session.status() {
        SessionStatus::Pending => {
            if let Some(at) = session.run.next_attempt_at {
                let text = format!("the next attempt is due at {at}");
                let remedy = "wait, or start it now";
                let command = Some(format!("orchestrator session start {code}"));
                return Some(blocker(BlockerCode::RetryBackoff, text, since, remedy, command));
            }
            if session.run.start_wanted
                && let Some(at) = session.spec.not_before.filter(|at| *at > now)
            {
                let text = format!("it is not to begin before {at}");
                let remedy = "wait; or fork it, and the fork may begin at once";
                let command = Some(format!("orchestrator session fork {code}"));
                return Some(blocker(BlockerCode::NotBefore, text, since, remedy, command));
            }
            if session.run.start_wanted {
                let text = "it is due and is queued in a moment".to_owned();
                let command = Some(format!("orchestrator why {code}"));
                return Some(blocker(
                    BlockerCode::NotStarted,
                    text,
                    since,
                    "wait a moment",
                    command,
                ));
            }
            let text = "nobody asked it to run yet".to_owned();
            let command = Some(format!("orchestrator session start {code}"));
            Some(blocker(BlockerCode::NotStarted, text, since, "start it", command))
        }
        SessionStatus::Queued => Some(queue.why(session)),
        SessionStatus::Paused if session.run.resume_wanted => Some(queue.why(session)),
        SessionStatus::Paused => {
            let reason = session.status_reason().map(|reason| format!(" ({reason})"));
            let text = format!("it is paused{}", reason.unwrap_or_default());
            let command = Some(format!("orchestrator session resume {code}"));
            Some(blocker(BlockerCode::Paused, text, since, "resume it", command))
        }
        SessionStatus::Running if session.is_graph() => {
            let text = "its tasks are executed by sessions of their own".to_owned();
            let command = Some(format!("orchestrator task list --session {code}"));
            let remedy = "see what its tasks wait for";
            Some(blocker(BlockerCode::DependencyUnsatisfied, text, since, remedy, command))
        }
        SessionStatus::Running
        | SessionStatus::Degraded
        | SessionStatus::Completed
        | SessionStatus::PartiallyCompleted
        | SessionStatus::Failed
        | SessionStatus::Timeout
        | SessionStatus::Stopped
        | SessionStatus::Cancelled
        | SessionStatus::Orphaned => None,
    }
}

fn summary(session: &Session, first: Option<&Blocker>) -> String {
    let title = &session.spec.title;
    if let Some(blocker) = first {
        return format!("{} “{title}” is {}: {}", session.code, session.status(), blocker.text);
    }
    let working = session.run.lease.as_ref().map(|lease| lease.agent_name.as_str());
    match (working, session.status_reason()) {
        (Some(agent), None) => {
            format!("{} “{title}” is {}: {agent} works on it", session.code, session.status())
        }
        (_, Some(reason)) => {
            format!("{} “{title}” is {}: {reason}", session.code, session.status())
        }
        (None, None) => format!("{} “{title}” is {}", session.code, session.status()),
    }
}
