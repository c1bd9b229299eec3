//! API keys: what a caller shows, and what is kept of it.
//!
//! Invariant: a secret is never stored; only its SHA-256 is.

use std::time::Duration;

use super::network::{Networks, Reach};
use super::scope::Scopes;
use super::user::{checked_email, folded};
use crate::closed_enum;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{KeyId, TenantId, UserId};
use crate::domain::text::is_unseen;
use crate::domain::time::Timestamp;

/// How long a key is accepted that names no end.
pub const LIFE: Duration = Duration::from_hours(90 * 24);
/// How long a browser stays signed in.
pub const BROWSER_LIFE: Duration = Duration::from_hours(12);
/// Longest time for which the secret before a rotation is accepted beside the new one.
pub const LONGEST_GRACE: Duration = Duration::from_hours(24);
/// Secrets of a key that are remembered, accepted or not.
const KEPT_SECRETS: usize = 50;
/// Characters of the secret by which people recognise a key.
const PREFIX: usize = 12;

closed_enum!(
    /// Levels of rights; a later member includes the earlier ones.
    Role {
        Viewer = "viewer",
        Member = "member",
        Lead = "lead",
        Admin = "admin",
    }
);

closed_enum!(
    /// What a secret opens.
    KeyKind {
        /// The API, until its end.
        Key = "key",
        /// The dashboard, in the browser that was signed in.
        Browser = "browser",
        /// Nothing but becoming a member, once.
        Invite = "invite",
        /// Nothing but registering one external agent, once.
        Enrolment = "enrolment",
        /// What one external agent says of itself and of its work. It has the id of the agent.
        Agent = "agent",
    }
);

/// Parts of the server, under whose names nobody acts.
const PARTS: [&str; 13] = [
    "administrator",
    "agent",
    "deadline",
    "dependencies",
    "dev",
    "orchestrator",
    "recovery",
    "reconciler",
    "retention",
    "scheduler",
    "supervisor",
    "system",
    "webhooks",
];

/// Who an invitation is for, and whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// Their e-mail address.
    pub email: String,
    /// What they are called, when that is known already.
    pub full_name: Option<String>,
    /// Who invited; nobody in particular in `--dev`.
    pub by: Option<Inviter>,
    /// When that ends which was shown for it. What comes of the invitation ends then, too.
    pub until: Option<Timestamp>,
}

impl Invited {
    /// Whether it is for this address, however it is capitalised.
    #[must_use]
    pub fn is_for(&self, email: &str) -> bool {
        folded(&self.email) == folded(email)
    }
}

/// Who invited somebody: they have to be there still when the invitation is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inviter {
    /// Where they are at home.
    pub home: TenantId,
    /// Which of both.
    pub who: InviterId,
}

/// A person, or a key of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviterId {
    /// Somebody, whichever of their keys they used.
    User(UserId),
    /// A program.
    Key(KeyId),
}

/// What a browser was signed in with; what it opened ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedBy {
    /// The key.
    pub key: KeyId,
    /// SHA-256 of the secret of it that was shown: a key that gets another secret leaves behind
    /// whatever the one before has opened.
    pub secret: [u8; 32],
}

/// What is kept of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// From then on it is refused; `None` while it is the newest.
    pub expires_at: Option<Timestamp>,
}

