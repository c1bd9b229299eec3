//! JSON straight into bytes: member names as they are, plain texts in one piece.
//!
//! Why not the crate alone: it looks at every byte of every name and text for something to escape,
//! one at a time, and names are more than half of a page of sessions. Whatever is not plain is left
//! to it, so that there is one spelling.
//! Invariant: the bytes are those that `serde_json` writes.

use serde::ser::{self, Serialize};
use serde_json::Error;

/// Writes one value at the end of its bytes.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// Numbers and texts with something to escape: the crate knows how.
    fn leave(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        serde_json::to_writer(&mut self.0, value)
    }

    fn list(&mut self, open: u8, close: &'static [u8]) -> Compound<'_> {
        self.0.push(open);
        Compound { writer: self, is_first: true, close }
    }

    /// `{"variant":`, for what is closed with one brace more.
    fn variant(&mut self, name: &'static str) -> Result<(), Error> {
        self.0.push(b'{');
        ser::Serializer::serialize_str(&mut *self, name)?;
        self.0.push(b':');
        Ok(())
    }
}

/// Whether a text can be written as it is: nothing below a space, no quote, no backslash.
fn is_plain(text: &str) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A byte of `word ^ same` is zero where they agree; the subtraction then sets its high bit.
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let odd = words.iter().any(|word| {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
        below_space | quote | backslash != 0
    });
    !odd && rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// Members or items between their brackets.
pub(super) struct Compound<'a> {
    writer: &'a mut Writer,
    is_first: bool,
    close: &'static [u8],
}

impl Compound<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.writer.0.push(b',');
        }
    }

    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    /// A member whose name is a Rust identifier or a constant of ours.
    fn member(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        debug_assert!(is_plain(name), "a name that must be escaped");
        self.separate();
        let bytes = &mut self.writer.0;
        bytes.push(b'"');
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"\":");
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.0.extend_from_slice(self.close);
    }
}

macro_rules! left {
    ($($name:ident: $type:ty),+ $(,)?) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            self.leave(&value)
        })+
    };
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    left!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8]);

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        if !is_plain(text) {
            return self.leave(text);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.0.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        Ok(self.list(b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Error> {
        Ok(self.list(b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Error> {
        Ok(self.list(b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Error> {
        self.variant(variant)?;
        Ok(self.list(b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Error> {
        Ok(self.list(b'{', b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Error> {
        Ok(self.list(b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Error> {
        self.variant(variant)?;
        Ok(self.list(b'{', b"}}"))
    }
}

macro_rules! items {
    ($($part:ident :: $each:ident),+ $(,)?) => {
        $(impl ser::$part for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $each<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })+
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

macro_rules! members {
    ($($part:ident),+ $(,)?) => {
        $(impl ser::$part for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.member(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })+
    };
}

members!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    /// A name that is no text, a number for example, becomes one.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        let start = self.writer.0.len();
        key.serialize(&mut *self.writer)?;
        match self.writer.0.get(start) {
            Some(b'"') => {}
            Some(b'{' | b'[') | None => return Err(ser::Error::custom("key must be a string")),
            Some(_) => {
                self.writer.0.insert(start, b'"');
                self.writer.0.push(b'"');
            }
        }
        self.writer.0.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::Writer;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(Option<f64>),
        Tuple(u8, i64),
        Struct { r#type: char, none: Option<u8> },
    }

    #[derive(Serialize)]
    struct Inner<'a> {
        text: &'a str,
        map: BTreeMap<u32, (bool, ())>,
    }

    #[derive(Serialize)]
    struct Whole<'a> {
        shapes: Vec<Shape>,
        #[serde(flatten)]
        inner: Inner<'a>,
        json: serde_json::Value,
    }

    fn ours(value: &impl Serialize) -> String {
        let mut writer = Writer(Vec::new());
        value.serialize(&mut writer).expect("plain data");
        String::from_utf8(writer.0).expect("JSON is UTF-8")
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_crate(text in "(.|[\\x00-\\x7f]){0,40}", number: f64, key: u32) {
            let whole = Whole {
                shapes: vec![
                    Shape::Unit,
                    Shape::New(Some(number)),
                    Shape::New(None),
                    Shape::Tuple(1, -2),
                    Shape::Struct { r#type: '"', none: None },
                ],
                inner: Inner { text: &text, map: BTreeMap::from([(key, (true, ()))]) },
                json: serde_json::json!({ text.as_str(): [text.as_str(), {}], "": [] }),
            };
            prop_assert_eq!(ours(&whole), serde_json::to_string(&whole).expect("plain data"));
        }

        #[test]
        fn every_odd_byte_is_seen_wherever_it_stands(at in 0_usize..24, odd in 0_u8..0x80) {
            let mut text = "é".repeat(12).into_bytes();
            text.insert(at / 2 * 2, odd);
            let text = String::from_utf8(text).expect("inserted between letters");
            prop_assert_eq!(ours(&text), serde_json::to_string(&text).expect("a text"));
        }
    }
}
