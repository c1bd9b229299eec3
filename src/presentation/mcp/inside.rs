//! The tools of an agent at work.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::inside_input::{
    AskHuman, ContextHistory, GetContext, LONGEST_WAIT, PutContext, Release, Renew, ReportPhase,
    SpawnChild, Status, TakeCheckpoint, TaskList, TaskUpdate, Which,
};
use super::{Answer, Refusal};
use crate::application::context::{By, ContextView, Wanted as Write};
use crate::application::error::AppError;
use crate::application::inside::{Answered, Insider};
use crate::application::ports::contexts::{ContextQuery, ContextsOf};
use crate::application::task::view::TaskView;
use crate::domain::context::ContextScope;
use crate::domain::ids::LockId;
use crate::domain::lock::LockName;
use crate::domain::session::Session;
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::dto::checkpoint::CheckpointDto;
use crate::presentation::api::dto::context::{ChangeDto, ContextDto, KeyDto};
use crate::presentation::api::dto::lock::{GrantDto, GrantsDto};
use crate::presentation::api::dto::lock_input::{AcquireLocks, RenewLock};
use crate::presentation::api::fields::{Fields, FromFields};
use crate::presentation::api::problem::Problem;
use crate::presentation::api::state::AppState;

/// Calls a tool; `None` when there is none of that name.
pub(super) async fn call(
    app: &AppState,
    who: &Insider,
    request_id: &str,
    name: &str,
    arguments: Map<String, Value>,
) -> Option<Answer> {
    Some(match name {
        "context_get" => context_get(app, who, arguments).await,
        "context_put" => context_put(app, who, arguments).await,
        "context_history" => context_history(app, who, arguments).await,
        "lock_acquire" => lock_acquire(app, who, arguments).await,
        "lock_renew" => lock_renew(app, who, arguments).await,
        "lock_release" => lock_release(app, who, arguments).await,
        "session_spawn" => session_spawn(app, who, request_id, arguments).await,
        "session_status" => session_status(app, who, arguments).await,
        "ask_human" => Box::pin(ask_human(app, who, arguments)).await,
        "checkpoint" => Box::pin(checkpoint(app, who, request_id, arguments)).await,
        "task_list" => task_list(app, who, arguments).await,
        "task_update" => task_update(app, who, request_id, arguments).await,
        "report_phase" => report_phase(app, who, arguments).await,
        _ => return None,
    })
}

fn read<T: FromFields>(arguments: Map<String, Value>) -> Result<T, Problem> {
    Fields::read(arguments).map_err(|errors| Problem::fields(&errors))
}

fn value(of: impl Serialize) -> Answer {
    serde_json::to_value(of)
        .map_err(|_| Problem::new(ErrorCode::InternalError, "internal error").into())
}

/// The context that is meant; its own is made when there is none.
async fn context(app: &AppState, who: &Insider, which: &Which) -> Result<ContextView, Refusal> {
    let author = who.author();
    let by = By::Agent(&author);
    match which.0 {
        ContextScope::Global => {
            let query = ContextQuery {
                of: ContextsOf::default(),
                scope: Some(ContextScope::Global),
                after: None,
                limit: 1,
            };
            let page = app.contexts.list(by, query).await?;
            let missing =
                || Problem::field("/scope", "missing", "nothing is known to all sessions yet");
            Ok(page.items.into_iter().next().ok_or_else(missing)?)
        }
        ContextScope::Session
        | ContextScope::Agent
        | ContextScope::Task
        | ContextScope::Temporary => Ok(app.contexts.get_or_create(by, &which.draft()).await?),
    }
}

async fn context_get(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let GetContext { which, path } = read(arguments)?;
    let found = context(app, who, &which).await?;
    let Some(path) = path else { return value(ContextDto::from(&found)) };
    let author = who.author();
    let id = found.context.value.id;
    value(KeyDto::from(&app.contexts.key(By::Agent(&author), id, &path).await?))
}

async fn context_put(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let PutContext { which, write } = read(arguments)?;
    let found = context(app, who, &which).await?;
    let author = who.author();
    let (id, wanted) = (found.context.value.id, Write::Updates(write.0));
    value(ContextDto::from(&app.contexts.write(By::Agent(&author), id, &wanted, write.1).await?))
}

async fn context_history(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let ContextHistory { which, limit } = read(arguments)?;
    let found = context(app, who, &which).await?;
    let author = who.author();
    let id = found.context.value.id;
    let page = app.contexts.history(By::Agent(&author), id, None, limit).await?;
    let changes: Vec<ChangeDto> = page.items.into_iter().map(ChangeDto::from).collect();
    value(json!({ "context_id": id, "changes": changes, "has_more": page.has_more }))
}

async fn lock_acquire(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let AcquireLocks(mut wanted) = read(arguments)?;
    if wanted.wait.as_secs() > LONGEST_WAIT {
        let message = format!("must be between 0 and {LONGEST_WAIT}");
        return Err(Problem::field("/wait_seconds", "out_of_range", message).into());
    }
    // What an agent holds is its session's.
    (wanted.session, wanted.label) = (None, None);
    let asker = who.asker();
    let grants = tokio::select! {
        biased;
        () = app.shutdown.cancelled() => return Err(AppError::ShuttingDown.into()),
        granted = app.locks.acquire(&asker, wanted) => granted?,
    };
    value(GrantsDto { grants: grants.iter().map(GrantDto::from).collect() })
}

