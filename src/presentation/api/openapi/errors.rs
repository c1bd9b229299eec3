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
    if path.contains("{file}") || path.contains("{name}") || path.contains("{path}") {
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
    if path.contains("admissions/") {
        codes.push(C::AgentNotFound);
    }
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
    codes.extend(of_agents(path, writes));
    let copies = ["/system/backup", "/system/export"];
    codes.extend(copies.iter().any(|end| path.ends_with(end)).then_some(C::Locked));
    codes.extend((path == "/api/v1/login-links").then_some(C::PrivilegeEscalation));
    if path.starts_with("/login/oidc") {
        codes.extend([C::RouteNotFound, C::CsrfRefused, C::Unauthenticated, C::RateLimited]);
    }
    if path == "/metrics" {
        codes.extend([C::Unauthenticated, C::CsrfRefused, C::Forbidden, C::RateLimited]);
    }
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

/// Errors about who works.
fn of_agents(path: &str, writes: bool) -> Vec<ErrorCode> {
    use ErrorCode as C;
    if path.ends_with("/agents/route") {
        return vec![C::AgentUnavailable];
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
