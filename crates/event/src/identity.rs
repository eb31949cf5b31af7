//! Identities derived from content: the `event_id` of an event that came without one, and the `view_id`.
//!
//! XXH3-128 (seed 0) over the fields, written as 32 hex digits, most significant first. Each field is a `u32` length in little
//! endian and that many bytes; a null is the length `u32::MAX` alone, so that null and empty differ. Text is
//! its UTF-8, a number the 8 little-endian bytes of its IEEE 754 bits (-0 as 0), an integer or a time in microseconds its 8
//! little-endian bytes.

use xxhash_rust::xxh3::xxh3_128;

/// One field of an identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IdField<'a> {
    /// No value.
    Null,
    /// Text.
    Text(&'a str),
    /// A double.
    Number(f64),
    /// An integer, or a time in microseconds since 1970-01-01 UTC.
    Integer(i64),
}

impl<'a> From<&'a str> for IdField<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for IdField<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for IdField<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl<'a, T: Into<IdField<'a>>> From<Option<T>> for IdField<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// 32 hex digits, on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HexId([u8; 32]);

impl HexId {
    /// The digits.
    #[inline]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }

    fn new(hash: u128) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }
}

impl std::fmt::Debug for HexId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for HexId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of the fields, in this order. `scratch` is a buffer to reuse; what is in it is overwritten.
#[inline]
pub fn hash_id<'a>(fields: impl IntoIterator<Item = IdField<'a>>, scratch: &mut Vec<u8>) -> HexId {
    scratch.clear();
    for field in fields {
        match field {
            IdField::Null => scratch.extend_from_slice(&u32::MAX.to_le_bytes()),
            IdField::Text(text) => {
                scratch.extend_from_slice(&(text.len() as u32).to_le_bytes());
                scratch.extend_from_slice(text.as_bytes());
            }
            IdField::Number(number) => eight(scratch, (number + 0.0).to_bits().to_le_bytes()),
            IdField::Integer(integer) => eight(scratch, integer.to_le_bytes()),
        }
    }
    HexId::new(xxh3_128(scratch))
}

#[inline]
fn eight(scratch: &mut Vec<u8>, bytes: [u8; 8]) {
    let mut field = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..].copy_from_slice(&bytes);
    scratch.extend_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(fields: &[IdField<'_>]) -> String {
        hash_id(fields.iter().copied(), &mut Vec::new()).to_string()
    }

    #[test]
    fn the_encoding_is_fixed() {
        // XXH3-128 of no bytes, as other implementations give it.
        assert_eq!(id(&[]), "99aa06d3014798d86001c324468d497f");
        let mut bytes = Vec::new();
        bytes.extend([2, 0, 0, 0, b'u', b'1', 255, 255, 255, 255, 8, 0, 0, 0]);
        bytes.extend(1.5f64.to_bits().to_le_bytes());
        bytes.extend([8, 0, 0, 0]);
        bytes.extend((-7i64).to_le_bytes());
        let expected = format!("{:032x}", xxh3_128(&bytes));
        assert_eq!(id(&["u1".into(), IdField::Null, 1.5.into(), (-7).into()]), expected);
    }

    #[test]
    fn different_fields_differ() {
        let ids = [
            id(&["ab".into(), "c".into()]),
            id(&["a".into(), "bc".into()]),
            id(&["abc".into()]),
            id(&["abc".into(), IdField::Null]),
            id(&["abc".into(), "".into()]),
            id(&[0.0.into()]),
            id(&[1.into()]),
        ];
        for (i, one) in ids.iter().enumerate() {
            assert!(!ids[i + 1..].contains(one), "{i}");
        }
        assert_eq!(id(&[IdField::Number(-0.0)]), id(&[IdField::Number(0.0)]));
        assert_eq!(id(&[Some("a").into(), None::<f64>.into()]), id(&["a".into(), IdField::Null]));
    }
}
