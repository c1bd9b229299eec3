//! How record structs become bytes. The only file that names the crate behind it.
//!
//! Invariant: decoding is bounded and total: a length from a damaged record allocates nothing
//! large, and bytes left over are an error.

use serde::{Deserialize, Serialize};

/// Codec 1: bincode 2, standard configuration.
pub(super) const BINCODE: u8 = 1;
/// Room that a usual record needs.
const ROOM: usize = 1024;
/// Largest record.
pub(super) const LIMIT: usize = 16 * 1024 * 1024;

const fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<LIMIT>()
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
    if codec != BINCODE {
        return Err(CodecError::UnknownCodec(codec));
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
    use super::*;

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
