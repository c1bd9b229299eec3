//! L1 to L6 on the bare table, and random lives of it that must keep every rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::wait_for::Node;
use super::*;
use crate::domain::ids::{KeyId, LockId};
use crate::domain::time::Timestamp;

/// A table with a clock and as many tokens as it takes.
struct Desk {
    table: LockTable,
    tokens: Tokens,
    now: Timestamp,
    made: u128,
}

fn owner(number: u8) -> Owner {
    Owner::Key(KeyId::new(Uuid::from_u128(u128::from(number))))
}

fn name(text: &str) -> LockName {
    LockName::parse(text).expect("a name")
}

impl Desk {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        Self { table: LockTable::default(), tokens: Tokens::new(1, 1_000_000), now, made: 0 }
    }

    fn ask(&mut self, who: u8, names: &[&str], mode: LockMode) -> Ask {
        let mut wanted: Vec<LockName> = names.iter().map(|text| name(text)).collect();
        wanted.sort();
        let with_ids = wanted.into_iter().map(|name| {
            self.made += 1;
            (name, LockId::new(Uuid::from_u128(self.made)))
        });
        Ask {
            names: with_ids.collect(),
            mode,
            owner: owner(who),
            label: "somebody".into(),
            session: None,
            ttl: Duration::from_secs(30),
            wait: Duration::from_mins(5),
            priority: 0,
            metadata: Arc::default(),
        }
    }

    fn request(&mut self, ask: Ask) -> Result<Placed, Refusal> {
        self.table.request(ask, self.now, &mut self.tokens)
    }

    fn want(&mut self, who: u8, names: &[&str], mode: LockMode) -> Result<Placed, Refusal> {
        let ask = self.ask(who, names, mode);
        self.request(ask)
    }

    fn take(&mut self, who: u8, text: &str) -> Grant {
        match self.want(who, &[text], LockMode::Exclusive).expect("granted") {
            Placed::Granted(grants) => grants[0].clone(),
            Placed::Waits(_) => panic!("{who} waits for {text}"),
        }
    }

    fn queue(&mut self, who: u8, text: &str) -> Ticket {
        match self.want(who, &[text], LockMode::Exclusive).expect("waits") {
            Placed::Waits(ticket) => ticket,
            Placed::Granted(_) => panic!("{who} was given {text}"),
        }
    }

    fn release(&mut self, grant: &Grant) -> Result<Option<Grant>, Refusal> {
        let Grant { name, lock_id, owner, .. } = grant;
        self.table.release(name, *lock_id, *owner, self.now, &mut self.tokens)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.table.advance(self.now, &mut self.tokens);
    }

    fn holders(&self, text: &str) -> Vec<Owner> {
        let look = self.table.look(&name(text));
        look.map(|look| look.holds.iter().map(|hold| hold.owner).collect()).unwrap_or_default()
    }

    fn renewal(grant: &Grant, who: u8) -> Renewal {
        let Grant { name, lock_id, .. } = grant.clone();
        Renewal { name, lock_id, owner: owner(who), ttl: None, fencing_token: None }
    }
}

