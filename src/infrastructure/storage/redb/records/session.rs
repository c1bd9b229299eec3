//! Sessions: the record, where they come from, what their execution needs.

use serde::{Deserialize, Serialize};

use super::attempt::LeaseV1;
use super::gates::VerificationV1;
use super::metrics::MetricsV1;
use super::spec::SpecV1;
use super::{
    Payload, Record, Unreadable, Unstorable, millis, optional_json, optional_value, time, word,
};
use crate::domain::attention::Attention;
use crate::domain::ids::{AgentId, SessionId, TaskId, TenantId};
use crate::domain::session::artifact::Artifact;
use crate::domain::session::attempt::ExecutionClock;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{
    DegradedReason, Lineage, Phase, PromptMode, QueuedPrompt, RunState, Session, SessionCode,
    Stamps, Standing,
};
use crate::domain::time::Timestamp;
use crate::domain::usage::budget::BudgetLevel;
use crate::domain::version::{Version, Versioned};
use crate::domain::workspace::{Workspace, WorkspaceKind};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct SessionV1<'a> {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    code: u64,
    #[serde(borrow)]
    spec: SpecV1<'a>,
    lineage: LineageV1,
    status: &'a str,
    status_reason: Option<String>,
    status_updated_at: i64,
    attention: &'a str,
    phase: Option<&'a str>,
    run: RunV1,
    metrics: MetricsV1,
    stamps: StampsV1,
    created_by: String,
}

