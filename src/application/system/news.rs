//! What the server tells of itself: events that belong to no tenant, in a sequence of their own.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::store::Store;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// Something that the server tells of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    event_type: EventType,
    payload: Value,
}

/// It began to serve.
#[must_use]
pub fn started(version: &str, store: &str) -> News {
    let payload = json!({ "version": version, "store": store });
    News { event_type: EventType::SystemStarted, payload }
}

/// It ends.
#[must_use]
pub fn stopping(reason: &str) -> News {
    News { event_type: EventType::SystemStopping, payload: json!({ "reason": reason }) }
}

/// It took up what was open.
#[must_use]
pub fn recovered(counts: &Value) -> News {
    News { event_type: EventType::SystemRecovered, payload: counts.clone() }
}

/// A part of it is not as it was.
#[must_use]
pub fn health_changed(component: &str, old: &str, new: &str, details: &Value) -> News {
    let payload = json!({ "component": component, "old": old, "new": new, "details": details });
    News { event_type: EventType::SystemHealthChanged, payload }
}

/// Something that people should look at; it goes on.
#[must_use]
pub fn alert(code: &str, message: &str, details: &Value) -> News {
    let payload =
        json!({ "severity": "warning", "code": code, "message": message, "details": details });
    News { event_type: EventType::SystemAlert, payload }
}

/// Tells it, durably.
///
/// # Errors
/// The store's.
pub async fn tell(store: &dyn Store, now: Timestamp, news: News) -> Result<(), AppError> {
    let subject = Subject { kind: SubjectKind::System, id: Uuid::nil() };
    let event = DomainEvent::new(news.event_type, subject, now, news.payload);
    store.commit(ChangeSet::new(TenantId::SYSTEM).events([event])).await?;
    Ok(())
}
