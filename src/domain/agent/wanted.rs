//! From what was asked of routing: every default and every limit of domain 3.1.

use super::capability::{is_slug, is_technology};
use super::kind::AgentType;
use super::load::Units;
use super::performance::Tier;
use super::routing::{Match, Request};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;

/// Most capabilities, technologies and agents, each, that can be named.
const MOST: usize = 20;

/// Work that an agent is wanted for, as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 3.1")]
pub struct Wanted {
    pub task_description: String,
    pub required_capabilities: Vec<String>,
    pub matching: Option<Match>,
    pub technologies: Vec<String>,
    pub session_type: Option<SessionType>,
    pub estimated_complexity: Option<f64>,
    pub preferred_agent_type: Option<AgentType>,
    /// Ids or names.
    pub preferred_agents: Vec<String>,
    pub min_performance_tier: Option<Tier>,
    /// Ids or names.
    pub excluded_agents: Vec<String>,
}

impl Wanted {
    /// The valid request. `find` knows the agents of the tenant by id and name.
    ///
    /// # Errors
    /// Every broken rule, with a JSON pointer each.
    pub fn accept(
        self,
        tenant_id: TenantId,
        find: impl Fn(&str) -> Option<AgentId>,
    ) -> Result<Request, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        errors.length("/task_description", self.task_description.trim(), 10, 5000);
        errors.require(
            !self.required_capabilities.is_empty(),
            "/required_capabilities",
            "required",
            "must name what the agent is to be able to do, as in [\"code_generation\"]",
        );
        let complexity = self.estimated_complexity.unwrap_or(1.0);
        errors.range("/estimated_complexity", complexity, 0.1, 10.0);
        let technologies: Vec<String> =
            self.technologies.iter().map(|name| name.to_lowercase()).collect();
        let slug = "must be a slug such as code_review: 2 to 64 lower-case letters, digits and _, a letter first";
        let name = "must be a name such as rust or c++: 1 to 50 letters, digits and . + # _ -";
        let required = &self.required_capabilities;
        check_each("/required_capabilities", required, (is_slug, slug), &mut errors);
        check_each("/technologies", &technologies, (is_technology, name), &mut errors);
        let mut agents = |pointer: &str, references: &[String]| -> Vec<AgentId> {
            errors.require(references.len() <= MOST, pointer, "too_many", "at most 20 are allowed");
            let mut found = Vec::new();
            for (index, reference) in references.iter().enumerate().take(MOST) {
                match find(reference) {
                    Some(id) if !found.contains(&id) => found.push(id),
                    Some(_) => {}
                    None => errors.add(
                        format!("{pointer}/{index}"),
                        "unknown",
                        "no agent of this tenant has this id or name",
                    ),
                }
            }
            found
        };
        let preferred_ids = agents("/preferred_agent_ids", &self.preferred_agents);
        let excluded = agents("/exclude_agent_ids", &self.excluded_agents);
        errors.into_result(Request {
            tenant_id,
            required: once_each(self.required_capabilities),
            matching: self.matching.unwrap_or(Match::All),
            technologies: once_each(technologies),
            session_type: self.session_type,
            complexity: Units::of(complexity),
            preferred_type: self.preferred_agent_type,
            preferred_ids,
            min_tier: self.min_performance_tier,
            excluded,
        })
    }
}

fn check_each(
    pointer: &str,
    words: &[String],
    (is_valid, rule): (fn(&str) -> bool, &str),
    errors: &mut FieldErrors,
) {
    errors.require(words.len() <= MOST, pointer, "too_many", "at most 20 are allowed");
    for (index, _) in words.iter().enumerate().take(MOST).filter(|(_, word)| !is_valid(word)) {
        errors.add(format!("{pointer}/{index}"), "invalid", rule);
    }
}

/// What is named twice counts once, or a mean over the names would be of another list.
fn once_each(words: Vec<String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        if !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HERE: TenantId = TenantId::BOOTSTRAP;

    fn wanted() -> Wanted {
        Wanted {
            task_description: "Mend the build of the parser.".to_owned(),
            required_capabilities: vec!["debugging".to_owned(), "debugging".to_owned()],
            ..Wanted::default()
        }
    }

    fn known(reference: &str) -> Option<AgentId> {
        (reference == "AGENT-A").then(|| AgentId::new(Uuid::from_u128(7)))
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let request = wanted().accept(HERE, known).expect("valid");
        assert_eq!((request.matching, request.complexity), (Match::All, Units::ONE));
        assert_eq!(request.required, ["debugging"]);
        let any = Wanted { matching: Some(Match::Any), ..wanted() };
        assert_eq!(any.accept(HERE, known).expect("valid").matching, Match::Any);
        let wished = Wanted { preferred_agents: vec!["AGENT-A".to_owned()], ..wanted() };
        let request = wished.accept(HERE, known).expect("valid");
        assert_eq!(request.preferred_ids, [AgentId::new(Uuid::from_u128(7))]);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = Wanted {
            task_description: "too short".to_owned(),
            required_capabilities: Vec::new(),
            technologies: vec!["Rust".to_owned(), "a b".to_owned()],
            estimated_complexity: Some(10.5),
            preferred_agents: vec!["AGENT-A".to_owned(), "AGENT-B".to_owned()],
            excluded_agents: vec!["AGENT-A".to_owned(); 21],
            ..Wanted::default()
        };
        let told = wrong.accept(HERE, known).expect_err("wrong");
        let pointers: Vec<&str> = told.iter().map(|error| error.pointer.as_str()).collect();
        let expected = [
            "/task_description",
            "/required_capabilities",
            "/estimated_complexity",
            "/technologies/1",
            "/preferred_agent_ids/1",
            "/exclude_agent_ids",
        ];
        assert_eq!(pointers, expected);
    }
}
