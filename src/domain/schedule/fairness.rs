//! Weighted fair shares: which of two tenants is further behind what it is entitled to.
//!
//! A slot is held for as long as a session runs, so the share that counts is the cost of the work in
//! flight: whoever has the least of it for its weight comes first. Below a quantum of one plain
//! session per unit of weight that figure says nothing yet (one slot cannot be split), and there
//! the turns decide: each grant moves a tenant's turn ahead by its cost for its weight, as a
//! deficit round robin does.
//!
//! Invariant: pure whole numbers, so that the same history gives the same decisions everywhere.
//! Invariant: a tenant without work in flight is passed only by tenants whose turn is not later
//! than its own, and every grant moves a turn; so each waits for a bounded number of grants.

use crate::domain::tenant::weight::Weight;

/// Cost that a weight of 1 may have in flight before shares are compared: one plain session.
const QUANTUM: u64 = 100;
/// Steps of a turn or load in one hundredth of cost at the weight 1; finer than any two weights
/// differ.
const STEPS: u64 = 10_000;

/// What a session counts against its tenant's share: its estimated complexity, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

impl Cost {
    /// The cost of a session of this complexity, held between 0.01 and 10.
    #[must_use]
    pub fn of(complexity: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "held within 1 to 1000 before; what is no number costs the least"
        )]
        let hundredths = (complexity * 100.0).round().clamp(1.0, 1000.0) as u32;
        Self(hundredths.max(1))
    }

    /// Hundredths of complexity.
    #[must_use]
    pub const fn hundredths(self) -> u64 {
        self.0 as u64
    }
}

/// How far a tenant is: smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    load: u64,
    turn: u64,
}

/// What a tenant is entitled to, and what it has had of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    weight: Weight,
    in_flight: u64,
    turn: u64,
}

impl Account {
    /// Where it stands among the others.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let within = self.in_flight < QUANTUM * u64::from(self.weight.hundredths()) / 100;
        Standing { load: if within { 0 } else { self.load() }, turn: self.turn }
    }

    /// Cost in flight for its weight.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.in_flight.saturating_mul(STEPS) / u64::from(self.weight.hundredths())
    }

    /// Load at which it would be after so much more cost.
    #[must_use]
    pub fn load_after(&self, cost: u64) -> u64 {
        self.in_flight.saturating_add(cost).saturating_mul(STEPS)
            / u64::from(self.weight.hundredths())
    }

    /// Cost that it may still take before its load reaches this one.
    #[must_use]
    pub fn cost_until(&self, load: u64) -> u64 {
        let cost = load.saturating_mul(u64::from(self.weight.hundredths())).div_ceil(STEPS);
        cost.saturating_sub(self.in_flight)
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Gives it another weight; what it has had stays.
    pub const fn weigh(&mut self, weight: Weight) {
        self.weight = weight;
    }

    /// Its turn: what it was given for its weight.
    #[must_use]
    pub const fn turn(&self) -> u64 {
        self.turn
    }

    /// Work of this cost began.
    pub const fn begin(&mut self, cost: Cost) {
        self.in_flight = self.in_flight.saturating_add(cost.hundredths());
    }

    /// Work of this cost ended.
    pub const fn end(&mut self, cost: Cost) {
        self.in_flight = self.in_flight.saturating_sub(cost.hundredths());
    }

    /// It was given a session of this cost: its turn moves on.
    pub fn charge(&mut self, cost: Cost) {
        self.turn = self.turn.saturating_add(self.price(cost));
    }

    /// What it was given came to nothing: its turn is as it was.
    pub fn refund(&mut self, cost: Cost) {
        self.turn = self.turn.saturating_sub(self.price(cost));
    }

    fn price(&self, cost: Cost) -> u64 {
        cost.hundredths() * STEPS / u64::from(self.weight.hundredths())
    }

    /// It begins to want something: time in which it wanted nothing gives it no advantage.
    pub fn join(&mut self, turn: u64) {
        self.turn = self.turn.max(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(weight: f64) -> Account {
        let mut account = Account::default();
        account.weigh(Weight::parse(weight).expect("a weight"));
        account
    }

    #[test]
    fn a_cost_is_the_complexity_within_its_bounds() {
        let costs = [(1.0, 100), (0.1, 10), (10.0, 1000), (0.0, 1), (1e9, 1000), (f64::NAN, 1)];
        for (complexity, hundredths) in costs {
            assert_eq!(Cost::of(complexity).hundredths(), hundredths, "{complexity}");
        }
    }

    #[test]
    fn the_least_in_flight_for_its_weight_comes_first() {
        let (mut light, mut heavy) = (account(1.0), account(3.0));
        for _ in 0..2 {
            light.begin(Cost::of(1.0));
        }
        for _ in 0..5 {
            heavy.begin(Cost::of(1.0));
        }
        assert!(heavy.standing() < light.standing(), "5/3 is less than 2/1");
        heavy.begin(Cost::of(1.0));
        assert_eq!(heavy.load(), light.load());
        light.end(Cost::of(1.0));
        assert!(light.standing() < heavy.standing());
    }

    #[test]
    fn below_the_quantum_turns_decide() {
        let (mut light, mut heavy) = (account(1.0), account(3.0));
        let mut given = (0, 0);
        for _ in 0..400 {
            // One slot: nothing is in flight whenever it is given out.
            let (chosen, count) = if light.standing() <= heavy.standing() {
                (&mut light, &mut given.0)
            } else {
                (&mut heavy, &mut given.1)
            };
            chosen.charge(Cost::of(1.0));
            *count += 1;
        }
        assert_eq!(given, (100, 300));
    }

    #[test]
    fn having_been_idle_gives_no_advantage() {
        let (mut busy, mut idle) = (account(1.0), account(1.0));
        for _ in 0..50 {
            busy.charge(Cost::of(1.0));
        }
        idle.join(busy.turn());
        assert_eq!(idle.standing(), busy.standing());
        busy.join(0);
        assert_eq!(idle.standing(), busy.standing(), "a turn never goes back");
    }

    #[test]
    fn the_cost_until_a_load_leads_there() {
        let mut some = account(2.5);
        some.begin(Cost::of(4.0));
        let target = some.load_after(330);
        assert_eq!(some.cost_until(target), 330);
        assert_eq!(some.cost_until(0), 0);
    }
}
