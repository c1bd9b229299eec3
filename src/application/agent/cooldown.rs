//! Model providers that are left alone for a while: nothing new is given to an agent for a provider
//! that just told it of a rate limit or of overload.
//!
//! Invariant: a cool-down ends by itself. It is known to this process only: after a restart the
//! provider is asked anew and says so again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

/// How long a provider is left alone that did not say; it doubles each time in a row.
const FIRST: Duration = Duration::from_secs(30);
/// Longest time without having been told one.
const LONGEST: Duration = Duration::from_mins(10);
/// Longest time that a provider can ask for.
const LONGEST_TOLD: Duration = Duration::from_hours(1);
/// Characters kept of what it said.
const SAID_CHARS: usize = 200;

/// A provider that an agent leaves alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// Its name, as in `provider/model`; `None` for the one that the agent uses by default.
    pub provider: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it said.
    pub said: String,
}

/// One provider of one agent.
type Key = (AgentId, Option<String>);

/// A cool-down, and how many there were in a row.
struct Entry {
    cooldown: Cooldown,
    in_a_row: u32,
}

/// The providers that are left alone.
#[derive(Clone, Default)]
pub struct Cooldowns(Arc<Mutex<BTreeMap<Key, Entry>>>);

impl Cooldowns {
    /// A provider told an agent to wait, until then if it said so.
    pub fn begin(
        &self,
        agent: AgentId,
        provider: Option<&str>,
        said: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let mut all = self.all();
        all.retain(|_, entry| entry.cooldown.until.after(LONGEST) > now);
        let key = (agent, provider.map(str::to_owned));
        let known = all.get(&key);
        let is_on = known.filter(|entry| entry.cooldown.until > now);
        // Many runs that fail at once are one refusal.
        let in_a_row = match (is_on, known) {
            (Some(entry), _) => entry.in_a_row,
            (None, known) => known.map_or(0, |entry| entry.in_a_row) + 1,
        };
        let doublings = (in_a_row - 1).min(16);
        let alone = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
        let until = match until {
            Some(told) => told.min(now.after(LONGEST_TOLD)),
            None => now.after(alone),
        };
        let (since, until) = is_on
            .map_or((now, until), |entry| (entry.cooldown.since, until.max(entry.cooldown.until)));
        let said = said.chars().take(SAID_CHARS).collect();
        let cooldown = Cooldown { provider: key.1.clone(), since, until, said };
        all.insert(key, Entry { cooldown, in_a_row });
    }

    /// A provider answered an agent again.
    pub fn end(&self, agent: AgentId, provider: Option<&str>) {
        self.all().remove(&(agent, provider.map(str::to_owned)));
    }

    /// Those that last at this moment.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> BTreeMap<AgentId, Vec<Cooldown>> {
        let mut found: BTreeMap<AgentId, Vec<Cooldown>> = BTreeMap::new();
        for ((agent, _), entry) in self.all().iter() {
            if entry.cooldown.until > now {
                found.entry(*agent).or_default().push(entry.cooldown.clone());
            }
        }
        found
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn until(cooldowns: &Cooldowns, now: u64) -> Option<Timestamp> {
        let found = cooldowns.at(at(now));
        found.get(&AgentId::new(Uuid::nil())).map(|all| all[0].until)
    }

    #[test]
    fn a_provider_that_says_nothing_is_left_alone_for_longer_each_time() {
        let (cooldowns, agent) = (Cooldowns::default(), AgentId::new(Uuid::nil()));
        let begin = |now| cooldowns.begin(agent, Some("lab"), "overloaded", None, at(now));
        begin(0);
        assert_eq!((until(&cooldowns, 29), until(&cooldowns, 30)), (Some(at(30)), None));
        begin(40);
        assert_eq!(until(&cooldowns, 99), Some(at(100)));
        cooldowns.end(agent, Some("other"));
        assert_eq!(until(&cooldowns, 99), Some(at(100)));
        cooldowns.end(agent, Some("lab"));
        assert_eq!(until(&cooldowns, 41), None);
        begin(200);
        assert_eq!(until(&cooldowns, 200), Some(at(230)), "the row was over");
        // Long afterwards it is a new row, too.
        begin(230 + 601);
        assert_eq!(until(&cooldowns, 831), Some(at(861)));
    }

    #[test]
    fn many_runs_that_are_refused_at_once_are_one_refusal() {
        let (cooldowns, agent) = (Cooldowns::default(), AgentId::new(Uuid::nil()));
        for _ in 0..10 {
            cooldowns.begin(agent, Some("lab"), "overloaded", None, at(0));
        }
        assert_eq!(until(&cooldowns, 1), Some(at(30)));
        cooldowns.begin(agent, Some("lab"), "overloaded", None, at(31));
        assert_eq!(until(&cooldowns, 32), Some(at(91)), "the second in a row");
    }

    #[test]
    fn what_the_provider_asks_for_counts_within_an_hour_and_is_never_cut_short() {
        let (cooldowns, agent) = (Cooldowns::default(), AgentId::new(Uuid::nil()));
        cooldowns.begin(agent, None, "", Some(at(100)), at(0));
        cooldowns.begin(agent, None, "", Some(at(50)), at(1));
        assert_eq!(until(&cooldowns, 60), Some(at(100)));
        assert_eq!(cooldowns.at(at(60))[&agent][0].since, at(0));
        cooldowns.begin(agent, None, "", Some(at(1_000_000)), at(2));
        assert_eq!(until(&cooldowns, 60), Some(at(3602)));
    }
}
