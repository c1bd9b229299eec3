//! Other spellings of a value: what stands inside hexadecimal digits or base64 is found all the same.
//!
//! Invariant: a value has a bounded number of them, each at most twice as long as it is.

use crate::domain::canonical::hex;

/// Longer values are looked for as they are, in hexadecimal digits and base64 only by their beginning.
const MOST_BYTES: usize = 512;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Hexadecimal, small and capital, and base64 with both alphabets wherever in a longer text the value
/// begins. What depends on its neighbours there is left out.
pub(super) fn of(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    let digits = hex(bytes);
    let mut all = vec![digits.to_ascii_uppercase(), digits];
    for offset in 0..3 {
        let inside = base64_inside(bytes, offset);
        all.push(inside.replace('+', "-").replace('/', "_"));
        all.push(inside);
    }
    all
}

/// The characters of base64 that these bytes alone decide, with so many bytes before them.
fn base64_inside(bytes: &[u8], offset: usize) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3);
    let (mut held, mut bits) = (0_u32, 0_usize);
    // The first character that holds nothing of what stands before.
    let mut skip = (6 - offset * 8 % 6) % 6;
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xFFFF;
        bits += 8;
        let skipped = skip.min(bits);
        bits -= skipped;
        skip -= skipped;
        while bits >= 6 {
            bits -= 6;
            let at = usize::try_from(held >> bits & 63).unwrap_or_default();
            text.push(char::from(STANDARD[at]));
        }
    }
    text
}

/// What base64 of either alphabet stands for, if it is some.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0_usize);
    for letter in text.trim_end_matches('=').bytes() {
        let letter = match letter {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        let at = STANDARD.iter().position(|known| *known == letter)?;
        held = (held << 6 | u32::try_from(at).ok()?) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole encoding, bit by bit.
    fn encoded(bytes: &[u8]) -> String {
        let digit = |byte: u8, at: u32| if byte >> at & 1 == 1 { '1' } else { '0' };
        let of = |byte: &u8| (0..8).rev().map(|at| digit(*byte, at)).collect::<Vec<_>>();
        let mut bits: String = bytes.iter().flat_map(of).collect();
        while !bits.len().is_multiple_of(6) {
            bits.push('0');
        }
        let digits = bits.as_bytes().chunks(6).map(|six| {
            let six = std::str::from_utf8(six).expect("digits");
            char::from(STANDARD[usize::from_str_radix(six, 2).expect("binary")])
        });
        let mut text: String = digits.collect();
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }

    proptest! {
        #[test]
        fn a_value_is_found_in_whatever_it_was_encoded_with(
            before in proptest::collection::vec(any::<u8>(), 0..7),
            value in "[ -~]{8,40}",
            after in proptest::collection::vec(any::<u8>(), 0..7),
        ) {
            let whole = [&before[..], value.as_bytes(), &after].concat();
            let spellings = of(&value);
            let standard = encoded(&whole);
            let of_addresses = standard.replace('+', "-").replace('/', "_").replace('=', "");
            for text in [standard.clone(), of_addresses, hex(&whole)] {
                prop_assert!(spellings.iter().any(|one| text.contains(one.as_str())), "{text}");
            }
            prop_assert!(spellings.iter().all(|one| one.len() >= 9), "{spellings:?}");
            prop_assert_eq!(from_base64(&standard), Some(whole));
        }
    }
}
