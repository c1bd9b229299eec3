//! Bodies about agents as a fleet: work to be routed, and work that is reported.

use utoipa::ToSchema;

use crate::application::agent::report::Report;
use crate::application::agent::route::{Explain, RouteQuery};
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::agent::routing::Match;
use crate::domain::agent::wanted::Wanted;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::money::Usd;
use crate::domain::session::spec::SessionType;
use crate::presentation::api::fields::{Fields, FromFields};

/// Work that an agent is wanted for.
#[derive(Debug, ToSchema)]
#[schema(as = RouteAgent, example = json!({
    "task_description": "Mend the build of the parser", "required_capabilities": ["debugging"],
}))]
#[expect(missing_docs, reason = "the fields are those of domain 3.1")]
pub struct RouteBody {
    #[schema(min_length = 10, max_length = 5000)]
    pub task_description: String,
    /// What the agent is to be able to do, known or your own.
    #[schema(min_items = 1, max_items = 20)]
    pub required_capabilities: Vec<String>,
    /// Whether it needs all of them.
    pub r#match: Option<Match>,
    #[schema(max_items = 20)]
    pub technologies: Option<Vec<String>>,
    pub session_type: Option<SessionType>,
    #[schema(minimum = 0.1, maximum = 10, default = 1.0)]
    pub estimated_complexity: Option<f64>,
    /// Worth 0.3 to an agent of this type.
    pub preferred_agent_type: Option<AgentType>,
    /// Ids or names; worth 0.2 to these agents.
    #[schema(max_items = 20)]
    pub preferred_agent_ids: Option<Vec<String>>,
    /// This or better.
    pub min_performance_tier: Option<Tier>,
    /// Ids or names.
    #[schema(max_items = 20)]
    pub exclude_agent_ids: Option<Vec<String>>,
    /// Hold room for it for 60 s, for a session that you create for the selected agent; for members.
    #[schema(default = false)]
    pub reserve: Option<bool>,
    /// Tell of `all` agents, or only of the 10 `best`, which is quick among very many.
    pub explain: Option<Explain>,
}

/// The body of `POST /agents/route`, read.
pub struct RouteAgent(pub RouteQuery);

impl FromFields for RouteAgent {
    fn read(fields: &mut Fields) -> Self {
        let wanted = Wanted {
            task_description: fields.required_text("task_description"),
            required_capabilities: fields.texts("required_capabilities"),
            matching: fields.word("match"),
            technologies: fields.texts("technologies"),
            session_type: fields.word("session_type"),
            estimated_complexity: fields.number("estimated_complexity"),
            preferred_agent_type: fields.word("preferred_agent_type"),
            preferred_agents: fields.texts("preferred_agent_ids"),
            min_performance_tier: fields.word("min_performance_tier"),
            excluded_agents: fields.texts("exclude_agent_ids"),
        };
        let reserve = fields.flag("reserve").unwrap_or_default();
        let explain = fields.word("explain");
        // Which agents there are is known to the use case, which asks again.
        let anybody = |_: &str| Some(AgentId::new(uuid::Uuid::nil()));
        let broken = wanted.clone().accept(TenantId::BOOTSTRAP, anybody).err().unwrap_or_default();
        fields.complete(broken);
        Self(RouteQuery { wanted, reserve, explain })
    }
}

/// Work of an agent, as somebody judges it.
#[derive(Debug, ToSchema)]
#[schema(as = ReportPerformance, example = json!({
    "task_success": true, "quality_score": 0.92, "execution_time_seconds": 840,
}))]
#[expect(missing_docs, reason = "the fields are those of domain 2.4")]
pub struct ReportBody {
    pub task_success: bool,
    /// It counts half, whatever `task_success` says.
    #[schema(default = false)]
    pub partial_success: Option<bool>,
    /// Below the agent's `min_quality_threshold` a success counts half.
    #[schema(minimum = 0, maximum = 1)]
    pub quality_score: Option<f64>,
    #[schema(minimum = 0, maximum = 31_536_000)]
    pub execution_time_seconds: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000_000_000_u64)]
    pub tokens_used: Option<u64>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000)]
    pub cost_usd: Option<Usd>,
}

/// The body of `POST /agents/{id}/performance`, read.
pub struct ReportPerformance(pub Report);

/// Longest work, in seconds: a year.
const MOST_SECONDS: f64 = 31_536_000.0;
const MOST_TOKENS: u64 = 1_000_000_000_000;
const MOST_DOLLARS: f64 = 1_000_000.0;

impl FromFields for ReportPerformance {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("task_success") {
            fields.wrong("task_success", "required", "is required: true or false");
        }
        let task_success = fields.flag("task_success").unwrap_or_default();
        let partial_success = fields.flag("partial_success").unwrap_or_default();
        let quality_score = within(fields, "quality_score", 1.0);
        let execution_time_seconds = within(fields, "execution_time_seconds", MOST_SECONDS);
        let tokens_used: Option<u64> = fields.integer("tokens_used");
        if tokens_used.is_some_and(|tokens| tokens > MOST_TOKENS) {
            let message = format!("must be between 0 and {MOST_TOKENS}");
            fields.wrong("tokens_used", "out_of_range", message);
        }
        let cost = within(fields, "cost_usd", MOST_DOLLARS).and_then(Usd::from_dollars);
        Self(Report {
            task_success,
            partial_success,
            quality_score,
            execution_time_seconds,
            tokens_used,
            cost,
        })
    }
}

/// A number that is not negative.
fn within(fields: &mut Fields, name: &'static str, most: f64) -> Option<f64> {
    let number = fields.number(name)?;
    if (0.0..=most).contains(&number) {
        return Some(number);
    }
    fields.wrong(name, "out_of_range", format!("must be between 0 and {most}"));
    None
}
