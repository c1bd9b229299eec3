//! What the pool decides, as pure functions: where a run goes, and what becomes of a server.
//!
//! Invariant: nothing here looks at a clock, a process or a lock; the same facts give the same answer.

use std::time::Duration;

/// Bounds of one tenant's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Servers at once.
    pub(super) hosts: usize,
    /// Runs at once on each.
    pub(super) runs: usize,
}

/// How a host of the tenant stands when a place is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A server runs and answered when it was last asked.
    Well,
    /// A server runs that is being started, or did not answer when it was last asked.
    Unsure,
    /// No server runs; one is started when it is needed.
    Asleep,
}

/// A host of the tenant, as far as placing a run is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its number among the tenant's hosts.
    pub(super) number: u32,
    pub(super) standing: Standing,
    /// Runs that have a place there.
    pub(super) running: usize,
}

/// Where a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placing {
    /// To the host with this number, whose server runs.
    At(u32),
    /// To the host with this number, whose server has to be started.
    Wake(u32),
    /// Nowhere now.
    Full,
}

/// Where a run goes that has a conversation on the host `wanted`, or none yet.
///
/// A conversation lies in the database of its host, so that it goes on there or nowhere. A new one goes to the
/// least loaded server that is well; another server is started only when all that run are full.
pub(super) fn place(hosts: &[Seen], wanted: Option<u32>, room: Room) -> Placing {
    let awake = |seen: &Seen| seen.standing != Standing::Asleep;
    if let Some(number) = wanted {
        let seen = hosts.iter().find(|seen| seen.number == number);
        return match seen {
            Some(seen) if seen.running >= room.runs => Placing::Full,
            Some(seen) if awake(seen) => Placing::At(number),
            // What lies only there is not made to wait for another host to fall asleep.
            Some(_) | None => Placing::Wake(number),
        };
    }
    let least = |standing: Standing| {
        hosts
            .iter()
            .filter(|seen| seen.standing == standing && seen.running < room.runs)
            .min_by_key(|seen| (seen.running, seen.number))
            .map(|seen| Placing::At(seen.number))
    };
    if let Some(found) = least(Standing::Well) {
        return found;
    }
    let may_wake = hosts.iter().filter(|seen| awake(seen)).count() < room.hosts;
    // One that is being started is there sooner than one that is not.
    match least(Standing::Unsure) {
        Some(found) => found,
        None if may_wake => Placing::Wake(first_asleep(hosts)),
        None => Placing::Full,
    }
}

/// The lowest number that no awake host has.
fn first_asleep(hosts: &[Seen]) -> u32 {
    let is_taken = |number: u32| {
        hosts.iter().any(|seen| seen.number == number && seen.standing != Standing::Asleep)
    };
    (0..u32::MAX).find(|number| !is_taken(*number)).unwrap_or(u32::MAX)
}

/// When a server is replaced, put to sleep or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Memory of the server above which it is replaced when its runs can be moved in peace.
    pub(super) soft_rss_bytes: u64,
    /// Memory above which that is done at once.
    pub(super) hard_rss_bytes: u64,
    /// Age above which it is replaced.
    pub(super) age: Duration,
    /// Runs after which it is replaced.
    pub(super) served: u64,
    /// Probes that may fail in a row.
    pub(super) misses: u32,
    /// How long nobody may use it.
    pub(super) idle: Duration,
    /// A server that is not older is not replaced for its memory: the one in its place would need as much.
    pub(super) settled: Duration,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Memory of the server itself; `None` when it was not weighed now.
    pub(super) rss_bytes: Option<u64>,
    pub(super) age: Duration,
    /// Runs that began here.
    pub(super) served: u64,
    /// Probes that failed, since the last that did not.
    pub(super) misses: u32,
    /// Since when no run has a place here; `None` while one has.
    pub(super) idle: Option<Duration>,
}

/// What becomes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Advice {
    /// It goes on.
    Keep,
    /// It ends, and the next run starts another.
    Sleep(String),
    /// Another takes its place and its runs.
    Replace { why: String, at_once: bool },
    /// It does not answer any more: its runs are saved, and it is killed.
    Wedged(String),
}

/// What becomes of a server that is like this.
pub(super) fn advise(facts: &Facts, bounds: &Bounds) -> Advice {
    if facts.misses >= bounds.misses {
        return Advice::Wedged(format!("it did not answer {} probes in a row", facts.misses));
    }
    if let Some(idle) = facts.idle
        && idle >= bounds.idle
    {
        return Advice::Sleep(format!("nobody used it for {} s", idle.as_secs()));
    }
    match (reason(facts, bounds), facts.idle) {
        (None, _) => Advice::Keep,
        (Some((why, _)), Some(_)) => Advice::Sleep(why),
        (Some((why, at_once)), None) => Advice::Replace { why, at_once },
    }
}

