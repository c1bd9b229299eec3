//! What a task makes of the session that executes it.

use serde_json::Value;

use super::board::Board;
use crate::application::error::AppError;
use crate::domain::ids::TaskId;
use crate::domain::session::{Cause, Session};
use crate::domain::task::TaskError;
use crate::domain::task::estimate::Actual;
use crate::domain::task::life::ChildState;
use crate::domain::task::rollup::hours;
use crate::domain::task::status::TaskStatus;
use crate::domain::time::Timestamp;

/// A task follows its child; one whose child is gone for good is cut off.
pub(super) fn follow_child(
    board: &mut Board,
    id: TaskId,
    child: Option<&Session>,
    cause: Cause<'_>,
) -> Result<(), AppError> {
    let state = child.map_or(ChildState::CutOff, |session| state_of(session, cause.at));
    let agent = child.and_then(|session| session.run.lease.as_ref()).map(|lease| lease.agent_id);
    let task = board.task(id)?;
    let stands = task.status();
    let is_news = match &state {
        ChildState::Waits => stands == TaskStatus::Ready,
        ChildState::Works => stands != TaskStatus::InProgress,
        ChildState::Held => stands != TaskStatus::Paused,
        ChildState::Gave { .. } | ChildState::Failed(_) | ChildState::CutOff => true,
    };
    if agent.is_some() && task.work.assigned_agent_id != agent {
        board.change(id, |task| {
            task.work.assigned_agent_id = agent;
            task.updated_at = cause.at;
            Ok(())
        })?;
    }
    if !is_news {
        return Ok(());
    }
    let took = child.filter(|_| matches!(state, ChildState::Gave { .. })).and_then(actual);
    if let Some(actual) = took {
        board.change(id, |task| {
            if let Some(estimate) = &mut task.estimate {
                estimate.learn(actual, cause.at);
            }
            Ok(())
        })?;
    }
    board.act(id, cause, |task, gates| task.follow(state, gates, cause))
}

/// What a session is to the task that it executes.
fn state_of(session: &Session, now: Timestamp) -> ChildState {
    let error = || match &session.metrics.error {
        Some(error) => TaskError {
            error_type: error.error_type.clone(),
            message: error.message.clone(),
            context: error.context.clone(),
            timestamp: error.occurred_at,
        },
        None => TaskError {
            error_type: session.status().to_string(),
            message: format!("session {} is {}", session.code, session.status()),
            context: Value::Null,
            timestamp: now,
        },
    };
    ChildState::of(session.status(), session.metrics.result.as_ref(), error)
}

/// What the work took, where it was measured: what is simulated teaches nothing.
fn actual(session: &Session) -> Option<Actual> {
    let usage = &session.metrics.usage;
    if usage.simulated {
        return None;
    }
    let ended = session.stamps.ended_at?;
    let took = session.run.clock.at(ended);
    let tokens = Some(usage.tokens_total()).filter(|tokens| *tokens > 0);
    Some(Actual { hours: hours(took), tokens, cost_usd: usage.cost_usd })
}
