//! From what a client sent to a definition: every default and every limit of domain 1.1.
//!
//! Invariant: all broken rules are reported together; a `SessionSpec` that came from here is valid.

use serde_json::{Map, Value};

use super::SessionCode;
use super::policy::{MAX_GLOB, MAX_RULES, MAX_TOOL, fits_a_rule};
use super::retry::RetryPolicy;
use super::spec::{
    Calls, ExecutionMode, GUARDED, Gate, OnParentEnd, PermissionDecision, PermissionPolicy,
    Priority, SessionSpec, SessionType,
};
use crate::domain::agent::capability::{is_slug, is_technology};
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::workspace::WorkspaceSpec;

/// Titles that say nothing, compared without case.
const GENERIC_TITLES: [&str; 5] =
    ["test session", "new session", "untitled", "coding task", "development session"];
/// Most characters of a path.
const MAX_PATH: usize = 4096;

/// A definition as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are those of `SessionSpec`, before defaults and checks"
)]
pub struct SessionDraft {
    pub title: Option<String>,
    pub description: Option<String>,
    pub session_type: Option<SessionType>,
    pub priority: Option<Priority>,
    pub on_parent_end: Option<OnParentEnd>,
    pub execution_mode: Option<ExecutionMode>,
    pub agent: Option<String>,
    pub required_capabilities: Vec<String>,
    pub technologies: Vec<String>,
    pub preferred_agent_type: Option<AgentType>,
    pub preferred_agent_ids: Vec<AgentId>,
    pub min_performance_tier: Option<Tier>,
    pub estimated_complexity: Option<f64>,
    pub agent_config: Map<String, Value>,
    pub model_identifier: Option<String>,
    pub initial_prompt: String,
    pub max_duration_seconds: Option<u32>,
    /// Outer `None`: not given; inner `None`: no limit.
    pub queue_timeout_seconds: Option<Option<u32>>,
    /// As `queue_timeout_seconds`.
    pub pause_timeout_seconds: Option<Option<u32>>,
    pub degraded_grace_seconds: Option<u32>,
    pub cpu_limit: Option<f64>,
    pub memory_limit_mb: Option<u32>,
    pub budget_usd: Option<Usd>,
    pub token_budget: Option<u64>,
    pub retry: Option<RetryPolicy>,
    pub max_retries: Option<u32>,
    pub not_before: Option<Timestamp>,
    pub workspace: WorkspaceSpec,
    pub permission_policy: Option<PermissionPolicy>,
    pub gates: Vec<Gate>,
    pub exclude_from_training: bool,
    pub tags: Vec<String>,
    pub metadata: Map<String, Value>,
}

