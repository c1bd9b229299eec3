//! What every value is wrapped in: `kind(1) ‖ schema(2, BE) ‖ codec(1) ‖ payload ‖ crc32c(4, BE)`.
//!
//! Invariant: the sum is taken over the key and all bytes before it, and verified at every read:
//! redb does not verify what it reads, and a value under a foreign key is as wrong as a changed one.

/// Bytes before the payload.
const HEAD: usize = 4;
/// Bytes of the sum.
const SUM: usize = 4;

/// A value whose sum was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// Which kind of record.
    pub(super) kind: u8,
    /// Which version of its shape.
    pub(super) schema: u16,
    /// How the payload is spelled.
    pub(super) codec: u8,
    /// The record.
    pub(super) payload: &'a [u8],
}

/// The bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// Too few bytes for an envelope.
    #[error("the record is cut off")]
    Short,
    /// The sum differs.
    #[error("the checksum does not match")]
    Sum,
}

fn checksum(key: &[u8], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), bytes)
}

/// Wraps a payload that is to lie under `key`.
pub(super) fn seal(key: &[u8], envelope: &Envelope<'_>) -> Vec<u8> {
    let Envelope { kind, schema, codec, payload } = *envelope;
    let mut bytes = Vec::with_capacity(HEAD + payload.len() + SUM);
    bytes.push(kind);
    bytes.extend_from_slice(&schema.to_be_bytes());
    bytes.push(codec);
    bytes.extend_from_slice(payload);
    let sum = checksum(key, &bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Verifies and unwraps what lies under `key`.
pub(super) fn open<'a>(key: &[u8], bytes: &'a [u8]) -> Result<Envelope<'a>, Broken> {
    let (body, sum) = bytes.split_last_chunk::<SUM>().ok_or(Broken::Short)?;
    if checksum(key, body) != u32::from_be_bytes(*sum) {
        return Err(Broken::Sum);
    }
    let ([kind, high, low, codec], payload) =
        body.split_first_chunk::<HEAD>().ok_or(Broken::Short)?;
    Ok(Envelope { kind: *kind, schema: u16::from_be_bytes([*high, *low]), codec: *codec, payload })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_any_flipped_bit_is_seen(
            kind: u8, schema: u16, codec: u8,
            key in proptest::collection::vec(any::<u8>(), 0..48),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            flip: proptest::sample::Index,
        ) {
            let envelope = Envelope { kind, schema, codec, payload: &payload };
            let mut bytes = seal(&key, &envelope);
            prop_assert_eq!(open(&key, &bytes), Ok(envelope));
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key, &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            prop_assert!(open(&key, &bytes).is_err());
        }
    }

    #[test]
    fn a_value_under_another_key_is_refused() {
        let bytes = seal(b"one", &Envelope { kind: 1, schema: 1, codec: 1, payload: b"x" });
        assert_eq!(open(b"two", &bytes), Err(Broken::Sum));
    }
}
