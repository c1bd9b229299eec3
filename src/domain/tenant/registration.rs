//! How external agents come to a tenant.

use crate::closed_enum;

closed_enum!(
    /// How external agents come to a tenant.
    RegistrationMode {
        /// With a key of a member, one for registering agents, or an enrolment token.
        Key = "key",
        /// With the same; a lead lets each of them in.
        Approval = "approval",
        /// Without anything, from the machine of the server itself.
        Open = "open",
    }
);
