//! Tasks, how a session's are executed, and templates.

use super::*;
use crate::domain::decompose::file::read_one;
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::ids::DependencyId;
use crate::domain::session::Cause;
use crate::domain::task::book::{Book, Execution};
use crate::domain::task::dependency::{Dependency, DependencyType};
use crate::domain::task::draft::{EstimateDraft, TaskDraft};
use crate::domain::task::life::Gates;
use crate::domain::task::spec::{OnUpstreamFailure, TaskPriority};
use crate::domain::task::{Place, Task, TaskError};

#[test]
fn tasks_are_written_as_ever() {
    let estimate = EstimateDraft {
        optimistic_hours: Some(1.0),
        likely_hours: Some(2.0),
        pessimistic_hours: Some(4.5),
        estimated_tokens: Some(900),
        estimated_cost_usd: Usd::from_dollars(1.25),
        estimate_confidence: Some(0.75),
        required_capabilities: vec!["code_generation".to_owned()],
    };
    let draft = TaskDraft {
        title: "Login page".to_owned(),
        description: Some("with a button".to_owned()),
        task_type: Some("web_service".to_owned()),
        priority: Some(TaskPriority::High),
        estimate: Some(estimate),
        technologies: vec!["rust".to_owned()],
        on_upstream_failure: Some(OnUpstreamFailure::Block),
        max_retries: Some(2),
        tags: vec!["ui".to_owned()],
        metadata: json!({ "n": 1 }).as_object().cloned().unwrap_or_default(),
        ..TaskDraft::default()
    };
    let place = Place {
        parent_task_id: Some(TaskId::new(id(60))),
        depth: 1,
        position: 3,
        template_key: Some("crud".to_owned()),
    };
    let owner = (TenantId::new(id(1)), SessionId::new(id(2)));
    let made = draft.accept(at(0)).expect("valid");
    let (mut task, _) = Task::create(TaskId::new(id(61)), owner, made, place, at(0));
    task.dependencies.push(Dependency {
        id: DependencyId::new(id(62)),
        target_task_id: TaskId::new(id(63)),
        dependency_type: DependencyType::StartToStart,
        is_required: false,
        description: Some("it is nicer so".to_owned()),
    });
    let (agent, child) = (Some(AgentId::new(id(7))), Some(SessionId::new(id(64))));
    let by = |millis| Cause::by("executor", at(millis));
    task.assign(agent, child, Gates::OPEN, by(1)).expect("legal");
    task.start(Gates::OPEN, by(2)).expect("legal");
    let context = json!({ "line": 7 });
    let error = TaskError {
        error_type: "agent_error".to_owned(),
        message: "it broke".to_owned(),
        context,
        timestamp: at(3),
    };
    task.fail(error, by(3)).expect("legal");
    task.work.result = json!({ "half": true }).as_object().cloned();
    task.work.artifacts = vec![json!({ "name": "a" }).as_object().cloned().unwrap_or_default()];
    task.work.reported_progress = 40;
    check("task", &versioned(task));
    let execution = Execution {
        task_id: Some(TaskId::new(id(60))),
        max_parallel: 5,
        fail_fast: true,
        started_at: at(1),
        ended_at: Some(at(9)),
    };
    let (tenant_id, session_id) = owner;
    let book = Book { tenant_id, session_id, execution: Some(execution), updated_at: at(9) };
    check("task_book", &versioned(book));
    let spelled = json!({
        "key": "own", "name": "Own", "trigger": "keyword", "keywords": ["login"],
        "subtask": [{ "key": "one", "title": "{title} - One", "hours": 2.5 }],
    });
    let template = read_one(&spelled).expect("valid");
    let own = OwnTemplate { tenant_id, template, created_at: at(0), updated_at: at(1) };
    check("template", &versioned(own));
}