impl SessionDraft {
    /// The valid definition.
    ///
    /// # Errors
    /// Every broken rule, with a JSON pointer each.
    pub fn accept(self) -> Result<SessionSpec, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        if self.initial_prompt.trim().is_empty() {
            errors.add("/initial_prompt", "required", "must say what to do; it is empty or blank");
        }
        errors.length("/initial_prompt", &self.initial_prompt, 1, 100_000);
        let title = match &self.title {
            Some(title) => checked_title(title, &mut errors),
            None => derived_title(&self.initial_prompt),
        };
        if let Some(description) = &self.description {
            errors.length("/description", description, 0, 1000);
        }
        check_slugs("/required_capabilities", &self.required_capabilities, &mut errors);
        let technologies: Vec<String> =
            self.technologies.iter().map(|name| name.to_lowercase()).collect();
        check_technologies(&technologies, &mut errors);
        errors.require(
            self.preferred_agent_ids.len() <= 10,
            "/preferred_agent_ids",
            "too_many",
            "at most 10 agents can be preferred",
        );
        let retry = checked_retry(self.retry, self.max_retries, &mut errors);
        let max_duration_seconds = self.max_duration_seconds.unwrap_or(3600);
        errors.range("/max_duration_seconds", max_duration_seconds, 60, 86_400);
        let queue_timeout_seconds = self.queue_timeout_seconds.unwrap_or(Some(3600));
        let pause_timeout_seconds = self.pause_timeout_seconds.unwrap_or(Some(86_400));
        if let Some(seconds) = queue_timeout_seconds {
            errors.range("/queue_timeout_seconds", seconds, 60, 604_800);
        }
        if let Some(seconds) = pause_timeout_seconds {
            errors.range("/pause_timeout_seconds", seconds, 60, 604_800);
        }
        let degraded_grace_seconds = self.degraded_grace_seconds.unwrap_or(300);
        errors.range("/degraded_grace_seconds", degraded_grace_seconds, 10, 3600);
        let estimated_complexity = self.estimated_complexity.unwrap_or(1.0);
        errors.range("/estimated_complexity", estimated_complexity, 0.1, 10.0);
        if let Some(cores) = self.cpu_limit {
            errors.range("/cpu_limit", cores, 0.1, 8.0);
        }
        if let Some(megabytes) = self.memory_limit_mb {
            errors.range("/memory_limit_mb", megabytes, 100, 8192);
        }
        check_budget(self.budget_usd, &mut errors);
        if let Some(model) = &self.model_identifier {
            check_model(model, &mut errors);
        }
        check_gates(&self.gates, &mut errors);
        if self.workspace == WorkspaceSpec::None && !self.gates.is_empty() {
            errors.add(
                "/gates",
                "needs_workspace",
                "judge files: give the session a workspace of kind git or directory",
            );
        }
        errors.map("/metadata", &self.metadata);
        let spec = SessionSpec {
            title,
            description: self.description,
            session_type: self.session_type.unwrap_or(SessionType::Execution),
            priority: self.priority.unwrap_or(Priority::Medium),
            on_parent_end: self.on_parent_end.unwrap_or(OnParentEnd::Cascade),
            execution_mode: self.execution_mode.unwrap_or(ExecutionMode::Single),
            agent: self.agent,
            required_capabilities: self.required_capabilities,
            technologies,
            preferred_agent_type: self.preferred_agent_type,
            preferred_agent_ids: self.preferred_agent_ids,
            min_performance_tier: self.min_performance_tier,
            estimated_complexity,
            agent_config: checked_agent_config(self.agent_config, &mut errors),
            model_identifier: self.model_identifier,
            initial_prompt: self.initial_prompt,
            max_duration_seconds,
            queue_timeout_seconds,
            pause_timeout_seconds,
            degraded_grace_seconds,
            cpu_limit: self.cpu_limit,
            memory_limit_mb: self.memory_limit_mb,
            budget_usd: self.budget_usd,
            token_budget: self.token_budget,
            retry,
            not_before: self.not_before,
            workspace: checked_workspace(self.workspace, &mut errors),
            permission_policy: checked_policy(self.permission_policy, &mut errors),
            gates: self.gates,
            exclude_from_training: self.exclude_from_training,
            tags: checked_tags(&self.tags, &mut errors),
            metadata: self.metadata,
        };
        errors.into_result(spec)
    }
}

impl SessionSpec {
    /// Whether it is one that could have been asked for here, whoever says so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        SessionDraft::from(self.clone()).accept().map(drop)
    }

    /// Puts the code in front of a title that says nothing: only a derived one can be such.
    pub fn name_by_code(&mut self, code: SessionCode) {
        if is_generic(&self.title) {
            self.title = format!("{code}: {}", self.title);
        }
    }
}

/// A change of the few fields that may change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `SessionSpec`")]
pub struct SessionPatch {
    pub title: Option<String>,
    /// Inner `None` clears it.
    pub description: Option<Option<String>>,
    pub priority: Option<Priority>,
    pub max_duration_seconds: Option<u32>,
    /// Inner `None` lifts the budget.
    pub budget_usd: Option<Option<Usd>>,
    /// Only while pending.
    pub agent_config: Option<Map<String, Value>>,
    pub exclude_from_training: Option<bool>,
    pub tags: Option<Vec<String>>,
    pub metadata: Option<Map<String, Value>>,
}

