//! How people come to a tenant.

use crate::closed_enum;

closed_enum!(
    /// How people come to a tenant.
    JoinMode {
        /// By an invitation, or made by its administrators.
        Invite = "invite",
        /// Also by signing in through the identity provider of the server, when their address is of a
        /// domain that the settings name.
        IdentityProvider = "identity_provider",
    }
);
