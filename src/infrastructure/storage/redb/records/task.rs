//! Tasks, how a session's are executed, and templates.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Payload, Record, Unreadable, Unstorable, json, json_map, map, millis, time, value, word,
};
use crate::domain::decompose::file::read_one;
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::ids::{AgentId, DependencyId, SessionId, TaskId, TenantId};
use crate::domain::money::Usd;
use crate::domain::task::book::{Book, Execution};
use crate::domain::task::dependency::{Dependency, DependencyType};
use crate::domain::task::estimate::{Estimate, EstimationSource, Hours};
use crate::domain::task::spec::{LintCode, OnUpstreamFailure, TaskPriority, TaskSpec};
use crate::domain::task::status::TaskStatus;
use crate::domain::task::{Place, Standing, Task, TaskError, Work};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct SpecV1 {
    title: String,
    description: Option<String>,
    task_type: String,
    priority: String,
    technologies: Vec<String>,
    on_upstream_failure: String,
    max_retries: u32,
    tags: Vec<String>,
    metadata: String,
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct EstimateV1 {
    optimistic: f64,
    likely: f64,
    pessimistic: f64,
    tokens: Option<u64>,
    cost_micros: Option<i64>,
    last_estimated_at: Option<i64>,
    required_capabilities: Vec<String>,
    confidence: f64,
    source: String,
}

#[derive(Serialize, Deserialize)]
struct DependencyV1 {
    id: [u8; 16],
    target: [u8; 16],
    kind: String,
    is_required: bool,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WorkV1 {
    attempt: u32,
    assigned_agent_id: Option<[u8; 16]>,
    assigned_at: Option<i64>,
    child_session_id: Option<[u8; 16]>,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    is_done: bool,
    reported_progress: u8,
    result: Option<String>,
    /// Type, message, context, when.
    error: Option<(String, String, String, i64)>,
    artifacts: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct TaskV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    session_id: [u8; 16],
    spec: SpecV1,
    parent_task_id: Option<[u8; 16]>,
    depth: u32,
    position: u32,
    template_key: Option<String>,
    estimate: Option<EstimateV1>,
    status: String,
    status_reason: Option<String>,
    status_updated_at: i64,
    dependencies: Vec<DependencyV1>,
    work: WorkV1,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
}

fn spec_out(spec: &TaskSpec) -> Result<SpecV1, Unstorable> {
    let TaskSpec {
        title,
        description,
        task_type,
        priority,
        technologies,
        on_upstream_failure,
        max_retries,
        tags,
        metadata,
        warnings,
    } = spec;
    Ok(SpecV1 {
        title: title.clone(),
        description: description.clone(),
        task_type: task_type.clone(),
        priority: priority.as_str().to_owned(),
        technologies: technologies.clone(),
        on_upstream_failure: on_upstream_failure.as_str().to_owned(),
        max_retries: *max_retries,
        tags: tags.clone(),
        metadata: json_map(metadata)?,
        warnings: warnings.iter().map(|code| code.as_str().to_owned()).collect(),
    })
}

fn spec_in(spec: SpecV1) -> Result<TaskSpec, Unreadable> {
    let SpecV1 {
        title,
        description,
        task_type,
        priority,
        technologies,
        on_upstream_failure,
        max_retries,
        tags,
        metadata,
        warnings,
    } = spec;
    let code = |slug: &String| word(slug, LintCode::parse, "warnings");
    Ok(TaskSpec {
        title,
        description,
        task_type,
        priority: word(&priority, TaskPriority::parse, "priority")?,
        technologies,
        on_upstream_failure: word(
            &on_upstream_failure,
            OnUpstreamFailure::parse,
            "on_upstream_failure",
        )?,
        max_retries,
        tags,
        metadata: map(&metadata, "metadata")?,
        warnings: warnings.iter().map(code).collect::<Result<_, Unreadable>>()?,
    })
}

fn estimate_out(estimate: &Estimate) -> EstimateV1 {
    let Estimate {
        hours: Hours { optimistic, likely, pessimistic },
        estimated_tokens,
        estimated_cost_usd,
        last_estimated_at,
        required_capabilities,
        confidence,
        source,
    } = estimate;
    EstimateV1 {
        optimistic: *optimistic,
        likely: *likely,
        pessimistic: *pessimistic,
        tokens: *estimated_tokens,
        cost_micros: estimated_cost_usd.map(Usd::micros),
        last_estimated_at: millis(*last_estimated_at),
        required_capabilities: required_capabilities.clone(),
        confidence: *confidence,
        source: source.as_str().to_owned(),
    }
}

fn estimate_in(estimate: EstimateV1) -> Result<Estimate, Unreadable> {
    let EstimateV1 {
        optimistic,
        likely,
        pessimistic,
        tokens,
        cost_micros,
        last_estimated_at,
        required_capabilities,
        confidence,
        source,
    } = estimate;
    Ok(Estimate {
        hours: Hours { optimistic, likely, pessimistic },
        estimated_tokens: tokens,
        estimated_cost_usd: cost_micros.map(Usd::from_micros),
        last_estimated_at: time(last_estimated_at),
        required_capabilities,
        confidence,
        source: word(&source, EstimationSource::parse, "source")?,
    })
}

fn dependency_out(dependency: &Dependency) -> DependencyV1 {
    let Dependency { id, target_task_id, dependency_type, is_required, description } = dependency;
    DependencyV1 {
        id: *id.as_bytes(),
        target: *target_task_id.as_bytes(),
        kind: dependency_type.as_str().to_owned(),
        is_required: *is_required,
        description: description.clone(),
    }
}

fn dependency_in(dependency: DependencyV1) -> Result<Dependency, Unreadable> {
    let DependencyV1 { id, target, kind, is_required, description } = dependency;
    Ok(Dependency {
        id: DependencyId::from_bytes(id),
        target_task_id: TaskId::from_bytes(target),
        dependency_type: word(&kind, DependencyType::parse, "dependency_type")?,
        is_required,
        description,
    })
}

fn work_out(work: &Work) -> Result<WorkV1, Unstorable> {
    let Work {
        attempt,
        assigned_agent_id,
        assigned_at,
        child_session_id,
        started_at,
        completed_at,
        failed_at,
        is_done,
        reported_progress,
        result,
        error,
        artifacts,
    } = work;
    let error = error.as_ref().map(|error: &TaskError| {
        let TaskError { error_type, message, context, timestamp } = error;
        let context = json(context)?;
        Ok::<_, Unstorable>((error_type.clone(), message.clone(), context, timestamp.millis()))
    });
    Ok(WorkV1 {
        attempt: *attempt,
        assigned_agent_id: assigned_agent_id.map(|id| *id.as_bytes()),
        assigned_at: millis(*assigned_at),
        child_session_id: child_session_id.map(|id| *id.as_bytes()),
        started_at: millis(*started_at),
        completed_at: millis(*completed_at),
        failed_at: millis(*failed_at),
        is_done: *is_done,
        reported_progress: *reported_progress,
        result: result.as_ref().map(json_map).transpose()?,
        error: error.transpose()?,
        artifacts: artifacts.iter().map(json_map).collect::<Result<_, Unstorable>>()?,
    })
}

fn work_in(work: WorkV1) -> Result<Work, Unreadable> {
    let WorkV1 {
        attempt,
        assigned_agent_id,
        assigned_at,
        child_session_id,
        started_at,
        completed_at,
        failed_at,
        is_done,
        reported_progress,
        result,
        error,
        artifacts,
    } = work;
    let error = error.map(|(error_type, message, context, at)| {
        let context: Value = value(&context, "context")?;
        let timestamp = Timestamp::from_millis(at);
        Ok::<_, Unreadable>(TaskError { error_type, message, context, timestamp })
    });
    Ok(Work {
        attempt,
        assigned_agent_id: assigned_agent_id.map(AgentId::from_bytes),
        assigned_at: time(assigned_at),
        child_session_id: child_session_id.map(SessionId::from_bytes),
        started_at: time(started_at),
        completed_at: time(completed_at),
        failed_at: time(failed_at),
        is_done,
        reported_progress,
        result: result.map(|text| map(&text, "result")).transpose()?,
        error: error.transpose()?,
        artifacts: artifacts
            .iter()
            .map(|text| map(text, "artifacts"))
            .collect::<Result<_, Unreadable>>()?,
    })
}

impl Record for Versioned<Task> {
    const KIND: u8 = 70;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Task {
            id,
            tenant_id,
            session_id,
            spec,
            place: Place { parent_task_id, depth, position, template_key },
            estimate,
            standing: _,
            dependencies,
            work,
            created_at,
            updated_at,
            deleted_at,
        } = &self.value;
        Ok(codec::encode(&TaskV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            session_id: *session_id.as_bytes(),
            spec: spec_out(spec)?,
            parent_task_id: parent_task_id.map(|id| *id.as_bytes()),
            depth: *depth,
            position: *position,
            template_key: template_key.clone(),
            estimate: estimate.as_ref().map(estimate_out),
            status: self.value.status().as_str().to_owned(),
            status_reason: self.value.status_reason().map(str::to_owned),
            status_updated_at: self.value.status_updated_at().millis(),
            dependencies: dependencies.iter().map(dependency_out).collect(),
            work: work_out(work)?,
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
            deleted_at: millis(*deleted_at),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let TaskV1 {
            version,
            id,
            tenant_id,
            session_id,
            spec,
            parent_task_id,
            depth,
            position,
            template_key,
            estimate,
            status,
            status_reason,
            status_updated_at,
            dependencies,
            work,
            created_at,
            updated_at,
            deleted_at,
        } = payload.parse(1)?;
        let status = word(&status, TaskStatus::parse, "status")?;
        let since = Timestamp::from_millis(status_updated_at);
        let parent_task_id = parent_task_id.map(TaskId::from_bytes);
        let dependencies = dependencies.into_iter().map(dependency_in);
        let value = Task {
            id: TaskId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            session_id: SessionId::from_bytes(session_id),
            spec: spec_in(spec)?,
            place: Place { parent_task_id, depth, position, template_key },
            estimate: estimate.map(estimate_in).transpose()?,
            standing: Standing::stored(status, status_reason, since),
            dependencies: dependencies.collect::<Result<_, Unreadable>>()?,
            work: work_in(work)?,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
            deleted_at: time(deleted_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct ExecutionV1 {
    task_id: Option<[u8; 16]>,
    max_parallel: u32,
    fail_fast: bool,
    started_at: i64,
    ended_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct BookV1 {
    version: u64,
    tenant_id: [u8; 16],
    session_id: [u8; 16],
    execution: Option<ExecutionV1>,
    updated_at: i64,
}

impl Record for Versioned<Book> {
    const KIND: u8 = 71;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Book { tenant_id, session_id, execution, updated_at } = &self.value;
        let execution = execution.map(|execution| {
            let Execution { task_id, max_parallel, fail_fast, started_at, ended_at } = execution;
            ExecutionV1 {
                task_id: task_id.map(|id| *id.as_bytes()),
                max_parallel,
                fail_fast,
                started_at: started_at.millis(),
                ended_at: millis(ended_at),
            }
        });
        Ok(codec::encode(&BookV1 {
            version: self.version.get(),
            tenant_id: *tenant_id.as_bytes(),
            session_id: *session_id.as_bytes(),
            execution,
            updated_at: updated_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let BookV1 { version, tenant_id, session_id, execution, updated_at } = payload.parse(1)?;
        let execution = execution.map(|execution| {
            let ExecutionV1 { task_id, max_parallel, fail_fast, started_at, ended_at } = execution;
            Execution {
                task_id: task_id.map(TaskId::from_bytes),
                max_parallel,
                fail_fast,
                started_at: Timestamp::from_millis(started_at),
                ended_at: time(ended_at),
            }
        });
        let value = Book {
            tenant_id: TenantId::from_bytes(tenant_id),
            session_id: SessionId::from_bytes(session_id),
            execution,
            updated_at: Timestamp::from_millis(updated_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct TemplateV1 {
    version: u64,
    tenant_id: [u8; 16],
    /// As a file has it.
    template: String,
    created_at: i64,
    updated_at: i64,
}

impl Record for Versioned<OwnTemplate> {
    const KIND: u8 = 72;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let OwnTemplate { tenant_id, template, created_at, updated_at } = &self.value;
        Ok(codec::encode(&TemplateV1 {
            version: self.version.get(),
            tenant_id: *tenant_id.as_bytes(),
            template: json(&template.to_json())?,
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let TemplateV1 { version, tenant_id, template, created_at, updated_at } =
            payload.parse(1)?;
        let spelled = value(&template, "template")?;
        let value = OwnTemplate {
            tenant_id: TenantId::from_bytes(tenant_id),
            template: read_one(&spelled).map_err(|_| Unreadable::Field("template"))?,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}
