//! People who work with the product.
//!
//! Invariant: within a tenant an e-mail address stands for one person, however it is capitalised.
//! Only a person of the first tenant may administrate the system, and only as its administrator.

use super::key::{Role, is_presentable};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{TenantId, UserId};
use crate::domain::time::Timestamp;

/// Most people of a tenant.
pub const MOST: u64 = 10_000;
/// Longest e-mail address.
// Source: RFC 5321 §4.5.3.1.3, less the brackets of a path.
const LONGEST_EMAIL: usize = 254;

/// Who somebody is to an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderIdentity {
    /// The provider, by its address.
    pub issuer: String,
    /// Its name for them, which it never gives to anybody else.
    pub subject: String,
}

/// Somebody who works with the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their identity.
    pub id: UserId,
    /// Whose they are.
    pub tenant_id: TenantId,
    /// As they write it; unique within the tenant, without case.
    pub email: String,
    /// For people, 1–200 characters.
    pub full_name: String,
    /// The most that their keys may do.
    pub role: Role,
    /// Whether their keys are accepted.
    pub is_active: bool,
    /// May act in every tenant.
    pub is_system_admin: bool,
    /// Who they are to an identity provider, once they have signed in through one.
    pub identity: Option<ProviderIdentity>,
    /// Who let them in.
    pub created_by: String,
    /// When they came.
    pub created_at: Timestamp,
}

/// Somebody who is to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDraft {
    /// An e-mail address.
    pub email: String,
    /// For people, 1–200 characters.
    pub full_name: String,
    /// The most that their keys may do.
    pub role: Role,
    /// May act in every tenant.
    pub is_system_admin: bool,
}

/// What is to become different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of a user")]
pub struct UserPatch {
    pub email: Option<String>,
    pub full_name: Option<String>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
    pub is_system_admin: Option<bool>,
    /// The identity provider's name for them is forgotten: they may come by another one.
    pub forgets_identity: bool,
}

impl User {
    /// Somebody new.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn accept(
        draft: &UserDraft,
        (id, tenant_id): (UserId, TenantId),
        created_by: &str,
        now: Timestamp,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let user = Self {
            id,
            tenant_id,
            email: checked_email(&draft.email, &mut errors),
            full_name: checked_full_name(&draft.full_name, &mut errors),
            role: draft.role,
            is_active: true,
            is_system_admin: draft.is_system_admin,
            identity: None,
            created_by: created_by.to_owned(),
            created_at: now,
        };
        user.check_system(&mut errors);
        errors.into_result(user)
    }

    /// The same person, changed.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn changed(&self, patch: &UserPatch) -> Result<Self, Vec<FieldError>> {
        let (mut user, mut errors) = (self.clone(), FieldErrors::default());
        if let Some(email) = &patch.email {
            user.email = checked_email(email, &mut errors);
        }
        if let Some(name) = &patch.full_name {
            user.full_name = checked_full_name(name, &mut errors);
        }
        user.role = patch.role.unwrap_or(user.role);
        user.is_active = patch.is_active.unwrap_or(user.is_active);
        user.is_system_admin = patch.is_system_admin.unwrap_or(user.is_system_admin);
        if patch.forgets_identity {
            user.identity = None;
        }
        user.check_system(&mut errors);
        errors.into_result(user)
    }

    /// Whether it is somebody who could have been let in here, whoever says so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        checked_email(&self.email, &mut errors);
        checked_full_name(&self.full_name, &mut errors);
        self.check_system(&mut errors);
        errors.into_result(())
    }

    fn check_system(&self, errors: &mut FieldErrors) {
        let may = self.tenant_id == TenantId::BOOTSTRAP && self.role == Role::Admin;
        let rule = "is for administrators of the tenant default alone";
        errors.require(may || !self.is_system_admin, "/is_system_admin", "invalid", rule);
    }

    /// Whether they can do what administrators of their tenant do.
    #[must_use]
    pub fn administrates(&self) -> bool {
        self.is_active && self.role == Role::Admin
    }

    /// What they are found by.
    #[must_use]
    pub fn folded_email(&self) -> String {
        folded(&self.email)
    }
}

/// An address without case.
#[must_use]
pub fn folded(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

/// An e-mail address, without spaces round it.
pub fn checked_email(email: &str, errors: &mut FieldErrors) -> String {
    let email = email.trim();
    let rule = "must be an e-mail address such as ann@example.org";
    errors.require(is_email(email), "/email", "invalid", rule);
    email.to_owned()
}

/// What somebody is called, without spaces round it.
pub fn checked_full_name(name: &str, errors: &mut FieldErrors) -> String {
    let name = name.trim();
    errors.length("/full_name", name, 1, 200);
    let rule = "must hold no control characters";
    errors.require(is_presentable(name), "/full_name", "invalid", rule);
    name.to_owned()
}

/// Whether a text has the form of an e-mail address.
// Source: the definition of a valid e-mail address in the HTML standard, and the lengths of RFC 5321.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let of_local =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let is_label = |label: &str| {
        let of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(of_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= LONGEST_EMAIL
        && (1..=64).contains(&local.len())
        && local.bytes().all(of_local)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn made(email: &str, name: &str, role: Role, system: bool) -> Result<User, Vec<FieldError>> {
        let (email, full_name) = (email.to_owned(), name.to_owned());
        let draft = UserDraft { email, full_name, role, is_system_admin: system };
        let ids = (UserId::new(Uuid::from_u128(1)), TenantId::BOOTSTRAP);
        User::accept(&draft, ids, "ann", Timestamp::EPOCH)
    }

    #[test]
    fn addresses_have_the_form_of_addresses() {
        for email in ["ann@example.org", " Ann.O'Hara+x@sub.example.org ", "a@localhost"] {
            let user = made(email, "Ann", Role::Member, false).expect("valid");
            assert_eq!(user.folded_email(), email.trim().to_lowercase());
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for email in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@@example.org",
            "a b@example.org",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@-b.c",
            "a@b-.c",
            "a@b..c",
            "a@b.c.",
            "a\u{0}@b.c",
            "ä@b.c",
            "a@b_c.d",
            &long,
        ] {
            let errors = made(email, "Ann", Role::Member, false).expect_err("refused");
            assert_eq!(errors[0].pointer, "/email", "{email:?}");
        }
    }

    #[test]
    fn names_are_for_people_to_read() {
        for name in ["", " ", "a\u{7}b", "a\nb", "a\u{202e}b", &"n".repeat(201)] {
            let errors = made("a@b.c", name, Role::Member, false).expect_err("refused");
            assert_eq!(errors[0].pointer, "/full_name", "{name:?}");
        }
        assert_eq!(made("a@b.c", " Ånn Ö ", Role::Lead, false).expect("valid").full_name, "Ånn Ö");
    }

    #[test]
    fn the_system_is_for_administrators_of_the_first_tenant() {
        let user = made("a@b.c", "Ann", Role::Admin, true).expect("valid");
        let errors = made("a@b.c", "Ann", Role::Lead, true).expect_err("refused");
        assert_eq!(errors[0].pointer, "/is_system_admin");
        let patch = UserPatch { role: Some(Role::Lead), ..UserPatch::default() };
        assert_eq!(user.changed(&patch).expect_err("refused")[0].pointer, "/is_system_admin");
        let patch = UserPatch { is_system_admin: Some(false), ..patch };
        let lead = user.changed(&patch).expect("valid");
        assert!(!lead.administrates() && user.administrates());
        let elsewhere = User { tenant_id: TenantId::new(Uuid::from_u128(9)), ..user };
        assert!(elsewhere.changed(&UserPatch::default()).is_err());
    }
}
