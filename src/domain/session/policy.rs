//! What an agent may do without asking.
//!
//! Invariant: what a person allowed for good allows exactly that call, and nothing that looks like it.
//! Invariant: guarded tools are denied whatever a policy says.

use serde_json::{Value, json};

use crate::closed_enum;

closed_enum!(
    /// What a permission rule says.
    PermissionDecision {
        Allow = "allow",
        Ask = "ask",
        Deny = "deny",
    }
);

/// Tools that no policy can give away: leaving the session's directory, and going round in circles.
pub const GUARDED: [&str; 2] = ["external_directory", "doom_loop"];
/// Tools that run command lines. How the commands of a line are joined is not among the pieces of a
/// call.
const SHELLS: [&str; 2] = ["bash", "shell"];

/// Which calls of a tool a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Calls {
    /// All of them.
    All,
    /// Those with a piece that this glob matches.
    Like(String),
    /// The one with these pieces, in this order, character by character; without pieces, the one that
    /// has none.
    Exactly(Vec<String>),
}

impl Calls {
    /// Whether a piece of a call (`None` when it has none) is meant.
    fn cover(&self, call: &[String], piece: Option<&String>) -> bool {
        match self {
            Self::All => true,
            Self::Like(glob) => piece.is_some_and(|text| glob_matches(glob, text)),
            Self::Exactly(wanted) => wanted == call,
        }
    }
}

/// One rule about one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionRule {
    /// Tool or class of tools, as the agent names it; `*` for all.
    pub tool: String,
    /// Which calls of it.
    pub calls: Calls,
    /// What happens.
    pub decision: PermissionDecision,
}

impl PermissionRule {
    /// Allows this one call for good.
    #[must_use]
    pub fn allows_exactly(tool: &str, call: &[String]) -> Self {
        let calls = Calls::Exactly(call.to_vec());
        Self { tool: tool.to_owned(), calls, decision: PermissionDecision::Allow }
    }

    /// What it says, for the audit.
    #[must_use]
    pub fn facts(&self) -> Value {
        let Self { tool, calls, decision } = self;
        match calls {
            Calls::All => json!({ "tool": tool, "decision": decision }),
            Calls::Like(glob) => json!({ "tool": tool, "pattern": glob, "decision": decision }),
            Calls::Exactly(call) => json!({ "tool": tool, "exactly": call, "decision": decision }),
        }
    }
}

/// What an agent may do without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionPolicy {
    /// For what no rule matches.
    pub default: PermissionDecision,
    /// The strictest matching rule wins.
    pub rules: Vec<PermissionRule>,
}

impl Default for PermissionPolicy {
    fn default() -> Self {
        Self { default: PermissionDecision::Ask, rules: Vec::new() }
    }
}

impl PermissionPolicy {
    /// What the policy says of one call. Each of its pieces is judged by the strictest rule that
    /// matches it, else by the default; the call is judged by its strictest piece, so that one
    /// denied piece denies it, and it is allowed only when every piece is.
    #[must_use]
    pub fn decide(&self, tool: &str, call: &[String]) -> PermissionDecision {
        if GUARDED.contains(&tool) {
            return PermissionDecision::Deny;
        }
        let strictest = call.iter().map(|piece| self.judge(tool, call, Some(piece))).max();
        strictest.unwrap_or_else(|| self.judge(tool, call, None))
    }

    /// A call without pieces is matched by rules without a glob only.
    fn judge(&self, tool: &str, call: &[String], piece: Option<&String>) -> PermissionDecision {
        let matching = self.rules.iter().filter(|rule| {
            (rule.tool == "*" || rule.tool == tool) && rule.calls.cover(call, piece)
        });
        matching.map(|rule| rule.decision).max().unwrap_or(self.default)
    }

    /// Whether an agent may do anything under it without asking.
    #[must_use]
    pub fn allows_anything(&self) -> bool {
        let allows = |rule: &PermissionRule| rule.decision == PermissionDecision::Allow;
        self.default == PermissionDecision::Allow || self.rules.iter().any(allows)
    }

    /// The same without what it allows: that is asked for.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.default = self.default.max(PermissionDecision::Ask);
        self.rules.retain(|rule| rule.decision != PermissionDecision::Allow);
        self
    }

    /// What it says, for the audit.
    #[must_use]
    pub fn facts(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(PermissionRule::facts).collect();
        json!({ "default": self.default, "rules": rules })
    }
}

/// Most rules of a policy.
pub const MAX_RULES: usize = 500;
/// Most characters of a tool's name in a rule.
pub const MAX_TOOL: usize = 200;
/// Most characters of a glob.
pub const MAX_GLOB: usize = 1000;
/// Most pieces of a call that a rule can mean exactly.
pub const MAX_PIECES: usize = 100;
/// Most bytes of them together.
pub const MAX_PIECES_BYTES: usize = 8192;

/// Whether a rule can hold the pieces of a call.
#[must_use]
pub fn fits_a_rule(call: &[String]) -> bool {
    call.len() <= MAX_PIECES && call.iter().map(String::len).sum::<usize>() <= MAX_PIECES_BYTES
}

/// Whether a call can be allowed for good: its pieces have to say all of it. A command line of several
/// commands is not said by them, since `a; b` and `a | b` have the same ones.
#[must_use]
pub fn can_be_learned(tool: &str, call: &[String]) -> bool {
    let is_said = call.len() <= 1 || !SHELLS.contains(&tool);
    !tool.is_empty() && tool.chars().count() <= MAX_TOOL && is_said && fits_a_rule(call)
}

