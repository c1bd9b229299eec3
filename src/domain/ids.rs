//! Identities as types: an id of one kind cannot stand where another is meant.
//!
//! Invariant: ids are `UUIDv7`, so that the order of keys is the order of creation; the only fixed
//! one is the bootstrap tenant's.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an id made by the `Ids` port or read from the store.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// Reads the hyphenated lower- or upper-case form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
            }

            /// The sixteen bytes in key order.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that these sixteen bytes are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The plain UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.as_hyphenated().fmt(formatter)
            }
        }
    };
}

id!(/// A tenant: the wall that nothing crosses.
    TenantId);
id!(/// A session.
    SessionId);
id!(/// An agent of the registry.
    AgentId);
id!(/// An attention item.
    AttentionId);
id!(/// A checkpoint.
    CheckpointId);
id!(/// An API key.
    KeyId);
id!(/// Somebody who works with the product.
    UserId);
id!(/// A stored event.
    EventId);
id!(/// An entry of the audit.
    AuditId);
id!(/// A task of a work breakdown.
    TaskId);
id!(/// A dependency of one task on another.
    DependencyId);
id!(/// Room at an agent that is held for work to come.
    ReservationId);
id!(/// A webhook.
    WebhookId);
id!(/// A message to a webhook.
    DeliveryId);
id!(/// A record of what was used.
    UsageId);
id!(/// Shared memory of sessions, tasks and agents.
    ContextId);
id!(/// One hold of a lock, from its grant to its end.
    LockId);

impl TenantId {
    /// The tenant `default`, made at first start.
    pub const BOOTSTRAP: Self = Self(Uuid::from_u128(1));
    /// No tenant: the server's own events have a sequence of their own under this.
    pub const SYSTEM: Self = Self(Uuid::nil());
}