impl SessionPatch {
    /// Applies the patch and names the changed fields in the order of the specification.
    ///
    /// # Errors
    /// Every broken rule; nothing is changed then.
    pub fn apply(self, spec: &mut SessionSpec) -> Result<Vec<&'static str>, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let mut next = spec.clone();
        if let Some(title) = &self.title {
            next.title = checked_title(title, &mut errors);
        }
        if let Some(description) = self.description {
            errors.length("/description", description.as_deref().unwrap_or(""), 0, 1000);
            next.description = description;
        }
        next.priority = self.priority.unwrap_or(next.priority);
        if let Some(seconds) = self.max_duration_seconds {
            errors.range("/max_duration_seconds", seconds, 60, 86_400);
            next.max_duration_seconds = seconds;
        }
        if let Some(budget) = self.budget_usd {
            check_budget(budget, &mut errors);
            next.budget_usd = budget;
        }
        if let Some(config) = self.agent_config {
            next.agent_config = checked_agent_config(config, &mut errors);
        }
        next.exclude_from_training =
            self.exclude_from_training.unwrap_or(next.exclude_from_training);
        if let Some(tags) = self.tags {
            next.tags = checked_tags(&tags, &mut errors);
        }
        if let Some(metadata) = self.metadata {
            errors.map("/metadata", &metadata);
            next.metadata = metadata;
        }
        errors.into_result(())?;
        let pairs = [
            ("title", spec.title != next.title),
            ("description", spec.description != next.description),
            ("priority", spec.priority != next.priority),
            ("max_duration_seconds", spec.max_duration_seconds != next.max_duration_seconds),
            ("budget_usd", spec.budget_usd != next.budget_usd),
            ("agent_config", spec.agent_config != next.agent_config),
            ("exclude_from_training", spec.exclude_from_training != next.exclude_from_training),
            ("tags", spec.tags != next.tags),
            ("metadata", spec.metadata != next.metadata),
        ];
        *spec = next;
        Ok(pairs.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect())
    }
}

pub(in crate::domain) fn is_generic(title: &str) -> bool {
    GENERIC_TITLES.contains(&title.to_lowercase().as_str())
}

fn checked_title(title: &str, errors: &mut FieldErrors) -> String {
    let title = title.trim();
    errors.length("/title", title, 1, 200);
    if is_generic(title) {
        errors.add("/title", "generic", "says nothing about the work; name what is to be done");
    }
    title.to_owned()
}

fn derived_title(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let title: String = line.chars().take(80).collect();
    title.trim_end().to_owned()
}

pub(in crate::domain) fn check_slugs(pointer: &str, slugs: &[String], errors: &mut FieldErrors) {
    errors.require(slugs.len() <= 20, pointer, "too_many", "at most 20 are allowed");
    for (index, slug) in slugs.iter().enumerate() {
        if !is_slug(slug) {
            errors.add(
                format!("{pointer}/{index}"),
                "invalid",
                "must be a slug such as code_review: 2 to 64 lower-case letters, digits and _, a letter first",
            );
        }
    }
}

pub(in crate::domain) fn check_technologies(names: &[String], errors: &mut FieldErrors) {
    errors.require(names.len() <= 20, "/technologies", "too_many", "at most 20 are allowed");
    for (index, name) in names.iter().enumerate() {
        if !is_technology(name) {
            errors.add(
                format!("/technologies/{index}"),
                "invalid",
                "must be a name such as rust or c++: 1 to 50 letters, digits and . + # _ -",
            );
        }
    }
}

fn checked_retry(
    policy: Option<RetryPolicy>,
    max_retries: Option<u32>,
    errors: &mut FieldErrors,
) -> RetryPolicy {
    let mut policy = policy.unwrap_or_default();
    if let Some(max_retries) = max_retries {
        errors.range("/max_retries", max_retries, 0, 10);
        policy.max_retries = max_retries;
    }
    errors.range("/retry_policy/max_retries", policy.max_retries, 0, 10);
    errors.range("/retry_policy/initial_backoff_seconds", policy.initial_backoff_seconds, 0, 3600);
    errors.range("/retry_policy/backoff_factor", policy.backoff_factor, 1.0, 10.0);
    errors.range("/retry_policy/max_backoff_seconds", policy.max_backoff_seconds, 0, 86_400);
    errors.range("/retry_policy/jitter", policy.jitter, 0.0, 1.0);
    policy
}

fn check_budget(budget: Option<Usd>, errors: &mut FieldErrors) {
    if budget.is_some_and(|budget| budget < Usd::ZERO) {
        errors.add("/budget_usd", "out_of_range", "must be 0 or more");
    }
}

fn check_model(model: &str, errors: &mut FieldErrors) {
    let valid = model.split_once('/').is_some_and(|(provider, name)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        !provider.is_empty()
            && !name.is_empty()
            && provider.bytes().all(plain)
            && name.bytes().all(|byte| plain(byte) || b":/@+".contains(&byte))
    });
    errors.require(
        valid,
        "/model_identifier",
        "invalid",
        "must be provider/model, as in anthropic/claude-sonnet-4",
    );
}

