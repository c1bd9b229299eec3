//! Somebody who may do everything.

use orchestrator::application::principal::{Principal, RequestContext};
use orchestrator::domain::ids::{KeyId, TenantId};
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::network::Reach;
use orchestrator::domain::tenant::scope::Scopes;
use uuid::Uuid;

/// The administrator of a tenant.
pub(crate) fn caller(tenant: TenantId, request: &str) -> RequestContext {
    RequestContext {
        tenant,
        principal: Principal {
            user: None,
            agent: None,
            home: None,
            reach: Reach::default(),
            key: KeyId::new(Uuid::from_u128(1)),
            name: "ann".to_owned(),
            role: Role::Admin,
            scopes: Scopes::all(),
            is_system: true,
            credential: None,
        },
        request_id: request.to_owned(),
        if_match: None,
        repeat: None,
    }
}
