//! Every kind of record: what was written once is read for ever.

mod agents;
mod contexts;
mod tasks;
mod tenants;
mod usage;
mod vitals;
mod webhooks;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use self::agents::agent;
use self::tenants::{audit, tenant};
use super::*;
use crate::application::ports::changes::Remembered;
use crate::application::ports::journal::Entry;
use crate::domain::attention::{
    Attention, AttentionItem, AttentionKind, AttentionState, Decision, Risk,
};
use crate::domain::audit::{Actor, AuditEntry, Place, StoredAudit};
use crate::domain::canonical::hex;
use crate::domain::event::{DomainEvent, EventType, StoredEvent, Subject, SubjectKind};
use crate::domain::ids::{
    AgentId, AttentionId, AuditId, CheckpointId, DeliveryId, EventId, KeyId, SessionId, TaskId,
    TenantId, UserId, WebhookId,
};
use crate::domain::money::Usd;
use crate::domain::schedule::hold::{Held, Hold};
use crate::domain::session::artifact::Artifact;
use crate::domain::session::attempt::{Attempt, ExecutionClock, Lease, LeaseReason, SessionError};
use crate::domain::session::checkpoint::{Checkpoint, CheckpointTrigger};
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::gates::{GateReport, Verification};
use crate::domain::session::metrics::{Metrics, RateSource, Warning};
use crate::domain::session::spec::{
    Calls, Gate, PermissionDecision, PermissionPolicy, PermissionRule,
};
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{
    DegradedReason, Lineage, Phase, PromptMode, QueuedPrompt, RunState, Session, SessionCode,
    Stamps, Standing,
};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{
    ApiKey, Invited, Inviter, InviterId, KeyKind, KeySecret, OpenedBy, Role,
};
use crate::domain::tenant::network::{Networks, parse_network};
use crate::domain::tenant::quotas::Quotas;
use crate::domain::tenant::retention::Retention;
use crate::domain::tenant::scope::{Access, Area, Scope, Scopes};
use crate::domain::tenant::user::{ProviderIdentity, User};
use crate::domain::tenant::weight::Weight;
use crate::domain::usage::Usage;
use crate::domain::usage::budget::BudgetLevel;
use crate::domain::version::{Version, Versioned};
use crate::domain::workspace::{Workspace, WorkspaceKind, WorkspaceSpec};

const KEY: &[u8] = b"the key of the record";
/// One line per kind: its name and the bytes of its sample, in hex.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots/records.v1.txt");

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn versioned<T>(value: T) -> Versioned<T> {
    Versioned { version: Version::new(300), value }
}

fn lease() -> Lease {
    Lease {
        agent_id: AgentId::new(id(7)),
        agent_name: "AGENT-A".to_owned(),
        fencing_token: 41,
        granted_at: at(1),
        released_at: Some(at(2)),
        settled: Some([9; 32]),
        reason: LeaseReason::Fallback,
    }
}

fn error() -> SessionError {
    SessionError {
        error_type: "agent_lost".to_owned(),
        message: "gone".to_owned(),
        context: json!({ "pid": 7 }),
        retryable: true,
        occurred_at: at(3),
    }
}

fn usage() -> Usage {
    Usage {
        tokens_input: 1,
        tokens_output: 2,
        tokens_cache_read: 3,
        tokens_cache_write: 4,
        tokens_reasoning: 5,
        cost_usd: Some(Usd::from_micros(-6)),
        simulated: true,
        reported: true,
    }
}

fn prompt(number: u128) -> QueuedPrompt {
    QueuedPrompt {
        id: id(number),
        text: "go on".to_owned(),
        mode: PromptMode::Interrupt,
        at: at(9),
    }
}

