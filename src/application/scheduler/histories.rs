//! Random histories: what holds after every step of them.

use std::collections::BTreeMap;

use super::*;

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// A session of this tenant, with this priority, these needs and this cost, joins the line.
    Queue(usize, u64, usize, f64),
    /// The n-th of those that execute ends.
    End(usize),
    /// The n-th of those that wait is taken away.
    Withdraw(usize),
    /// So many seconds pass.
    Pass(u64),
    /// The n-th agent goes down, or comes up again.
    Toggle(usize),
}

const TENANTS: usize = 4;
const NEEDS: [&[&str]; 3] = [&[], &["code_review"], &["code_review", "testing"]];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TENANTS, 0..5u64, 0..3usize, 0.1..4.0f64)
            .prop_map(|(whose, level, needs, cost)| Step::Queue(whose, level, needs, cost)),
        4 => (0..50usize).prop_map(Step::End),
        1 => (0..50usize).prop_map(Step::Withdraw),
        3 => (0..900u64).prop_map(Step::Pass),
        1 => (0..2 * TENANTS).prop_map(Step::Toggle),
    ]
}

/// The world as the stored sessions are, beside the state that observes it.
struct World {
    state: State,
    sessions: BTreeMap<SessionId, Session>,
    slots: Vec<AgentSlot>,
    weights: Vec<Weight>,
    next: u128,
    now: u64,
    grants: Vec<SessionId>,
}

impl World {
    fn new(max_running: usize, weights: &[f64]) -> Self {
        let mut world = Self {
            state: State::new(max_running),
            sessions: BTreeMap::new(),
            slots: Vec::new(),
            weights: weights.iter().map(|weight| Weight::parse(*weight).expect("valid")).collect(),
            next: 1000,
            now: 1000,
            grants: Vec::new(),
        };
        for whose in 0..TENANTS as u128 {
            world.slots.push(agent(whose * 2, 3, &[]));
            world.slots.push(agent(whose * 2 + 1, 2, &["code_review"]));
        }
        let mut state = std::mem::replace(&mut world.state, State::new(0));
        world.equip(&mut state);
        world.state = state;
        world
    }

    /// Gives a state the agents and weights of this world.
    fn equip(&self, state: &mut State) {
        for whose in 0..TENANTS {
            let id = tenant(whose as u128);
            let slots = self.slots[whose * 2..whose * 2 + 2].iter();
            state.set_agents(id, slots.map(|slot| owned_by(id, slot.clone())).collect());
            state.set_weight(id, self.weights[whose]);
        }
    }

