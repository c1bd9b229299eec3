//! How a command answers: status, headers and body from what the use case changed.
//!
//! Invariant: one function makes the answer that is sent and the one that is remembered.

use crate::application::context::ContextView;
use crate::application::principal::{Rendered, Subject};
use crate::application::task::view::{Decomposed, DependencyView, TaskView, TemplateView};
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::key::Role;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

use super::dto::agent::AgentDto;
use super::dto::agent_views::OutlookDto;
use super::dto::attention::AttentionDto;
use super::dto::checkpoint::CheckpointDto;
use super::dto::context::{ContextDto, MergeDto};
use super::dto::invite::InviteDto;
use super::dto::key::KeyDto;
use super::dto::session::SessionDto;
use super::dto::task::{DependencyDto, TaskDto};
use super::dto::task_views::{DecompositionDto, TemplateDto};
use super::dto::user::UserDto;
use super::dto::webhook::{DeliveryDto, WebhookDto};
use super::tenants::TenantDto;

/// Who looks, and when: what an object shows of itself depends on both.
#[derive(Debug, Clone, Copy)]
pub struct Viewer {
    /// Rights of the caller.
    pub role: Role,
    /// The moment that running figures are taken at.
    pub now: Timestamp,
}

/// The answer of a command on this route.
#[must_use]
pub fn render(route: &str, subject: &Subject<'_>, viewer: Viewer) -> Rendered {
    match subject {
        Subject::Session(found) => {
            let made = route == "/api/v1/sessions" || route.ends_with("/fork");
            let children = made.then(Vec::new);
            let body = json(&SessionDto::new((*found).clone(), children, viewer));
            let mut headers = vec![("ETag".to_owned(), etag(found.version))];
            if made {
                let location = format!("/api/v1/sessions/{}", found.value.id);
                headers.push(("Location".to_owned(), location));
            }
            Rendered { status: session_status(route, made, found), headers, body }
        }
        Subject::Checkpoint(checkpoint) => {
            let (session, sequence) = (checkpoint.session_id, checkpoint.sequence);
            let location = format!("/api/v1/sessions/{session}/checkpoints/{sequence}");
            let headers = vec![("Location".to_owned(), location)];
            Rendered { status: 201, headers, body: json(&CheckpointDto::from(*checkpoint)) }
        }
        Subject::Attention(found) => {
            let headers = vec![("ETag".to_owned(), etag(found.version))];
            Rendered { status: 200, headers, body: json(&AttentionDto::from(*found)) }
        }
        Subject::Agent(view) => {
            let made = ["/api/v1/agents", "/api/v1/agents/register"].contains(&route);
            let goes = route.ends_with("/deregister") && view.agent.value.deleted_at.is_none();
            let mut headers = vec![("ETag".to_owned(), etag(view.agent.version))];
            let location = || format!("/api/v1/agents/{}", view.agent.value.id);
            headers.extend(made.then(|| ("Location".to_owned(), location())));
            let status = match () {
                () if made => 201,
                () if goes => 202,
                () => 200,
            };
            Rendered { status, headers, body: json(&AgentDto::from(*view)) }
        }
        Subject::Outlook(outlook) => {
            Rendered { status: 200, headers: Vec::new(), body: json(&OutlookDto::from(*outlook)) }
        }
        Subject::Webhook(view) => {
            let made = route == "/api/v1/webhooks";
            let mut headers = vec![("ETag".to_owned(), etag(view.webhook.version))];
            let location = || format!("/api/v1/webhooks/{}", view.webhook.value.id);
            headers.extend(made.then(|| ("Location".to_owned(), location())));
            let status = if made { 201 } else { 200 };
            Rendered { status, headers, body: json(&WebhookDto::from(*view)) }
        }
        Subject::Key(view) => {
            let made = route == "/api/v1/keys";
            let mut headers = vec![("ETag".to_owned(), etag(view.key.version))];
            let location = || format!("/api/v1/keys/{}", view.key.value.id);
            headers.extend(made.then(|| ("Location".to_owned(), location())));
            let status = if made { 201 } else { 200 };
            Rendered { status, headers, body: json(&KeyDto::from(*view)) }
        }
        Subject::User(found) => {
            let made = route == "/api/v1/users";
            let mut headers = vec![("ETag".to_owned(), etag(found.version))];
            let location = || format!("/api/v1/users/{}", found.value.id);
            headers.extend(made.then(|| ("Location".to_owned(), location())));
            let status = if made { 201 } else { 200 };
            Rendered { status, headers, body: json(&UserDto::from(*found)) }
        }
        Subject::Invite(view) => {
            let location = format!("/api/v1/invites/{}", view.invite.value.id);
            let tag = ("ETag".to_owned(), etag(view.invite.version));
            let headers = vec![tag, ("Location".to_owned(), location)];
            Rendered { status: 201, headers, body: json(&InviteDto::from(*view)) }
        }
        Subject::Tenant(found) => {
            let location = format!("/api/v1/tenants/{}", found.value.id);
            let tag = ("ETag".to_owned(), etag(found.version));
            let headers = vec![tag, ("Location".to_owned(), location)];
            Rendered { status: 201, headers, body: json(&TenantDto::from(&found.value)) }
        }
        Subject::Context(view) => context(route, view),
        Subject::PendingMerge(pending) => {
            Rendered { status: 200, headers: Vec::new(), body: json(&MergeDto::from(*pending)) }
        }
        Subject::Task(view) => of_task(route, view),
        Subject::Dependency(view) => dependency(view),
        Subject::Decomposed(view) => decomposed(view),
        Subject::Template(view) => template(view),
        Subject::Delivery(found) => {
            let (webhook, id) = (found.value.webhook_id, found.value.id);
            let location = format!("/api/v1/webhooks/{webhook}/deliveries/{id}");
            let headers = vec![("Location".to_owned(), location)];
            Rendered { status: 202, headers, body: json(&DeliveryDto::from(*found)) }
        }
    }
}

