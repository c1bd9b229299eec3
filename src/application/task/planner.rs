//! Asking an agent for a plan: a session below the root that answers with JSON, and one more round with
//! what is wrong with it.
//!
//! Invariant: whoever asks again for the same task is told what came of the sessions that were asked
//! before, as long as they can still be of use; nobody is asked twice for one wish.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::TaskService;
use super::error::TaskRefused;
use crate::application::error::AppError;
use crate::application::ports::reads::{Order, SessionFilter, SessionQuery};
use crate::application::principal::RequestContext;
use crate::application::session::create::NewSession;
use crate::application::session::spawn::of_child;
use crate::domain::decompose::plan::{Plan, SCHEMA};
use crate::domain::field::FieldError;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::spec::SessionType;
use crate::domain::session::status::SessionStatus;
use crate::domain::task::Task;

/// How long an answer waits for a plan.
const PATIENCE: Duration = Duration::from_secs(20);
/// Sessions of planners that are looked through, the newest first.
const LOOKED_AT: usize = 200;
/// A failure is told to whoever asks this soon again; later another planner is asked.
const REMEMBERED: Duration = Duration::from_secs(30);
/// What an agent must be able to do to be asked.
const CAPABILITY: &str = "task_decomposition";
/// By what sessions of planners are known.
const MARK: &str = "plans_task";
const ROUND: &str = "plan_round";

/// What asking a planner came to.
pub(super) enum Planned {
    /// This plan, which is valid.
    Plan(Plan, Value),
    /// The session still works on it.
    Waits(SessionId),
}

impl TaskService {
    /// The plan of an agent, or the session that still works on it.
    ///
    /// # Errors
    /// `PlanInvalid`, `PlannerFailed`; those of making a session.
    pub(super) async fn planned(
        &self,
        ctx: &RequestContext,
        task: &Task,
    ) -> Result<Planned, AppError> {
        let until = self.clock.now().after(PATIENCE);
        let mut wrong: Option<Vec<FieldError>> = None;
        for round in 0..2_u64 {
            let asked = match self.asked(ctx, task, round).await? {
                Some(session) => session,
                None => self.ask(ctx, task, round, wrong.as_deref()).await?,
            };
            let Some(answer) = self.answer_of(ctx, asked, until).await? else {
                return Ok(Planned::Waits(asked));
            };
            let spelled = json_in(&answer);
            match Plan::read(&spelled) {
                Ok(plan) => return Ok(Planned::Plan(plan, spelled)),
                Err(errors) => wrong = Some(errors),
            }
        }
        Err(TaskRefused::PlanInvalid(wrong.unwrap_or_default()).into())
    }

    /// The session that was asked for this round, unless it is of no use any more.
    async fn asked(
        &self,
        ctx: &RequestContext,
        task: &Task,
        round: u64,
    ) -> Result<Option<SessionId>, AppError> {
        let filter = SessionFilter { parent_id: Some(task.session_id), ..SessionFilter::default() };
        let order = Order::NewestFirst;
        let query = SessionQuery { filter, order, after: None, limit: LOOKED_AT, count: false };
        let found = self.snapshot(ctx.tenant).await?.sessions(query).await?;
        let (mark, now) = (json!(task.id), self.clock.now());
        let is_it = |session: &Session| {
            let metadata = &session.spec.metadata;
            metadata.get(MARK) == Some(&mark) && metadata.get(ROUND) == Some(&json!(round))
        };
        let newest = found.items.iter().map(|found| &found.value).find(|session| is_it(session));
        let useful = newest.filter(|session| {
            // What was asked before the task was changed answers another question.
            let is_current = session.stamps.created_at >= task.created_at;
            let failed = session.status().is_terminal() && !gave(session);
            let ended = session.stamps.ended_at;
            let is_old = ended.is_some_and(|ended| now.since(ended) > REMEMBERED);
            let is_wrong = gave(session) && round == 1 && is_old && !is_plan(session);
            is_current && !(failed && is_old) && !is_wrong
        });
        Ok(useful.map(|session| session.id))
    }

