//! Errors on the wire: RFC 9457 `application/problem+json`, one shape everywhere.
//!
//! Invariant: a `Problem` leaves its handler as an extension of the response; the body is made in
//! one place, `render`, which knows the request id and logs once.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::codes::{ErrorCode, ErrorCode as C, Row};
use super::dto::lock::GrantDto;
use super::request_id::RequestId;
use crate::application::context::error::ContextError;
use crate::application::error::AppError;
use crate::application::locks::told;
use crate::application::ports::workspaces::WorkspaceError;
use crate::application::task::error::TaskRefused;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::attention::ResolveError;
use crate::domain::field::FieldError;
use crate::domain::lock::Refusal;
use crate::domain::redact::Redactor;
use crate::domain::session::life::RetryRefused;
use crate::domain::session::status::InvalidTransition;
use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Lack;

/// Media type of every error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

const TOO_MANY_BROWSERS: &str = "sign in with another key, or wait until browsers that were signed out \
    are forgotten; `orchestrator key list --browsers` shows them";
const TOO_MANY_LINKS: &str = "use one that was made before, or wait until one ends: links do after ten \
    minutes, tickets after half a minute";

/// Something that is told to the client instead of an answer.
#[derive(Debug, Clone)]
pub struct Problem(Arc<Told>);

#[derive(Debug, Clone)]
struct Told {
    code: ErrorCode,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only.
    source: Option<String>,
}

impl Problem {
    /// A problem of this kind; the detail is safe to show.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Arc::new(Told {
            code,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
            source: None,
        }))
    }

    /// What a client tells it apart by.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The quota that is used up; empty when it is another kind of problem.
    #[must_use]
    pub fn quota(&self) -> &str {
        self.0.members.get("quota").and_then(Value::as_str).unwrap_or_default()
    }

    /// What happened, for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        Arc::make_mut(&mut self.0).members.insert(member.to_owned(), value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        Arc::make_mut(&mut self.0).headers.push((name, value));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Arc::make_mut(&mut self.0).source = Some(text);
        self
    }

    /// One broken rule of one field.
    #[must_use]
    pub fn field(pointer: &str, code: &'static str, message: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.to_owned(), code, message: message.into() };
        Self::fields(&[error])
    }

    /// Every broken rule at once.
    #[must_use]
    pub fn fields(errors: &[FieldError]) -> Self {
        let detail = match errors {
            [only] if only.pointer.is_empty() => only.message.clone(),
            [only] => format!("{} {}", only.pointer, only.message),
            many => format!("the request has {} invalid fields", many.len()),
        };
        Self::new(ErrorCode::ValidationError, detail).with("errors", listed(errors))
    }

    /// The same without secrets: what a client sent may be part of what it is told.
    #[must_use]
    pub fn without_secrets(mut self, redactor: &Redactor) -> Self {
        let told = Arc::make_mut(&mut self.0);
        redactor.clean(&mut told.detail);
        redactor.clean_map(&mut told.members);
        self
    }

    /// The body, as RFC 9457 has it.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> Value {
        let Told { code, detail, members, headers: _, source: _ } = &*self.0;
        let Row { status, title, remedy } = code.row();
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(format!("/problems/{}", code.page())));
        body.insert("title".to_owned(), json!(title));
        body.insert("status".to_owned(), json!(status.as_u16()));
        body.insert("code".to_owned(), json!(code));
        body.insert("detail".to_owned(), json!(detail));
        body.insert("request_id".to_owned(), json!(request_id));
        body.insert("remedy".to_owned(), json!(remedy));
        body.extend(members.clone());
        Value::Object(body)
    }

    /// The whole answer, for places that no middleware sees.
    #[must_use]
    pub fn into_rendered(self, request_id: Option<&str>) -> Response {
        let mut response = self.body(request_id).to_string().into_response();
        *response.status_mut() = self.0.code.row().status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        for (name, value) in &self.0.headers {
            headers.append(name.clone(), value.clone());
        }
        response
    }

    fn log(&self, request_id: &str) {
        let status = self.0.code.row().status;
        let (code, detail) = (self.0.code.as_str(), &self.0.detail);
        // That nobody takes a piece of work is an answer, and no fault of the server's.
        let is_fault = status.is_server_error() && self.0.code != ErrorCode::AgentUnavailable;
        if is_fault {
            let source = self.0.source.as_deref().unwrap_or("");
            tracing::error!(code, request.id = request_id, source, "Request failed: {detail}");
        } else {
            tracing::debug!(code, request.id = request_id, "Request refused: {detail}");
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.code.row().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a `Problem` its body, without secrets, and logs it once, with its sources; other answers pass.
#[must_use]
pub fn render(id: &RequestId, redactor: &Redactor, response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let problem = problem.without_secrets(&redactor.strict());
    problem.log(id.as_str());
    let mut rendered = problem.into_rendered(Some(id.as_str()));
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            rendered.headers_mut().insert(name.clone(), value.clone());
        }
    }
    rendered
}

