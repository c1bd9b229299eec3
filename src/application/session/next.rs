//! What an agent is told next: at the begin of an attempt, after a turn, a pause or a restore.
//!
//! Invariant: what people added is told until a turn with it has ended, whatever becomes of attempts.

use uuid::Uuid;

use super::report::Next;
use crate::application::ports::driver::Prompt;
use crate::domain::session::{PromptMode, QueuedPrompt, Session};
use crate::domain::time::Timestamp;

/// What comes next, as it was decided before.
pub(super) fn what_stands(session: &Session) -> Next {
    match &session.run.prompt {
        Some(prompt) => Next::Prompt(Prompt { id: prompt.id, text: prompt.text.clone() }),
        None => Next::Judge,
    }
}

/// The next waiting prompt: one that interrupts before the others.
pub(super) fn take_prompt(session: &mut Session) -> Option<QueuedPrompt> {
    let prompts = &mut session.run.prompts;
    let first = prompts.iter().position(|prompt| prompt.mode == PromptMode::Interrupt);
    (!prompts.is_empty()).then(|| prompts.remove(first.unwrap_or(0)))
}

/// How an agent is told that an attempt before this one failed; the reason and the task follow.
const FAILED: &str = "An earlier attempt at this task ended early (";

/// What the first turn of an attempt is told.
pub(super) fn begin(session: &Session, id: Uuid, at: Timestamp) -> QueuedPrompt {
    let task = &session.spec.initial_prompt;
    let text = match session.metrics.previous_errors.last() {
        Some(error) if session.run.handle.is_some() => {
            let why = &error.error_type;
            format!("{FAILED}{why}). Look at what is done already and go on.\n\n{task}")
        }
        _ => task.clone(),
    };
    QueuedPrompt { id, text, mode: PromptMode::Queue, at }
}

/// How an agent is told that another one was removed before it was done; the task follows.
const ELSEWHERE: &str =
    "Another agent worked on this task and is gone. Look at what is done already and go on.\n\n";

/// What the first turn of an agent is told that follows on one that was removed.
pub(super) fn begin_elsewhere(task: &str, id: Uuid, at: Timestamp) -> QueuedPrompt {
    QueuedPrompt { id, text: format!("{ELSEWHERE}{task}"), mode: PromptMode::Queue, at }
}

/// How an agent is told that its work was taken back; the task follows.
const TAKEN_BACK: &str = "Your work was taken back to an earlier state. Look at what is there and go on with the task:\n\n";

/// What an agent is told whose work was taken back.
pub(super) fn go_on_from(task: &str, id: Uuid, at: Timestamp) -> QueuedPrompt {
    QueuedPrompt { id, text: format!("{TAKEN_BACK}{task}"), mode: PromptMode::Queue, at }
}

/// The agent is to be told its task anew. What it was told last waits for its turn again, under
/// another name, if it was something that people had added.
pub(super) fn begin_anew(session: &mut Session, first: QueuedPrompt, id: Uuid) {
    let last = session.run.prompt.replace(first);
    let task = &session.spec.initial_prompt;
    let Some(QueuedPrompt { text, at, .. }) = last else { return };
    let core = text.strip_prefix(PAUSED.trim_end()).unwrap_or(&text).trim_start();
    let is_told_of_task =
        [FAILED, TAKEN_BACK, ELSEWHERE].iter().any(|words| core.starts_with(words));
    if core.is_empty() || core == task || is_told_of_task && core.ends_with(task.as_str()) {
        return;
    }
    let added = QueuedPrompt { id, text: core.to_owned(), mode: PromptMode::Queue, at };
    session.run.prompts.insert(0, added);
}

/// How an agent is told that its turn was ended by a pause.
const PAUSED: &str = "You were paused. Go on with what you were doing.\n\n";

/// What an agent is told whose turn was ended by a pause.
pub(super) fn go_on(interrupted: Option<QueuedPrompt>, id: Uuid, at: Timestamp) -> QueuedPrompt {
    let task = interrupted.map_or_else(String::new, |prompt| prompt.text);
    // Paused once more, it is told once.
    let text = match task.strip_prefix(PAUSED.trim_end()).unwrap_or(&task).trim_start() {
        "" => PAUSED.trim_end().to_owned(),
        task => format!("{PAUSED}{task}"),
    };
    QueuedPrompt { id, text, mode: PromptMode::Queue, at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{SessionId, TenantId};
    use crate::domain::session::draft::SessionDraft;
    use crate::domain::session::{Lineage, SessionCode};

    #[test]
    fn who_is_paused_again_and_again_is_told_once() {
        let told = |text: &str| QueuedPrompt {
            id: Uuid::nil(),
            text: text.to_owned(),
            mode: PromptMode::Queue,
            at: Timestamp::EPOCH,
        };
        let again = |prompt| go_on(prompt, Uuid::nil(), Timestamp::EPOCH);
        let once = again(Some(told("Fix it.")));
        assert!(once.text.starts_with(PAUSED) && once.text.ends_with("Fix it."));
        assert_eq!(again(Some(once.clone())).text, once.text);
        let nothing = again(None);
        assert_eq!(nothing.text, PAUSED.trim_end());
        assert_eq!(again(Some(nothing.clone())).text, nothing.text);
    }

    fn session() -> Session {
        let draft =
            SessionDraft { initial_prompt: "Fix it.".to_owned(), ..SessionDraft::default() };
        let (id, code) = (SessionId::new(Uuid::nil()), SessionCode::new(1));
        let (tenant, spec) = (TenantId::BOOTSTRAP, draft.accept().expect("valid"));
        let lineage = Lineage::default();
        Session::create(id, tenant, code, spec, lineage, "ann", Timestamp::EPOCH).0
    }

    /// What waits after the task was told anew, when this was told last.
    fn left_of(text: &str) -> Vec<String> {
        let mut session = session();
        let at = Timestamp::EPOCH;
        let told = QueuedPrompt {
            id: Uuid::nil(),
            text: text.to_owned(),
            mode: PromptMode::Interrupt,
            at,
        };
        session.run.prompt = Some(told);
        let first = begin(&session, Uuid::from_u128(1), at);
        begin_anew(&mut session, first, Uuid::from_u128(2));
        assert_eq!(session.run.prompt.expect("the task").text, "Fix it.");
        let waiting = session.run.prompts.iter();
        assert!(waiting.clone().all(|prompt| prompt.mode == PromptMode::Queue));
        waiting.map(|prompt| prompt.text.clone()).collect()
    }

    #[test]
    fn what_people_added_is_told_after_the_task_and_the_task_is_not_told_twice() {
        let paused = |text: &str| format!("{PAUSED}{text}");
        let failed =
            format!("{FAILED}agent_error). Look at what is done already and go on.\n\nFix it.");
        let taken_back = go_on_from("Fix it.", Uuid::nil(), Timestamp::EPOCH).text;
        let elsewhere = begin_elsewhere("Fix it.", Uuid::nil(), Timestamp::EPOCH).text;
        for of_task in ["Fix it.", "", &failed, &taken_back, &elsewhere] {
            let left = [left_of(of_task), left_of(&paused(of_task))].concat();
            assert!(left.is_empty(), "{of_task}: {left:?}");
        }
        assert!(left_of(PAUSED.trim_end()).is_empty());
        for added in ["And this.", "Do it again: Fix it.", FAILED] {
            assert_eq!(left_of(added), [added]);
            assert_eq!(left_of(&paused(added)), [added]);
        }
    }
}
