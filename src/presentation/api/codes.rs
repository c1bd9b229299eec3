//! The error codes of the API: one table of status, title and remedy.
//!
//! Invariant: a code is append-only and has a page in `assets/problems`, named in kebab case.

use axum::http::StatusCode;

use crate::closed_enum;

closed_enum!(
    /// What a client can tell errors apart by.
    ErrorCode {
        ProtocolError = "PROTOCOL_ERROR",
        TenantMalformed = "TENANT_MALFORMED",
        TenantRequired = "TENANT_REQUIRED",
        Unauthenticated = "UNAUTHENTICATED",
        Forbidden = "FORBIDDEN",
        TenantMismatch = "TENANT_MISMATCH",
        HostNotAllowed = "HOST_NOT_ALLOWED",
        OriginNotAllowed = "ORIGIN_NOT_ALLOWED",
        RouteNotFound = "NOT_FOUND",
        SessionNotFound = "SESSION_NOT_FOUND",
        CheckpointNotFound = "CHECKPOINT_NOT_FOUND",
        AttentionNotFound = "ATTENTION_NOT_FOUND",
        AgentNotFound = "AGENT_NOT_FOUND",
        TenantNotFound = "TENANT_NOT_FOUND",
        MethodNotAllowed = "METHOD_NOT_ALLOWED",
        InvalidTransition = "INVALID_TRANSITION",
        NotRetryable = "NOT_RETRYABLE",
        StaleResult = "STALE_RESULT",
        WorkspaceConflict = "WORKSPACE_CONFLICT",
        IdempotencyInFlight = "IDEMPOTENCY_IN_FLIGHT",
        CursorExpired = "CURSOR_EXPIRED",
        VersionMismatch = "VERSION_MISMATCH",
        PayloadTooLarge = "PAYLOAD_TOO_LARGE",
        UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",
        ValidationError = "VALIDATION_ERROR",
        IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
        QuotaExceeded = "QUOTA_EXCEEDED",
        BudgetExhausted = "BUDGET_EXHAUSTED",
        RateLimited = "RATE_LIMITED",
        InternalError = "INTERNAL_ERROR",
        RecordQuarantined = "RECORD_QUARANTINED",
        AgentUnavailable = "AGENT_UNAVAILABLE",
        StoreReadOnly = "STORE_READ_ONLY",
        Contended = "CONTENDED",
        Busy = "BUSY",
        ShuttingDown = "SHUTTING_DOWN",
        KeyNotFound = "KEY_NOT_FOUND",
        KeyRevoked = "KEY_REVOKED",
        AlreadyExists = "ALREADY_EXISTS",
        OwnKey = "OWN_KEY",
        PrivilegeEscalation = "PRIVILEGE_ESCALATION",
        WebhookNotFound = "WEBHOOK_NOT_FOUND",
        DeliveryNotFound = "DELIVERY_NOT_FOUND",
        EndpointNotAllowed = "ENDPOINT_NOT_ALLOWED",
        UserNotFound = "USER_NOT_FOUND",
        InviteNotFound = "INVITE_NOT_FOUND",
        LastAdministrator = "LAST_ADMINISTRATOR",
        CsrfRefused = "CSRF_REFUSED",
        RequestTimeout = "REQUEST_TIMEOUT",
        Locked = "LOCKED",
        ApprovalMismatch = "APPROVAL_MISMATCH",
        PathNotAllowed = "PATH_NOT_ALLOWED",
        AgentBuiltIn = "AGENT_BUILT_IN",
        ContextNotFound = "CONTEXT_NOT_FOUND",
        ContextKeyNotFound = "CONTEXT_KEY_NOT_FOUND",
        ContextConflict = "CONTEXT_CONFLICT",
        ContextMergeConflict = "CONTEXT_MERGE_CONFLICT",
        MergeStale = "MERGE_STALE",
        ScopeMismatch = "SCOPE_MISMATCH",
        ContextAccessDenied = "CONTEXT_ACCESS_DENIED",
        LockNotFound = "LOCK_NOT_FOUND",
        LockNotOwned = "LOCK_NOT_OWNED",
        LockLost = "LOCK_LOST",
        DeadlockDetected = "DEADLOCK_DETECTED",
        HostNotFound = "HOST_NOT_FOUND",
        HostBusy = "HOST_BUSY",
        TaskNotFound = "TASK_NOT_FOUND",
        DependencyNotFound = "DEPENDENCY_NOT_FOUND",
        TemplateNotFound = "TEMPLATE_NOT_FOUND",
        DependencyCycle = "DEPENDENCY_CYCLE",
        TaskAlreadyStarted = "TASK_ALREADY_STARTED",
        TaskDepthExceeded = "TASK_DEPTH_EXCEEDED",
        DecompositionLimit = "DECOMPOSITION_LIMIT",
        PlanInvalid = "PLAN_INVALID",
    }
);