fn transition(refused: InvalidTransition, detail: String) -> Problem {
    Problem::new(ErrorCode::InvalidTransition, detail)
        .with("current", json!(refused.current))
        .with("requested", json!(refused.requested))
        .with("allowed", json!(refused.allowed()))
}

impl From<RetryRefused> for Problem {
    fn from(refused: RetryRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            RetryRefused::Transition(refused) => transition(refused, detail),
            RetryRefused::NotRetryable { checkpoints, retry_count, max_retries } => {
                Self::new(ErrorCode::NotRetryable, detail)
                    .with("checkpoints", json!(checkpoints))
                    .with("retry_count", json!(retry_count))
                    .with("max_retries", json!(max_retries))
            }
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        let message = error.to_string();
        match error {
            ResolveError::Settled(state) => Self::new(ErrorCode::InvalidTransition, message)
                .with("current", json!(state))
                .with("requested", json!("resolved"))
                .with("allowed", json!([])),
            ResolveError::WrongDecision { .. } => Self::field("/decision", "invalid", message),
            ResolveError::MissingAnswer => Self::field("/answer", "required", message),
            ResolveError::Other { asked } => {
                Self::new(ErrorCode::ApprovalMismatch, message).with("fingerprint", json!(asked))
            }
        }
    }
}

impl From<Lack> for Problem {
    fn from(lack: Lack) -> Self {
        let problem = Self::new(ErrorCode::Forbidden, lack.to_string());
        match lack {
            Lack::Role(role) => problem.with("required_role", json!(role)),
            Lack::Unasked | Lack::ForGood => problem.with("required_role", json!(Role::Lead)),
            Lack::System => problem.with("required_role", json!("system")),
            Lack::OwnRoom => problem,
            Lack::Scope(scope) => problem.with("required_scope", json!(scope.to_string())),
        }
    }
}

/// Broken rules, each with its place.
fn listed(errors: &[FieldError]) -> Value {
    let one = |FieldError { pointer, code, message }: &FieldError| json!({ "pointer": pointer, "code": code, "message": message });
    errors.iter().map(one).collect()
}

/// A key has signed in as many browsers as are remembered.
fn browsers(detail: &str, limit: u64) -> Problem {
    Problem::new(ErrorCode::QuotaExceeded, detail)
        .with("quota", json!("browsers"))
        .with("limit", json!(limit))
        .with("used", json!(limit))
        .with("remedy", json!(TOO_MANY_BROWSERS))
        .retry_after(3600)
}

/// A context cannot be used so.
fn context(detail: &str, refused: &ContextError) -> Problem {
    use ErrorCode as C;
    let plain = |code| Problem::new(code, detail);
    match refused {
        ContextError::NotFound => plain(C::ContextNotFound),
        ContextError::KeyNotFound { path } => {
            plain(C::ContextKeyNotFound).with("path", json!(path))
        }
        ContextError::Conflict(conflict) => plain(C::ContextConflict)
            .with("expected_version", json!(conflict.expected_version))
            .with("actual_version", json!(conflict.actual_version))
            .with("conflicting_keys", json!(conflict.conflicting_keys))
            .with("retry_hint", json!(RETRY_HINT)),
        ContextError::AccessDenied { accessor, required } => plain(C::ContextAccessDenied)
            .with("accessor_id", json!(accessor))
            .with("required_permission", json!(required)),
        ContextError::MergeConflict { source_ids, keys } => plain(C::ContextMergeConflict)
            .with("source_ids", json!(source_ids))
            .with("conflicting_keys", json!(keys))
            .with("merge_strategy", json!("manual")),
        ContextError::MergeStale => plain(C::MergeStale),
        ContextError::ScopeMismatch { expected, actual, operation } => plain(C::ScopeMismatch)
            .with("expected", json!(expected))
            .with("actual", json!(actual))
            .with("operation", json!(operation)),
        ContextError::TooLarge => plain(C::PayloadTooLarge),
    }
}