    fn standing(&self, executing: bool) -> Vec<SessionId> {
        let wanted = self.sessions.values().filter(|s| s.run.lease.is_some() == executing);
        wanted.map(|session| session.id).collect()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Queue(whose, level, needs, cost) => {
                let mut session = queued(self.next, *level, self.now, NEEDS[*needs]);
                session.tenant_id = tenant(*whose as u128);
                session.spec.estimated_complexity = *cost;
                self.next += 1;
                self.state.observe(&session, None);
                self.sessions.insert(session.id, session);
            }
            Step::End(nth) | Step::Withdraw(nth) => {
                let found = self.standing(matches!(step, Step::End(_)));
                if let Some(id) = found.get(nth % found.len().max(1)) {
                    self.sessions.remove(id);
                    self.state.forget(*id);
                }
            }
            Step::Pass(seconds) => self.now += seconds,
            Step::Toggle(nth) => {
                let slot = &mut self.slots[*nth];
                slot.down = if slot.down.is_none() { Some("off".to_owned()) } else { None };
                let mut state = std::mem::replace(&mut self.state, State::new(0));
                self.equip(&mut state);
                self.state = state;
            }
        }
    }

    /// Gives out what can be, checking each grant against the world.
    fn tick(&mut self) -> Result<(), TestCaseError> {
        let grants = self.state.tick(at(self.now));
        for grant in grants {
            self.check(&grant)?;
            let session = self.sessions.remove(&grant.session).expect("known");
            let number = grant.agent.id.uuid().as_u128();
            let session = taken(session, number, self.now);
            self.sessions.insert(session.id, session);
            self.grants.push(grant.session);
        }
        for session in self.sessions.values() {
            self.state.observe(session, None);
        }
        Ok(())
    }

    fn check(&self, grant: &Grant) -> Result<(), TestCaseError> {
        let executing = self.sessions.values().filter(|session| session.run.lease.is_some());
        prop_assert!(executing.count() < self.state.max_running, "no slot is given twice");
        let on_agent = |session: &&Session| {
            session.run.lease.as_ref().is_some_and(|lease| lease.agent_id == grant.agent.id)
        };
        let busy = self.sessions.values().filter(on_agent).count();
        prop_assert!(
            busy < grant.agent.profile.max_concurrent_capacity as usize,
            "capacity is kept"
        );
        let slot = self.slots.iter().find(|slot| slot.agent.id == grant.agent.id);
        prop_assert!(slot.is_some_and(|slot| slot.down.is_none()), "nothing for one that is down");
        let session = &self.sessions[&grant.session];
        prop_assert_eq!(session.tenant_id, grant.tenant);
        prop_assert!(grant.agent.has_all(&session.spec.required_capabilities));
        // Inside the tenant nobody who needs no more is passed over.
        let rank = |session: &Session| {
            let priority = session.spec.priority;
            let queued_at = session.stamps.queued_at.expect("queued");
            let waiting = Waiting { session: session.id, priority, slack: None, queued_at };
            waiting.rank(at(self.now))
        };
        let same = self.sessions.values().filter(|other| {
            other.run.lease.is_none()
                && other.tenant_id == grant.tenant
                && other
                    .spec
                    .required_capabilities
                    .iter()
                    .all(|slug| session.spec.required_capabilities.contains(slug))
                && other.spec.estimated_complexity <= session.spec.estimated_complexity
        });
        for other in same {
            prop_assert!(rank(session) <= rank(other), "{} was passed over", other.code);
        }
        Ok(())
    }

    /// Everything in a state that follows from what was observed, as text.
    fn shown(state: &State) -> String {
        let mut waiting: Vec<String> =
            state.waiting.values().map(|waiter| format!("{waiter:?}")).collect();
        let mut executing: Vec<String> = state.executing.iter().map(|e| format!("{e:?}")).collect();
        waiting.sort_unstable();
        executing.sort_unstable();
        let tenants: Vec<String> = state
            .tenants
            .iter()
            .map(|(id, lines)| {
                let load = lines.account.load();
                let busy: Vec<u32> = (0..2 * TENANTS as u128)
                    .map(|number| lines.roster.load(AgentId::new(Uuid::from_u128(number))).tasks)
                    .collect();
                let next = lines.next(state.now()).map(|(rank, agent)| (rank, agent.name.clone()));
                format!("{id} {load} {busy:?} {} {next:?}", lines.waiting())
            })
            .collect();
        format!("{waiting:#?} {executing:#?} {tenants:#?} {:?}", state.lifts)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn grants_keep_every_limit_and_the_order(
        max_running in 1..12usize,
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(max_running, &[1.0, 0.5, 3.0, 10.0]);
        for step in &steps {
            world.take(step);
            world.tick()?;
        }
    }

    #[test]
    fn the_same_history_gives_the_same_grants_and_a_rebuild_the_same_state(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let run = || -> Result<World, TestCaseError> {
            let mut world = World::new(6, &[1.0, 1.0, 2.0, 0.1]);
            for step in &steps {
                world.take(step);
                world.tick()?;
            }
            Ok(world)
        };
        let (world, again) = (run()?, run()?);
        prop_assert_eq!(&world.grants, &again.grants);
        let mut rebuilt = State::new(6);
        rebuilt.advance(at(world.now));
        for session in world.sessions.values().rev() {
            rebuilt.observe(session, None);
        }
        world.equip(&mut rebuilt);
        prop_assert_eq!(World::shown(&world.state), World::shown(&rebuilt));
        let mut emptied = world.state;
        emptied.forget_all();
        prop_assert!(emptied.waiting.is_empty() && emptied.executing.is_empty());
        prop_assert!(emptied.lifts.is_empty() && emptied.ready.is_empty());
        prop_assert!(emptied.tenants.values().all(|lines| lines.account.load() == 0));
    }

    #[test]
    fn tenants_with_work_share_the_slots_by_weight(
        slots in 8..40usize,
        weights in proptest::collection::vec(0.5..8.0f64, TENANTS),
        costs in proptest::collection::vec(0.1..3.0f64, 1..5),
        ends in proptest::collection::vec(0..1000usize, 100..400),
    ) {
        let mut state = State::new(slots);
        let mut next = 0u128;
        let mut in_flight = [0u64; TENANTS];
        for (whose, weight) in weights.iter().enumerate() {
            let id = tenant(whose as u128);
            state.set_agents(id, vec![owned_by(id, agent(whose as u128, u32::MAX, &[]))]);
            state.set_weight(id, Weight::parse(*weight).expect("valid"));
            for _ in 0..600 {
                let mut session = queued(next, 2, 0, &[]);
                session.tenant_id = id;
                session.spec.estimated_complexity =
                    costs[usize::try_from(next).expect("small") % costs.len()];
                state.observe(&session, None);
                next += 1;
            }
        }
        let costliest = costs.iter().copied().fold(1.0, f64::max);
        let mut running: Vec<(SessionId, usize, u64)> = Vec::new();
        for end in &ends {
            for grant in state.tick(at(1)) {
                let whose = usize::try_from(grant.tenant.uuid().as_u128()).expect("small");
                let cost = state.executing[&grant.session].cost.hundredths();
                // Whoever is given something is not ahead of anybody by more than what one session
                // per unit of weight makes up.
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let share = |of: usize| in_flight[of] as f64 / 100.0 / weights[of];
                for (other, weight) in weights.iter().enumerate() {
                    let bound = share(other) + 1.0 + costliest / weight;
                    prop_assert!(share(whose) <= bound, "{whose} is ahead of {other}");
                }
                in_flight[whose] += cost;
                running.push((grant.session, whose, cost));
            }
            prop_assert_eq!(running.len(), slots, "no slot stays empty while somebody waits");
            let (id, whose, cost) = running.swap_remove(end % running.len());
            in_flight[whose] -= cost;
            state.forget(id);
        }
    }
}

