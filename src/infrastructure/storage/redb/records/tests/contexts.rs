//! Contexts, what their versions changed, and merges that wait.

use super::*;
use crate::domain::context::merge::{Clash, PendingMerge};
use crate::domain::context::path::Path;
use crate::domain::context::stamp::{Author, AuthorKind};
use crate::domain::context::write::{Entry, Group, Update};
use crate::domain::context::{Birth, Context, ContextDraft};
use crate::domain::ids::ContextId;

fn author() -> Author {
    Author {
        kind: AuthorKind::Agent,
        principal: id(7),
        name: "AGENT-A".to_owned(),
        session_id: Some(SessionId::new(id(2))),
        agent_id: Some(AgentId::new(id(7))),
    }
}

#[test]
fn contexts_are_written_as_ever() {
    let (by, tenant_id) = (author(), TenantId::new(id(1)));
    let data = json!({ "plan": { "step one": 1, "step two": [null] }, "ä": {} });
    let draft = ContextDraft {
        session_id: Some(SessionId::new(id(2))),
        task_id: Some(TaskId::new(id(3))),
        agent_id: Some(AgentId::new(id(7))),
        initial_data: data.as_object().cloned().unwrap_or_default(),
        metadata: json!({ "important": true }).as_object().cloned().unwrap_or_default(),
        ..ContextDraft::default()
    };
    let birth = Birth { id: ContextId::new(id(40)), by: &by, at: at(0) };
    let mut context = Context::new(tenant_id, draft, birth).expect("fit");
    let path = Path::parse("plan.step one.x").expect("a path");
    let update = Update::one("", path, json!(2)).expect("valid");
    let human = Author { kind: AuthorKind::Key, principal: id(8), session_id: None, ..by.clone() };
    let entries: Vec<Entry> = context.write(&[update], &human, at(1)).expect("small");
    assert!(entries[0].displaced.is_some());
    check("context", &versioned(context));
    let group = Group {
        tenant_id,
        context_id: ContextId::new(id(40)),
        version: 2,
        entries,
        changed_at: at(1),
        changed_by: human,
    };
    check("context_group", &group);
    let clash = Clash {
        path: Path::parse("a.b").expect("a path"),
        target: json!(1),
        source: json!({ "c": [2] }),
    };
    let merge = PendingMerge {
        id: ContextId::new(id(41)),
        tenant_id,
        inputs: vec![(ContextId::new(id(40)), 2), (ContextId::new(id(42)), 1)],
        clashes: vec![clash],
        created_by: by,
        created_at: at(2),
        expires_at: at(3),
    };
    check("context_merge", &merge);
}
