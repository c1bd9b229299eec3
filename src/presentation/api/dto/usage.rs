//! What was used, prices and budgets, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::usage::query::{GroupBy, UsageGroup, UsageReport};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::money::Usd;
use crate::domain::tenant::quotas::QuotaName;
use crate::domain::time::Timestamp;
use crate::domain::usage::budget::{BudgetLevel, BudgetScope, BudgetUse};
use crate::domain::usage::month::Purse;
use crate::domain::usage::price::{Price, PriceRow, PriceTable};
use crate::domain::usage::rollup::Sums;
use crate::presentation::api::dto::create::dollars;
use crate::presentation::api::fields::{Fields, FromFields};

/// Sums over a number of reports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSums)]
#[expect(missing_docs, reason = "the fields are named for what they count")]
pub struct SumsDto {
    /// Reports of agents.
    pub records: u64,
    /// Of these, reports whose cost nobody knows; they are not in `cost_usd`.
    pub unpriced_records: u64,
    pub tokens_input: u64,
    pub tokens_output: u64,
    pub tokens_cache_read: u64,
    pub tokens_cache_write: u64,
    pub tokens_reasoning: u64,
    /// Input, output, cache writes and reasoning.
    pub tokens_total: u64,
    /// Null when nobody knows the cost of any of it.
    pub cost_usd: Option<Usd>,
    pub wall_seconds: f64,
}

impl From<Sums> for SumsDto {
    fn from(sums: Sums) -> Self {
        let Sums {
            records,
            unpriced,
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            tokens_total,
            cost_usd,
            wall_ms,
        } = sums;
        Self {
            records,
            unpriced_records: unpriced,
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            tokens_total,
            cost_usd,
            wall_seconds: std::time::Duration::from_millis(wall_ms).as_secs_f64(),
        }
    }
}

/// What one group used. Of day, model, agent and session only what it is grouped by is set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageGroup)]
pub struct GroupDto {
    /// Day of UTC.
    #[schema(example = "2026-01-31")]
    pub day: Option<String>,
    /// `provider/model`; null also when the agent did not tell it.
    pub model_identifier: Option<String>,
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// Its name; null when it is no longer registered.
    pub agent_name: Option<String>,
    /// The session.
    pub session_id: Option<SessionId>,
    /// Whether it was simulated: then it is in no total, and charged to nobody.
    pub simulated: bool,
    /// Sessions of the group, each counted once; null when that is not known.
    pub sessions: Option<u64>,
    /// The sums.
    #[serde(flatten)]
    pub sums: SumsDto,
}

impl From<UsageGroup> for GroupDto {
    fn from(group: UsageGroup) -> Self {
        let UsageGroup { day, model, agent_id, agent_name, session_id, simulated, sessions, sums } =
            group;
        Self {
            day: day.map(|day| day.to_string()),
            model_identifier: model,
            agent_id,
            agent_name,
            session_id,
            simulated,
            sessions,
            sums: sums.into(),
        }
    }
}

/// What a tenant used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageReport)]
pub struct ReportDto {
    /// Whose.
    pub tenant_id: TenantId,
    /// First day.
    #[schema(example = "2026-01-01")]
    pub from: String,
    /// Last day, included.
    #[schema(example = "2026-01-31")]
    pub to: String,
    /// How it is grouped.
    pub group_by: GroupBy,
    /// The groups, in their order.
    pub items: Vec<GroupDto>,
    /// All of them together, without what was simulated.
    pub totals: SumsDto,
}

impl From<UsageReport> for ReportDto {
    fn from(report: UsageReport) -> Self {
        let UsageReport { tenant, from, to, group_by, groups, totals } = report;
        Self {
            tenant_id: tenant,
            from: from.to_string(),
            to: to.to_string(),
            group_by,
            items: groups.into_iter().map(GroupDto::from).collect(),
            totals: totals.into(),
        }
    }
}

/// What a model costs, in dollars per million tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub struct PriceDto {
    /// Name of the model, or what names begin with and a `*`.
    pub model: String,
    /// Prompt tokens.
    pub input: Usd,
    /// Answer tokens.
    pub output: Usd,
    /// Tokens read from a cache; null: a tenth of `input`.
    pub cache_read: Option<Usd>,
    /// Tokens written to a cache; null: as `input`.
    pub cache_write: Option<Usd>,
    /// Reasoning tokens; null: as `output`.
    pub reasoning: Option<Usd>,
}

/// The prices of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prices)]
pub struct PricesDto {
    /// By model.
    pub prices: Vec<PriceDto>,
}

impl From<&PriceTable> for PricesDto {
    fn from(table: &PriceTable) -> Self {
        let row = |row: &PriceRow| {
            let Price { input, output, cache_read, cache_write, reasoning } = row.price;
            let model = row.pattern.clone();
            PriceDto { model, input, output, cache_read, cache_write, reasoning }
        };
        Self { prices: table.rows().iter().map(row).collect() }
    }
}

/// A price to be set.
#[derive(Debug, ToSchema)]
#[schema(as = SetPrice)]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct SetPriceBody {
    #[schema(min_length = 1, max_length = 200)]
    pub model: String,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub input: f64,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub output: f64,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub cache_read: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub cache_write: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub reasoning: Option<f64>,
}

/// The whole table of prices: what is not in it is gone.
#[derive(Debug, ToSchema)]
#[schema(as = SetPrices, example = json!({ "prices": [
    { "model": "anthropic/*", "input": 3, "output": 15, "cache_read": 0.3 } ] }))]
