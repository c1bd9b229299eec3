//! What is wrong with an agent, and what would help.

use std::time::Duration;

use super::load::LoadLevel;
use super::performance::{LEAST, Performance, Tier};
use super::status::Standing;
use crate::closed_enum;

/// Work that takes longer on the average should be cut finer.
const SLOW_SECONDS: f64 = 3600.0;

closed_enum!(
    /// What can be wrong.
    IssueType {
        PerformanceDegradation = "performance_degradation",
        Overloaded = "overloaded",
        Inactive = "inactive",
        LowSuccessRate = "low_success_rate",
    }
);

closed_enum!(
    /// How bad it is.
    Severity {
        Warning = "warning",
        Critical = "critical",
    }
);

impl IssueType {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::PerformanceDegradation | Self::Overloaded => Severity::Critical,
            Self::Inactive | Self::LowSuccessRate => Severity::Warning,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// What.
    pub issue_type: IssueType,
    /// In words.
    pub message: String,
}

/// Everything that is wrong with an agent of which nothing was heard for so long, when that is longer
/// than `inactive_after`.
#[must_use]
pub fn issues(
    standing: &Standing,
    performance: &Performance,
    silent: Duration,
    inactive_after: Duration,
) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut tell = |issue_type, message: String| issues.push(Issue { issue_type, message });
    let rate = performance.success_rate();
    if standing.tier == Tier::Degraded {
        let message = format!("its tier is degraded: {:.0} % of its work succeeds", rate * 100.0);
        tell(IssueType::PerformanceDegradation, message);
    }
    if standing.burden.level() == LoadLevel::Overloaded {
        let used = standing.burden.utilization() * 100.0;
        tell(IssueType::Overloaded, format!("{used:.0} % of its capacity is used"));
    }
    if silent > inactive_after {
        let hours = silent.as_secs() / 3600;
        tell(IssueType::Inactive, format!("nothing was heard of it for {hours} h"));
    }
    let is_enough = usize::try_from(performance.total.count).is_ok_and(|count| count >= LEAST);
    if is_enough && rate < 0.5 {
        let message = format!("{:.0} % of its work succeeds", rate * 100.0);
        tell(IssueType::LowSuccessRate, message);
    }
    issues
}

/// What would help an agent.
#[must_use]
pub fn recommendations(standing: &Standing, performance: &Performance) -> Vec<&'static str> {
    let mut advice = Vec::new();
    if performance.total.count > 0 && performance.success_rate() < 0.7 {
        advice.push("give it simpler tasks");
    }
    if standing.burden.level() >= LoadLevel::Critical {
        advice.push("give it fewer tasks");
    }
    if performance.execution_seconds.value().is_some_and(|seconds| seconds > SLOW_SECONDS) {
        advice.push("decompose its tasks more finely");
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::load::Burden;
    use crate::domain::agent::performance::{Finished, Outcome};
    use crate::domain::agent::status::tests::idle;
    use crate::domain::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn kinds(issues: &[Issue]) -> Vec<IssueType> {
        issues.iter().map(|issue| issue.issue_type).collect()
    }

    #[test]
    fn each_issue_is_told_by_its_rule() {
        let well = Performance::default();
        let hours = Duration::from_hours;
        let all = |standing: &Standing, performance: &Performance, silent| {
            kinds(&issues(standing, performance, silent, hours(24)))
        };
        assert_eq!(all(&idle(), &well, hours(0)), []);
        let poor = Standing { tier: Tier::Degraded, ..idle() };
        let full = Standing { burden: Burden { reported: 1.1, ..idle().burden }, ..idle() };
        assert_eq!(all(&poor, &well, hours(0)), [IssueType::PerformanceDegradation]);
        assert_eq!(all(&full, &well, hours(0)), [IssueType::Overloaded]);
        assert_eq!(all(&idle(), &well, hours(24)), []);
        assert_eq!(all(&idle(), &well, hours(25)), [IssueType::Inactive]);
        let mut bad = Performance::default();
        for count in 1..=5 {
            let slow = Finished {
                execution_time_seconds: Some(4000.0),
                ..Finished::plain(Outcome::Failure, NOW)
            };
            bad.record(&slow);
            let told = all(&idle(), &bad, hours(0));
            assert_eq!(told.contains(&IssueType::LowSuccessRate), count == 5);
        }
        assert_eq!(recommendations(&full, &bad).len(), 3);
        assert_eq!(recommendations(&idle(), &well), [""; 0]);
    }
}
