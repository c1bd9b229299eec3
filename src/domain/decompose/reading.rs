//! What the text of a task says of its effort and of what it needs.
//!
//! Invariant: the same text gives the same figures, whoever reads it; nothing is asked of a model.
//! Source: domain 5.1.

use super::words::{has, is_form, tokens};
use crate::domain::task::estimate::{Estimate, EstimationSource, Hours};
use crate::domain::time::Timestamp;

/// Words of which every occurrence makes work harder.
const TERMS: [&str; 18] = [
    "api",
    "database",
    "authentication",
    "encryption",
    "scalability",
    "performance",
    "security",
    "deployment",
    "integration",
    "microservice",
    "container",
    "kubernetes",
    "docker",
    "aws",
    "azure",
    "gcp",
    "cloud",
    "serverless",
];

/// Words that make work harder once, each with its weight.
const INDICATORS: [(&[&str], u32); 14] = [
    (&["must"], 1),
    (&["should"], 2),
    (&["could"], 3),
    (&["would"], 4),
    (&["implement"], 2),
    (&["create"], 2),
    (&["build"], 3),
    (&["develop"], 3),
    (&["design"], 4),
    (&["architect", "architecture"], 5),
    (&["integrate"], 4),
    (&["deploy"], 3),
    (&["test"], 2),
    (&["document"], 1),
];

/// Which words ask for which capability, in the order in which capabilities are told.
const NEEDS: [(&[&str], &str); 20] = [
    (&["design"], "system_design"),
    (&["architecture", "plan"], "architecture_planning"),
    (&["requirement", "analyze", "analyse"], "requirements_analysis"),
    (&["break down", "decompose"], "task_decomposition"),
    (&["implement", "create", "build", "develop", "write", "code"], "code_generation"),
    (&["test"], "test_generation"),
    (&["document"], "documentation"),
    (&["refactor"], "refactoring"),
    (&["review"], "code_review"),
    (&["monitor"], "monitoring"),
    (&["audit", "security"], "security_audit"),
    (&["performance"], "performance_analysis"),
    (&["compliance"], "compliance_check"),
    (&["debug", "fix"], "debugging"),
    (&["troubleshoot"], "troubleshooting"),
    (&["diagnose"], "root_cause_analysis"),
    (&["optimize", "optimise", "improve"], "optimization"),
    (&["deploy", "integrate"], "deployment"),
    (&["configure"], "configuration"),
    (&["scale"], "scaling"),
];

/// What a task needs when nothing says more.
pub const DEFAULT_CAPABILITY: &str = "code_generation";
/// Hours of a task that nobody described.
const UNDESCRIBED: f64 = 2.0;
/// Most capabilities of a task.
const MOST_CAPABILITIES: usize = 20;

/// The figures of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Split at white space.
    pub words: u32,
    /// Split at `.`, `!` and `?`.
    pub sentences: u32,
    /// Occurrences of technical terms.
    pub terms: u32,
    /// Sum of the weights of the indicators that are there.
    pub weight: u32,
}

impl Reading {
    /// The figures of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let is_term = |token: &&String| TERMS.iter().any(|term| is_form(token, term));
        let is_there = |words: &[&str]| words.iter().any(|word| has(&tokens, word));
        let sentences = text.split(['.', '!', '?']).filter(|sentence| !sentence.trim().is_empty());
        let present = INDICATORS.iter().filter(|(words, _)| is_there(words));
        Self {
            words: count(text.split_whitespace().count()),
            sentences: count(sentences.count()),
            terms: count(tokens.iter().filter(is_term).count()),
            weight: present.map(|(_, weight)| weight).sum(),
        }
    }

    /// 1 + 0.1 × weights + 0.2 × terms.
    #[must_use]
    pub fn score(self) -> f64 {
        1.0 + 0.1 * f64::from(self.weight) + 0.2 * f64::from(self.terms)
    }

    /// Hours of work, 1–24; 1 when there is no word.
    #[must_use]
    pub fn hours(self) -> f64 {
        (f64::from(self.words) / 100.0 * self.score()).clamp(1.0, 24.0)
    }

    /// Tokens of a model.
    #[must_use]
    pub const fn tokens(self) -> u64 {
        2 * self.words as u64
    }

    /// How much these figures are worth, 0.3–0.8.
    #[must_use]
    pub fn confidence(self) -> f64 {
        (0.3 + f64::from(self.words) / 500.0).min(0.8)
    }
}

/// What a task with these texts needs: every row that matches, or what is usual.
#[must_use]
pub fn capabilities<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let texts: Vec<Vec<String>> = texts.into_iter().map(tokens).collect();
    let is_there = |word: &str| texts.iter().any(|tokens| has(tokens, word));
    let found = NEEDS.iter().filter(|(words, _)| words.iter().any(|word| is_there(word)));
    let mut found: Vec<String> =
        found.map(|(_, slug)| (*slug).to_owned()).take(MOST_CAPABILITIES).collect();
    if found.is_empty() {
        found.push(DEFAULT_CAPABILITY.to_owned());
    }
    found
}