/// What is kept of an API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its identity.
    pub id: KeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it opens.
    pub kind: KeyKind,
    /// Who acts with it; `None` for a program of its own.
    pub user_id: Option<UserId>,
    /// What a browser was signed in with.
    pub opened_by: Option<OpenedBy>,
    /// For people, 1–100 characters.
    pub name: String,
    /// First twelve characters of the newest secret, by which people recognise it.
    pub prefix: String,
    /// The newest first. One older one at the most is still accepted; the others are kept so that
    /// nobody takes them for new.
    pub secrets: Vec<KeySecret>,
    /// Its rights.
    pub role: Role,
    /// It was made with all the rights of its holder, and has those of their role as that changes.
    /// Every other key keeps what it was made with, and is worth less while its holder has less.
    pub follows: bool,
    /// What it may be used for.
    pub scopes: Scopes,
    /// May act in every tenant, and must then name one.
    pub is_system: bool,
    /// From where it is accepted.
    pub networks: Networks,
    /// Who it is for, while it is an invitation.
    pub invited: Option<Invited>,
    /// Name of whoever made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it has its place among the keys that a tenant may have: browsers come and go without
    /// anybody's doing, and agents have a bound of their own.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !matches!(self.kind, KeyKind::Browser | KeyKind::Agent) && self.revoked_at.is_none()
    }

    /// Whether it is one that could have been made here, whoever says so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let rule = "is the name of a part of the server";
        errors.require(self.is_system || !is_reserved(&self.name), "/name", "reserved", rule);
        errors.length("/name", &self.name, 1, 100);
        let is_shown = is_presentable(&self.name) && is_presentable(&self.prefix);
        let rule = "must hold no control characters, nor must its prefix";
        errors.require(is_shown, "/name", "invalid", rule);
        let may = self.tenant_id == TenantId::BOOTSTRAP;
        let rule = "is for keys of the tenant default alone";
        errors.require(may || !self.is_system, "/is_system", "invalid", rule);
        let is_invited = self.invited.is_some() == (self.kind == KeyKind::Invite);
        errors.require(is_invited, "/invited", "invalid", "is for invitations, all of them");
        if let Some(invited) = &self.invited {
            checked_email(&invited.email, &mut errors);
        }
        let is_opened = self.opened_by.is_none() || self.kind == KeyKind::Browser;
        errors.require(is_opened, "/opened_by", "invalid", "is for browsers");
        errors.into_result(())
    }

    /// How far it reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach { until: self.expires_at, networks: self.networks.clone() }
    }

    /// How far whoever shows the secret with this hash reaches: one that was replaced ends earlier.
    #[must_use]
    pub fn reach_of(&self, hash: &[u8; 32]) -> Reach {
        let shown = self.secrets.iter().filter(|secret| secret.hash == *hash);
        let ends = shown.filter_map(|secret| secret.expires_at).chain(self.expires_at);
        Reach { until: ends.min(), ..self.reach() }
    }

    /// Since when it is of no use; `None` while it is, and for ever when it has no end.
    #[must_use]
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let expired = self.expires_at.filter(|end| *end <= now);
        [self.revoked_at, expired].into_iter().flatten().min()
    }

    /// Whether it is accepted at `now` from whoever shows the secret with this hash.
    #[must_use]
    pub fn accepts(&self, hash: &[u8; 32], now: Timestamp) -> bool {
        let is_over = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        let mut shown = self.secrets.iter().filter(|secret| secret.hash == *hash);
        self.revoked_at.is_none()
            && !is_over(self.expires_at)
            && shown.any(|secret| !is_over(secret.expires_at))
    }

    /// Another secret instead of the newest, which never arrived where it was to go: the one before, which is
    /// still shown there, keeps the time that it was promised. `false` when that is not what is shown.
    #[must_use]
    pub fn rotate_again(
        &mut self,
        secret: &str,
        (hash, shown): ([u8; 32], &[u8; 32]),
        now: Timestamp,
    ) -> bool {
        let is_before = self.secrets.get(1).is_some_and(|before| before.hash == *shown);
        if !is_before || !self.accepts(shown, now) {
            return false;
        }
        let lost = self.secrets.remove(0);
        self.secrets.insert(1, KeySecret { expires_at: Some(now), ..lost });
        self.secrets.insert(0, KeySecret { hash, expires_at: None });
        self.secrets.truncate(KEPT_SECRETS);
        self.prefix = prefix(secret);
        true
    }

    /// Another secret; the one before is accepted for a while, those before it no longer.
    pub fn rotate(&mut self, secret: &str, hash: [u8; 32], now: Timestamp, grace: Duration) {
        let mut end = now.after(grace.min(LONGEST_GRACE));
        for before in &mut self.secrets {
            before.expires_at = Some(before.expires_at.map_or(end, |known| known.min(end)));
            end = now;
        }
        self.secrets.insert(0, KeySecret { hash, expires_at: None });
        self.secrets.truncate(KEPT_SECRETS);
        self.prefix = prefix(secret);
    }
}

/// The beginning of a secret, by which people recognise it. Of one that was made elsewhere nothing is
/// shown: nobody knows how much of it is chance.
#[must_use]
pub fn prefix(secret: &str) -> String {
    if !secret.starts_with("io") || secret.as_bytes().get(3) != Some(&b'_') {
        return "(supplied)".to_owned();
    }
    secret.chars().take(PREFIX).collect()
}

/// The name of a key, without spaces round it.
pub fn checked_name(name: &str, errors: &mut FieldErrors) -> String {
    let name = name.trim();
    errors.length("/name", name, 1, 100);
    let rule = "must hold no control characters and no invisible ones";
    errors.require(is_presentable(name), "/name", "invalid", rule);
    let rule = "must hold no @: the addresses of people stand where names of keys do";
    errors.require(!name.contains('@'), "/name", "invalid", rule);
    let rule = "is the name of a part of the server; choose another one";
    errors.require(!is_reserved(name), "/name", "reserved", rule);
    name.to_owned()
}

/// Whether a part of the server acts under this name.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    PARTS.iter().any(|part| part.eq_ignore_ascii_case(name.trim()))
}

