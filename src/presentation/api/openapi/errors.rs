//! Which problems each operation may answer with.

use crate::presentation::api::caller::is_of_the_instance;
use crate::presentation::api::codes::ErrorCode;

/// Every error that the operation can answer with, by status.
pub(super) fn errors(
    path: &str,
    scoped: bool,
    writes: bool,
    body: bool,
) -> Vec<(String, Vec<ErrorCode>)> {
    use ErrorCode as C;
    let mut codes =
        vec![C::ProtocolError, C::HostNotAllowed, C::OriginNotAllowed, C::InternalError, C::Busy];
    if scoped {
        codes.extend([
            C::TenantMalformed,
            C::Unauthenticated,
            C::CsrfRefused,
            C::TenantMismatch,
            C::TenantNotFound,
            C::Forbidden,
            C::ValidationError,
            C::RateLimited,
            C::RecordQuarantined,
            C::StoreReadOnly,
            C::ShuttingDown,
        ]);
    }
    if scoped && !is_of_the_instance(path) {
        codes.push(C::TenantRequired);
    }
    let names_a_page = path.starts_with("/problems");
    if path.contains("{file}") || names_a_page || path.contains("{path}") {
        codes.push(C::RouteNotFound);
    }
    if path.contains("sessions/{id}") || path.ends_with("/sessions") || path.ends_with("/events") {
        codes.push(C::SessionNotFound);
    }
    if path.contains("{seq}")
        || path.ends_with("/fork")
        || path.ends_with("/retry")
        || path.contains("/diff")
    {
        codes.push(C::CheckpointNotFound);
    }
    codes.extend(path.contains("admissions/").then_some(C::AgentNotFound));
    if path.contains("attention/") {
        codes.push(C::AttentionNotFound);
        codes.extend(writes.then_some(C::ApprovalMismatch));
    }
    if path.contains("/webhooks") {
        codes.extend(path.contains("{id}").then_some(C::WebhookNotFound));
        codes.extend(path.contains("{delivery_id}").then_some(C::DeliveryNotFound));
        codes.extend((writes && body).then_some(C::EndpointNotAllowed));
    }
    if path.ends_with("/events") || path.ends_with("/logs") || path.ends_with("/transcript") {
        codes.push(C::CursorExpired);
    }
    if path == "/api/v1/tenants" && writes {
        codes.push(C::AlreadyExists);
    }
    codes.extend(of_people(path, writes));
    codes.extend(of_agents(path, writes).into_iter().chain(of_contexts(path, writes)));
    codes.extend(of_locks(path, writes).into_iter().chain(of_tasks(path, writes)));
    let copies = ["/system/backup", "/system/export"];
    codes.extend(copies.iter().any(|end| path.ends_with(end)).then_some(C::Locked));
    codes.extend((path == "/api/v1/login-links").then_some(C::PrivilegeEscalation));
    if path.starts_with("/login/oidc") {
        codes.extend([C::RouteNotFound, C::CsrfRefused, C::Unauthenticated, C::RateLimited]);
    }
    let metrics = [C::Unauthenticated, C::CsrfRefused, C::Forbidden, C::RateLimited];
    codes.extend(metrics.into_iter().filter(|_| path == "/metrics"));
    if writes {
        codes.extend([
            C::InvalidTransition,
            C::IdempotencyInFlight,
            C::VersionMismatch,
            C::Contended,
            C::RequestTimeout,
            C::PayloadTooLarge,
            C::UnsupportedMediaType,
            C::IdempotencyKeyReused,
        ]);
    }
    if path.contains("/diff") {
        codes.push(C::InvalidTransition);
    }
    if path.ends_with("/retry") || path.ends_with("/start") {
        codes.push(C::NotRetryable);
    }
    let goes_on = ["/start", "/retry", "/resume", "/sessions"];
    if writes && goes_on.iter().any(|end| path.ends_with(end)) {
        codes.push(C::BudgetExhausted);
    }
    codes.extend(of_places(path, writes));
    if writes && (body || path.ends_with("/start")) {
        codes.push(C::QuotaExceeded);
    }
    let mut by_status: Vec<(String, Vec<ErrorCode>)> = Vec::new();
    codes.sort_by_key(|code| (code.row().status, *code));
    codes.dedup();
    for code in codes {
        let status = code.row().status.as_str().to_owned();
        match by_status.last_mut() {
            Some((known, codes)) if *known == status => codes.push(code),
            _ => by_status.push((status, vec![code])),
        }
    }
    by_status
}

