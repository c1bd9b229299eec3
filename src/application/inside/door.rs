//! How agents come in: where, and with which token.
//!
//! Invariant: a token is stored nowhere. It follows from the server's key and the attempt that it is for, so
//! that it is known again after a restart, and is worth nothing once the attempt has ended.

use std::sync::Arc;

use uuid::Uuid;

use crate::application::ports::driver::Doorway;
use crate::application::ports::sealer::Sealer;
use crate::domain::ids::{SessionId, TenantId};

/// What every session-scoped token begins with.
const PREFIX: &str = "ios_";
/// Digits of tenant, session and attempt.
const NAMED: usize = 32 + 32 + 8;

/// Whether this is spelled like a session-scoped token.
#[must_use]
pub fn is_inside(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Makes and reads tokens, and says where they are good.
#[derive(Clone)]
pub struct Door {
    sealer: Arc<dyn Sealer>,
    /// Of this server, as processes on this machine reach it.
    url: String,
    /// SHA-256 of its certificate, in hex, when it speaks TLS.
    fingerprint: Option<String>,
    /// Program and arguments that speak the Model Context Protocol on their standard streams.
    command: Vec<String>,
}

impl Door {
    /// The door of a server at this address.
    #[must_use]
    pub fn new(
        sealer: Arc<dyn Sealer>,
        url: impl Into<String>,
        fingerprint: Option<String>,
        command: Vec<String>,
    ) -> Self {
        Self { sealer, url: url.into(), fingerprint, command }
    }

    /// The way in for one attempt.
    #[must_use]
    pub fn doorway(&self, tenant: TenantId, session: SessionId, attempt: u32) -> Doorway {
        let token = self.token(tenant, session, attempt);
        let mut env = vec![
            ("ORCHESTRATOR_URL".to_owned(), self.url.clone()),
            ("ORCHESTRATOR_KEY".to_owned(), token.clone()),
        ];
        let print =
            self.fingerprint.clone().map(|print| ("ORCHESTRATOR_FINGERPRINT".to_owned(), print));
        env.extend(print);
        // Whoever does not know the certificate of this server takes the way over the command.
        let url = self.fingerprint.is_none().then(|| format!("{}/mcp", self.url));
        Doorway { url, token, command: self.command.clone(), env }
    }

    fn token(&self, tenant: TenantId, session: SessionId, attempt: u32) -> String {
        let purpose =
            [b"inside".as_slice(), tenant.as_bytes(), session.as_bytes(), &attempt.to_be_bytes()]
                .concat();
        let secret = self.sealer.derive(&purpose);
        let (tenant, session) = (tenant.uuid().simple(), session.uuid().simple());
        format!("{PREFIX}{tenant}{session}{attempt:08x}{secret}")
    }

    /// What a token of ours is for.
    #[must_use]
    pub fn opens_for(&self, token: &str) -> Option<(TenantId, SessionId, u32)> {
        let named = token.strip_prefix(PREFIX)?.get(..NAMED)?;
        let id = |digits: &str| Uuid::try_parse(digits).ok();
        let tenant = TenantId::new(id(named.get(..32)?)?);
        let session = SessionId::new(id(named.get(32..64)?)?);
        let attempt = u32::from_str_radix(named.get(64..)?, 16).ok()?;
        let expected = self.token(tenant, session, attempt);
        is_same(expected.as_bytes(), token.as_bytes()).then_some((tenant, session, attempt))
    }
}

/// Compares in a time that tells nothing of where they differ.
fn is_same(expected: &[u8], shown: &[u8]) -> bool {
    let differs =
        expected.iter().zip(shown).fold(0, |differs, (one, other)| differs | (one ^ other));
    expected.len() == shown.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::ports::sealer::SealError;

    struct Plain;

    impl Sealer for Plain {
        fn seal(&self, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SealError> {
            Err(SealError::Failed)
        }

        fn open(&self, _: &[u8], _: &[u8]) -> Result<String, SealError> {
            Err(SealError::Failed)
        }

        fn derive(&self, purpose: &[u8]) -> String {
            purpose
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .map(|half| char::from(b'a' + half))
                .collect()
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_attempt_and_any_change_of_it_is_worth_nothing() {
        let door = Door::new(Arc::new(Plain), "http://127.0.0.1:1", None, vec!["here".into()]);
        let (tenant, session) =
            (TenantId::new(Uuid::from_u128(7)), SessionId::new(Uuid::from_u128(8)));
        let token = door.doorway(tenant, session, 3).token;
        assert!(is_inside(&token));
        assert_eq!(door.opens_for(&token), Some((tenant, session, 3)));
        assert_eq!(door.opens_for(&token.replacen("00000003", "00000004", 1)), None);
        for end in 0..token.len() {
            assert_eq!(door.opens_for(&token[..end]), None);
        }
        assert_eq!(door.opens_for(&format!("{token}0")), None);
        assert_eq!(door.opens_for("ios_äöü"), None);
    }

    #[test]
    fn who_cannot_check_the_certificate_goes_through_the_command() {
        let of =
            |print: Option<&str>| {
                let print = print.map(str::to_owned);
                Door::new(Arc::new(Plain), "https://127.0.0.1:1", print, vec!["here".into()])
                    .doorway(TenantId::BOOTSTRAP, SessionId::new(Uuid::from_u128(8)), 1)
            };
        assert_eq!(of(None).url.as_deref(), Some("https://127.0.0.1:1/mcp"));
        let guarded = of(Some("ab"));
        assert_eq!(guarded.url, None);
        assert_eq!(guarded.env[2], ("ORCHESTRATOR_FINGERPRINT".to_owned(), "ab".to_owned()));
        assert!(!format!("{guarded:?}").contains(&guarded.token));
    }
}