/// A task cannot be used so.
fn task(detail: &str, refused: &TaskRefused) -> Problem {
    use ErrorCode as C;
    let plain = |code| Problem::new(code, detail);
    match refused {
        TaskRefused::NotFound => plain(C::TaskNotFound),
        TaskRefused::DependencyNotFound => plain(C::DependencyNotFound),
        TaskRefused::TemplateNotFound => plain(C::TemplateNotFound),
        TaskRefused::TemplateShipped(_)
        | TaskRefused::TemplateKeyTaken(_)
        | TaskRefused::HasSubtasks => plain(C::AlreadyExists),
        TaskRefused::Transition { title: _, refused } => plain(C::InvalidTransition)
            .with("current", json!(refused.current))
            .with("requested", json!(refused.requested))
            .with("allowed", json!(refused.allowed())),
        TaskRefused::Container { title: _ } => plain(C::InvalidTransition)
            .with("current", Value::Null)
            .with("requested", Value::Null)
            .with("allowed", json!([])),
        TaskRefused::AlreadyStarted(_) => plain(C::TaskAlreadyStarted),
        TaskRefused::Cycle(cycle) => plain(C::DependencyCycle).with("cycle", json!(cycle)),
        TaskRefused::TooDeep => plain(C::TaskDepthExceeded),
        TaskRefused::TooMany { limit, what: _ } => {
            plain(C::DecompositionLimit).with("limit", json!(limit))
        }
        TaskRefused::PlannerFailed { code: _, status } => {
            plain(C::AgentUnavailable).with("reason", json!(status)).retry_after(30)
        }
        TaskRefused::PlanInvalid(errors) => plain(C::PlanInvalid).with("errors", listed(errors)),
    }
}

/// What helps whoever wrote on an old reading.
const RETRY_HINT: &str = "read the context again, decide anew, and write with its version";

/// Nobody takes a piece of work: why, and how many agents each gate refuses.
fn no_agent(detail: String, reason: NoAgent, refused: &BTreeMap<Gate, usize>) -> Problem {
    Problem::new(ErrorCode::AgentUnavailable, detail)
        .with("reason", json!(reason))
        .with("refused", json!(refused))
        .retry_after(5)
}