#[test]
fn names_are_those_of_the_specification() {
    for good in ["a", "9", "session:execution:0198", "a/b.c_d-e"] {
        assert!(LockName::parse(good).is_some(), "{good}");
    }
    let long = "x".repeat(201);
    for bad in ["", ":a", "a b", "ä", "a\n", "-", &long] {
        assert!(LockName::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn l1_a_second_owner_is_refused_until_the_time_is_over() {
    let mut desk = Desk::new();
    let first = desk.take(1, "a");
    let mut ask = desk.ask(2, &["a"], LockMode::Exclusive);
    ask.wait = Duration::ZERO;
    match desk.request(ask.clone()) {
        Err(Refusal::Locked { holder, position, .. }) => {
            assert_eq!((holder.map(|hold| hold.owner), position), (Some(owner(1)), 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.table.waiting(), 0, "whoever tries once leaves nothing behind");
    desk.pass(20);
    let renewed = desk.table.renew(&Desk::renewal(&first, 1), desk.now, &mut desk.tokens);
    assert_eq!(renewed.expect("renewed").renewal_count, 1);
    desk.pass(29);
    assert_eq!(desk.holders("a"), [owner(1)], "a renewal keeps it");
    let theirs =
        desk.table.release(&first.name, first.lock_id, owner(2), desk.now, &mut desk.tokens);
    assert_eq!(theirs, Err(Refusal::NotOwned));
    let theirs = desk.table.renew(&Desk::renewal(&first, 2), desk.now, &mut desk.tokens);
    assert_eq!(theirs, Err(Refusal::NotOwned));
    desk.pass(1);
    assert!(desk.holders("a").is_empty());
    let late = desk.table.renew(&Desk::renewal(&first, 1), desk.now, &mut desk.tokens);
    assert_eq!(late, Err(Refusal::Lost));
    assert_eq!(desk.release(&first), Ok(None), "to give back what is gone is no fault");
    let said = desk.table.take_said();
    assert!(said.iter().any(|one| matches!(one, Happening::Lost(_, LossReason::Expired))));
    assert!(matches!(desk.request(ask), Ok(Placed::Granted(_))));
}

#[test]
fn l2_waiters_come_in_order_the_urgent_first_and_the_aged_before_the_new() {
    let mut desk = Desk::new();
    let mut held = desk.take(0, "a");
    let tickets: Vec<Ticket> = (1..=7).map(|who| desk.queue(who, "a")).collect();
    let mut ask = desk.ask(8, &["a"], LockMode::Exclusive);
    ask.priority = 5;
    assert!(matches!(desk.request(ask), Ok(Placed::Waits(_))));
    let mut order = Vec::new();
    for _ in 0..8 {
        desk.release(&held).expect("released");
        held = desk.table.look(&name("a")).expect("held").holds[0].clone();
        order.push(held.owner);
    }
    let expected: Vec<Owner> = [8, 1, 2, 3, 4, 5, 6, 7].map(owner).to_vec();
    assert_eq!(order, expected);
    assert_eq!(tickets.len(), 7);
    // One that has waited a minute has risen by two classes, to that of the newcomer, and is before it.
    let mut ask = desk.ask(20, &["b"], LockMode::Exclusive);
    ask.ttl = Duration::from_mins(10);
    desk.request(ask).expect("granted");
    desk.queue(21, "b");
    desk.pass(60);
    let mut ask = desk.ask(22, &["b"], LockMode::Exclusive);
    ask.priority = 2;
    desk.request(ask).expect("waits");
    let queue = desk.table.look(&name("b")).expect("there").queue;
    let stand: Vec<(Owner, u8)> =
        queue.iter().map(|waiter| (waiter.owner, waiter.effective_priority)).collect();
    assert_eq!(stand, [(owner(21), 2), (owner(22), 2)]);
}

#[test]
fn l3_sharers_coexist_and_starve_nobody() {
    let mut desk = Desk::new();
    for who in [1, 2] {
        assert!(matches!(desk.want(who, &["a"], LockMode::Shared), Ok(Placed::Granted(_))));
    }
    desk.queue(3, "a");
    assert!(matches!(desk.want(4, &["a"], LockMode::Shared), Ok(Placed::Waits(_))));
    assert!(matches!(desk.want(5, &["a"], LockMode::Shared), Ok(Placed::Waits(_))));
    let holds = desk.table.look(&name("a")).expect("held").holds;
    desk.release(&holds[0]).expect("released");
    assert_eq!(desk.holders("a"), [owner(2)]);
    desk.release(&holds[1]).expect("released");
    assert_eq!(desk.holders("a"), [owner(3)], "who came first is first");
    let again = desk.take(3, "a");
    assert_eq!(again.hold_count, 2);
    let shared = desk.want(3, &["a"], LockMode::Shared);
    assert!(matches!(shared, Ok(Placed::Granted(_))), "who holds all may share it");
    for left in [2, 1] {
        let rest = desk.release(&again).expect("released").expect("still held");
        assert_eq!(rest.hold_count, left);
    }
    desk.release(&again).expect("released");
    assert_eq!(desk.holders("a"), [owner(4), owner(5)], "sharers without a gap come together");
}

#[test]
fn l4_tokens_rise_and_old_ones_are_refused() {
    let mut desk = Desk::new();
    let first = desk.take(1, "a");
    let other = desk.take(1, "b");
    assert!(other.fencing_token > first.fencing_token);
    desk.pass(30);
    let second = desk.take(2, "a");
    assert!(second.fencing_token > other.fencing_token);
    let mut renewal = Desk::renewal(&first, 1);
    renewal.fencing_token = Some(first.fencing_token);
    let refused = desk.table.renew(&renewal, desk.now, &mut desk.tokens);
    assert_eq!(refused, Err(Refusal::Stale));
    assert!(desk.table.is_current(second.fencing_token, desk.now, &mut desk.tokens));
    assert!(!desk.table.is_current(first.fencing_token, desk.now, &mut desk.tokens));
}

#[test]
fn l5_the_younger_of_a_circle_goes_and_several_names_come_together() {
    let mut desk = Desk::new();
    desk.take(1, "a");
    desk.take(2, "b");
    desk.queue(1, "b");
    match desk.want(2, &["a"], LockMode::Exclusive) {
        Err(Refusal::Deadlock { cycle }) => {
            let owners: Vec<Owner> = cycle.iter().map(|edge| edge.owner).collect();
            assert_eq!(owners, [owner(2), owner(1)]);
        }
        other => panic!("{other:?}"),
    }
    let mut desk = Desk::new();
    let held = desk.take(1, "b");
    assert!(matches!(desk.want(2, &["a", "b", "c"], LockMode::Exclusive), Ok(Placed::Waits(_))));
    assert!(desk.holders("a").is_empty(), "it holds nothing while it waits");
    desk.queue(3, "c");
    desk.release(&held).expect("released");
    for text in ["a", "b", "c"] {
        assert_eq!(desk.holders(text), [owner(2)]);
    }
}

#[test]
fn a_circle_through_a_queue_is_found() {
    let mut desk = Desk::new();
    desk.take(1, "a");
    // 2 stands first for b, which is free, because it needs a as well.
    assert!(matches!(desk.want(2, &["a", "b"], LockMode::Exclusive), Ok(Placed::Waits(_))));
    let stuck = desk.want(1, &["b"], LockMode::Exclusive);
    assert!(matches!(stuck, Err(Refusal::Deadlock { .. })), "{stuck:?}");
}

#[test]
fn two_sharers_that_both_want_all_do_not_wait_for_ever() {
    let mut desk = Desk::new();
    desk.want(1, &["a"], LockMode::Shared).expect("granted");
    desk.want(2, &["a"], LockMode::Shared).expect("granted");
    desk.queue(3, "a");
    let ticket = desk.queue(1, "a");
    let queue = desk.table.look(&name("a")).expect("held").queue;
    assert_eq!(queue[0].owner, owner(1), "who shares it is at the head of its class");
    let second = desk.want(2, &["a"], LockMode::Exclusive);
    assert!(matches!(second, Err(Refusal::Deadlock { .. })), "{second:?}");
    let theirs = desk.table.look(&name("a")).expect("held").holds[1].clone();
    desk.release(&theirs).expect("released");
    let hold = desk.table.look(&name("a")).expect("held").holds[0].clone();
    assert_eq!((hold.owner, hold.mode), (owner(1), LockMode::Exclusive));
    assert!(hold.fencing_token > theirs.fencing_token, "to write it needs the newest token");
    assert!(ticket > 0);
}

#[test]
fn the_end_of_an_owner_frees_all_and_a_force_frees_one() {
    let mut desk = Desk::new();
    desk.take(1, "a");
    desk.take(1, "b");
    desk.queue(2, "a");
    desk.take(3, "c");
    desk.queue(1, "c");
    let gone = Departed::Owner(owner(1));
    let ended = desk.table.end(gone, LossReason::KeyRevoked, desk.now, &mut desk.tokens);
    assert_eq!((ended, desk.table.waiting()), (2, 0));
    assert_eq!(desk.holders("a"), [owner(2)]);
    desk.queue(3, "a");
    let lost = desk.table.force(&name("a"), desk.now, &mut desk.tokens);
    assert_eq!((lost.len(), lost[0].owner), (1, owner(2)));
    assert_eq!(desk.holders("a"), [owner(3)]);
}

#[test]
fn a_wait_that_is_over_says_who_holds_it_and_leaves_no_hole() {
    let mut desk = Desk::new();
    let mut ask = desk.ask(1, &["a"], LockMode::Exclusive);
    ask.ttl = Duration::from_mins(10);
    desk.request(ask).expect("granted");
    let mut ask = desk.ask(2, &["a"], LockMode::Exclusive);
    ask.wait = Duration::from_secs(10);
    desk.request(ask).expect("waits");
    desk.queue(3, "a");
    desk.table.take_said();
    desk.pass(10);
    match &desk.table.take_said()[..] {
        [Happening::TimedOut { refusal: Refusal::Locked { holder, position, .. }, .. }] => {
            assert_eq!((holder.as_ref().map(|hold| hold.owner), *position), (Some(owner(1)), 1));
        }
        other => panic!("{other:?}"),
    }
    let queue = desk.table.look(&name("a")).expect("there").queue;
    assert_eq!((queue[0].owner, queue[0].position), (owner(3), 1));
}

#[test]
fn without_a_token_nobody_is_granted_and_nobody_is_forgotten() {
    let mut desk = Desk::new();
    desk.tokens = Tokens::new(1, 1);
    let held = desk.take(1, "a");
    assert_eq!(desk.want(2, &["b"], LockMode::Exclusive), Err(Refusal::NoToken));
    desk.queue(2, "a");
    desk.release(&held).expect("released");
    assert!(desk.holders("a").is_empty());
    desk.tokens.extend(10);
    desk.pass(0);
    assert_eq!(desk.holders("a"), [owner(2)]);
}

#[test]
fn a_circle_that_a_grant_closes_is_found() {
    let mut desk = Desk::new();
    desk.take(2, "a");
    assert!(matches!(desk.want(1, &["a", "b", "c"], LockMode::Exclusive), Ok(Placed::Waits(_))));
    let mut ask = desk.ask(3, &["a", "b"], LockMode::Exclusive);
    ask.priority = 1;
    assert!(matches!(desk.request(ask), Ok(Placed::Waits(_))));
    // It is before both, and gets b: 3 now waits for 1, and 1 stands behind 3.
    let mut ask = desk.ask(1, &["b", "c"], LockMode::Exclusive);
    ask.priority = 2;
    assert!(matches!(desk.request(ask), Ok(Placed::Granted(_))));
    assert_eq!(desk.table.waiting(), 1, "the younger of the two is let go");
    assert!(desk.table.cycle(Node::Owner(owner(1))).is_none());
}

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Ask { who: u8, names: u8, shared: bool, priority: u8, wait: u8 },
    Release { which: u8 },
    Renew { which: u8 },
    GiveUp { which: u8 },
    Force { name: u8 },
    End { who: u8 },
    Pass { seconds: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..6_u8, 1..16_u8, any::<bool>(), 0..4_u8, 0..60_u8).prop_map(
            |(who, names, shared, priority, wait)| Step::Ask { who, names, shared, priority, wait }
        ),
        4 => any::<u8>().prop_map(|which| Step::Release { which }),
        1 => any::<u8>().prop_map(|which| Step::Renew { which }),
        1 => any::<u8>().prop_map(|which| Step::GiveUp { which }),
        1 => (0..4_u8).prop_map(|name| Step::Force { name }),
        1 => (0..6_u8).prop_map(|who| Step::End { who }),
        2 => (0..50_u8).prop_map(|seconds| Step::Pass { seconds }),
    ];
    proptest::collection::vec(step, 1..120)
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What must hold after every step.
fn invariants(desk: &Desk, newest: &mut u64) -> Result<(), TestCaseError> {
    for text in NAMES {
        let Some(look) = desk.table.look(&name(text)) else { continue };
        let exclusive = look.holds.iter().filter(|hold| hold.mode == LockMode::Exclusive).count();
        prop_assert!(exclusive == 0 || look.holds.len() == 1, "{look:?}");
        let mut owners: Vec<Owner> = look.holds.iter().map(|hold| hold.owner).collect();
        owners.dedup();
        prop_assert_eq!(owners.len(), look.holds.len(), "an owner holds a name once");
        prop_assert!(look.holds.iter().all(|hold| hold.expires_at > desk.now));
        let classes: Vec<u8> = look.queue.iter().map(|one| one.effective_priority).collect();
        prop_assert!(classes.is_sorted_by(|one, next| one >= next), "{:?}", look.queue);
        prop_assert!(look.queue.iter().all(|one| one.expires_at > desk.now));
    }
    // Nobody waits for ever: there is no circle, and the head of a queue waits for a reason.
    for owner in desk.table.owners.keys() {
        prop_assert!(desk.table.cycle(Node::Owner(*owner)).is_none());
    }
    for (ticket, waiting) in &desk.table.waiting {
        // Whoever asks several times at once may wait for itself alone.
        let asks = desk.table.owners.get(&waiting.ask.owner).map_or(0, |one| one.waiting.len());
        if asks > 1 {
            continue;
        }
        prop_assert!(!desk.table.edges_of([*ticket].into_iter()).is_empty(), "{waiting:?}");
    }
    let held: usize = desk.table.lanes.values().map(|lane| lane.holds.len()).sum();
    prop_assert_eq!(held, desk.table.held());
    prop_assert_eq!(held, desk.table.owners.values().map(|one| one.held).sum::<usize>());
    for lane in desk.table.lanes.values() {
        prop_assert!(!lane.is_empty(), "nothing is left of what nobody wants");
    }
    for happening in &desk.table.said {
        if let Happening::Granted { grants, .. } = happening {
            for grant in grants.iter().filter(|grant| grant.hold_count == 1) {
                prop_assert!(grant.fencing_token > *newest, "{grant:?} after {newest}");
                *newest = grant.fencing_token;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_random_life_breaks_no_rule(steps in steps()) {
        let mut desk = Desk::new();
        let mut newest = 0;
        for step in steps {
            let grants: Vec<Grant> = desk.table.names().iter()
                .filter_map(|name| desk.table.look(name))
                .flat_map(|look| look.holds)
                .collect();
            let pick = |which: u8| grants.get(usize::from(which) % grants.len().max(1)).cloned();
            match step {
                Step::Ask { who, names, shared, priority, wait } => {
                    let wanted: Vec<&str> = NAMES.iter().enumerate()
                        .filter(|(bit, _)| names & (1 << bit) != 0)
                        .map(|(_, text)| *text)
                        .collect();
                    let mode = if shared { LockMode::Shared } else { LockMode::Exclusive };
                    let mut ask = desk.ask(who, &wanted, mode);
                    ask.priority = priority;
                    ask.wait = Duration::from_secs(u64::from(wait));
                    if let Ok(Placed::Granted(grants)) = desk.request(ask) {
                        prop_assert_eq!(grants.len(), wanted.len(), "all or none");
                    }
                }
                Step::Release { which } => {
                    if let Some(grant) = pick(which) {
                        prop_assert!(desk.release(&grant).is_ok());
                    }
                }
                Step::Renew { which } => {
                    if let Some(grant) = pick(which) {
                        let Owner::Key(_) = grant.owner else { continue };
                        let Grant { name, lock_id, owner, .. } = grant;
                        let renewal =
                            Renewal { name, lock_id, owner, ttl: None, fencing_token: None };
                        prop_assert!(desk.table.renew(&renewal, desk.now, &mut desk.tokens).is_ok());
                    }
                }
                Step::GiveUp { which } => {
                    let tickets: Vec<Ticket> = desk.table.waiting.keys().copied().collect();
                    if let Some(ticket) = tickets.get(usize::from(which) % tickets.len().max(1)) {
                        desk.table.give_up(*ticket, desk.now, &mut desk.tokens);
                    }
                }
                Step::Force { name: which } => {
                    desk.table.force(&name(NAMES[usize::from(which)]), desk.now, &mut desk.tokens);
                }
                Step::End { who } => {
                    let gone = Departed::Owner(owner(who));
                    desk.table.end(gone, LossReason::KeyRevoked, desk.now, &mut desk.tokens);
                }
                Step::Pass { seconds } => desk.pass(u64::from(seconds)),
            }
            desk.table.find_circles(desk.now, &mut desk.tokens);
            invariants(&desk, &mut newest)?;
            desk.table.take_said();
        }
        // When all is over, nothing is left; whoever was the last to be served has its time first.
        desk.pass(5_000);
        desk.pass(5_000);
        prop_assert!(desk.table.is_empty() && desk.table.next_due().is_none());
        prop_assert!(desk.table.owners.is_empty());
    }

    #[test]
    fn whoever_asks_alike_is_served_in_the_order_of_asking(count in 2..40_u8) {
        let mut desk = Desk::new();
        let first = desk.take(0, "a");
        let mut waiting: BTreeMap<Ticket, u8> = BTreeMap::new();
        for who in 1..=count {
            waiting.insert(desk.queue(who, "a"), who);
        }
        let mut held = first;
        for who in waiting.into_values() {
            desk.release(&held).expect("released");
            held = desk.table.look(&name("a")).expect("held").holds[0].clone();
            prop_assert_eq!(held.owner, owner(who));
        }
    }
}
