//! A tenant and an entry of its audit, with something in every field.

use super::*;

pub(super) fn tenant() -> Tenant {
    let hold = |held, reason| Hold { held, reason, since: at(3), by: "ann".to_owned() };
    let holds = vec![
        hold(Held::Instance, None),
        hold(Held::Tenant, Some("the provider is down".to_owned())),
        hold(Held::Agent(AgentId::new(id(7))), None),
    ];
    let weight = Weight::from_hundredths(250).expect("a weight");
    let quotas = Quotas { monthly_budget_micros: Some(9_500_000), ..Quotas::default() };
    let retention = Retention { sessions_days: Some(7), ..Retention::default() };
    let mut tenant = Tenant { quotas, weight, retention, holds, ..Tenant::bootstrap(at(0)) };
    tenant.set_active(false, at(4));
    tenant
}

pub(super) fn audit() -> StoredAudit {
    StoredAudit {
        place: Place { tenant_id: TenantId::new(id(1)), seq: 4, id: AuditId::new(id(5)) },
        entry: AuditEntry {
            at: at(1),
            actor: Actor {
                kind: "user".to_owned(),
                id: "u".to_owned(),
                key: Some("k".to_owned()),
                role: Some("admin".to_owned()),
            },
            action: "pause".to_owned(),
            subject: Subject { kind: SubjectKind::Session, id: id(2) },
            ok: true,
            reason: Some("lunch".to_owned()),
            before: Some(json!("running")),
            after: Some(json!("paused")),
            request_id: Some("r".to_owned()),
        },
        prev_hash: "a".to_owned(),
        hash: "b".to_owned(),
    }
}