/// Whether a name can be shown as it is, and is what it looks like.
#[must_use]
pub fn is_presentable(name: &str) -> bool {
    !name.chars().any(is_unseen)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn key() -> ApiKey {
        ApiKey {
            id: KeyId::new(Uuid::nil()),
            tenant_id: TenantId::BOOTSTRAP,
            kind: KeyKind::Key,
            user_id: None,
            opened_by: None,
            name: "ci".to_owned(),
            prefix: prefix("iok_first-secret"),
            secrets: vec![KeySecret { hash: [1; 32], expires_at: None }],
            role: Role::Member,
            follows: false,
            scopes: Scopes::all(),
            is_system: false,
            networks: Networks::default(),
            invited: None,
            created_by: "ann".to_owned(),
            created_at: at(0),
            expires_at: Some(at(1000)),
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_is_accepted_until_its_end_or_its_revocation() {
        let mut key = key();
        assert!(key.accepts(&[1; 32], at(999)) && !key.accepts(&[1; 32], at(1000)));
        assert!(!key.accepts(&[2; 32], at(0)), "another secret");
        key.expires_at = None;
        assert!(key.accepts(&[1; 32], at(1_000_000)));
        key.revoked_at = Some(at(5));
        assert!(!key.accepts(&[1; 32], at(5)));
    }

    #[test]
    fn names_are_no_parts_of_the_server_and_can_be_shown() {
        let wrong = |name: &str| {
            let mut errors = FieldErrors::default();
            checked_name(name, &mut errors);
            errors.into_result(()).is_err()
        };
        for name in ["scheduler", " Supervisor ", "DEV", "a\u{1b}[2J", "a\u{202e}b", "a\nb", ""] {
            assert!(wrong(name), "{name:?}");
        }
        assert!(!wrong("scheduler of ann") && !wrong("Ünï ci-7"));
    }

    #[test]
    fn a_secret_that_was_replaced_reaches_no_further_than_its_grace() {
        let mut key = ApiKey { expires_at: None, ..key() };
        assert_eq!(key.reach_of(&[1; 32]).until, None);
        key.rotate("iok_second-secret", [2; 32], at(10), Duration::from_mins(1));
        assert_eq!(key.reach_of(&[1; 32]).until, Some(at(70)));
        assert_eq!(key.reach_of(&[2; 32]).until, None);
        key.expires_at = Some(at(50));
        assert_eq!(key.reach_of(&[1; 32]).until, Some(at(50)));
    }

    #[test]
    fn a_secret_that_never_arrived_costs_the_one_before_nothing() {
        let mut key = ApiKey { expires_at: None, ..key() };
        let (first, second, third) = ([1; 32], [2; 32], [3; 32]);
        assert!(!key.rotate_again("iok_second-secret", (second, &first), at(10)), "the newest");
        key.rotate("iok_second-secret", second, at(10), Duration::from_mins(5));
        assert!(key.rotate_again("iok_third-secret", (third, &first), at(20)));
        assert!(key.accepts(&third, at(900)) && key.accepts(&first, at(309)));
        assert!(!key.accepts(&first, at(310)) && !key.accepts(&second, at(20)));
        assert_eq!(key.secrets[1].hash, first, "the one before");
        assert!(key.rotate_again("iok_fourth-secret", ([4; 32], &first), at(30)), "again");
        assert!(!key.rotate_again("iok_fifth-secret", ([5; 32], &first), at(310)), "too late");
    }

    #[test]
    fn two_secrets_are_accepted_for_a_day_at_the_most() {
        let mut key = key();
        key.expires_at = None;
        key.rotate("iok_second-secret", [2; 32], at(10), Duration::from_mins(1));
        assert_eq!(key.prefix, "iok_second-s");
        assert!(key.accepts(&[2; 32], at(10)) && key.accepts(&[1; 32], at(69)));
        assert!(!key.accepts(&[1; 32], at(70)));
        // A third one leaves no more than two.
        key.rotate("iok_third-secret", [3; 32], at(20), Duration::from_hours(1000));
        assert!(!key.accepts(&[1; 32], at(20)), "two at the most");
        assert!(key.accepts(&[2; 32], at(20 + 86_399)) && !key.accepts(&[2; 32], at(20 + 86_400)));
        assert!(key.accepts(&[3; 32], at(1_000_000)));
        assert_eq!(key.secrets.len(), 3, "known, so that nobody admits the first one anew");
        // Without grace, the one before ends at once.
        key.rotate("iok_fourth-secret", [4; 32], at(30), Duration::ZERO);
        assert!(!key.accepts(&[3; 32], at(30)) && key.accepts(&[4; 32], at(30)));
    }
}
