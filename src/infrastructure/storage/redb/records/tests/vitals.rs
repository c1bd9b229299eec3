//! How agents do.

use super::*;
use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::performance::{Finished, Outcome};
use crate::domain::agent::status::HeartbeatStatus;
use crate::domain::agent::vitals::{Ended, Vitals};

fn finished(outcome: Outcome) -> Finished {
    Finished {
        capabilities: vec!["testing".to_owned()],
        technologies: vec!["rust".to_owned()],
        quality_score: Some(0.5),
        execution_time_seconds: Some(2.5),
        tokens: Some(9),
        cost: Some(Usd::from_micros(7)),
        coverage_impact: Some(0.25),
        security_improvement: None,
        performance_improvement: Some(0.75),
        ..Finished::plain(outcome, at(1))
    }
}

#[test]
fn how_agents_do_is_written_as_ever() {
    let agent_id = AgentId::new(id(7));
    let ended = Ended {
        agent_id,
        session_id: SessionId::new(id(2)),
        attempt: 3,
        finished: finished(Outcome::Partial),
    };
    check("ended_work", &ended);
    let mut vitals = Vitals::new(agent_id, at(0));
    let rules = BreakerRules::default();
    for outcome in Outcome::ALL.iter().chain([&Outcome::Failure; 9]) {
        vitals.count(&finished(*outcome), 0.4, rules, at(2));
    }
    check("vitals", &versioned(vitals));
    let metrics = json!({ "queue": 1 }).as_object().cloned().unwrap_or_default();
    let heartbeat = Heartbeat {
        agent_id,
        heard_at: at(5),
        said_at: Some(at(4)),
        status: HeartbeatStatus::Busy,
        current_load: 0.5,
        tasks_in_progress: 2,
        metrics,
    };
    check("heartbeat", &heartbeat);
}