/// Errors about tasks and templates.
fn of_tasks(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    let of_templates = path.contains("/templates");
    if !path.contains("/tasks") && !of_templates || path.contains("/external") {
        return Vec::new();
    }
    let mut codes = vec![];
    codes.extend(path.contains("{id}").then_some(C::TaskNotFound));
    codes.extend(path.contains("{name}").then_some(C::TemplateNotFound));
    codes.extend((writes && of_templates).then_some(C::AlreadyExists));
    codes.extend(path.contains("{dependency_id}").then_some(C::DependencyNotFound));
    if writes && !of_templates {
        codes.extend([C::TaskAlreadyStarted, C::DependencyCycle]);
    }
    if path.ends_with("/tasks") {
        codes.push(C::SessionNotFound);
        codes.extend(writes.then_some(C::TaskDepthExceeded));
    }
    codes.extend(path.ends_with("/stats").then_some(C::SessionNotFound));
    codes.extend((writes && path.ends_with('s')).then_some(C::DecompositionLimit));
    if path.ends_with("/assign") {
        codes.extend([C::AgentNotFound, C::AgentUnavailable]);
    }
    if path.ends_with("/decompose") {
        codes.extend([
            C::TemplateNotFound,
            C::DecompositionLimit,
            C::TaskDepthExceeded,
            C::PlanInvalid,
            C::AgentUnavailable,
            C::QuotaExceeded,
            C::AlreadyExists,
        ]);
    }
    codes
}

/// Errors about locks.
fn of_locks(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    if !path.contains("/locks") {
        return Vec::new();
    }
    let mut codes = vec![];
    codes.extend(path.ends_with("/{name}").then_some(C::LockNotFound));
    if path.ends_with("/acquire") {
        codes.extend([C::Locked, C::DeadlockDetected, C::LockLost, C::SessionNotFound]);
    }
    if path.ends_with("/renew") {
        codes.extend([C::LockNotOwned, C::LockLost, C::StaleResult]);
    }
    codes.extend((writes && path.ends_with("/release")).then_some(C::LockNotOwned));
    codes
}

/// Errors about the folders that sessions work in.
fn of_places(path: &str, writes: bool) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    if path.ends_with("/merge") || path.ends_with("/restore") {
        codes.push(ErrorCode::WorkspaceConflict);
    }
    let opens = ["/sessions", "/fork", "/merge", "/restore", "/verify"];
    if path.contains("/diff") || (writes && opens.iter().any(|end| path.ends_with(end))) {
        codes.push(ErrorCode::PathNotAllowed);
    }
    codes
}

/// Errors about what is remembered.
fn of_contexts(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    if !path.contains("/contexts") {
        return Vec::new();
    }
    let mut codes = Vec::new();
    let named = path.contains("{id}") || path.ends_with("/merge");
    codes.extend(named.then_some(C::ContextNotFound));
    codes.extend(path.contains("/keys/").then_some(C::ContextKeyNotFound));
    codes.extend((writes && named).then_some(C::ContextConflict));
    codes.extend((writes && named).then_some(C::ContextAccessDenied));
    codes.extend(path.ends_with("/promote-to-global").then_some(C::ScopeMismatch));
    if path.ends_with("/resolve") {
        codes.extend([C::MergeStale, C::ContextMergeConflict]);
    }
    if !named || path.ends_with("/share") {
        codes.extend([C::SessionNotFound, C::AgentNotFound]);
    }
    codes
}

/// Errors about who works.
fn of_agents(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    if path.ends_with("/agents/route") {
        return vec![C::AgentUnavailable];
    }
    if path.ends_with("/external/register") {
        return vec![C::AlreadyExists, C::EndpointNotAllowed];
    }
    if path.contains("/hosts/") {
        return vec![C::HostNotFound, C::HostBusy];
    }
    if path == "/api/v1/agents/{id}" && writes {
        return vec![C::AgentNotFound, C::AgentBuiltIn, C::EndpointNotAllowed];
    }
    match (path.contains("/agents"), path.contains("{id}"), writes) {
        (false, _, _) | (true, false, false) => Vec::new(),
        (true, true, false) => vec![C::AgentNotFound],
        (true, true, true) => vec![C::AgentNotFound, C::AgentBuiltIn],
        (true, false, true) => vec![C::AlreadyExists],
    }
}

/// Errors about people and what they act with.
fn of_people(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    let mut codes = Vec::new();
    if path.contains("/keys") {
        codes.extend(path.contains("{id}").then_some(C::KeyNotFound));
        codes.extend(writes.then_some(C::PrivilegeEscalation));
        codes.extend(path.ends_with("/rotate").then_some(C::KeyRevoked));
        codes.extend((writes && path.ends_with("/{id}")).then_some(C::OwnKey));
    }
    if path.contains("/users") {
        codes.extend(path.contains("{id}").then_some(C::UserNotFound));
        codes.extend((writes && path.contains("{id}")).then_some(C::LastAdministrator));
    }
    if path.contains("/invites") {
        codes.extend(path.contains("{id}").then_some(C::InviteNotFound));
    }
    if writes && (path.contains("/users") || path.contains("/invites")) {
        codes.extend([C::PrivilegeEscalation, C::AlreadyExists]);
    }
    if path == "/api/v1/keys" && writes {
        codes.push(C::UserNotFound);
    }
    codes
}