/// Why a server should not be used for much longer, and whether that has no time.
fn reason(facts: &Facts, bounds: &Bounds) -> Option<(String, bool)> {
    const MIB: u64 = 1024 * 1024;
    let rss = facts.rss_bytes.unwrap_or_default();
    let too_much =
        |limit: u64| format!("it uses {} MiB of memory, more than {} MiB", rss / MIB, limit / MIB);
    let settled = facts.age >= bounds.settled;
    if rss > bounds.hard_rss_bytes && settled {
        return Some((too_much(bounds.hard_rss_bytes), true));
    }
    if facts.served >= bounds.served {
        return Some((format!("{} sessions worked with it", facts.served), false));
    }
    if facts.age >= bounds.age {
        return Some((format!("it runs for {} s", facts.age.as_secs()), false));
    }
    (rss > bounds.soft_rss_bytes && settled).then(|| (too_much(bounds.soft_rss_bytes), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { hosts: 2, runs: 3 };

    fn seen(number: u32, standing: Standing, running: usize) -> Seen {
        Seen { number, standing, running }
    }

    #[test]
    fn one_server_is_filled_before_another_is_started() {
        use Standing::{Asleep, Unsure, Well};
        assert_eq!(place(&[], None, ROOM), Placing::Wake(0));
        assert_eq!(place(&[seen(0, Well, 2)], None, ROOM), Placing::At(0));
        assert_eq!(place(&[seen(0, Well, 3)], None, ROOM), Placing::Wake(1));
        assert_eq!(place(&[seen(0, Asleep, 0), seen(1, Well, 3)], None, ROOM), Placing::Wake(0));
        assert_eq!(place(&[seen(0, Well, 3), seen(1, Well, 3)], None, ROOM), Placing::Full);
        // One that is on its way takes those for whom there is room.
        assert_eq!(place(&[seen(0, Well, 3), seen(1, Unsure, 1)], None, ROOM), Placing::At(1));
        // More hosts than may be awake at once.
        let three = [seen(0, Well, 3), seen(1, Well, 3), seen(2, Asleep, 0)];
        assert_eq!(place(&three, None, ROOM), Placing::Full);
    }

    #[test]
    fn the_least_loaded_server_that_is_well_is_chosen() {
        use Standing::{Unsure, Well};
        let hosts = [seen(0, Well, 2), seen(1, Well, 1), seen(2, Unsure, 0)];
        assert_eq!(place(&hosts, None, ROOM), Placing::At(1));
        let hosts = [seen(1, Well, 1), seen(0, Well, 1)];
        assert_eq!(place(&hosts, None, ROOM), Placing::At(0), "the same load: the lower number");
    }

    #[test]
    fn a_conversation_goes_on_where_it_lies() {
        use Standing::{Asleep, Well};
        let hosts = [seen(0, Well, 0), seen(1, Well, 3), seen(2, Asleep, 0)];
        assert_eq!(place(&hosts, Some(0), ROOM), Placing::At(0));
        assert_eq!(place(&hosts, Some(1), ROOM), Placing::Full, "it is there and nowhere else");
        assert_eq!(place(&hosts, Some(2), ROOM), Placing::Wake(2));
        assert_eq!(place(&hosts, Some(7), ROOM), Placing::Wake(7), "known from an earlier life");
    }

    fn bounds() -> Bounds {
        Bounds {
            soft_rss_bytes: 1000 << 20,
            hard_rss_bytes: 2000 << 20,
            age: Duration::from_hours(1),
            served: 100,
            misses: 3,
            idle: Duration::from_mins(10),
            settled: Duration::from_mins(1),
        }
    }

    fn busy() -> Facts {
        Facts {
            rss_bytes: Some(500 << 20),
            age: Duration::from_secs(100),
            served: 5,
            misses: 0,
            idle: None,
        }
    }

    fn word(facts: &Facts) -> &'static str {
        match advise(facts, &bounds()) {
            Advice::Keep => "keep",
            Advice::Sleep(_) => "sleep",
            Advice::Replace { at_once: false, .. } => "replace",
            Advice::Replace { at_once: true, .. } => "replace at once",
            Advice::Wedged(_) => "wedged",
        }
    }

    #[test]
    fn a_server_goes_on_until_a_bound_is_passed() {
        assert_eq!(word(&busy()), "keep");
        assert_eq!(word(&Facts { rss_bytes: None, ..busy() }), "keep");
        assert_eq!(word(&Facts { rss_bytes: Some(1000 << 20), ..busy() }), "keep");
        assert_eq!(word(&Facts { rss_bytes: Some(1001 << 20), ..busy() }), "replace");
        assert_eq!(word(&Facts { rss_bytes: Some(2001 << 20), ..busy() }), "replace at once");
        assert_eq!(word(&Facts { age: Duration::from_hours(1), ..busy() }), "replace");
        assert_eq!(word(&Facts { served: 99, ..busy() }), "keep");
        assert_eq!(word(&Facts { served: 100, ..busy() }), "replace");
        // What is out of time in one way and has time in another has none.
        let both = Facts { served: 100, rss_bytes: Some(2001 << 20), ..busy() };
        assert_eq!(word(&both), "replace at once");
    }

    #[test]
    fn a_young_server_is_not_replaced_for_its_memory() {
        let young = Facts { age: Duration::from_secs(59), ..busy() };
        assert_eq!(word(&Facts { rss_bytes: Some(9000 << 20), ..young.clone() }), "keep");
        assert_eq!(word(&Facts { served: 100, ..young }), "replace");
    }

    #[test]
    fn an_idle_server_falls_asleep_instead() {
        let idle = Facts { idle: Some(Duration::from_secs(1)), ..busy() };
        assert_eq!(word(&idle), "keep");
        assert_eq!(word(&Facts { idle: Some(Duration::from_mins(10)), ..busy() }), "sleep");
        assert_eq!(word(&Facts { rss_bytes: Some(2001 << 20), ..idle.clone() }), "sleep");
        assert_eq!(word(&Facts { served: 100, ..idle }), "sleep");
    }

    #[test]
    fn a_server_that_does_not_answer_is_given_up_whatever_else_it_is() {
        assert_eq!(word(&Facts { misses: 2, ..busy() }), "keep");
        assert_eq!(word(&Facts { misses: 3, ..busy() }), "wedged");
        let all = Facts { misses: 3, served: 100, idle: Some(Duration::from_mins(15)), ..busy() };
        assert_eq!(word(&all), "wedged");
    }
}
