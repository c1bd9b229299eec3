//! What models cost, as the tenant was told by whoever bills it.
//!
//! Invariant: sums are exact; only the cost of a whole call is rounded, to the nearest millionth.

use super::{CostSource, Usage};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::money::Usd;

/// Most rows of one table.
pub const ROWS: usize = 500;
/// Most characters of a pattern.
pub const PATTERN_CHARS: usize = 200;
/// The dearest price, in millionths of a dollar per million tokens: a dollar a token.
const DEAREST: i64 = 1_000_000 * 1_000_000;

/// Prices of one kind of model, per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Prompt tokens.
    pub input: Usd,
    /// Answer tokens.
    pub output: Usd,
    /// Tokens read from a cache; a tenth of `input` when omitted.
    pub cache_read: Option<Usd>,
    /// Tokens written to a cache; as `input` when omitted.
    pub cache_write: Option<Usd>,
    /// Reasoning tokens; as `output` when omitted.
    pub reasoning: Option<Usd>,
}

impl Price {
    /// What a use costs.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        let micros = |price: Usd| u128::from(price.micros().unsigned_abs());
        // Everything in tenths, so that a tenth of a price is exact.
        let cache_read = self.cache_read.map_or(micros(self.input), |price| micros(price) * 10);
        let tenths = [
            (usage.tokens_input, micros(self.input) * 10),
            (usage.tokens_output, micros(self.output) * 10),
            (usage.tokens_cache_read, cache_read),
            (usage.tokens_cache_write, micros(self.cache_write.unwrap_or(self.input)) * 10),
            (usage.tokens_reasoning, micros(self.reasoning.unwrap_or(self.output)) * 10),
        ];
        let sum: u128 = tenths.iter().map(|(tokens, price)| u128::from(*tokens) * price).sum();
        Usd::from_micros(i64::try_from((sum + 5_000_000) / 10_000_000).unwrap_or(i64::MAX))
    }
}

/// A price and the models that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRow {
    /// The name of a model, or what its name begins with and a `*`.
    pub pattern: String,
    /// Its prices.
    pub price: Price,
}

/// The prices of a tenant, by pattern, each pattern once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    rows: Vec<PriceRow>,
}

impl PriceTable {
    /// A table of these rows, in whatever order they come.
    ///
    /// # Errors
    /// Every row that is wrong, by its place.
    pub fn new(mut rows: Vec<PriceRow>) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        if rows.len() > ROWS {
            errors.add("/prices", "out_of_range", format!("must have at most {ROWS} rows"));
        }
        for (place, row) in rows.iter().enumerate() {
            check(&mut errors, place, row);
            if rows[..place].iter().any(|known| known.pattern == row.pattern) {
                let at = format!("/prices/{place}/model");
                errors.add(at, "repeated", "is there already");
            }
        }
        rows.sort_by(|left, right| left.pattern.cmp(&right.pattern));
        errors.into_result(Self { rows })
    }

    /// A table as it was stored.
    #[must_use]
    pub const fn stored(rows: Vec<PriceRow>) -> Self {
        Self { rows }
    }

    /// Its rows, by pattern.
    #[must_use]
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }

    /// The price of a model: that of its exact name, else of the longest beginning that fits.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&Price> {
        if let Some(exact) = self.rows.iter().find(|row| row.pattern == model) {
            return Some(&exact.price);
        }
        let fits = |row: &&PriceRow| {
            row.pattern.strip_suffix('*').is_some_and(|start| model.starts_with(start))
        };
        let longest = self.rows.iter().filter(fits).max_by_key(|row| row.pattern.len());
        longest.map(|row| &row.price)
    }

    /// What a call cost, and who says so. What the agent reports is kept. Agents report 0 for
    /// models whose price they do not know: a price of this table then counts instead.
    #[must_use]
    pub fn charge(&self, model: Option<&str>, usage: &Usage) -> (Option<Usd>, CostSource) {
        match (usage.cost_usd, self.find(model.unwrap_or(""))) {
            (Some(cost), Some(price)) if cost == Usd::ZERO => {
                (Some(price.cost(usage)), CostSource::Computed)
            }
            (Some(cost), _) => (Some(cost), CostSource::Reported),
            (None, Some(price)) => (Some(price.cost(usage)), CostSource::Computed),
            (None, None) => (None, CostSource::Unknown),
        }
    }

    /// The patterns whose prices differ from another table's.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let differs = |row: &&PriceRow, table: &Self| !table.rows.contains(row);
        let ours = self.rows.iter().filter(|row| differs(row, other));
        let theirs = other.rows.iter().filter(|row| differs(row, self));
        let mut patterns: Vec<String> = ours.chain(theirs).map(|row| row.pattern.clone()).collect();
        patterns.sort();
        patterns.dedup();
        patterns
    }
}

