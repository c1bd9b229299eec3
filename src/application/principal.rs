//! Who asks, for whom, and with which rights.

use std::sync::Arc;

use super::error::AppError;
use crate::domain::audit::Actor;
use crate::domain::ids::{AgentId, KeyId, TenantId, UserId};
use crate::domain::session::Session;
use crate::domain::tenant::key::{ApiKey, KeyKind, Role};
use crate::domain::tenant::network::Reach;
use crate::domain::tenant::right::{Lack, Right};
use crate::domain::tenant::scope::Scopes;
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Somebody who was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key that was shown; the nil id for `--dev`.
    pub key: KeyId,
    /// SHA-256 of the secret that was shown; `None` for `--dev`.
    pub credential: Option<[u8; 32]>,
    /// Who holds the key; `None` for a program.
    pub user: Option<UserId>,
    /// The external agent whose token it is.
    pub agent: Option<AgentId>,
    /// The tenant of the key; `None` for `--dev`.
    pub home: Option<TenantId>,
    /// Address of whoever holds the key, else name of the key.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Scopes,
    /// May act in every tenant.
    pub is_system: bool,
    /// Until when and from where the secret is accepted.
    pub reach: Reach,
}

/// How far somebody's rights go, beside the scopes of their key, which never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rank {
    /// Within a tenant.
    pub role: Role,
    /// In every tenant.
    pub is_system: bool,
}

/// Everything that a use case knows about its caller.
#[derive(Clone)]
pub struct RequestContext {
    /// Whose data.
    pub tenant: TenantId,
    /// Who.
    pub principal: Principal,
    /// Which request.
    pub request_id: String,
    /// What the caller read before: a change of anything newer is refused.
    pub if_match: Option<u64>,
    /// What is to be remembered for a repetition of the request.
    pub repeat: Option<Repeat>,
}

/// A request that may be repeated, and how its answer will look.
#[derive(Clone)]
pub struct Repeat {
    /// SHA-256 over principal, route and key.
    pub key: [u8; 32],
    /// SHA-256 of the body.
    pub fingerprint: [u8; 32],
    /// Makes the answer from what the use case is about to commit.
    pub render: Arc<dyn Fn(&Subject<'_>) -> Rendered + Send + Sync>,
}

/// What a use case answers with, before it is turned into bytes.
pub enum Subject<'a> {
    /// A session.
    Session(&'a Versioned<Session>),
    /// A checkpoint.
    Checkpoint(&'a crate::domain::session::checkpoint::Checkpoint),
    /// An attention item.
    Attention(&'a Versioned<crate::domain::attention::AttentionItem>),
    /// An agent.
    Agent(&'a super::agent::query::AgentView),
    /// How an agent does.
    Outlook(&'a super::agent::outlook::Outlook),
    /// A webhook.
    Webhook(&'a super::webhooks::WebhookView),
    /// An API key, without its secret.
    Key(&'a super::identity::keys::KeyView),
    /// Somebody.
    User(&'a Versioned<User>),
    /// An invitation, without its secret.
    Invite(&'a super::identity::invites::InviteView),
    /// A tenant.
    Tenant(&'a Versioned<crate::domain::tenant::Tenant>),
    /// A context.
    Context(&'a super::context::ContextView),
    /// A merge of contexts that waits.
    PendingMerge(&'a crate::domain::context::merge::PendingMerge),
    /// A task.
    Task(&'a super::task::view::TaskView),
    /// What a task needs.
    Dependency(&'a super::task::view::DependencyView),
    /// What a task was split into.
    Decomposed(&'a super::task::view::Decomposed),
    /// A template.
    Template(&'a super::task::view::TemplateView),
    /// A delivery of a webhook.
    Delivery(&'a Versioned<crate::domain::webhook::delivery::Delivery>),
}

/// An answer in bytes.
pub struct Rendered {
    /// HTTP status.
    pub status: u16,
    /// `Location`, `ETag`.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

impl Principal {
    /// Whoever shows the secret with this hash of a key: they have the rights of the key, and none that
    /// its holder has not.
    #[must_use]
    pub fn of(key: ApiKey, holder: Option<User>, hash: [u8; 32]) -> Self {
        let reach = key.reach_of(&hash);
        let role = holder.as_ref().map_or(key.role, |holder| key.role.min(holder.role));
        let is_system = match &holder {
            Some(holder) => holder.is_system_admin && role == Role::Admin,
            None => key.is_system,
        };
        Self {
            key: key.id,
            credential: Some(hash),
            user: key.user_id,
            agent: (key.kind == KeyKind::Agent).then(|| AgentId::new(key.id.uuid())),
            home: Some(key.tenant_id),
            name: holder.map_or(key.name, |holder| holder.email),
            role,
            scopes: key.scopes,
            is_system,
            reach,
        }
    }

    /// What it may do, as far as that changes while a secret stays the same.
    #[must_use]
    pub const fn rank(&self) -> Rank {
        Rank { role: self.role, is_system: self.is_system }
    }

    /// Whether the role and the key are enough for an operation.
    ///
    /// # Errors
    /// The first thing that is lacking.
    pub fn check(&self, right: Right) -> Result<(), Lack> {
        if right.of_system && !self.is_system {
            return Err(Lack::System);
        }
        if self.role < right.role {
            return Err(Lack::Role(right.role));
        }
        if self.scopes.allow(right.scope) { Ok(()) } else { Err(Lack::Scope(right.scope)) }
    }
}

impl RequestContext {
    /// On top of what the way in asked for: some commands need more than others of their kind.
    ///
    /// # Errors
    /// `Forbidden` with the role that would do.
    pub fn require(&self, role: Role) -> Result<(), AppError> {
        if self.principal.role >= role { Ok(()) } else { Err(Lack::Role(role).into()) }
    }

    /// Who acts, for the audit.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let Principal { key, user, role, .. } = &self.principal;
        Actor::holding(*key, *user, *role)
    }

    /// Who acts, in one word for events.
    #[must_use]
    pub fn actor_name(&self) -> &str {
        &self.principal.name
    }

    /// What to remember of this request, given what it will answer with.
    #[must_use]
    pub fn remembered(
        &self,
        subject: &Subject<'_>,
        now: Timestamp,
    ) -> Option<super::ports::changes::Remembered> {
        let repeat = self.repeat.as_ref()?;
        let Rendered { status, headers, body } = (repeat.render)(subject);
        Some(super::ports::changes::Remembered {
            key: repeat.key,
            fingerprint: repeat.fingerprint,
            status,
            headers,
            body,
            expires_at: now.after(std::time::Duration::from_hours(24)),
        })
    }
}
