//! What agents are able to do, as slugs. Any slug is accepted; these are the ones with a meaning that
//! everybody knows.

/// The known capabilities.
pub const KNOWN: [&str; 33] = [
    "requirements_analysis",
    "system_design",
    "architecture_planning",
    "task_decomposition",
    "code_generation",
    "test_generation",
    "testing",
    "documentation",
    "refactoring",
    "code_review",
    "security_audit",
    "performance_analysis",
    "compliance_check",
    "debugging",
    "bug_fixing",
    "troubleshooting",
    "root_cause_analysis",
    "optimization",
    "deployment",
    "configuration",
    "monitoring",
    "scaling",
    "workflow_orchestration",
    "resource_allocation",
    "conflict_resolution",
    "progress_tracking",
    "backend_development",
    "frontend_development",
    "database_design",
    "api_development",
    "performance_optimization",
    "error_handling",
    "ci_cd",
];

/// 2 to 64 lower-case letters, digits and `_`, a letter first.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let mut bytes = text.bytes();
    (2..=64).contains(&text.len())
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// 1 to 50 lower-case letters, digits and `. + # _ -`, a letter or digit first.
#[must_use]
pub fn is_technology(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 50
        && text.bytes().next().is_some_and(is_plain)
        && text.bytes().all(|byte| is_plain(byte) || b".+#_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_well_spelled_and_named_once() {
        assert!(KNOWN.iter().all(|slug| is_slug(slug)));
        let distinct: std::collections::BTreeSet<&str> = KNOWN.into();
        assert_eq!(distinct.len(), KNOWN.len());
        for wrong in ["", "x", "Testing", "1st", "_a", "ci-cd", &"a".repeat(65)] {
            assert!(!is_slug(wrong), "{wrong}");
        }
    }
}