fn run() -> RunState {
    RunState {
        attempt: 2,
        lease: Some(lease()),
        clock: ExecutionClock { spent_ms: 5, since: Some(at(4)) },
        start_wanted: true,
        pause_wanted: Some(at(5)),
        resume_wanted: true,
        next_attempt_at: Some(at(6)),
        resume_from: Some(3),
        last_checkpoint: 4,
        checkpoint_count: 2,
        degraded_since: Some(at(7)),
        degraded_reasons: DegradedReason::ALL.to_vec(),
        prompt: Some(prompt(1)),
        prompts: vec![prompt(2), prompt(3)],
        workspace: Some(Workspace {
            kind: WorkspaceKind::Git,
            path: "/w".to_owned(),
            repo: Some("/r".to_owned()),
            branch: Some("b".to_owned()),
            base_commit: Some("c".to_owned()),
            base_branch: Some("main".to_owned()),
        }),
        handle: Some(json!({ "conversation": "x" })),
        message_ref: Some("m".to_owned()),
        workspace_ref: Some("d".to_owned()),
        budget_told: Some(BudgetLevel::Soft),
        blocking_items: 1,
        at_risk_told: true,
        verify_wanted: Some(at(8)),
        met: vec![SessionId::new(id(7))],
        avoid: vec![AgentId::new(id(8))],
        falls_back: true,
        artifacts: vec![Artifact {
            path: "a/b".to_owned(),
            sha256: [3; 32],
            size: 9,
            mime_type: "text/plain".to_owned(),
            attempt: 1,
            at: at(4),
        }],
        is_partial: true,
        verification: Some(Verification {
            passed: true,
            tree_hash: Some("t".to_owned()),
            commit: Some("c".to_owned()),
            at: at(9),
            gates: vec![GateReport {
                name: "tests".to_owned(),
                required: true,
                passed: true,
                exit_code: Some(0),
                timed_out: false,
                duration_ms: 7,
                output: "ok".to_owned(),
            }],
        }),
    }
}

fn metrics() -> Metrics {
    Metrics {
        queue_ms: Some(1),
        execution_ms: Some(2),
        usage: usage(),
        api_calls_count: 3,
        api_errors_count: 4,
        retry_count: 1,
        success_rate: Some(0.5),
        success_rate_source: Some(RateSource::Gates),
        confidence_score: Some(0.25),
        code_quality_score: Some(0.75),
        result: Some(json!({ "ok": true })),
        error: Some(error()),
        previous_errors: vec![error()],
        warnings: vec![Warning {
            warning_type: "slow".to_owned(),
            message: "slow".to_owned(),
            timestamp: at(8),
            context: Value::Null,
        }],
        last_checkpoint_at: Some(at(8)),
    }
}

fn session() -> Session {
    let draft = SessionDraft {
        title: Some("Repair the parser".to_owned()),
        description: Some("d".to_owned()),
        initial_prompt: "Do it — gründlich".to_owned(),
        agent: Some("AGENT-A".to_owned()),
        technologies: vec!["rust".to_owned()],
        preferred_agent_ids: vec![AgentId::new(id(7))],
        cpu_limit: Some(1.5),
        memory_limit_mb: Some(512),
        budget_usd: Some(Usd::from_micros(1_500_000)),
        token_budget: Some(1_000),
        not_before: Some(at(1)),
        workspace: WorkspaceSpec::Git {
            repo: "/r".to_owned(),
            base_ref: "HEAD".to_owned(),
            branch: None,
        },
        permission_policy: Some(PermissionPolicy {
            default: PermissionDecision::Deny,
            rules: vec![
                PermissionRule {
                    tool: "bash".to_owned(),
                    calls: Calls::Like("git *".to_owned()),
                    decision: PermissionDecision::Allow,
                },
                PermissionRule::allows_exactly("bash", &["ls *".to_owned()]),
            ],
        }),
        gates: vec![Gate {
            name: "tests".to_owned(),
            command: vec!["true".to_owned()],
            timeout_seconds: 5,
            required: true,
        }],
        tags: vec!["a".to_owned(), "b".to_owned()],
        ..SessionDraft::default()
    };
    let mut spec = draft.accept().expect("a valid draft");
    spec.metadata.insert("n".to_owned(), json!([1, 2.5, null, "x"]));
    Session {
        id: SessionId::new(id(2)),
        tenant_id: TenantId::new(id(1)),
        code: SessionCode::new(42),
        spec,
        lineage: Lineage {
            parent_id: Some(SessionId::new(id(3))),
            depth: 1,
            forked_from: Some((SessionId::new(id(4)), Some(5))),
            task_id: Some(TaskId::new(id(6))),
            after: vec![SessionId::new(id(7))],
        },
        standing: Standing::stored(SessionStatus::Degraded, Some("late".to_owned()), at(10)),
        attention: Attention::Question,
        phase: Some(Phase::Executing),
        run: run(),
        metrics: metrics(),
        stamps: Stamps {
            created_at: at(0),
            updated_at: at(1),
            queued_at: Some(at(2)),
            started_at: Some(at(3)),
            paused_at: Some(at(4)),
            completed_at: Some(at(5)),
            failed_at: Some(at(6)),
            ended_at: Some(at(7)),
            deleted_at: Some(at(8)),
        },
        created_by: "somebody".to_owned(),
    }
}