/// A context; a merge says besides that there is nothing to decide.
fn context(route: &str, view: &ContextView) -> Rendered {
    let mut headers = vec![("ETag".to_owned(), etag(view.context.version))];
    let location = || format!("/api/v1/contexts/{}", view.context.value.id);
    headers.extend(view.made.then(|| ("Location".to_owned(), location())));
    let body = if route.ends_with("/merge") {
        json(&MergeDto::from(view))
    } else {
        json(&ContextDto::from(view))
    };
    Rendered { status: if view.made { 201 } else { 200 }, headers, body }
}

/// A task; 202 while its leaves are still to be given out.
fn of_task(route: &str, view: &TaskView) -> Rendered {
    let mut headers = vec![("ETag".to_owned(), etag(view.task.version))];
    let location = || format!("/api/v1/tasks/{}", view.task.value.id);
    headers.extend(view.made.then(|| ("Location".to_owned(), location())));
    let status = match () {
        () if view.made => 201,
        () if route.ends_with("/execute") => 202,
        () => 200,
    };
    Rendered { status, headers, body: json(&TaskDto::from(view)) }
}

fn dependency(view: &DependencyView) -> Rendered {
    let (task, id) = (view.source_task_id, view.dependency.id);
    let location = format!("/api/v1/tasks/{task}/dependencies/{id}");
    let headers = vec![("Location".to_owned(), location)];
    Rendered { status: 201, headers, body: json(&DependencyDto::from(view)) }
}

fn decomposed(view: &Decomposed) -> Rendered {
    let headers = vec![("ETag".to_owned(), etag(view.root.task.version))];
    let status = if view.planner_session_id.is_some() { 202 } else { 200 };
    Rendered { status, headers, body: json(&DecompositionDto::from(view)) }
}

fn template(view: &TemplateView) -> Rendered {
    let tag = view.version.map(|version| ("ETag".to_owned(), etag(version)));
    let mut headers: Vec<(String, String)> = tag.into_iter().collect();
    let location = || format!("/api/v1/templates/{}", view.template.key);
    headers.extend(view.made.then(|| ("Location".to_owned(), location())));
    Rendered {
        status: if view.made { 201 } else { 200 },
        headers,
        body: json(&TemplateDto::from(view)),
    }
}

/// 201 for what was made, 202 while the effect is still to come, else 200.
fn session_status(route: &str, made: bool, found: &Versioned<Session>) -> u16 {
    let session = &found.value;
    let pausing = session.run.pause_wanted.is_some() && session.status().is_executing();
    let resuming = session.run.resume_wanted && session.status() == SessionStatus::Paused;
    match route.rsplit('/').next() {
        _ if made => 201,
        Some("pause") if pausing => 202,
        Some("resume") if resuming => 202,
        _ => 200,
    }
}

/// The `ETag` of a version.
#[must_use]
pub fn etag(version: Version) -> String {
    format!("\"v{version}\"")
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    super::json::bytes(value).expect("our DTOs have text keys and no fallible serializers")
}