impl Record for Versioned<Session> {
    const KIND: u8 = 1;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let session = &self.value;
        let Session {
            id,
            tenant_id,
            code,
            spec,
            lineage,
            standing: _, // its fields are private: they are asked for below
            attention,
            phase,
            run,
            metrics,
            stamps,
            created_by,
        } = session;
        Ok(codec::encode(&SessionV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            code: code.number(),
            spec: SpecV1::of(spec)?,
            lineage: LineageV1::of(lineage),
            status: session.status().as_str(),
            status_reason: session.status_reason().map(str::to_owned),
            status_updated_at: session.status_updated_at().millis(),
            attention: attention.as_str(),
            phase: phase.map(Phase::as_str),
            run: RunV1::of(run)?,
            metrics: MetricsV1::of(metrics)?,
            stamps: StampsV1::of(stamps),
            created_by: created_by.clone(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let SessionV1 {
            version,
            id,
            tenant_id,
            code,
            spec,
            lineage,
            status,
            status_reason,
            status_updated_at,
            attention,
            phase,
            run,
            metrics,
            stamps,
            created_by,
        } = payload.parse(1)?;
        let status = word(status, SessionStatus::parse, "status")?;
        let since = Timestamp::from_millis(status_updated_at);
        let value = Session {
            id: SessionId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            code: SessionCode::new(code),
            spec: spec.domain()?,
            lineage: lineage.domain(),
            standing: Standing::stored(status, status_reason, since),
            attention: word(attention, Attention::parse, "attention")?,
            phase: phase.map(|slug| word(slug, Phase::parse, "phase")).transpose()?,
            run: run.domain()?,
            metrics: metrics.domain()?,
            stamps: stamps.domain(),
            created_by,
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct LineageV1 {
    parent_id: Option<[u8; 16]>,
    depth: u32,
    forked_from: Option<([u8; 16], Option<u64>)>,
    task_id: Option<[u8; 16]>,
    after: Vec<[u8; 16]>,
}

impl LineageV1 {
    fn of(lineage: &Lineage) -> Self {
        let Lineage { parent_id, depth, forked_from, task_id, after } = lineage;
        Self {
            parent_id: parent_id.map(|id| *id.as_bytes()),
            depth: *depth,
            forked_from: forked_from.map(|(id, sequence)| (*id.as_bytes(), sequence)),
            task_id: task_id.map(|id| *id.as_bytes()),
            after: after.iter().map(|id| *id.as_bytes()).collect(),
        }
    }

    fn domain(self) -> Lineage {
        let Self { parent_id, depth, forked_from, task_id, after } = self;
        Lineage {
            parent_id: parent_id.map(SessionId::from_bytes),
            depth,
            forked_from: forked_from.map(|(id, sequence)| (SessionId::from_bytes(id), sequence)),
            task_id: task_id.map(TaskId::from_bytes),
            after: after.into_iter().map(SessionId::from_bytes).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of `Stamps`")]
struct StampsV1 {
    created_at: i64,
    updated_at: i64,
    queued_at: Option<i64>,
    started_at: Option<i64>,
    paused_at: Option<i64>,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    ended_at: Option<i64>,
    deleted_at: Option<i64>,
}

impl StampsV1 {
    fn of(stamps: &Stamps) -> Self {
        let Stamps {
            created_at,
            updated_at,
            queued_at,
            started_at,
            paused_at,
            completed_at,
            failed_at,
            ended_at,
            deleted_at,
        } = stamps;
        Self {
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
            queued_at: millis(*queued_at),
            started_at: millis(*started_at),
            paused_at: millis(*paused_at),
            completed_at: millis(*completed_at),
            failed_at: millis(*failed_at),
            ended_at: millis(*ended_at),
            deleted_at: millis(*deleted_at),
        }
    }

    fn domain(self) -> Stamps {
        let Self {
            created_at,
            updated_at,
            queued_at,
            started_at,
            paused_at,
            completed_at,
            failed_at,
            ended_at,
            deleted_at,
        } = self;
        Stamps {
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
            queued_at: time(queued_at),
            started_at: time(started_at),
            paused_at: time(paused_at),
            completed_at: time(completed_at),
            failed_at: time(failed_at),
            ended_at: time(ended_at),
            deleted_at: time(deleted_at),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct PromptV1 {
    id: [u8; 16],
    text: String,
    mode: String,
    at: i64,
}

impl PromptV1 {
    fn of(prompt: &QueuedPrompt) -> Self {
        let QueuedPrompt { id, text, mode, at } = prompt;
        let mode = mode.as_str().to_owned();
        Self { id: *id.as_bytes(), text: text.clone(), mode, at: at.millis() }
    }

    fn domain(self) -> Result<QueuedPrompt, Unreadable> {
        let Self { id, text, mode, at } = self;
        let mode = word(&mode, PromptMode::parse, "prompt.mode")?;
        let (id, at) = (uuid::Uuid::from_bytes(id), Timestamp::from_millis(at));
        Ok(QueuedPrompt { id, text, mode, at })
    }
}

#[derive(Serialize, Deserialize)]
struct WorkspaceV1 {
    kind: String,
    path: String,
    repo: Option<String>,
    branch: Option<String>,
    base_commit: Option<String>,
    base_branch: Option<String>,
}

impl WorkspaceV1 {
    fn of(workspace: &Workspace) -> Self {
        let Workspace { kind, path, repo, branch, base_commit, base_branch } = workspace.clone();
        Self { kind: kind.as_str().to_owned(), path, repo, branch, base_commit, base_branch }
    }

    fn domain(self) -> Result<Workspace, Unreadable> {
        let Self { kind, path, repo, branch, base_commit, base_branch } = self;
        let kind = word(&kind, WorkspaceKind::parse, "workspace.kind")?;
        Ok(Workspace { kind, path, repo, branch, base_commit, base_branch })
    }
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as in the domain")]
struct RunV1 {
    attempt: u32,
    lease: Option<LeaseV1>,
    clock_spent_ms: u64,
    clock_since: Option<i64>,
    start_wanted: bool,
    pause_wanted: Option<i64>,
    resume_wanted: bool,
    next_attempt_at: Option<i64>,
    resume_from: Option<u64>,
    last_checkpoint: u64,
    checkpoint_count: u64,
    degraded_since: Option<i64>,
    degraded_reasons: Vec<String>,
    prompt: Option<PromptV1>,
    prompts: Vec<PromptV1>,
    workspace: Option<WorkspaceV1>,
    handle: Option<String>,
    message_ref: Option<String>,
    workspace_ref: Option<String>,
    budget_told: Option<String>,
    blocking_items: u32,
    at_risk_told: bool,
    verify_wanted: Option<i64>,
    verification: Option<VerificationV1>,
    met: Vec<[u8; 16]>,
    avoid: Vec<[u8; 16]>,
    falls_back: bool,
    artifacts: Vec<ArtifactV1>,
    is_partial: bool,
}

impl RunV1 {
    fn of(run: &RunState) -> Result<Self, Unstorable> {
        let RunState {
            attempt,
            lease,
            clock: ExecutionClock { spent_ms, since },
            start_wanted,
            pause_wanted,
            resume_wanted,
            next_attempt_at,
            resume_from,
            last_checkpoint,
            checkpoint_count,
            degraded_since,
            degraded_reasons,
            prompt,
            prompts,
            workspace,
            handle,
            message_ref,
            workspace_ref,
            budget_told,
            blocking_items,
            at_risk_told,
            verify_wanted,
            verification,
            met,
            avoid,
            falls_back,
            artifacts,
            is_partial,
        } = run;
        let reasons = degraded_reasons.iter().map(|reason| reason.as_str().to_owned());
        Ok(Self {
            attempt: *attempt,
            lease: lease.as_ref().map(LeaseV1::of),
            clock_spent_ms: *spent_ms,
            clock_since: millis(*since),
            start_wanted: *start_wanted,
            pause_wanted: millis(*pause_wanted),
            resume_wanted: *resume_wanted,
            next_attempt_at: millis(*next_attempt_at),
            resume_from: *resume_from,
            last_checkpoint: *last_checkpoint,
            checkpoint_count: *checkpoint_count,
            degraded_since: millis(*degraded_since),
            degraded_reasons: reasons.collect(),
            prompt: prompt.as_ref().map(PromptV1::of),
            prompts: prompts.iter().map(PromptV1::of).collect(),
            workspace: workspace.as_ref().map(WorkspaceV1::of),
            handle: optional_json(handle.as_ref())?,
            message_ref: message_ref.clone(),
            workspace_ref: workspace_ref.clone(),
            budget_told: budget_told.map(|level| level.as_str().to_owned()),
            blocking_items: *blocking_items,
            at_risk_told: *at_risk_told,
            verify_wanted: millis(*verify_wanted),
            verification: verification.as_ref().map(VerificationV1::of),
            met: met.iter().map(|id| *id.as_bytes()).collect(),
            avoid: avoid.iter().map(|id| *id.as_bytes()).collect(),
            falls_back: *falls_back,
            artifacts: artifacts.iter().map(ArtifactV1::of).collect(),
            is_partial: *is_partial,
        })
    }

    fn domain(self) -> Result<RunState, Unreadable> {
        let Self {
            attempt,
            lease,
            clock_spent_ms,
            clock_since,
            start_wanted,
            pause_wanted,
            resume_wanted,
            next_attempt_at,
            resume_from,
            last_checkpoint,
            checkpoint_count,
            degraded_since,
            degraded_reasons,
            prompt,
            prompts,
            workspace,
            handle,
            message_ref,
            workspace_ref,
            budget_told,
            blocking_items,
            at_risk_told,
            verify_wanted,
            verification,
            met,
            avoid,
            falls_back,
            artifacts,
            is_partial,
        } = self;
        let reasons = degraded_reasons
            .iter()
            .map(|slug| word(slug, DegradedReason::parse, "degraded_reasons"));
        Ok(RunState {
            attempt,
            lease: lease.map(LeaseV1::domain).transpose()?,
            clock: ExecutionClock { spent_ms: clock_spent_ms, since: time(clock_since) },
            start_wanted,
            pause_wanted: time(pause_wanted),
            resume_wanted,
            next_attempt_at: time(next_attempt_at),
            resume_from,
            last_checkpoint,
            checkpoint_count,
            degraded_since: time(degraded_since),
            degraded_reasons: reasons.collect::<Result<_, _>>()?,
            prompt: prompt.map(PromptV1::domain).transpose()?,
            prompts: prompts.into_iter().map(PromptV1::domain).collect::<Result<_, _>>()?,
            workspace: workspace.map(WorkspaceV1::domain).transpose()?,
            handle: optional_value(handle.as_ref(), "handle")?,
            message_ref,
            workspace_ref,
            budget_told: budget_told
                .map(|slug| word(&slug, BudgetLevel::parse, "budget_told"))
                .transpose()?,
            blocking_items,
            at_risk_told,
            verify_wanted: time(verify_wanted),
            verification: verification.map(VerificationV1::domain),
            met: met.into_iter().map(SessionId::from_bytes).collect(),
            avoid: avoid.into_iter().map(AgentId::from_bytes).collect(),
            falls_back,
            artifacts: artifacts.into_iter().map(ArtifactV1::domain).collect(),
            is_partial,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ArtifactV1 {
    path: String,
    sha256: [u8; 32],
    size: u64,
    mime_type: String,
    attempt: u32,
    at: i64,
}

impl ArtifactV1 {
    fn of(artifact: &Artifact) -> Self {
        let Artifact { path, sha256, size, mime_type, attempt, at } = artifact.clone();
        Self { path, sha256, size, mime_type, attempt, at: at.millis() }
    }

    fn domain(self) -> Artifact {
        let Self { path, sha256, size, mime_type, attempt, at } = self;
        Artifact { path, sha256, size, mime_type, attempt, at: Timestamp::from_millis(at) }
    }
}
