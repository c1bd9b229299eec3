//! How record structs become bytes. The only file that names the crate behind it.
//!
//! Invariant: whatever was encoded can be decoded. Decoding is bounded and total: a length from a
//! damaged record allocates nothing without bound, and bytes left over are an error.

use serde::{Deserialize, Serialize};

/// Codec 1: bincode 2, standard configuration.
pub(super) const BINCODE: u8 = 1;
/// Codec 2: JSON, as exports spell records; nothing is stored so.
pub(super) const JSON: u8 = 2;
/// Room that a usual record needs.
const ROOM: usize = 1024;
/// Largest record, in encoded bytes.
pub(super) const LIMIT: usize = 16 * 1024 * 1024;
/// What the decoder may count. It counts the width of an integer in memory, up to 8, where the
/// encoded one may have a single byte: with this limit no record within `LIMIT` is refused.
const COUNTED: usize = 8 * LIMIT;

const fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<COUNTED>()
}

/// Why bytes are no record, or a record has no bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    /// The record is larger than can be read back.
    #[error("the record is larger than {LIMIT} bytes")]
    TooLarge,
    /// It could not be spelled.
    #[error("the record cannot be encoded")]
    Encode(#[source] Box<bincode::error::EncodeError>),
    /// The bytes are something else.
    #[error("the record cannot be decoded")]
    Decode(#[source] Box<bincode::error::DecodeError>),
    /// The JSON says something else.
    #[error("the record has another shape: {0}")]
    Shape(#[source] serde_json::Error),
    /// Bytes after the end.
    #[error("the record has {0} bytes too many")]
    Trailing(usize),
    /// A codec that this version does not have.
    #[error("codec {0} is unknown")]
    UnknownCodec(u8),
}

/// Spells a record with the current codec.
pub(super) fn encode(record: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(ROOM);
    bincode::serde::encode_into_std_write(record, &mut bytes, configuration())
        .map_err(|error| CodecError::Encode(Box::new(error)))?;
    if bytes.len() > LIMIT { Err(CodecError::TooLarge) } else { Ok(bytes) }
}

/// Reads a record spelled with this codec; its texts may be those of the bytes.
pub(super) fn decode<'a, T: Deserialize<'a>>(codec: u8, bytes: &'a [u8]) -> Result<T, CodecError> {
    if codec == JSON {
        return serde_json::from_slice(bytes).map_err(CodecError::Shape);
    }
    if codec != BINCODE {
        return Err(CodecError::UnknownCodec(codec));
    }
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLarge);
    }
    let (record, used) = bincode::serde::borrow_decode_from_slice(bytes, configuration())
        .map_err(|error| CodecError::Decode(Box::new(error)))?;
    match bytes.len() - used {
        0 => Ok(record),
        left => Err(CodecError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::{Deserializer, SeqAccess, Visitor};
    use serde::ser::Serializer;

    use super::*;

    /// Small numbers: one byte each when encoded, eight to the decoder.
    #[derive(Debug, PartialEq)]
    struct Small(usize);

    impl Serialize for Small {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(std::iter::repeat_n(7_u64, self.0))
        }
    }

    impl<'de> Deserialize<'de> for Small {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Count;
            impl<'de> Visitor<'de> for Count {
                type Value = Small;

                fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    to.write_str("sevens")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Small, A::Error> {
                    let mut count = 0;
                    while items.next_element::<u64>()? == Some(7) {
                        count += 1;
                    }
                    Ok(Small(count))
                }
            }
            from.deserialize_seq(Count)
        }
    }

    #[test]
    fn what_is_encoded_can_be_decoded_up_to_the_last_byte() {
        // The length takes five bytes before the numbers.
        let largest = Small(LIMIT - 5);
        let bytes = encode(&largest).expect("it just fits");
        assert_eq!(bytes.len(), LIMIT);
        assert_eq!(decode::<Small>(BINCODE, &bytes).expect("it is read back"), largest);
        assert!(matches!(encode(&Small(LIMIT - 4)), Err(CodecError::TooLarge)));
    }

    #[test]
    fn a_huge_length_is_refused_and_so_are_bytes_left_over() {
        let huge = [0xFD, 0, 0, 0, 0, 0, 1, 0, 0];
        assert!(matches!(decode::<String>(BINCODE, &huge), Err(CodecError::Decode(_))));
        let mut bytes = encode(&7u64).expect("encodes");
        bytes.push(0);
        assert!(matches!(decode::<u64>(BINCODE, &bytes), Err(CodecError::Trailing(1))));
        assert!(matches!(decode::<u64>(9, &bytes), Err(CodecError::UnknownCodec(9))));
    }
}
