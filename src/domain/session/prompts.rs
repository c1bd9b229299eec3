//! How much may wait for an agent: prompts lie in the session's own record until they are taken up.
//!
//! Invariant: a session that keeps to these bounds fits its record many times over.

use super::QueuedPrompt;

/// Most prompts that wait at a time.
pub const MAX_WAITING: usize = 100;
/// Most bytes of text that wait at a time: five of the longest prompts.
pub const MAX_WAITING_BYTES: usize = 2_000_000;

/// No further prompt may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// Which bound is reached.
    pub bound: &'static str,
    /// The bound.
    pub limit: usize,
    /// What waits already.
    pub used: usize,
}

/// Whether a prompt with this text may wait behind these.
///
/// # Errors
/// `NoRoom` with the bound that it would pass.
pub fn check_room(waiting: &[QueuedPrompt], text: &str) -> Result<(), NoRoom> {
    if waiting.len() >= MAX_WAITING {
        let used = waiting.len();
        return Err(NoRoom { bound: "queued_prompts", limit: MAX_WAITING, used });
    }
    let used = waiting.iter().map(|prompt| prompt.text.len()).sum::<usize>();
    if used + text.len() > MAX_WAITING_BYTES {
        return Err(NoRoom { bound: "queued_prompt_bytes", limit: MAX_WAITING_BYTES, used });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::PromptMode;
    use crate::domain::time::Timestamp;

    #[test]
    fn prompts_are_bounded_by_count_and_by_size() {
        let prompt = |text: &str| QueuedPrompt {
            id: uuid::Uuid::nil(),
            text: text.to_owned(),
            mode: PromptMode::Queue,
            at: Timestamp::EPOCH,
        };
        let many = vec![prompt("x"); MAX_WAITING - 1];
        assert_eq!(check_room(&many, "x"), Ok(()));
        let full = vec![prompt("x"); MAX_WAITING];
        assert_eq!(check_room(&full, "x").map_err(|no| no.bound), Err("queued_prompts"));
        let longest = "𝕏".repeat(100_000);
        let large = vec![prompt(&longest); 4];
        assert_eq!(check_room(&large, &longest), Ok(()));
        let larger = vec![prompt(&longest); 5];
        assert_eq!(check_room(&larger, "x").map_err(|no| no.bound), Err("queued_prompt_bytes"));
    }
}