    async fn ask(
        &self,
        ctx: &RequestContext,
        task: &Task,
        round: u64,
        wrong: Option<&[FieldError]>,
    ) -> Result<SessionId, AppError> {
        let found = self.snapshot(ctx.tenant).await?.session(task.session_id).await?;
        let root = found.ok_or(AppError::SessionNotFound)?.value;
        let metadata =
            Map::from_iter([(MARK.to_owned(), json!(task.id)), (ROUND.to_owned(), json!(round))]);
        let title: String = format!("Plan: {}", task.spec.title).chars().take(200).collect();
        let draft = SessionDraft {
            title: Some(title),
            session_type: Some(SessionType::Planning),
            priority: Some(root.spec.priority),
            required_capabilities: vec![CAPABILITY.to_owned()],
            model_identifier: root.spec.model_identifier.clone(),
            initial_prompt: prompt(task, wrong),
            workspace: of_child(root.spec.workspace.clone()),
            metadata,
            ..SessionDraft::default()
        };
        let new = NewSession {
            draft,
            parent: Some(root.id.to_string()),
            after: Vec::new(),
            start: true,
            created_by: None,
        };
        let alone = RequestContext { if_match: None, repeat: None, ..ctx.clone() };
        Ok(self.sessions.create(&alone, new).await?.value.id)
    }

    /// What a session answered; `None` when it has not by then.
    async fn answer_of(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        until: crate::domain::time::Timestamp,
    ) -> Result<Option<String>, AppError> {
        let mut feed = self.store.feed();
        loop {
            let found = self.snapshot(ctx.tenant).await?.session(id).await?;
            let session = found.ok_or(AppError::SessionNotFound)?.value;
            if gave(&session) {
                return Ok(Some(text_of(&session)));
            }
            if session.status().is_terminal() {
                let code = session.code.to_string();
                return Err(TaskRefused::PlannerFailed { code, status: session.status() }.into());
            }
            let left = until.since(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            let heard = async {
                loop {
                    match feed.recv().await {
                        Ok(batch) => {
                            if batch.iter().any(|told| told.event.subject.id == id.uuid()) {
                                return;
                            }
                        }
                        Err(_) => return,
                    }
                }
            };
            tokio::select! {
                biased;
                () = heard => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }
}

const fn gave(session: &Session) -> bool {
    matches!(session.status(), SessionStatus::Completed | SessionStatus::PartiallyCompleted)
}

fn is_plan(session: &Session) -> bool {
    Plan::read(&json_in(&text_of(session))).is_ok()
}

fn text_of(session: &Session) -> String {
    let result = session.metrics.result.as_ref();
    let text = result.and_then(|result| result.get("text")).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The JSON object in an answer, whatever stands round it; null when there is none.
fn json_in(answer: &str) -> Value {
    let object = answer.find('{').zip(answer.rfind('}')).filter(|(from, to)| from < to);
    let spelled = object.and_then(|(from, to)| serde_json::from_str(&answer[from..=to]).ok());
    spelled.unwrap_or(Value::Null)
}

fn prompt(task: &Task, wrong: Option<&[FieldError]>) -> String {
    let described = task.spec.description.as_deref().unwrap_or("(no description)");
    let mut text = format!(
        "Plan the task below: split it into subtasks that different people could do, with what each needs \
         of the others. Change no files. Answer with one JSON object and nothing else, which follows this \
         JSON Schema:\n\n{SCHEMA}\n\nThe task: {}\n\n{described}\n\nIts type: {}\n",
        task.spec.title, task.spec.task_type,
    );
    if let Some(errors) = wrong {
        let one =
            |FieldError { pointer, message, .. }: &FieldError| format!("- {pointer}: {message}\n");
        text.push_str("\nThe last answer could not be used. Mend this:\n");
        text.extend(errors.iter().take(50).map(one));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_found_in_whatever_stands_round_it() {
        let plan = json!({ "tasks": [{ "key": "a", "title": "A {b}", "likely_hours": 1 }] });
        let fenced = format!("Here it is:\n```json\n{plan}\n```\nGood luck");
        assert_eq!(json_in(&fenced), plan);
        for none in ["", "no plan", "} {", "{ \"tasks\": [ }"] {
            assert_eq!(json_in(none), Value::Null, "{none}");
        }
    }
}
