//! The keys that a provider signs with.
//!
//! Invariant: they are looked at again for a name that is not known, but never twice within the shortest
//! time between two looks, so that whoever brings tokens with made-up names drives nothing.

use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;
use serde_json::Value;

use super::fetch::Fetch;
use super::{GOOD_FOR, LEFT_ALONE};
use crate::application::ports::clock::Clock;
use crate::application::ports::identity_provider::ProviderError;
use crate::domain::time::Timestamp;

/// Keys that are kept; a provider has a few.
const MOST_KEYS: usize = 64;
/// Longest name of a key.
const LONGEST_NAME: usize = 256;

/// What lies at the address of the keys. Each is read by itself: one of a kind that is not known here
/// does not spoil the others.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys, as they were last seen.
#[derive(Default)]
pub(super) struct Keys {
    looked_at: Option<(Timestamp, bool)>,
    keys: Vec<Jwk>,
}

impl Keys {
    /// The key that a token says it was signed with; looks again when it is not known.
    pub(super) async fn find(
        &mut self,
        header: &Header,
        (fetch, place, refetch_after): (&Fetch, &str, Duration),
        clock: &dyn Clock,
    ) -> Result<Jwk, ProviderError> {
        let age = self.looked_at.map(|(at, is_read)| (clock.now().since(at), is_read));
        let is_old = age.is_none_or(|(age, is_read)| is_read && age >= GOOD_FOR);
        let may_look = age.is_none_or(|(age, is_read)| {
            age >= if is_read { refetch_after } else { refetch_after.min(LEFT_ALONE) }
        });
        if !is_old && let Some(key) = self.named(header) {
            return Ok(key);
        }
        if may_look {
            let found = fetch.json::<Set>(place, None).await;
            self.looked_at = Some((clock.now(), found.is_ok()));
            // Keys that cannot be looked at again may have been withdrawn.
            self.keys.clear();
            self.keys = usable(found.map_err(ProviderError::Unavailable)?);
        }
        let missing = "it is signed with a key that the provider does not show";
        self.named(header).ok_or_else(|| ProviderError::NotVouched(missing.to_owned()))
    }

    /// The only key that fits.
    fn named(&self, header: &Header) -> Option<Jwk> {
        let is_it = |key: &&Jwk| {
            let is_named = header.kid.is_none() || key.common.key_id == header.kid;
            is_named && fits(key, header.alg)
        };
        let mut found = self.keys.iter().filter(is_it);
        let first = found.next()?;
        // Of several keys without a name nobody can say which one is meant.
        found.next().is_none().then(|| first.clone())
    }
}

fn usable(set: Set) -> Vec<Jwk> {
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let is_usable = |key: &Jwk| {
        let is_short = |name: &String| name.len() <= LONGEST_NAME;
        matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature))
            && key.common.key_id.as_ref().is_none_or(is_short)
            && !algorithms(key).is_empty()
    };
    keys.filter(is_usable).take(MOST_KEYS).collect()
}

/// What a key of this kind signs with: the key decides, not the token.
fn algorithms(key: &Jwk) -> &'static [Algorithm] {
    let is_p256 = |curve: &EllipticCurve| *curve == EllipticCurve::P256;
    let is_ed25519 = |curve: &EllipticCurve| *curve == EllipticCurve::Ed25519;
    if matches!(&key.algorithm, AlgorithmParameters::RSA(_)) {
        &[Algorithm::RS256, Algorithm::PS256]
    } else if matches!(&key.algorithm, AlgorithmParameters::EllipticCurve(it) if is_p256(&it.curve))
    {
        &[Algorithm::ES256]
    } else if matches!(&key.algorithm, AlgorithmParameters::OctetKeyPair(it) if is_ed25519(&it.curve))
    {
        &[Algorithm::EdDSA]
    } else {
        &[]
    }
}

/// Whether a token with this algorithm may be signed with the key.
pub(super) fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let named = key.common.key_algorithm;
    named.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
        && algorithms(key).contains(&algorithm)
}