fn named(name: Option<LockName>, id: Option<LockId>) -> Result<(LockName, LockId), Problem> {
    let missing = |pointer: &str| Problem::field(pointer, "required", "names the hold");
    Ok((name.ok_or_else(|| missing("/name"))?, id.ok_or_else(|| missing("/lock_id"))?))
}

async fn lock_renew(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let Renew { name, with: RenewLock { lock_id, ttl, fencing_token } } = read(arguments)?;
    let which = named(name, lock_id)?;
    let renewed = app.locks.renew(&who.asker(), which, ttl, fencing_token).await?;
    value(GrantDto::from(&renewed))
}

async fn lock_release(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let Release { name, lock_id } = read(arguments)?;
    let (name, lock_id) = named(name, lock_id)?;
    let left = app.locks.release(&who.asker(), &name, lock_id).await?;
    let hold_count = left.map_or(0, |left| left.hold_count);
    value(json!({ "name": name.as_str(), "released": hold_count == 0, "hold_count": hold_count }))
}

async fn session_spawn(
    app: &AppState,
    who: &Insider,
    request_id: &str,
    arguments: Map<String, Value>,
) -> Answer {
    let SpawnChild(wanted) = read(arguments)?;
    let child = app.inside.spawn(who, request_id, wanted).await?;
    value(facts(&child.value))
}

async fn session_status(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let Status(reference) = read(arguments)?;
    let found = app.inside.look(who, reference.as_deref()).await?;
    let ctx = who.context("");
    let (_, children) = app.sessions.with_children(&ctx, found.value.id).await?;
    let mut told = facts(&found.value);
    told["child_ids"] = json!(children);
    Ok(told)
}

/// What an agent is told of a session.
fn facts(session: &Session) -> Value {
    json!({
        "id": session.id, "code": session.code.to_string(), "title": session.spec.title,
        "status": session.status(), "status_reason": session.status_reason(),
        "phase": session.phase, "attempt": session.run.attempt,
        "agent": session.run.lease.as_ref().map(|lease| &lease.agent_name),
        "parent_id": session.lineage.parent_id,
        "budget_usd": session.spec.budget_usd, "token_budget": session.spec.token_budget,
        "cost_usd": session.metrics.usage.cost_usd,
        "tokens_total": session.metrics.usage.tokens_total(),
        "is_over": session.status().is_terminal(),
        "branch": session.run.workspace.as_ref().and_then(|place| place.branch.clone()),
    })
}

async fn ask_human(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let AskHuman { question, wait } = read(arguments)?;
    let answered = tokio::select! {
        biased;
        () = app.shutdown.cancelled() => return Err(AppError::ShuttingDown.into()),
        answered = app.inside.ask(who, &question, wait) => answered?,
    };
    value(match answered {
        Answered::Answer { text, by } => json!({ "state": "answered", "answer": text, "by": by }),
        Answered::Refused { by } => json!({
            "state": "refused", "answer": null, "by": by,
            "remedy": "go on with your best judgement, or end the work and say what is missing",
        }),
        Answered::Open(item) => json!({
            "state": "open", "answer": null, "attention_id": item.id, "deadline": item.deadline,
            "remedy": "call ask_human with the same question again to go on waiting",
        }),
    })
}

async fn checkpoint(
    app: &AppState,
    who: &Insider,
    request_id: &str,
    arguments: Map<String, Value>,
) -> Answer {
    let TakeCheckpoint(data) = read(arguments)?;
    let ctx = who.context(request_id);
    let taken = app.sessions.create_checkpoint(&ctx, who.session, data, None).await?;
    value(CheckpointDto::from(&taken))
}

async fn report_phase(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let ReportPhase(phase) = read(arguments)?;
    let phase = phase.ok_or_else(|| Problem::field("/phase", "required", "is missing"))?;
    app.inside.phase(who, phase).await?;
    value(json!({ "phase": phase }))
}

async fn task_list(app: &AppState, who: &Insider, arguments: Map<String, Value>) -> Answer {
    let TaskList { statuses, limit } = read(arguments)?;
    let seen = app.tasks.seen_by(who).await?;
    let is_wanted =
        |view: &&TaskView| statuses.is_empty() || statuses.contains(&view.task.value.status());
    let wanted: Vec<&TaskView> = seen.tasks.iter().filter(is_wanted).collect();
    let shown: Vec<Value> = wanted.iter().take(limit).map(|view| task_facts(view)).collect();
    Ok(json!({
        "session_id": seen.session, "your_task_id": seen.own, "tasks": shown,
        "has_more": wanted.len() > limit,
    }))
}

async fn task_update(
    app: &AppState,
    who: &Insider,
    request_id: &str,
    arguments: Map<String, Value>,
) -> Answer {
    let TaskUpdate { task, told } = read(arguments)?;
    let view = app.tasks.told_by(who, request_id, task, &told).await?;
    Ok(task_facts(&view))
}

/// What an agent is told of a task.
fn task_facts(view: &TaskView) -> Value {
    let task = &view.task.value;
    let needs: Vec<Value> = view
        .dependencies
        .iter()
        .map(|need| {
            json!({
                "task_id": need.dependency.target_task_id,
                "type": need.dependency.dependency_type, "is_satisfied": need.is_satisfied,
            })
        })
        .collect();
    json!({
        "id": task.id, "title": task.spec.title, "description": task.spec.description,
        "task_type": task.spec.task_type, "status": task.status(),
        "progress_percentage": view.progress_percentage, "parent_task_id": task.place.parent_task_id,
        "depends_on": needs, "result": task.work.result,
    })
}
