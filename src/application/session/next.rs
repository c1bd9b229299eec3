//! What an agent is told next, after a turn or a pause.

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
}
