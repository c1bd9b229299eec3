//! The ids of a prompt at OpenCode, derived from the prompt's own identity.
//!
//! Invariant: the same prompt in the same conversation has the same ids for ever; that is what
//! makes posting it again harmless. In another conversation it has others.
//!
//! Source: observed format `msg_` / `prt_`, 12 hex digits of `epoch_ms * 4096 + counter`, 14
//! base-62 characters.

use sha2::{Digest, Sha256};
use uuid::Uuid;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Ids under which a prompt is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromptIds {
    /// Of the message.
    pub(super) message: String,
    /// Of its only part.
    pub(super) part: String,
}

impl PromptIds {
    /// The ids of `prompt` in the conversation `session`.
    pub(super) fn of(prompt: Uuid, session: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(prompt.as_bytes())
            .chain_update(session.as_bytes())
            .finalize();
        let (counter, mut millis) = (u64::from(digest[0]) << 4 | u64::from(digest[1]) >> 4, 0);
        if prompt.get_version_num() == 7 {
            millis = prompt.as_u128() >> 80;
        }
        let millis = u64::try_from(millis).unwrap_or_default();
        let time = (millis.wrapping_mul(4096) | counter) & 0xffff_ffff_ffff;
        let tail: String = digest[2..16]
            .iter()
            .map(|byte| char::from(BASE62[usize::from(*byte) % BASE62.len()]))
            .collect();
        Self { message: format!("msg_{time:012x}{tail}"), part: format!("prt_{time:012x}{tail}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_well_formed_and_bound_to_the_conversation() {
        let prompt = Uuid::from_u128(0x0198_7f3e_4b2a_7000_8000_0000_0000_0001);
        let ids = PromptIds::of(prompt, "ses_a");
        assert_eq!(ids, PromptIds::of(prompt, "ses_a"));
        assert_ne!(ids, PromptIds::of(prompt, "ses_b"));
        assert_eq!(ids.message.len(), 4 + 12 + 14);
        let expected = (0x0198_7f3e_4b2a_u64 << 12) & 0xffff_ffff_ffff;
        let time = u64::from_str_radix(&ids.message[4..16], 16).expect("hex");
        assert_eq!(time & !0xfff, expected);
        assert!(ids.part.starts_with("prt_") && ids.part[4..] == ids.message[4..]);
    }
}