/// What the API says of a code.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// HTTP status.
    pub status: StatusCode,
    /// The kind of problem, the same for every occurrence.
    pub title: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

const fn row(status: StatusCode, title: &'static str, remedy: &'static str) -> Row {
    Row { status, title, remedy }
}

impl ErrorCode {
    /// The kebab-case name of its page.
    #[must_use]
    pub fn page(self) -> String {
        self.as_str().to_ascii_lowercase().replace('_', "-")
    }

    /// Whether it says that somebody may not do what they asked for.
    #[must_use]
    pub const fn is_of_rights(self) -> bool {
        matches!(self, Self::Forbidden | Self::PrivilegeEscalation | Self::TenantMismatch)
    }

    /// Status, title and remedy.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is only a table, one row a code")]
    pub const fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Self::ProtocolError => row(
                S::BAD_REQUEST,
                "Malformed request",
                "send the request as the API document describes it",
            ),
            Self::TenantMalformed => row(
                S::BAD_REQUEST,
                "Malformed tenant",
                "send one X-Tenant-ID header with a UUID or a slug",
            ),
            Self::TenantRequired => row(
                S::BAD_REQUEST,
                "Tenant required",
                "name a tenant in the X-Tenant-ID header, for example `X-Tenant-ID: default`",
            ),
            Self::Unauthenticated => row(
                S::UNAUTHORIZED,
                "Not authenticated",
                "send `Authorization: Bearer <key>`, an agent `X-Agent-Token: <token>`; the first key lies in admin.key of the data directory",
            ),
            Self::Forbidden => row(
                S::FORBIDDEN,
                "Not permitted",
                "ask somebody with the required role, or use another key",
            ),
            Self::TenantMismatch => row(
                S::FORBIDDEN,
                "Key of another tenant",
                "leave X-Tenant-ID out, or use a key of that tenant",
            ),
            Self::HostNotAllowed => row(
                S::FORBIDDEN,
                "Host not allowed",
                "reach the server by localhost or 127.0.0.1, or list the name under allowed_hosts",
            ),
            Self::OriginNotAllowed => row(
                S::FORBIDDEN,
                "Origin not allowed",
                "open the page from this server, or list its origin under allowed_origins",
            ),
            Self::CsrfRefused => row(
                S::FORBIDDEN,
                "Not from a page of this server",
                "let a page of this server ask, with `X-Requested-With: orchestrator`; programs send a key instead of the cookie",
            ),
            Self::RouteNotFound => row(
                S::NOT_FOUND,
                "No such route",
                "the routes are listed at /docs and /openapi.json",
            ),
            Self::SessionNotFound => {
                row(S::NOT_FOUND, "No such session", "list the sessions with GET /api/v1/sessions")
            }
            Self::CheckpointNotFound => row(
                S::NOT_FOUND,
                "No such checkpoint",
                "list them with GET /api/v1/sessions/{id}/checkpoints; only the newest 100 are kept",
            ),
            Self::AttentionNotFound => {
                row(S::NOT_FOUND, "No such attention item", "list them with GET /api/v1/attention")
            }
            Self::AgentNotFound => row(
                S::NOT_FOUND,
                "No such agent",
                "list the agents of this tenant with GET /api/v1/agents",
            ),
            Self::TenantNotFound => {
                row(S::NOT_FOUND, "No such tenant", "check the value of the X-Tenant-ID header")
            }
            Self::MethodNotAllowed => row(
                S::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "use one of the methods in the Allow header",
            ),
            Self::InvalidTransition => row(
                S::CONFLICT,
                "Invalid transition",
                "read the object again and use one of its allowed actions",
            ),
            Self::NotRetryable => row(
                S::CONFLICT,
                "Not retryable",
                "fork the session to continue its work, or take a manual checkpoint first",
            ),
            Self::ApprovalMismatch => row(
                S::CONFLICT,
                "Decision about something else",
                "read the item again and decide with the fingerprint that it shows",
            ),
            Self::StaleResult => row(
                S::CONFLICT,
                "Stale result",
                "nothing is to be done: a newer lease has taken over",
            ),
            Self::WorkspaceConflict => row(
                S::CONFLICT,
                "Merge conflict",
                "resolve the listed files on the session's branch or what the detail names, or merge with mode patch",
            ),
            Self::IdempotencyInFlight => row(
                S::CONFLICT,
                "Request in flight",
                "wait as Retry-After says and send the same request again",
            ),
            Self::CursorExpired => row(
                S::GONE,
                "Cursor expired",
                "read the current state, then follow from the oldest number named here",
            ),
            Self::VersionMismatch => row(
                S::PRECONDITION_FAILED,
                "Version mismatch",
                "read the object again, decide again, and send its new ETag",
            ),
            Self::PayloadTooLarge => row(
                S::PAYLOAD_TOO_LARGE,
                "Payload too large",
                "send less at once: `detail` says how much this route takes",
            ),
            Self::UnsupportedMediaType => row(
                S::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type",
                "send the body as `Content-Type: application/json`",
            ),
            Self::ValidationError => row(
                S::UNPROCESSABLE_ENTITY,
                "Validation error",
                "correct the fields listed in errors",
            ),
            Self::IdempotencyKeyReused => row(
                S::UNPROCESSABLE_ENTITY,
                "Idempotency key reused",
                "use a new Idempotency-Key for a request with another body",
            ),
            Self::BudgetExhausted => row(
                S::PAYMENT_REQUIRED,
                "Budget exhausted",
                "raise the budget: PATCH /sessions/{id} with budget_usd, PUT /budgets for that of the month, or fork the session with another one",
            ),
            Self::QuotaExceeded => row(
                S::TOO_MANY_REQUESTS,
                "Quota exceeded",
                "have the quota raised, end or delete something that counts against it, or wait until its month ends",
            ),
            Self::RateLimited => {
                row(S::TOO_MANY_REQUESTS, "Too many requests", "wait as Retry-After says")
            }
            Self::InternalError => row(
                S::INTERNAL_SERVER_ERROR,
                "Internal error",
                "look for the request_id in the server's log",
            ),
            Self::RecordQuarantined => row(
                S::INTERNAL_SERVER_ERROR,
                "Damaged record",
                "the record was set aside; `orchestrator doctor` names it, a backup holds it",
            ),
            Self::AgentUnavailable => row(
                S::SERVICE_UNAVAILABLE,
                "Agent unavailable",
                "`orchestrator doctor` tells which agents are there and what they lack",
            ),
            Self::StoreReadOnly => row(
                S::SERVICE_UNAVAILABLE,
                "Store is read-only",
                "free space on the disk of the data directory; writing resumes by itself",
            ),
            Self::Contended => row(
                S::SERVICE_UNAVAILABLE,
                "Too many changes at once",
                "send the request again after the time in Retry-After",
            ),
            Self::Busy => row(
                S::SERVICE_UNAVAILABLE,
                "Busy",
                "send the request again after the time in Retry-After",
            ),
            Self::ShuttingDown => row(
                S::SERVICE_UNAVAILABLE,
                "Shutting down",
                "send the request again once the server is back",
            ),
            Self::KeyNotFound => row(
                S::NOT_FOUND,
                "No such key",
                "list the keys of this tenant with GET /api/v1/keys",
            ),
            Self::AlreadyExists => row(
                S::CONFLICT,
                "Already exists",
                "choose another name, or use the one that is there",
            ),
            Self::AgentBuiltIn => row(
                S::CONFLICT,
                "Agent of the settings",
                "change it under [agents] in the settings of the server, or drain it",
            ),
            Self::HostNotFound => {
                row(S::NOT_FOUND, "No such host", "list the hosts with GET /api/v1/hosts")
            }
            Self::HostBusy => row(
                S::CONFLICT,
                "Host cannot be recycled now",
                "see how it stands with GET /api/v1/hosts, and ask again once it is ready",
            ),
            Self::KeyRevoked => row(S::CONFLICT, "Key was revoked", "make another key"),
            Self::OwnKey => row(
                S::CONFLICT,
                "Key cannot revoke itself",
                "revoke it with another key of an administrator",
            ),
            Self::PrivilegeEscalation => row(
                S::FORBIDDEN,
                "More than the caller has",
                "name a role and scopes that your own key has; GET /api/v1/whoami lists them",
            ),
            Self::UserNotFound => row(
                S::NOT_FOUND,
                "No such user",
                "list the people of this tenant with GET /api/v1/users",
            ),
            Self::InviteNotFound => row(
                S::NOT_FOUND,
                "No such invitation",
                "list the open ones with GET /api/v1/invites; whoever accepted theirs is a user",
            ),
            Self::LastAdministrator => row(
                S::CONFLICT,
                "Last administrator",
                "make somebody else an administrator first, or use a key that belongs to nobody",
            ),
            Self::ContextNotFound => row(
                S::NOT_FOUND,
                "No such context",
                "list the contexts of this tenant with GET /api/v1/contexts",
            ),
            Self::ContextKeyNotFound => {
                row(S::NOT_FOUND, "Nothing at this path", "read the context and look at its paths")
            }
            Self::ContextConflict => row(
                S::CONFLICT,
                "The context was changed",
                "read the context again, decide anew, and write with its version",
            ),
            Self::ContextMergeConflict => {
                row(S::CONFLICT, "Clashes are left", "decide about every path in conflicting_keys")
            }
            Self::MergeStale => {
                row(S::CONFLICT, "The merge is out of date", "merge the contexts again")
            }
            Self::ScopeMismatch => row(
                S::CONFLICT,
                "Not for this scope",
                "copy what matters into a context of another scope",
            ),
            Self::ContextAccessDenied => {
                row(S::FORBIDDEN, "Not your context", "use a context of your own session")
            }
            Self::WebhookNotFound => row(
                S::NOT_FOUND,
                "No such webhook",
                "list the webhooks of this tenant with GET /api/v1/webhooks",
            ),
            Self::DeliveryNotFound => row(
                S::NOT_FOUND,
                "No such delivery",
                "list the deliveries of the webhook; finished ones are forgotten in time",
            ),
            Self::PathNotAllowed => row(
                S::UNPROCESSABLE_ENTITY,
                "Path not allowed",
                "choose a folder outside the server's data directory, below workspaces.allowed_roots where that is set",
            ),
            Self::EndpointNotAllowed => row(
                S::UNPROCESSABLE_ENTITY,
                "Address not allowed",
                "name a public https address, or have it listed: webhooks.allowed_hosts and webhooks.allowed_networks for webhooks, agents.external.allowed_hosts and agents.external.allowed_networks for agents",
            ),
            Self::TaskNotFound => {
                row(S::NOT_FOUND, "No such task", "list the tasks with GET /api/v1/tasks")
            }
            Self::DependencyNotFound => row(
                S::NOT_FOUND,
                "No such dependency",
                "list what the task needs with GET /api/v1/tasks/{id}/dependencies",
            ),
            Self::TemplateNotFound => row(
                S::NOT_FOUND,
                "No such template",
                "list the templates with GET /api/v1/templates",
            ),
            Self::DependencyCycle => row(
                S::CONFLICT,
                "Tasks would need each other in a circle",
                "take away one of the dependencies in cycle, or leave this one out",
            ),
            Self::TaskAlreadyStarted => row(
                S::CONFLICT,
                "Task has started",
                "cancel it first, or make another task for this",
            ),
            Self::TaskDepthExceeded => row(
                S::UNPROCESSABLE_ENTITY,
                "Tree of tasks too deep",
                "put the task beside another one instead of below it",
            ),
            Self::DecompositionLimit => row(
                S::UNPROCESSABLE_ENTITY,
                "Too many tasks",
                "ask for less depth or larger parts; see limit",
            ),
            Self::PlanInvalid => row(
                S::UNPROCESSABLE_ENTITY,
                "Plan not valid",
                "correct what errors tells, and send the plan again",
            ),
            Self::LockNotFound => row(
                S::NOT_FOUND,
                "No such lock",
                "list the locks that are held or waited for with GET /api/v1/locks",
            ),
            Self::LockNotOwned => row(
                S::FORBIDDEN,
                "Lock of another owner",
                "renew and release what the same key or agent acquired, by its lock_id; an administrator can take a lock away",
            ),
            Self::LockLost => row(
                S::CONFLICT,
                "Lock lost",
                "stop what it protected, then acquire it again; renew it every third of its ttl_seconds",
            ),
            Self::DeadlockDetected => row(
                S::CONFLICT,
                "Deadlock",
                "release what you hold and begin again; acquire several names with one request",
            ),
            Self::Locked => {
                row(S::LOCKED, "Locked", "send the request again after the time in Retry-After")
            }
            Self::RequestTimeout => row(
                S::REQUEST_TIMEOUT,
                "Request took too long",
                "send the body without pauses; where a network is slow, have server.request_timeout_seconds raised",
            ),
        }
    }
}