fn attention() -> AttentionItem {
    AttentionItem {
        id: AttentionId::new(id(8)),
        tenant_id: TenantId::new(id(1)),
        session_id: SessionId::new(id(2)),
        attempt: 1,
        kind: AttentionKind::Permission,
        title: "rm".to_owned(),
        payload: json!({ "tool": "bash" }),
        fingerprint: "f".to_owned(),
        risk: Risk::High,
        state: AttentionState::Resolved,
        decision: Some(Decision::Deny),
        answer: Some("no".to_owned()),
        resolved_by: Some("me".to_owned()),
        created_at: at(0),
        deadline: at(100),
        resolved_at: Some(at(50)),
        agent_ref: "p-1".to_owned(),
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        id: CheckpointId::new(id(9)),
        session_id: SessionId::new(id(2)),
        sequence: 3,
        created_at: at(1),
        trigger: CheckpointTrigger::Turn,
        data: json!({ "step": 1 }),
        agent_session_ref: Some("s".to_owned()),
        agent_message_ref: None,
        workspace_ref: Some("w".to_owned()),
        context_versions: BTreeMap::from([("c".to_owned(), 2)]),
        state_hash: "00".to_owned(),
    }
}

fn attempt() -> Attempt {
    Attempt {
        session_id: SessionId::new(id(2)),
        number: 2,
        started_at: at(1),
        ended_at: Some(at(2)),
        outcome: Some("failed".to_owned()),
        error: Some(error()),
        resumed_from_checkpoint: Some(1),
        usage: usage(),
        used_before: usage(),
        counted_calls: vec!["call".to_owned()],
        counted_ms: 70,
        leases: vec![lease()],
        stale_reports: 3,
    }
}

