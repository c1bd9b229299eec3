//! Parts of a definition, the same in requests and answers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::session::retry::RetryPolicy;
use crate::domain::session::spec::{
    Calls, Gate, PermissionDecision, PermissionPolicy, PermissionRule,
};
use crate::domain::workspace::{Workspace, WorkspaceKind, WorkspaceSpec};

/// When and how often a session is tried again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetryPolicy)]
#[expect(missing_docs, reason = "the fields are those of domain 1.8")]
pub struct RetryPolicyDto {
    #[schema(minimum = 0, maximum = 10, default = 3)]
    pub max_retries: u32,
    #[schema(minimum = 0, maximum = 3600, default = 5)]
    pub initial_backoff_seconds: u32,
    #[schema(minimum = 1, maximum = 10, default = 2.0)]
    pub backoff_factor: f64,
    #[schema(minimum = 0, maximum = 86400, default = 300)]
    pub max_backoff_seconds: u32,
    #[schema(minimum = 0, maximum = 1, default = 0.2)]
    pub jitter: f64,
}

impl From<RetryPolicy> for RetryPolicyDto {
    fn from(policy: RetryPolicy) -> Self {
        let RetryPolicy {
            max_retries,
            initial_backoff_seconds,
            backoff_factor,
            max_backoff_seconds,
            jitter,
        } = policy;
        Self { max_retries, initial_backoff_seconds, backoff_factor, max_backoff_seconds, jitter }
    }
}

/// Where the work happens, and what was made of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceDto {
    /// The kind.
    pub kind: WorkspaceKind,
    /// The directory asked for, or the one that the agent works in once it was made.
    pub path: Option<String>,
    /// The repository; git only.
    pub repo: Option<String>,
    /// What the work begins from; git only.
    pub base_ref: Option<String>,
    /// The branch; git only, null until it was made or named.
    pub branch: Option<String>,
    /// The commit that the work began from; git only, null until it was made.
    pub base_commit: Option<String>,
    /// The branch that a merge goes to; git only.
    pub base_branch: Option<String>,
}

impl WorkspaceDto {
    /// What was asked for, with what was made of it.
    #[must_use]
    pub fn new(spec: WorkspaceSpec, made: Option<Workspace>) -> Self {
        let kind = spec.kind();
        let (path, repo, base_ref, branch) = match spec {
            WorkspaceSpec::None => (None, None, None, None),
            WorkspaceSpec::Directory { path } => (Some(path), None, None, None),
            WorkspaceSpec::Git { repo, base_ref, branch } => {
                (None, Some(repo), Some(base_ref), branch)
            }
        };
        let asked =
            Self { kind, path, repo, base_ref, branch, base_commit: None, base_branch: None };
        let Some(made) = made else { return asked };
        let Workspace { kind: _, path, repo: _, branch, base_commit, base_branch } = made;
        Self {
            path: Some(path),
            branch: branch.or(asked.branch),
            base_commit,
            base_branch,
            ..asked
        }
    }
}

/// What an agent may do without asking.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionPolicy)]
pub struct PermissionPolicyDto {
    /// For what no rule matches.
    pub default: PermissionDecision,
    /// The strictest matching rule wins.
    #[schema(max_items = 500)]
    pub rules: Vec<PermissionRuleDto>,
}

/// One rule about one tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionRule)]
pub struct PermissionRuleDto {
    /// Tool or class of tools; `*` for all.
    #[schema(min_length = 1, max_length = 200)]
    pub tool: String,
    /// Glob that a piece of the call must match (`*` any characters, `?` one); all calls when null.
    #[schema(max_length = 1000)]
    pub pattern: Option<String>,
    /// Instead of a glob, the pieces of the one call that is meant, in order and character by
    /// character; an empty list means a call without pieces. At most 8 KiB together.
    #[schema(max_items = 100)]
    pub exactly: Option<Vec<String>>,
    /// What happens.
    pub decision: PermissionDecision,
}

impl From<PermissionPolicy> for PermissionPolicyDto {
    fn from(policy: PermissionPolicy) -> Self {
        let PermissionPolicy { default, rules } = policy;
        let rule = |rule: PermissionRule| {
            let PermissionRule { tool, calls, decision } = rule;
            let (pattern, exactly) = match calls {
                Calls::All => (None, None),
                Calls::Like(glob) => (Some(glob), None),
                Calls::Exactly(call) => (None, Some(call)),
            };
            PermissionRuleDto { tool, pattern, exactly, decision }
        };
        Self { default, rules: rules.into_iter().map(rule).collect() }
    }
}

/// A command whose success the work must have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gate)]
pub struct GateDto {
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Program and arguments, at most 8 KiB together.
    #[schema(min_items = 1, max_items = 100)]
    pub command: Vec<String>,
    /// Longest run.
    #[schema(minimum = 1, maximum = 3600)]
    pub timeout_seconds: u32,
    /// Whether completion needs it.
    pub required: bool,
}

impl From<Gate> for GateDto {
    fn from(gate: Gate) -> Self {
        let Gate { name, command, timeout_seconds, required } = gate;
        Self { name, command, timeout_seconds, required }
    }
}