/// The estimate that the texts of a task give; `needed` is kept when somebody named it.
#[must_use]
pub fn estimate(
    title: &str,
    description: Option<&str>,
    needed: &[String],
    now: Timestamp,
) -> Estimate {
    let given = Estimate { last_estimated_at: Some(now), ..Estimate::default() };
    let named = |read: Vec<String>| if needed.is_empty() { read } else { needed.to_vec() };
    let Some(description) = description else {
        return Estimate {
            hours: Hours::of_figure(UNDESCRIBED),
            confidence: 0.3,
            required_capabilities: named(vec![DEFAULT_CAPABILITY.to_owned()]),
            source: EstimationSource::Default,
            ..given
        };
    };
    let reading = Reading::of(description);
    Estimate {
        hours: Hours::of_text(reading.hours()),
        estimated_tokens: Some(reading.tokens()),
        confidence: reading.confidence(),
        required_capabilities: named(capabilities([title, description])),
        source: EstimationSource::AiAnalysis,
        ..given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    /// T11: what a text says, to the digit.
    #[test]
    fn figures_are_as_pinned() {
        let plain = Reading::of("It has some words");
        let raised = Reading::of("It has some security words and encryption");
        assert_eq!((plain.terms, raised.terms), (0, 2));
        assert_eq!(Reading::of("APIs, an API; the api.").terms, 3, "every occurrence");
        let empty = Reading::of("");
        assert_eq!((empty.hours(), empty.tokens(), empty.words), (1.0, 0, 0));
        assert!(near(empty.confidence(), 0.3) && near(empty.score(), 1.0));
        let long = Reading::of(&"build the api of the database. ".repeat(400));
        assert!(near(long.hours(), 24.0) && near(long.confidence(), 0.8));
        assert_eq!((long.words, long.sentences, long.weight), (2400, 400, 3));
        let all = "must should could would implement create build develop design architecture \
                   integrate deploy test document";
        assert_eq!(Reading::of(all).weight, 39);
        assert_eq!(Reading::of(&format!("{all} architect tests")).weight, 39, "once each");
        let words = "word ".repeat(200);
        let some = Reading::of(&format!("{words} must test the api"));
        assert!(near(some.score(), 1.5) && near(some.hours(), 2.04 * 1.5));
        assert!(near(some.confidence(), 0.3 + 204.0 / 500.0));
    }

    /// T11: what the words ask for.
    #[test]
    fn capabilities_are_read_in_order() {
        assert_eq!(capabilities(["add tests"]), ["test_generation"]);
        assert_eq!(capabilities(["audit it"]), ["security_audit"]);
        assert_eq!(capabilities(["Rebuild the author page as required"]), ["code_generation"]);
        assert_eq!(
            capabilities(["Scaling", "We design and planned it; breaking down"]),
            ["system_design", "architecture_planning", "task_decomposition", "scaling"]
        );
        // Domain 5.1, by hand: each keyword and its capability.
        let rows = "design system_design,architecture architecture_planning,\
            plan architecture_planning,requirement requirements_analysis,\
            analyze requirements_analysis,analyse requirements_analysis,\
            decompose task_decomposition,implement code_generation,create code_generation,\
            build code_generation,develop code_generation,write code_generation,\
            code code_generation,test test_generation,document documentation,\
            refactor refactoring,review code_review,monitor monitoring,audit security_audit,\
            security security_audit,performance performance_analysis,\
            compliance compliance_check,debug debugging,fix debugging,\
            troubleshoot troubleshooting,diagnose root_cause_analysis,optimize optimization,\
            optimise optimization,improve optimization,deploy deployment,integrate deployment,\
            configure configuration,scale scaling";
        for (word, slug) in rows.split(',').filter_map(|row| row.trim().split_once(' ')) {
            assert_eq!(capabilities([word]), [slug], "{word}");
        }
        assert_eq!(capabilities(["nothing", ""]), ["code_generation"]);
        let everything: Vec<&str> = rows.split([',', ' ']).collect();
        assert!(capabilities(everything).len() <= MOST_CAPABILITIES);
    }

    #[test]
    fn an_estimate_is_read_from_the_description_or_is_the_usual_one() {
        let now = Timestamp::from_millis(5);
        let usual = estimate("Audit it", None, &[], now);
        assert_eq!(usual.hours, Hours::of_figure(2.0));
        assert_eq!(usual.required_capabilities, ["code_generation"]);
        assert_eq!((usual.confidence, usual.source), (0.3, EstimationSource::Default));
        let read = estimate("Audit it", Some("Write tests"), &[], now);
        assert_eq!(
            read.required_capabilities,
            ["code_generation", "test_generation", "security_audit"]
        );
        assert_eq!((read.hours, read.source), (Hours::of_text(1.0), EstimationSource::AiAnalysis));
        assert_eq!(read.estimated_tokens, Some(4));
        let big = estimate("Do it", Some(&"api ".repeat(2000)), &["testing".to_owned()], now);
        assert_eq!(big.hours, Hours::new(6.0, 8.0, 12.0));
        assert_eq!(big.required_capabilities, ["testing"], "what somebody named stays");
    }
}
