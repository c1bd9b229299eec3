//! The limit of locks: a keyed lock with a queue, a time to live and a rising token, and nothing else. No
//! owners, modes, priorities, circles or events.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// What one name is.
#[derive(Default)]
struct Line {
    /// The token of whoever holds it, and when that ends.
    held: Option<(u64, u64)>,
    waiting: VecDeque<oneshot::Sender<u64>>,
}

#[derive(Default)]
struct Table {
    lines: HashMap<String, Line>,
    ends: BTreeSet<(u64, u64)>,
    tokens: u64,
}

/// Fair locks as bare as they can be.
#[derive(Default)]
pub(crate) struct FairProbe(Mutex<Table>);

impl FairProbe {
    /// Waits for a name; the token of the hold. `now` counts milliseconds.
    pub(crate) async fn acquire(&self, name: &str, now: u64) -> u64 {
        let told = {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.tokens += 1;
            let token = table.tokens;
            let line = table.lines.entry(name.to_owned()).or_default();
            if line.held.is_none() {
                line.held = Some((token, now + 30_000));
                table.ends.insert((now + 30_000, token));
                return token;
            }
            let (tell, told) = oneshot::channel();
            line.waiting.push_back(tell);
            told
        };
        told.await.unwrap_or(0)
    }

    /// Gives a name back to whoever has waited longest.
    pub(crate) fn release(&self, name: &str, now: u64) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.tokens += 1;
        let token = table.tokens;
        let Some(line) = table.lines.get_mut(name) else { return };
        let ended = line.held.take();
        let next = line.waiting.pop_front();
        let is_idle = next.is_none();
        if let Some(next) = next {
            line.held = Some((token, now + 30_000));
            // Whoever went away loses its turn: the probe is not asked to be kind.
            next.send(token).ok();
        }
        if is_idle {
            table.lines.remove(name);
        } else {
            table.ends.insert((now + 30_000, token));
        }
        if let Some((token, at)) = ended {
            table.ends.remove(&(at, token));
        }
    }
}
