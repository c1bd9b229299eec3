//! How values of the domain appear in the API document.

use std::borrow::Cow;

use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Closed lists of words: a text with its values.
macro_rules! words {
    ($($name:ident in $path:path),+ $(,)?) => { $(
        impl PartialSchema for $path {
            fn schema() -> RefOr<Schema> {
                let words = Self::ALL.iter().map(|word| word.as_str());
                text().enum_values(Some(words)).build().into()
            }
        }

        impl ToSchema for $path {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+ };
}

/// Values that are a text of a known format.
macro_rules! formats {
    ($($name:ident in $path:path: $format:ident, $example:literal),+ $(,)?) => { $(
        impl PartialSchema for $path {
            fn schema() -> RefOr<Schema> {
                let format = SchemaFormat::KnownFormat(KnownFormat::$format);
                text().format(Some(format)).examples([$example]).build().into()
            }
        }

        impl ToSchema for $path {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+ };
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

words!(
    SessionStatus in crate::domain::session::status::SessionStatus,
    SessionType in crate::domain::session::spec::SessionType,
    LockMode in crate::domain::lock::LockMode,
    OnParentEnd in crate::domain::session::spec::OnParentEnd,
    ExecutionMode in crate::domain::session::spec::ExecutionMode,
    PermissionDecision in crate::domain::session::spec::PermissionDecision,
    AgentKind in crate::domain::agent::kind::AgentKind,
    AgentType in crate::domain::agent::kind::AgentType,
    AgentState in crate::domain::agent::status::AgentState,
    HeartbeatStatus in crate::domain::agent::status::HeartbeatStatus,
    BreakerState in crate::domain::agent::breaker::BreakerState,
    LoadLevel in crate::domain::agent::load::LoadLevel,
    ComplexityPreference in crate::domain::agent::kind::ComplexityPreference,
    PerformanceTier in crate::domain::agent::performance::Tier,
    Explain in crate::application::agent::route::Explain,
    Match in crate::domain::agent::routing::Match,
    RoutingComponent in crate::domain::agent::routing::Component,
    RoutingGate in crate::domain::agent::gate::Gate,
    Trend in crate::domain::agent::trend::Direction,
    AgentIssueType in crate::domain::agent::health::IssueType,
    AgentIssueSeverity in crate::domain::agent::health::Severity,
    KeyKind in crate::domain::tenant::key::KeyKind,
    Role in crate::domain::tenant::key::Role,
    JoinMode in crate::domain::tenant::joining::JoinMode,
    RegistrationMode in crate::domain::tenant::registration::RegistrationMode,
    HoldScope in crate::domain::schedule::hold::HoldScope,
    BudgetLevel in crate::domain::usage::budget::BudgetLevel,
    GroupBy in crate::application::usage::query::GroupBy,
    Phase in crate::domain::session::Phase,
    DegradedReason in crate::domain::session::DegradedReason,
    PromptMode in crate::domain::session::PromptMode,
    RateSource in crate::domain::session::metrics::RateSource,
    CheckpointTrigger in crate::domain::session::checkpoint::CheckpointTrigger,
    LeaseReason in crate::domain::session::attempt::LeaseReason,
    Attention in crate::domain::attention::Attention,
    AttentionKind in crate::domain::attention::AttentionKind,
    AttentionState in crate::domain::attention::AttentionState,
    Decision in crate::domain::attention::Decision,
    Risk in crate::domain::attention::Risk,
    WorkspaceKind in crate::domain::workspace::WorkspaceKind,
    EventType in crate::domain::event::EventType,
    SubjectKind in crate::domain::event::SubjectKind,
    DeliveryState in crate::domain::webhook::delivery::DeliveryState,
    BlockerCode in crate::domain::schedule::blocker::BlockerCode,
    MergeMode in crate::application::ports::workspaces::MergeMode,
    FileChange in crate::application::ports::workspaces::FileChange,
    ContextScope in crate::domain::context::ContextScope,
    ContextOp in crate::domain::context::write::ContextOp,
    ContextAuthorKind in crate::domain::context::stamp::AuthorKind,
    MergeStrategy in crate::domain::context::merge::MergeStrategy,
    TaskStatus in crate::domain::task::status::TaskStatus,
    TaskAction in crate::domain::task::status::Trigger,
    TaskPriority in crate::domain::task::spec::TaskPriority,
    OnUpstreamFailure in crate::domain::task::spec::OnUpstreamFailure,
    TaskLint in crate::domain::task::spec::LintCode,
    ComplexityLevel in crate::domain::task::estimate::ComplexityLevel,
    EstimationSource in crate::domain::task::estimate::EstimationSource,
    DependencyType in crate::domain::task::dependency::DependencyType,
    DecompositionStrategy in crate::domain::decompose::request::Strategy,
    DecompositionWarningCode in crate::domain::decompose::WarningCode,
    TemplateTrigger in crate::domain::decompose::template::TriggerKind,
    TemplateRefinement in crate::domain::decompose::template::Refinement,
    ErrorCode in super::codes::ErrorCode,
);

formats!(
    Timestamp in crate::domain::time::Timestamp: DateTime, "2026-01-31T09:30:00.000Z",
    TenantId in crate::domain::ids::TenantId: Uuid, "00000000-0000-0000-0000-000000000001",
    SessionId in crate::domain::ids::SessionId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789ab",
    AgentId in crate::domain::ids::AgentId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789ac",
    ReservationId in crate::domain::ids::ReservationId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b5",
    AttentionId in crate::domain::ids::AttentionId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789ad",
    CheckpointId in crate::domain::ids::CheckpointId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789ae",
    AuditId in crate::domain::ids::AuditId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789ae",
    EventId in crate::domain::ids::EventId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789af",
    TaskId in crate::domain::ids::TaskId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b0",
    DependencyId in crate::domain::ids::DependencyId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b8",
    WebhookId in crate::domain::ids::WebhookId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b1",
    ContextId in crate::domain::ids::ContextId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789c0",
    LockId in crate::domain::ids::LockId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b7",
    KeyId in crate::domain::ids::KeyId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b3",
    UserId in crate::domain::ids::UserId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b4",
    DeliveryId in crate::domain::ids::DeliveryId: Uuid, "0198f3a0-5b1c-7c3e-8f00-0123456789b2",
);

impl PartialSchema for crate::domain::money::Usd {
    fn schema() -> RefOr<Schema> {
        let amount = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0));
        amount.description(Some("US dollars")).examples([2.5]).build().into()
    }
}

impl ToSchema for crate::domain::money::Usd {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Usd")
    }
}

impl PartialSchema for crate::domain::session::spec::Priority {
    fn schema() -> RefOr<Schema> {
        let level: Object = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0.0))
            .maximum(Some(4.0))
            .build();
        let names = Self::ALL.iter().map(|name| name.as_str());
        let either = utoipa::openapi::OneOfBuilder::new()
            .item(level)
            .item(text().enum_values(Some(names)))
            .description(Some("0 critical, 1 high, 2 medium, 3 low, 4 deferred, or the name"))
            .build();
        Schema::OneOf(either).into()
    }
}

impl ToSchema for crate::domain::session::spec::Priority {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Priority")
    }
}