fn event() -> StoredEvent {
    let subject = Subject { kind: SubjectKind::Attention, id: id(8) };
    let payload = json!({ "session_id": id(2).to_string(), "n": 1 });
    StoredEvent {
        id: EventId::new(id(5)),
        seq: 6,
        tenant_id: TenantId::new(id(1)),
        event: DomainEvent::new(EventType::SessionAttentionChanged, subject, at(1), payload),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

/// The record round-trips, and is what the golden line of its name says, both ways.
fn check<T: Record + PartialEq + std::fmt::Debug>(name: &str, record: &T) {
    let sealed = seal(KEY, record).expect("it can be stored");
    assert_eq!(&open::<T>(KEY, &sealed).expect("it can be read"), record);
    let line = format!("{name} {}", hex(&sealed));
    let golden_lines = std::fs::read_to_string(GOLDEN).expect("the golden file");
    let golden = golden_lines.lines().find(|golden| golden.starts_with(&format!("{name} ")));
    let Some(golden) = golden else { panic!("no golden line; the record is now\n{line}") };
    let stored = bytes(golden.split_once(' ').expect("name and bytes").1);
    assert_eq!(&open::<T>(KEY, &stored).expect("old bytes are read"), record, "{name}");
    assert_eq!(golden, line, "{name} is written differently than before");
}

#[test]
fn aggregates_are_written_as_ever() {
    check("session", &versioned(session()));
    check("attempt", &versioned(attempt()));
    check("checkpoint", &checkpoint());
    check("attention", &versioned(attention()));
    check("agent", &versioned(agent()));
    check("tenant", &versioned(tenant()));
    let key = ApiKey {
        id: KeyId::new(id(3)),
        tenant_id: TenantId::new(id(1)),
        kind: KeyKind::Key,
        user_id: Some(UserId::new(id(6))),
        opened_by: Some(OpenedBy { key: KeyId::new(id(8)), secret: [8; 32] }),
        name: "ci".to_owned(),
        prefix: "io_abc".to_owned(),
        secrets: vec![KeySecret { hash: [9; 32], expires_at: Some(at(2)) }],
        role: Role::Lead,
        follows: true,
        scopes: Scopes::of([Scope::Of(Area::Sessions, Access::Read), Scope::Metrics]),
        is_system: true,
        networks: Networks::of(parse_network("10.0.0.0/8")),
        invited: Some(Invited {
            email: "a@b.c".to_owned(),
            full_name: Some("Ann".to_owned()),
            by: Some(Inviter {
                home: TenantId::new(id(1)),
                who: InviterId::User(UserId::new(id(6))),
            }),
            until: Some(at(3)),
        }),
        created_by: "ann".to_owned(),
        created_at: at(0),
        expires_at: Some(at(1)),
        revoked_at: None,
    };
    check("api_key", &versioned(key));
    let user = User {
        id: UserId::new(id(6)),
        tenant_id: TenantId::new(id(1)),
        email: "Ann@example.org".to_owned(),
        full_name: "Ann Other".to_owned(),
        role: Role::Admin,
        is_active: true,
        is_system_admin: true,
        identity: Some(ProviderIdentity {
            issuer: "https://id.example".to_owned(),
            subject: "s".to_owned(),
        }),
        created_by: "administrator".to_owned(),
        created_at: at(0),
    };
    check("user", &versioned(user));
}

#[test]
fn logs_are_written_as_ever() {
    check("event", &event());
    check("audit", &audit());
    let remembered = Remembered {
        key: [1; 32],
        fingerprint: [2; 32],
        status: 201,
        headers: vec![("etag".to_owned(), "\"1\"".to_owned())],
        body: b"{}".to_vec(),
        expires_at: at(5),
    };
    check("remembered", &remembered);
    let entry = |seq, text: &str| Entry {
        seq,
        at: at(1),
        kind: "info".to_owned(),
        body: json!({ "message": text }),
    };
    check("journal", &Chunk { entries: vec![entry(8, "a"), entry(9, "b")] });
    let large = Chunk { entries: vec![entry(1, &"line ".repeat(2_000)), entry(2, "end")] };
    let sealed = seal(KEY, &large).expect("it can be stored");
    assert!(sealed.len() < 1_000, "a chunk of 10 kB is compressed");
    assert_eq!(open::<Chunk>(KEY, &sealed).expect("it can be read"), large);
}

#[test]
fn small_records_are_written_as_ever() {
    check("head", &Head { last_event: 7, last_audit: Some((2, "ab".to_owned())) });
    check("number", &Number(-300));
    check("reference", &Reference([7; 16]));
    let quarantined = Quarantined {
        table: "sessions.k1".to_owned(),
        key: vec![1, 2],
        bytes: vec![3, 4],
        reason: "checksum".to_owned(),
        found_at_ms: 5,
    };
    check("quarantined", &quarantined);
    check("meta", &StoreMeta { layout: 1, made_by: "0.1.0".to_owned(), made_at_ms: 9 });
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let deep = (0..130).fold(json!(1), |inner, _| json!([inner]));
    let deep = Checkpoint { data: deep, ..checkpoint() };
    assert!(matches!(seal(KEY, &deep), Err(Unstorable::TooDeep)));
}

#[test]
fn a_newer_schema_is_told_apart_from_damage() {
    let payload = Number(1).spell().expect("it can be stored");
    let envelope = Envelope { kind: Number::KIND, schema: 2, codec: 1, payload: &payload };
    let sealed = envelope::seal(KEY, &envelope);
    assert!(matches!(open::<Number>(KEY, &sealed), Err(Unreadable::UnknownSchema(2))));
    let foreign = seal(KEY, &Reference([1; 16])).expect("it can be stored");
    assert!(matches!(open::<Number>(KEY, &foreign), Err(Unreadable::Kind(_))));
}