/// Slots held by each of two tenants over many equal ends, while both have work.
fn shares(slots: usize, weights: [f64; 2], ends: usize) -> [usize; 2] {
    let mut state = State::new(slots);
    let (mut number, mut held) = (0u128, [0usize; 2]);
    let mut running = std::collections::VecDeque::new();
    for (whose, weight) in weights.iter().enumerate() {
        state.set_agents(
            tenant(whose as u128),
            vec![owned_by(tenant(whose as u128), agent(whose as u128, 1000, &[]))],
        );
        state.set_weight(tenant(whose as u128), Weight::parse(*weight).expect("valid"));
    }
    for now in 0..ends {
        for whose in 0..2u128 {
            let id = tenant(whose);
            while state.tenants[&id].waiting() < 20 {
                state.observe(&queued_of(id, number, 2, now as u64), None);
                number += 1;
            }
        }
        running.extend(state.tick(at(now as u64)));
        for grant in &running {
            held[usize::from(grant.tenant == tenant(1))] += 1;
        }
        if let Some(grant) = running.pop_front() {
            state.forget(grant.session);
        }
    }
    held
}

#[test]
fn few_slots_are_shared_by_weight_in_time() {
    for (slots, weight, most) in [(1, 3u32, 100), (2, 3, 100), (3, 2, 100), (40, 3, 30)] {
        let held = shares(slots, [f64::from(weight), 1.0], 4000);
        let weight = weight as usize;
        let tenth = held[1] * weight * most / 1000;
        let off = held[0].abs_diff(held[1] * weight);
        assert!(off <= tenth, "{slots} slots at {weight}:1 were held {held:?}");
    }
}

#[test]
fn a_tenant_with_a_thousand_and_one_with_ten_share_equally_while_both_wait() {
    let mut state = State::new(8);
    for (whose, count) in [(1u128, 1000u128), (2, 10)] {
        state.set_agents(tenant(whose), vec![owned_by(tenant(whose), agent(whose, 100, &[]))]);
        for number in 0..count {
            state.observe(&queued_of(tenant(whose), whose * 10_000 + number, 2, 0), None);
        }
    }
    let mut running = std::collections::VecDeque::new();
    let mut given = [0usize; 2];
    while state.tenants[&tenant(2)].waiting() > 0 {
        running.extend(state.tick(at(1)));
        let of_small = running.iter().filter(|grant: &&Grant| grant.tenant == tenant(2)).count();
        assert_eq!(of_small, 4, "half of the slots");
        given[1] += 1;
        state.forget(running.pop_front().expect("runs").session);
    }
}

#[test]
fn low_priority_is_done_under_a_steady_stream_of_higher_ones() {
    let mut state = with(1, vec![agent(1, 5, &[])]);
    let patient = queued(1, 4, 0, &[]);
    observe(&mut state, &patient);
    let mut number = 10;
    for minute in 0..120u64 {
        for _ in 0..3 {
            observe(&mut state, &queued(number, 1, minute * 60, &[]));
            number += 1;
        }
        let grants = state.tick(at(minute * 60));
        if grants.iter().any(|grant| grant.session == patient.id) {
            assert!((30..=60).contains(&minute), "after {minute} minutes");
            return;
        }
        for grant in grants {
            state.forget(grant.session);
        }
    }
    panic!("it starved");
}