/// A lock that is not given, renewed or released.
fn lock(detail: &str, refusal: &Refusal) -> Problem {
    let plain = |code| Problem::new(code, detail);
    match refusal {
        Refusal::Locked { name, holder, position } => plain(C::Locked)
            .with("name", json!(name.as_str()))
            .with("holder", json!(holder.as_deref().map(GrantDto::from)))
            .with("position", json!(position))
            .with("remedy", json!("wait longer with wait_seconds, or ask the holder to release it"))
            .retry_after(1),
        Refusal::Deadlock { cycle } => plain(C::DeadlockDetected).with("cycle", told::cycle(cycle)),
        Refusal::NotOwned => plain(C::LockNotOwned),
        Refusal::Lost | Refusal::Ended => plain(C::LockLost),
        Refusal::Stale => plain(C::StaleResult),
        Refusal::Full { limit } => plain(C::QuotaExceeded)
            .with("quota", json!("locks"))
            .with("limit", json!(limit))
            .with("used", json!(limit))
            .with("remedy", json!("release locks that are not needed any more"))
            .retry_after(1),
        Refusal::NoToken => plain(C::Contended).retry_after(1),
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let detail = error.to_string();
        let plain = |code| Self::new(code, detail.clone());
        let taken = |pointer: &str| {
            let errors = json!([{ "pointer": pointer, "code": "taken", "message": detail }]);
            plain(C::AlreadyExists).with("errors", errors)
        };
        match &error {
            AppError::Invalid(errors) => Self::fields(errors),
            AppError::SessionNotFound => plain(C::SessionNotFound),
            AppError::CheckpointNotFound => plain(C::CheckpointNotFound),
            AppError::AttentionNotFound => plain(C::AttentionNotFound),
            AppError::AgentNotFound => plain(C::AgentNotFound),
            AppError::SlugTaken => taken("/slug"),
            AppError::EmailTaken => taken("/email"),
            AppError::AgentNameTaken => taken("/name"),
            AppError::AgentBuiltIn { .. } => plain(C::AgentBuiltIn),
            AppError::HostNotFound => plain(C::HostNotFound),
            AppError::HostBusy { .. } => plain(C::HostBusy),
            AppError::UserNotFound => plain(C::UserNotFound),
            AppError::InviteNotFound => plain(C::InviteNotFound),
            AppError::LastAdministrator => plain(C::LastAdministrator),
            AppError::KeyNotFound => plain(C::KeyNotFound),
            AppError::KeyRevoked => plain(C::KeyRevoked),
            AppError::OwnKey => plain(C::OwnKey),
            AppError::TooManyBrowsers { limit } => browsers(&detail, *limit),
            AppError::TooManyLinks => {
                plain(C::RateLimited).with("remedy", json!(TOO_MANY_LINKS)).retry_after(60)
            }
            AppError::PrivilegeEscalation => plain(C::PrivilegeEscalation),
            AppError::ArtifactNotFound => plain(C::RouteNotFound),
            AppError::WebhookNotFound => plain(C::WebhookNotFound),
            AppError::DeliveryNotFound => plain(C::DeliveryNotFound),
            AppError::EndpointNotAllowed { pointer, message } => plain(C::EndpointNotAllowed).with(
                "errors",
                json!([{ "pointer": pointer, "code": "not_allowed", "message": message }]),
            ),
            AppError::Transition { code: _, refused } => transition(*refused, detail),
            AppError::NotNow { code: _, status, what: _ } => plain(C::InvalidTransition)
                .with("current", json!(status))
                .with("requested", Value::Null)
                .with("allowed", json!(status.targets())),
            AppError::NotRetryable(refused) => (*refused).into(),
            AppError::Resolve(refused) => refused.clone().into(),
            AppError::VersionMismatch { expected, actual } => plain(C::VersionMismatch)
                .with("expected", json!(expected))
                .with("actual", json!(actual)),
            AppError::StaleResult => plain(C::StaleResult),
            AppError::Lock(refusal) => lock(&detail, refusal),
            AppError::LockNotFound => plain(C::LockNotFound),
            AppError::Forbidden(lack) => (*lack).into(),
            AppError::TenantNotFound => plain(C::TenantNotFound),
            AppError::CheckpointTooLarge | AppError::RecordTooLarge => plain(C::PayloadTooLarge),
            AppError::QuotaExceeded { quota, limit, used } => plain(C::QuotaExceeded)
                .with("quota", json!(quota))
                .with("limit", json!(limit))
                .with("used", json!(used))
                .retry_after(30),
            AppError::BudgetExhausted { code: _, budget } => {
                let (limit, used) = budget.figures();
                plain(C::BudgetExhausted)
                    .with("scope", json!(budget.scope))
                    .with("limit", limit)
                    .with("used", used)
            }
            AppError::Workspace(WorkspaceError::Conflict { files }) => {
                plain(C::WorkspaceConflict).with("files", json!(files))
            }
            AppError::Workspace(WorkspaceError::Obstructed(_)) => {
                plain(C::WorkspaceConflict).with("files", json!([]))
            }
            AppError::Workspace(WorkspaceError::Invalid { pointer, message }) => {
                Self::field(pointer, "invalid", message.clone())
            }
            AppError::Workspace(WorkspaceError::NotAllowed { pointer, message }) => {
                let broken =
                    json!([{ "pointer": pointer, "code": "not_allowed", "message": message }]);
                plain(C::PathNotAllowed).with("errors", broken)
            }
            AppError::Workspace(WorkspaceError::Failed(_)) => {
                Self::new(C::InternalError, "the workspace operation failed").because(&error)
            }
            AppError::NoAgent { reason, refused } => no_agent(detail, *reason, refused),
            AppError::Context(refused) => context(&detail, refused),
            AppError::Task(refused) => task(&detail, refused),
            AppError::CursorExpired { oldest } => {
                plain(C::CursorExpired).with("oldest", json!(oldest))
            }
            AppError::Contended => plain(C::Contended).retry_after(1),
            AppError::CopyUnderWay => plain(C::Locked).retry_after(15),
            AppError::Busy => plain(C::Busy).retry_after(1),
            AppError::StoreReadOnly(_) => plain(C::StoreReadOnly).because(&error).retry_after(15),
            AppError::ShortOfRoom(_) => plain(C::StoreReadOnly).retry_after(15),
            AppError::RecordQuarantined => plain(C::RecordQuarantined).because(&error),
            AppError::ShuttingDown => plain(C::ShuttingDown).retry_after(5),
            AppError::Internal(_) => plain(C::InternalError).because(&error),
        }
    }
}
