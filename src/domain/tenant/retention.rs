//! How long a tenant has its things kept, where that is shorter than the server keeps them.
//!
//! Invariant: nothing is kept longer than the server says, since it is the server's disk; and the
//! audit is none of this, since whom it is about must not be able to wipe it.

use crate::closed_enum;
use crate::domain::field::FieldErrors;

closed_enum!(
    /// What a tenant may have gone earlier.
    RetentionName {
        Sessions = "sessions_days",
        DeletedSessions = "deleted_sessions_days",
        Events = "events_days",
    }
);

/// The longest that can be said; what is to stay longer is kept for ever.
const LONGEST: u32 = 36_500;

/// Days after which things go; `None` is as the server says, and to the server itself for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Sessions after their end, until they are deleted.
    pub sessions_days: Option<u32>,
    /// Deleted sessions, until they are gone for good.
    pub deleted_sessions_days: Option<u32>,
    /// Events.
    pub events_days: Option<u32>,
}

impl Retention {
    /// The days of one thing.
    #[must_use]
    pub const fn get(&self, name: RetentionName) -> Option<u32> {
        match name {
            RetentionName::Sessions => self.sessions_days,
            RetentionName::DeletedSessions => self.deleted_sessions_days,
            RetentionName::Events => self.events_days,
        }
    }

    /// With some of them replaced; none may be longer than `most`.
    #[must_use]
    pub fn with(
        mut self,
        wanted: &[(RetentionName, Option<u32>)],
        most: &Self,
        errors: &mut FieldErrors,
    ) -> Self {
        for (name, days) in wanted {
            let longest = most.get(*name).unwrap_or(LONGEST);
            if days.is_some_and(|days| !(1..=longest).contains(&days)) {
                let rule = format!(
                    "must be 1 to {longest} days, as long as the server keeps them, or null for that"
                );
                errors.add(format!("/settings/retention/{name}"), "out_of_range", rule);
                continue;
            }
            match name {
                RetentionName::Sessions => self.sessions_days = *days,
                RetentionName::DeletedSessions => self.deleted_sessions_days = *days,
                RetentionName::Events => self.events_days = *days,
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_keeps_less_than_the_server_and_never_more() {
        let server = Retention { sessions_days: Some(30), ..Retention::default() };
        let with = |wanted: &[(RetentionName, Option<u32>)]| {
            let mut errors = FieldErrors::default();
            let made = Retention::default().with(wanted, &server, &mut errors);
            errors.into_result(made)
        };
        let (sessions, events) = (RetentionName::Sessions, RetentionName::Events);
        let made = with(&[(sessions, Some(30)), (events, Some(LONGEST))]).expect("valid");
        assert_eq!((made.sessions_days, made.events_days), (Some(30), Some(LONGEST)));
        assert_eq!(with(&[(sessions, None)]).expect("valid"), Retention::default());
        let wrong = [(sessions, Some(31)), (events, Some(0))];
        let errors = with(&wrong).expect_err("both are wrong");
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = ["/settings/retention/sessions_days", "/settings/retention/events_days"];
        assert_eq!(pointers, expected);
    }
}
