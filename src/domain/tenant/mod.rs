//! Tenants and the keys that act for them.

pub mod key;
pub mod quotas;
pub mod weight;

use self::quotas::Quotas;
use self::weight::Weight;
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