/// `*` stands for any run of characters and `?` for one; everything else for itself.
#[must_use]
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at_glob, mut at_text, mut star) = (0, 0, None);
    while at_text < text.len() {
        match glob.get(at_glob) {
            Some('*') => {
                star = Some((at_glob, at_text));
                at_glob += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[at_text] => {
                at_glob += 1;
                at_text += 1;
            }
            _ => {
                let Some((star_glob, star_text)) = star else { return false };
                star = Some((star_glob, star_text + 1));
                at_glob = star_glob + 1;
                at_text = star_text + 1;
            }
        }
    }
    glob[at_glob..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_policy() -> impl Strategy<Value = PermissionPolicy> {
        let decision = || proptest::sample::select(PermissionDecision::ALL);
        let tool = proptest::sample::select(vec!["*", "bash", "edit"]);
        let pattern =
            proptest::option::of(proptest::sample::select(vec!["*", "a*", "*b", "ab", "?"]));
        let rule = (tool, pattern, decision())
            .prop_map(|(tool, pattern, decision)| rule(tool, pattern, decision));
        (decision(), proptest::collection::vec(rule, 0..6))
            .prop_map(|(default, rules)| PermissionPolicy { default, rules })
    }

    proptest! {
        #[test]
        fn one_denied_piece_denies_a_call_and_all_must_be_allowed_to_allow_it(
            policy in any_policy(),
            pieces in proptest::collection::vec("[abc]{1,3}", 1..5),
        ) {
            use PermissionDecision::{Allow, Deny};
            let each: Vec<_> =
                pieces.iter().map(|piece| policy.decide("bash", std::slice::from_ref(piece))).collect();
            let whole = policy.decide("bash", &pieces);
            prop_assert_eq!(whole == Deny, each.contains(&Deny));
            prop_assert_eq!(whole == Allow, each.iter().all(|one| *one == Allow));
            let denies = |rule: &PermissionRule| {
                rule.decision == Deny
                    && rule.tool != "edit"
                    && pieces.iter().any(|piece| rule.calls.cover(&pieces, Some(piece)))
            };
            prop_assert!(!policy.rules.iter().any(denies) || whole == Deny);
        }

        #[test]
        fn what_was_allowed_for_good_allows_that_call_and_no_other(
            allowed in proptest::collection::vec("[ab*? $(|]{0,4}", 0..3),
            other in proptest::collection::vec("[ab*? $(|]{0,4}", 0..3),
        ) {
            let rules = vec![PermissionRule::allows_exactly("bash", &allowed)];
            let policy = PermissionPolicy { rules, ..PermissionPolicy::default() };
            prop_assert_eq!(policy.decide("bash", &allowed), PermissionDecision::Allow);
            let is_same = allowed == other;
            prop_assert_eq!(policy.decide("bash", &other) == PermissionDecision::Allow, is_same);
            prop_assert_eq!(policy.decide("edit", &allowed), PermissionDecision::Ask);
        }
    }

    #[test]
    fn a_denied_piece_is_not_hidden_by_another() {
        let policy = PermissionPolicy {
            default: PermissionDecision::Allow,
            rules: vec![rule("bash", Some("rm *"), PermissionDecision::Deny)],
        };
        let call = ["git status".to_owned(), "rm -rf x".to_owned()];
        assert_eq!(policy.decide("bash", &call), PermissionDecision::Deny);
    }

    fn rule(tool: &str, pattern: Option<&str>, decision: PermissionDecision) -> PermissionRule {
        let calls = pattern.map_or(Calls::All, |glob| Calls::Like(glob.to_owned()));
        PermissionRule { tool: tool.to_owned(), calls, decision }
    }

    #[test]
    fn the_strictest_matching_rule_wins() {
        let policy = PermissionPolicy {
            default: PermissionDecision::Ask,
            rules: vec![
                rule("bash", Some("git *"), PermissionDecision::Allow),
                rule("bash", Some("git push*"), PermissionDecision::Deny),
                rule("edit", None, PermissionDecision::Allow),
            ],
        };
        let decide = |tool: &str, text: &str| policy.decide(tool, &[text.to_owned()]);
        assert_eq!(decide("bash", "git status"), PermissionDecision::Allow);
        assert_eq!(decide("bash", "git push origin"), PermissionDecision::Deny);
        assert_eq!(decide("bash", "rm -rf x"), PermissionDecision::Ask);
        assert_eq!(decide("edit", "calc.py"), PermissionDecision::Allow);
    }

    #[test]
    fn what_is_guarded_is_denied_and_what_was_allowed_can_be_asked_for_again() {
        use PermissionDecision::{Allow, Ask, Deny};
        let named = rule("external_directory", None, Allow);
        let rules = vec![named, rule("*", None, Allow), rule("edit", None, Deny)];
        let policy = PermissionPolicy { default: Allow, rules };
        for tool in GUARDED {
            assert_eq!(policy.decide(tool, &["/etc/passwd".to_owned()]), Deny);
        }
        assert!(policy.allows_anything());
        let asking = policy.asking();
        assert!(!asking.allows_anything());
        assert_eq!((asking.decide("bash", &[]), asking.decide("edit", &[])), (Ask, Deny));
    }

    #[test]
    fn a_command_line_of_several_commands_cannot_be_learned() {
        let call =
            |pieces: &[&str]| pieces.iter().map(|&piece| piece.to_owned()).collect::<Vec<_>>();
        assert!(
            can_be_learned("bash", &call(&["ls *"])) && can_be_learned("edit", &call(&["a", "b"]))
        );
        assert!(!can_be_learned("bash", &call(&["cat x", "sh"])) && !can_be_learned("", &[]));
    }

    #[test]
    fn globs_match_whole_texts() {
        assert!(
            glob_matches("a*b?d", "axxbcd") && glob_matches("*", "") && glob_matches("**a", "ba")
        );
        assert!(!glob_matches("a*b", "abc") && !glob_matches("?", ""));
    }
}
