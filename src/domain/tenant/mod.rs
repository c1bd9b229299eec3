//! Tenants and the keys that act for them.

pub mod key;
pub mod network;
pub mod quotas;
pub mod right;
pub mod scope;
pub mod user;
pub mod weight;

use self::quotas::{QuotaName, Quotas};
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
    /// How much it may have.
    pub quotas: Quotas,
    /// Its share of the instance, compared with other tenants.
    pub weight: Weight,
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
    /// Bounds that differ from those of every new tenant.
    pub quotas: Vec<(QuotaName, Option<u64>)>,
}

impl TenantDraft {
    /// The tenant.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn accept(self, id: TenantId, now: Timestamp) -> Result<Tenant, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        if !is_slug(&self.slug) {
            let rule = "must be 1 to 100 lower-case letters, digits and -";
            errors.add("/slug", "invalid", rule);
        } else if TenantId::parse(&self.slug).is_some() {
            errors.add("/slug", "invalid", "must not look like the id of a tenant");
        }
        let name = checked_name(self.name.as_deref().unwrap_or(&self.slug), &mut errors);
        let weight = checked_weight(self.weight, &mut errors).unwrap_or(Weight::DEFAULT);
        let quotas = match Quotas::default().with(&self.quotas) {
            Ok((quotas, _)) => quotas,
            Err(wrong) => {
                for FieldError { pointer, code, message } in wrong {
                    errors.add(format!("/quotas{pointer}"), code, message);
                }
                Quotas::default()
            }
        };
        let holds = Vec::new();
        let (slug, is_active, created_at) = (self.slug, true, now);
        errors.into_result(Tenant { id, slug, name, is_active, quotas, weight, holds, created_at })
    }
}

/// 1–100 lower-case letters, digits and `-`.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
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
    /// The tenant that is there from the first start.
    #[must_use]
    pub fn bootstrap(now: Timestamp) -> Self {
        Self {
            id: TenantId::BOOTSTRAP,
            slug: "default".to_owned(),
            name: "Default".to_owned(),
            is_active: true,
            quotas: Quotas::default(),
            weight: Weight::DEFAULT,
            holds: Vec::new(),
            created_at: now,
        }
    }
}
