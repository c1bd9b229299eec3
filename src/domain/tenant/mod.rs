//! Tenants and the keys that act for them.

pub mod joining;
pub mod key;
pub mod network;
pub mod quotas;
pub mod registration;
pub mod retention;
pub mod right;
pub mod scope;
pub mod user;
pub mod weight;

use self::joining::JoinMode;
use self::quotas::{QuotaName, Quotas};
use self::registration::RegistrationMode;
use self::retention::{Retention, RetentionName};
use self::weight::Weight;
use super::field::{FieldError, FieldErrors};
use super::ids::TenantId;
use super::schedule::hold::Hold;
use super::time::Timestamp;

/// A tenant: the wall that nothing crosses.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its identity.
    pub id: TenantId,
    /// Unique short name: lower-case letters, digits and `-`.
    pub slug: String,
    /// For people, 2–100 characters.
    pub name: String,
    /// An inactive tenant does not exist for anybody.
    pub is_active: bool,
    /// Since when it is inactive; `None` while it is active.
    pub inactive_since: Option<Timestamp>,
    /// How much it may have.
    pub quotas: Quotas,
    /// Its share of the instance, compared with other tenants.
    pub weight: Weight,
    /// How people come to it.
    pub joining: JoinMode,
    /// How external agents come to it.
    pub registration: RegistrationMode,
    /// What it has gone earlier than the server would.
    pub retention: Retention,
    /// What nothing new is given to.
    pub holds: Vec<Hold>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to become a tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TenantDraft {
    /// Unique short name: 1–100 lower-case letters, digits and `-`.
    pub slug: String,
    /// For people, 2–100 characters; the slug when omitted.
    pub name: Option<String>,
    /// Its share of the instance, 0.1–100.
    pub weight: Option<f64>,
    /// How people come to it; by invitation when omitted.
    pub joining: Option<JoinMode>,
    /// How external agents come to it; with a key when omitted.
    pub registration: Option<RegistrationMode>,
    /// What goes earlier than the server would have it.
    pub retention: Vec<(RetentionName, Option<u32>)>,
    /// Bounds that differ from those of every new tenant.
    pub quotas: Vec<(QuotaName, Option<u64>)>,
}

impl TenantDraft {
    /// The tenant, on a server that keeps things for so long.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn accept(
        self,
        id: TenantId,
        now: Timestamp,
        kept: &Retention,
    ) -> Result<Tenant, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        check_slug(&self.slug, &mut errors);
        let name = checked_name(self.name.as_deref().unwrap_or(&self.slug), &mut errors);
        let weight = checked_weight(self.weight, &mut errors).unwrap_or(Weight::DEFAULT);
        let retention = Retention::default().with(&self.retention, kept, &mut errors);
        let quotas = match Quotas::default().with(&self.quotas) {
            Ok((quotas, _)) => quotas,
            Err(wrong) => {
                for FieldError { pointer, code, message } in wrong {
                    errors.add(format!("/quotas{pointer}"), code, message);
                }
                Quotas::default()
            }
        };
        let usual = Tenant::bootstrap(now);
        errors.into_result(Tenant {
            id,
            slug: self.slug,
            name,
            quotas,
            weight,
            joining: self.joining.unwrap_or(usual.joining),
            registration: self.registration.unwrap_or(usual.registration),
            retention,
            ..usual
        })
    }
}

/// 1–100 lower-case letters, digits and `-`.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

/// A tenant is found by its slug or by its id: no slug can be the id of another one.
fn check_slug(slug: &str, errors: &mut FieldErrors) {
    if !is_slug(slug) {
        let rule = "must be 1 to 100 lower-case letters, digits and -";
        errors.add("/slug", "invalid", rule);
    } else if TenantId::parse(slug).is_some() {
        errors.add("/slug", "invalid", "must not look like the id of a tenant");
    }
}

/// The name of a tenant, without spaces round it.
pub fn checked_name(name: &str, errors: &mut FieldErrors) -> String {
    let name = name.trim();
    errors.length("/name", name, 2, 100);
    name.to_owned()
}

/// The share of a tenant.
pub fn checked_weight(weight: Option<f64>, errors: &mut FieldErrors) -> Option<Weight> {
    let parsed = Weight::parse(weight?);
    if parsed.is_none() {
        errors.add("/settings/weight", "out_of_range", "must be 0.1 to 100");
    }
    parsed
}

impl Tenant {
    /// Switches it on or off; what it is already, it is since the same moment.
    pub fn set_active(&mut self, is_active: bool, now: Timestamp) {
        let since = self.inactive_since.or(Some(now));
        self.inactive_since = since.filter(|_| !is_active);
        self.is_active = is_active;
    }

    /// Whether it is one that could have been made here, whoever says so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        check_slug(&self.slug, &mut errors);
        checked_name(&self.name, &mut errors);
        let rule = "is that of the server itself";
        errors.require(self.id != TenantId::SYSTEM, "/id", "invalid", rule);
        errors.into_result(())
    }

    /// The tenant that is there from the first start.
    #[must_use]
    pub fn bootstrap(now: Timestamp) -> Self {
        Self {
            id: TenantId::BOOTSTRAP,
            slug: "default".to_owned(),
            name: "Default".to_owned(),
            is_active: true,
            inactive_since: None,
            quotas: Quotas::default(),
            weight: Weight::DEFAULT,
            joining: JoinMode::Invite,
            registration: RegistrationMode::Key,
            retention: Retention::default(),
            holds: Vec::new(),
            created_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_inactive_since_it_was_switched_off() {
        let at = Timestamp::from_millis;
        let mut tenant = Tenant::bootstrap(at(1));
        for (is_active, now, since) in [
            (true, 2, None),
            (false, 3, Some(at(3))),
            (false, 4, Some(at(3))),
            (true, 5, None),
            (false, 6, Some(at(6))),
        ] {
            tenant.set_active(is_active, at(now));
            assert_eq!((tenant.is_active, tenant.inactive_since), (is_active, since), "{now}");
        }
    }
}