pub struct SetPricesBody {
    /// By model, each once.
    #[schema(max_items = 500)]
    pub prices: Vec<SetPriceBody>,
}

/// The body of `PUT /prices`, read.
pub struct SetPrices(pub Vec<PriceRow>);

impl FromFields for SetPrices {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("prices") {
            fields.require_one("prices", "is required");
        }
        Self(fields.objects("prices", price).unwrap_or_default())
    }
}

fn price(fields: &mut Fields) -> PriceRow {
    let pattern = fields.required_text("model");
    for name in ["input", "output"] {
        if !fields.has(name) {
            fields.require_one(name, "is required");
        }
    }
    let price = Price {
        input: dollars(fields, "input").unwrap_or_default(),
        output: dollars(fields, "output").unwrap_or_default(),
        cache_read: dollars(fields, "cache_read"),
        cache_write: dollars(fields, "cache_write"),
        reasoning: dollars(fields, "reasoning"),
    };
    PriceRow { pattern, price }
}

/// A budget of money.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CostBudget)]
pub struct CostBudgetDto {
    /// The bound; null is none.
    pub limit: Option<Usd>,
    /// What was charged this month.
    pub used: Usd,
    /// Of the bound; null without one.
    pub percent: Option<f64>,
    /// `soft` from 80 %, `hard` from 100 %.
    pub state: BudgetLevel,
}

/// A quota of tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenBudget)]
pub struct TokenBudgetDto {
    /// The bound; null is none.
    pub limit: Option<u64>,
    /// What was charged this month.
    pub used: u64,
    /// Of the bound; null without one.
    pub percent: Option<f64>,
    /// `soft` from 80 %, `hard` from 100 %.
    pub state: BudgetLevel,
}

/// What the tenant may use this month, and has used. What was simulated counts nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budgets)]
pub struct BudgetsDto {
    /// Whose.
    pub tenant_id: TenantId,
    /// The month of UTC.
    #[schema(example = "2026-01")]
    pub period: String,
    /// When the next month begins, with nothing used.
    pub period_ends_at: Timestamp,
    /// The budget.
    pub monthly_budget_usd: CostBudgetDto,
    /// The quota.
    pub max_tokens_per_month: TokenBudgetDto,
}

impl BudgetsDto {
    /// The bounds of a tenant's month.
    #[must_use]
    pub fn new(tenant_id: TenantId, purse: &Purse) -> Self {
        let uses = purse.uses();
        let of = |scope| uses.iter().copied().find(|budget: &BudgetUse| budget.scope == scope);
        let state =
            |budget: Option<BudgetUse>| budget.map_or(BudgetLevel::Free, |budget| budget.level());
        let micros = |number: u64| Usd::from_micros(i64::try_from(number).unwrap_or(i64::MAX));
        let (cost, tokens) = (of(BudgetScope::TenantCost), of(BudgetScope::TenantTokens));
        Self {
            tenant_id,
            period: purse.month.to_string(),
            period_ends_at: purse.month.end(),
            monthly_budget_usd: CostBudgetDto {
                limit: cost.map(|budget| micros(budget.limit)),
                used: micros(purse.micros),
                percent: cost.map(percent),
                state: state(cost),
            },
            max_tokens_per_month: TokenBudgetDto {
                limit: tokens.map(|budget| budget.limit),
                used: purse.tokens,
                percent: tokens.map(percent),
                state: state(tokens),
            },
        }
    }
}

/// Percent with one decimal; a bound of nothing is used up.
fn percent(budget: BudgetUse) -> f64 {
    if budget.limit == 0 {
        return 100.0;
    }
    let tenths = u128::from(budget.used) * 1000 / u128::from(budget.limit);
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

/// Bounds of the month to set: what is omitted stays, null is no bound.
#[derive(Debug, ToSchema)]
#[schema(as = SetBudgets, example = json!({ "monthly_budget_usd": 50 }))]
pub struct SetBudgetsBody {
    /// US dollars.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub monthly_budget_usd: Option<f64>,
    /// Needs a system administrator.
    #[schema(minimum = 0)]
    pub max_tokens_per_month: Option<u64>,
}

/// The body of `PUT /budgets`, read.
pub struct SetBudgets(pub Vec<(QuotaName, Option<u64>)>);

impl FromFields for SetBudgets {
    fn read(fields: &mut Fields) -> Self {
        let names = [QuotaName::MonthlyBudgetUsd, QuotaName::MaxTokensPerMonth];
        let bounds = names.map(|name| Some((name, bound(fields, name)?)));
        Self(bounds.into_iter().flatten().collect())
    }
}

/// The bound of a quota, when it is given: `Some(None)` is no bound.
pub fn bound(fields: &mut Fields, name: QuotaName) -> Option<Option<u64>> {
    match name {
        QuotaName::MaxConcurrentSessions
        | QuotaName::MaxQueueDepth
        | QuotaName::MaxTokensPerMonth
        | QuotaName::MaxStorageMb
        | QuotaName::MaxAgents
        | QuotaName::RequestsPerMinute => fields.nullable(name.as_str(), Fields::integer),
        QuotaName::MonthlyBudgetUsd => fields.nullable(name.as_str(), |fields, name| {
            let amount = dollars(fields, name)?;
            let micros = u64::try_from(amount.micros()).ok();
            if micros.is_none() {
                fields.wrong(name, "out_of_range", "must not be negative");
            }
            micros
        }),
    }
}
