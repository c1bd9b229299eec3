//! Invitations on the wire.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::key::KeyDto;
use super::user::UserDto;
use crate::application::identity::invites::{InviteView, Joined, NewInvite};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, Invited, Role};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::presentation::api::fields::{Fields, FromFields};
use crate::presentation::api::tenants::TenantDto;

/// An invitation to become a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invite)]
pub struct InviteDto {
    /// Its identity.
    pub id: KeyId,
    /// Into which tenant.
    pub tenant_id: TenantId,
    /// Who is to come.
    pub email: String,
    /// What they are called, when that is known.
    pub full_name: Option<String>,
    /// What they will be.
    pub role: Role,
    /// What their first key may be used for.
    #[schema(example = json!(["*"]))]
    pub scopes: Vec<String>,
    /// The secret itself, `iok_…`. Only in the answer to creation; a repetition does not show it again.
    pub token: Option<String>,
    /// Where a browser takes it. Only in the answer to creation.
    #[schema(example = "https://orchestrator.example.org/login#invite=iok_…")]
    pub link: Option<String>,
    /// Who invited.
    pub created_by: String,
    /// When they did.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Counts the accepted changes.
    pub revision: u64,
}

impl From<&Versioned<ApiKey>> for InviteDto {
    fn from(found: &Versioned<ApiKey>) -> Self {
        let ApiKey {
            id,
            tenant_id,
            kind: _,
            opened_by: _,
            user_id: _,
            name: _,
            prefix: _,
            secrets: _,
            role,
            follows: _,
            scopes,
            is_system: _,
            networks: _,
            invited,
            created_by,
            created_at,
            expires_at,
            revoked_at: _,
        } = found.value.clone();
        let (email, full_name) = match invited {
            Some(Invited { email, full_name, by: _, until: _ }) => (email, full_name),
            None => (String::new(), None),
        };
        Self {
            id,
            tenant_id,
            email,
            full_name,
            role,
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            token: None,
            link: None,
            created_by,
            created_at,
            expires_at,
            revision: found.version.get(),
        }
    }
}

impl From<&InviteView> for InviteDto {
    fn from(view: &InviteView) -> Self {
        let (token, link) = (view.secret.clone(), view.link.clone());
        Self { token, link, ..Self::from(&view.invite) }
    }
}

/// Somebody to be invited.
#[derive(Debug, ToSchema)]
#[schema(as = CreateInvite, example = json!({ "email": "ann@example.org", "role": "member" }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct CreateInviteBody {
    #[schema(max_length = 254)]
    pub email: String,
    #[schema(min_length = 1, max_length = 200)]
    pub full_name: Option<String>,
    /// `member` when omitted.
    pub role: Option<Role>,
    /// How many seconds it is good; seven days when omitted.
    #[schema(minimum = 60, maximum = 2_592_000, default = 604_800)]
    pub expires_in: Option<u32>,
}

/// The body of `POST /invites`, read.
pub struct CreateInvite(pub NewInvite);

impl FromFields for CreateInvite {
    fn read(fields: &mut Fields) -> Self {
        let seconds: Option<u32> = fields.integer("expires_in");
        Self(NewInvite {
            email: fields.required_text("email"),
            full_name: fields.text("full_name"),
            role: fields.word("role").unwrap_or(Role::Member),
            time: seconds.map(|seconds| Duration::from_secs(u64::from(seconds))),
        })
    }
}

/// An invitation that is accepted.
#[derive(Debug, ToSchema)]
#[schema(as = AcceptInvite, example = json!({ "token": "iok_…", "full_name": "Ann Other" }))]
pub struct AcceptInviteBody {
    /// The secret of the invitation.
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
    /// What you are called; as the invitation says when omitted.
    #[schema(min_length = 1, max_length = 200)]
    pub full_name: Option<String>,
}

/// The body of `POST /invites/accept`, read.
pub struct AcceptInvite {
    /// The secret of the invitation.
    pub token: String,
    /// What they are called.
    pub full_name: Option<String>,
}

impl FromFields for AcceptInvite {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("token") {
            fields.require_one("token", "is required");
        }
        let token = fields.bounded_text("token", 1, 200).unwrap_or_default();
        Self { token, full_name: fields.text("full_name") }
    }
}

/// Somebody who came, with their first key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Joined)]
pub struct JoinedDto {
    /// Them.
    pub user: UserDto,
    /// Their key; `secret` is shown once.
    pub key: KeyDto,
    /// Where they are now.
    pub tenant: TenantDto,
}

impl From<&Joined> for JoinedDto {
    fn from(joined: &Joined) -> Self {
        let Joined { user, key, tenant } = joined;
        Self { user: user.into(), key: key.into(), tenant: tenant.as_ref().into() }
    }
}