fn check(errors: &mut FieldErrors, place: usize, row: &PriceRow) {
    let length = row.pattern.chars().count();
    let start = row.pattern.strip_suffix('*').unwrap_or(&row.pattern);
    let at = |field: &str| format!("/prices/{place}/{field}");
    if length == 0 || length > PATTERN_CHARS {
        let message = format!("must have 1 to {PATTERN_CHARS} characters");
        errors.add(at("model"), "out_of_range", message);
    } else if start.contains('*') || row.pattern.chars().any(char::is_control) {
        let message = "must be the name of a model, or its beginning and a * at the end";
        errors.add(at("model"), "invalid", message);
    }
    let Price { input, output, cache_read, cache_write, reasoning } = row.price;
    let fields = [
        ("input", Some(input)),
        ("output", Some(output)),
        ("cache_read", cache_read),
        ("cache_write", cache_write),
        ("reasoning", reasoning),
    ];
    for (name, price) in fields {
        if price.is_some_and(|price| !(0..=DEAREST).contains(&price.micros())) {
            let message = "must be 0 to 1,000,000 dollars per million tokens";
            errors.add(at(name), "out_of_range", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(number: f64) -> Usd {
        Usd::from_dollars(number).expect("an amount")
    }

    fn row(pattern: &str, input: f64) -> PriceRow {
        let price = Price {
            input: dollars(input),
            output: dollars(15.0),
            cache_read: None,
            cache_write: None,
            reasoning: None,
        };
        PriceRow { pattern: pattern.to_owned(), price }
    }

    fn used(tokens: [u64; 5]) -> Usage {
        let [input, output, read, write, reasoning] = tokens;
        Usage {
            tokens_input: input,
            tokens_output: output,
            tokens_cache_read: read,
            tokens_cache_write: write,
            tokens_reasoning: reasoning,
            reported: true,
            ..Usage::default()
        }
    }

    #[test]
    fn what_is_not_priced_follows_from_the_rest() {
        let price = row("m", 3.0).price;
        for (tokens, micros) in [
            ([1_000_000, 0, 0, 0, 0], 3_000_000),
            ([0, 1_000_000, 0, 0, 0], 15_000_000),
            ([0, 0, 1_000_000, 0, 0], 300_000),
            ([0, 0, 0, 1_000_000, 0], 3_000_000),
            ([0, 0, 0, 0, 1_000_000], 15_000_000),
            ([1, 1, 1, 1, 1], 36), // 3 + 15 + 0.3 + 3 + 15 = 36.3 millionths
            ([0, 0, 2, 0, 0], 1),  // 0.6 millionths, to the nearest
            ([0; 5], 0),
        ] {
            assert_eq!(price.cost(&used(tokens)).micros(), micros, "{tokens:?}");
        }
        let free = Price { cache_read: Some(Usd::ZERO), reasoning: Some(Usd::ZERO), ..price };
        assert_eq!(free.cost(&used([0, 0, 9_000_000, 0, 9_000_000])), Usd::ZERO);
        assert_eq!(price.cost(&used([u64::MAX; 5])).micros(), i64::MAX);
    }

    #[test]
    fn the_exact_name_comes_first_and_then_the_longest_beginning() {
        let rows = vec![row("*", 1.0), row("a/b*", 2.0), row("a/*", 3.0), row("a/bc", 4.0)];
        let table = PriceTable::new(rows).expect("valid");
        for (model, input) in [("a/bc", 4.0), ("a/bcd", 2.0), ("a/x", 3.0), ("z", 1.0), ("", 1.0)] {
            assert_eq!(table.find(model).map(|price| price.input), Some(dollars(input)), "{model}");
        }
        assert_eq!(PriceTable::default().find("a"), None);
    }

    #[test]
    fn a_reported_cost_is_kept_unless_it_says_nothing() {
        let table = PriceTable::new(vec![row("known", 3.0)]).expect("valid");
        let call = |cost| Usage { cost_usd: cost, ..used([1_000_000, 0, 0, 0, 0]) };
        let (one, three) = (dollars(1.0), dollars(3.0));
        for (model, cost, expected) in [
            ("known", Some(one), (Some(one), CostSource::Reported)),
            ("known", None, (Some(three), CostSource::Computed)),
            ("known", Some(Usd::ZERO), (Some(three), CostSource::Computed)),
            ("other", Some(Usd::ZERO), (Some(Usd::ZERO), CostSource::Reported)),
            ("other", None, (None, CostSource::Unknown)),
        ] {
            assert_eq!(table.charge(Some(model), &call(cost)), expected, "{model} {cost:?}");
        }
        assert_eq!(table.charge(None, &call(None)), (None, CostSource::Unknown));
    }

    #[test]
    fn wrong_rows_are_told_together() {
        let rows = vec![row("a*b", 1.0), row("", 1.0), row("m", -1.0), row("m", 1.0)];
        let errors = PriceTable::new(rows).expect_err("wrong");
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = ["/prices/0/model", "/prices/1/model", "/prices/2/input", "/prices/3/model"];
        assert_eq!(pointers, expected);
    }

    #[test]
    fn changes_are_told_by_their_patterns() {
        let table = |rows: &[(&str, f64)]| {
            PriceTable::new(rows.iter().map(|(name, input)| row(name, *input)).collect())
                .expect("valid")
        };
        let (old, new) = (table(&[("a", 1.0), ("b", 1.0)]), table(&[("b", 2.0), ("c", 1.0)]));
        assert_eq!(old.changed(&new), ["a", "b", "c"]);
        assert_eq!(old.changed(&old), Vec::<String>::new());
    }
}
