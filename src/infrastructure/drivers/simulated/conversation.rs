//! What is remembered of conversations while the process lives.
//!
//! Invariant: a turn's progress is noted before the next step begins, so that a prompt that is told
//! again goes on where it was, or gets the end that it had.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::script::Step;
use crate::application::ports::driver::TurnEnd;

/// Most conversations in memory; the one that was touched longest ago is forgotten first, which
/// only means that its prompts start over.
const KEPT: usize = 1_000;
/// Most turns of a conversation in memory, with the same consequence.
const TURNS: usize = 200;

/// How a turn ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub message_ref: Option<String>,
    pub text: String,
    pub end: TurnEnd,
}

/// The turn of one prompt.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    pub steps: Vec<Step>,
    /// The step that comes next.
    pub at: usize,
    /// When it began, among the turns of its conversation.
    pub number: u64,
    /// Its newest message, or the newest one before it.
    pub newest: u64,
    pub said: String,
    pub ended: Option<Ended>,
}

/// One conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    /// Messages so far; the newest is `msg_<n>`.
    pub messages: u64,
    pub turns: HashMap<Uuid, Turn>,
    /// Turns so far.
    pub begun: u64,
    /// Calls that need no asking any more: tool and patterns.
    pub allowed: HashSet<(String, Vec<String>)>,
    /// Ends the run that works on it now.
    pub owner: CancellationToken,
    touched: u64,
}

impl Conversation {
    /// The newest message.
    pub(super) fn message_ref(&self) -> Option<String> {
        (self.messages > 0).then(|| format!("msg_{}", self.messages))
    }

    /// Begins the turn of a prompt. A script that an earlier turn left off, since it failed or was
    /// aborted, goes on where it was left: behind the step that failed, with the step that was
    /// aborted. So a session that is retried or resumed goes on instead of doing all of it again.
    pub(super) fn begin(&mut self, prompt: Uuid, steps: Vec<Step>) {
        let newest = self.turns.iter().max_by_key(|(_, turn)| turn.number);
        let left = newest.filter(|(_, turn)| turn.is_left_off() && turn.steps == steps);
        let (at, said) = left.map_or((0, String::new()), |(_, turn)| (turn.at, turn.said.clone()));
        if self.turns.len() >= TURNS {
            let oldest = self.turns.iter().min_by_key(|(_, turn)| turn.number);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.turns.remove(&oldest);
            }
        }
        self.begun += 1;
        let (newest, number) = (self.messages, self.begun);
        self.turns.insert(prompt, Turn { steps, at, number, newest, said, ended: None });
    }

    /// Forgets what came after a message.
    pub(super) fn cut_after(&mut self, message_ref: Option<&str>) {
        let last = message_ref.and_then(number).unwrap_or(0);
        self.messages = self.messages.min(last);
        self.turns.retain(|_, turn| turn.newest <= last);
    }
}

impl Turn {
    /// Whether there is something to go on with.
    fn is_left_off(&self) -> bool {
        self.at > 0 && self.ended.as_ref().is_none_or(|ended| ended.end == TurnEnd::Aborted)
    }
}

fn number(message_ref: &str) -> Option<u64> {
    message_ref.strip_prefix("msg_")?.parse().ok()
}

/// A conversation's identity as the application keeps it.
pub(super) fn handle(id: Uuid, seed: u64) -> Value {
    json!({ "simulated": true, "conversation": id, "seed": seed })
}

/// Reads a handle.
pub(super) fn read_handle(handle: &Value) -> Option<(Uuid, u64)> {
    let id = Uuid::try_parse(handle.get("conversation")?.as_str()?).ok()?;
    Some((id, handle.get("seed").and_then(Value::as_u64).unwrap_or(0)))
}

/// All conversations of the driver.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversations(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    all: HashMap<Uuid, Conversation>,
    by_age: BTreeMap<u64, Uuid>,
    clock: u64,
}

impl Conversations {
    /// Gives a conversation a new owner and ends the former one. The prompt that the new one begins
    /// with goes on if it was aborted before.
    pub(super) fn own(&self, id: Uuid, prompt: Uuid, owner: CancellationToken) {
        let mut memory = self.lock();
        let conversation = memory.touch(id);
        if let Some(turn) = conversation.turns.get_mut(&prompt) {
            turn.ended.take_if(|ended| ended.end == TurnEnd::Aborted);
        }
        std::mem::replace(&mut conversation.owner, owner).cancel();
    }

    /// Copies a conversation up to a message.
    pub(super) fn copy(&self, from: Uuid, to: Uuid, message_ref: Option<&str>) {
        let mut memory = self.lock();
        let mut copy = memory.touch(from).clone();
        copy.cut_after(message_ref);
        // A conversation that was forgotten still numbers its messages onwards.
        copy.messages = copy.messages.max(message_ref.and_then(number).unwrap_or(0));
        copy.owner = CancellationToken::new();
        let place = memory.touch(to);
        copy.touched = place.touched;
        *place = copy;
    }

    /// Works on a conversation.
    pub(super) fn with<T>(&self, id: Uuid, work: impl FnOnce(&mut Conversation) -> T) -> T {
        work(self.lock().touch(id))
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn touch(&mut self, id: Uuid) -> &mut Conversation {
        self.clock += 1;
        if self.all.len() >= KEPT
            && !self.all.contains_key(&id)
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.all.remove(&oldest);
        }
        let conversation = self.all.entry(id).or_default();
        self.by_age.remove(&conversation.touched);
        conversation.touched = self.clock;
        self.by_age.insert(self.clock, id);
        conversation
    }
}