fn checked_agent_config(
    mut config: Map<String, Value>,
    errors: &mut FieldErrors,
) -> Map<String, Value> {
    for key in config.keys() {
        let plain: String = key.chars().filter(|letter| !matches!(letter, '_' | '-')).collect();
        if plain.is_empty() || !plain.chars().all(char::is_alphanumeric) {
            errors.add(
                format!("/agent_config/{}", key.replace('~', "~0").replace('/', "~1")),
                "invalid",
                "must be a name of letters and digits, with _ and - between them",
            );
        }
    }
    errors.map("/agent_config", &config);
    if config.is_empty() {
        config.insert("default_agent".to_owned(), Value::String("industrial-coder".to_owned()));
    }
    config
}

fn checked_policy(policy: Option<PermissionPolicy>, errors: &mut FieldErrors) -> PermissionPolicy {
    let policy = policy.unwrap_or_default();
    let at = "/permission_policy/rules";
    errors.require(policy.rules.len() <= MAX_RULES, at, "too_many", "at most 500 are allowed");
    for (index, rule) in policy.rules.iter().enumerate() {
        errors.length(&format!("{at}/{index}/tool"), &rule.tool, 1, MAX_TOOL);
        match &rule.calls {
            Calls::All => {}
            Calls::Like(glob) => {
                errors.length(&format!("{at}/{index}/pattern"), glob, 0, MAX_GLOB);
            }
            Calls::Exactly(call) => errors.require(
                fits_a_rule(call),
                &format!("{at}/{index}/exactly"),
                "too_large",
                "at most 100 pieces of 8 KiB together are allowed",
            ),
        }
        if GUARDED.contains(&rule.tool.as_str()) && rule.decision != PermissionDecision::Deny {
            errors.add(
                format!("{at}/{index}/decision"),
                "not_allowed",
                "is always denied for this tool; put what the agent needs into its workspace",
            );
        }
    }
    policy
}

fn check_gates(gates: &[Gate], errors: &mut FieldErrors) {
    errors.require(gates.len() <= 20, "/gates", "too_many", "at most 20 are allowed");
    for (index, gate) in gates.iter().enumerate() {
        errors.length(&format!("/gates/{index}/name"), gate.name.trim(), 1, 100);
        errors.range(&format!("/gates/{index}/timeout_seconds"), gate.timeout_seconds, 1, 3600);
        if gate.command.first().is_none_or(|program| program.trim().is_empty()) {
            errors.add(format!("/gates/{index}/command"), "required", "must name a program");
        }
        let weight: usize = gate.command.iter().map(String::len).sum();
        if gate.command.len() > 100 || weight > 8192 || gate.command.concat().contains('\0') {
            errors.add(
                format!("/gates/{index}/command"),
                "invalid",
                "at most 100 words of 8 KiB together are allowed, without NUL",
            );
        }
    }
}

fn checked_workspace(spec: WorkspaceSpec, errors: &mut FieldErrors) -> WorkspaceSpec {
    let mut absolute = |pointer: &str, path: &str| {
        errors.length(pointer, path, 1, MAX_PATH);
        if !path.starts_with('/') || path.contains('\0') {
            errors.add(pointer, "invalid", "must be an absolute path");
        }
    };
    match &spec {
        WorkspaceSpec::None => {}
        WorkspaceSpec::Directory { path } => absolute("/workspace/path", path),
        WorkspaceSpec::Git { repo, base_ref, branch } => {
            absolute("/workspace/repo", repo);
            for (pointer, name) in
                [("/workspace/base_ref", Some(base_ref)), ("/workspace/branch", branch.as_ref())]
            {
                if name.is_some_and(|name| !is_ref_name(name)) {
                    errors.add(pointer, "invalid", "must be a branch, tag or commit name");
                }
            }
        }
    }
    spec
}

/// A name that git cannot take for an option or a revision expression.
fn is_ref_name(name: &str) -> bool {
    (1..=250).contains(&name.len())
        && !name.starts_with(['-', '/', '.'])
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("@{")
        && name.chars().all(|letter| !letter.is_control() && !" ~^:?*[\\".contains(letter))
}

pub(in crate::domain) fn checked_tags(tags: &[String], errors: &mut FieldErrors) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(tags.len());
    for (index, tag) in tags.iter().enumerate() {
        let tag = tag.trim();
        errors.length(&format!("/tags/{index}"), tag, 1, 50);
        if !kept.iter().any(|known| known == tag) {
            kept.push(tag.to_owned());
        }
    }
    errors.require(kept.len() <= 20, "/tags", "too_many", "at most 20 are allowed");
    kept
}
