//! People on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{TenantId, UserId};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::user::{User, UserDraft, UserPatch};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::presentation::api::fields::{Fields, FromFields};

/// Somebody who works with the product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserDto {
    /// Their identity.
    pub id: UserId,
    /// Whose they are.
    pub tenant_id: TenantId,
    /// Unique within the tenant, without case.
    pub email: String,
    /// For people.
    pub full_name: String,
    /// The most that their keys may do.
    pub role: Role,
    /// Whether their keys are accepted.
    pub is_active: bool,
    /// May act in every tenant.
    pub is_system_admin: bool,
    /// The identity provider that they sign in through, by its address.
    pub identity_provider: Option<String>,
    /// Who let them in.
    pub created_by: String,
    /// When they came.
    pub created_at: Timestamp,
    /// Counts the accepted changes.
    pub revision: u64,
}

impl From<&Versioned<User>> for UserDto {
    fn from(found: &Versioned<User>) -> Self {
        let User {
            id,
            tenant_id,
            email,
            full_name,
            role,
            is_active,
            is_system_admin,
            identity,
            created_by,
            created_at,
        } = found.value.clone();
        let revision = found.version.get();
        Self {
            id,
            tenant_id,
            email,
            full_name,
            role,
            is_active,
            is_system_admin,
            identity_provider: identity.map(|identity| identity.issuer),
            created_by,
            created_at,
            revision,
        }
    }
}

/// Somebody to be let in, without a key.
#[derive(Debug, ToSchema)]
#[schema(as = CreateUser, example = json!({ "email": "ann@example.org", "full_name": "Ann Other" }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct CreateUserBody {
    #[schema(max_length = 254)]
    pub email: String,
    #[schema(min_length = 1, max_length = 200)]
    pub full_name: String,
    /// `member` when omitted.
    pub role: Option<Role>,
    /// For system administrators alone; false when omitted.
    pub is_system_admin: Option<bool>,
}

/// The body of `POST /users`, read.
pub struct CreateUser(pub UserDraft);

impl FromFields for CreateUser {
    fn read(fields: &mut Fields) -> Self {
        Self(UserDraft {
            email: fields.required_text("email"),
            full_name: fields.required_text("full_name"),
            role: fields.word("role").unwrap_or(Role::Member),
            is_system_admin: fields.flag("is_system_admin").unwrap_or(false),
        })
    }
}

/// What is to become different; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchUser, example = json!({ "role": "lead" }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct PatchUserBody {
    #[schema(max_length = 254)]
    pub email: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    pub full_name: Option<String>,
    pub role: Option<Role>,
    /// False revokes all keys of theirs.
    pub is_active: Option<bool>,
    /// For system administrators alone.
    pub is_system_admin: Option<bool>,
    /// Only null: whoever has their address may sign in through the provider anew.
    #[schema(max_length = 0)]
    pub identity_provider: Option<String>,
}

/// The body of `PATCH /users/{id}`, read.
pub struct PatchUser(pub UserPatch);

impl FromFields for PatchUser {
    fn read(fields: &mut Fields) -> Self {
        Self(UserPatch {
            email: fields.text("email"),
            full_name: fields.text("full_name"),
            role: fields.word("role"),
            is_active: fields.flag("is_active"),
            is_system_admin: fields.flag("is_system_admin"),
            forgets_identity: forgets(fields),
        })
    }
}

/// Whether the tie to an identity provider is to go; nobody makes one by hand.
fn forgets(fields: &mut Fields) -> bool {
    let given = fields.nullable("identity_provider", |fields, name| {
        fields.take(name)?;
        fields.wrong(name, "read_only", "can only be set to null");
        Some(())
    });
    given == Some(None)
}
