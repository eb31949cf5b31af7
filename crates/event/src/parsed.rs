//! A record taken apart but not yet judged: where each known field's value is, and the unknown fields.

use crate::text;

/// The known fields. Their order is the usual one, which the fast path expects and `write_clean_json` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    UserId,
    VideoId,
    SessionId,
    EventType,
    Timestamp,
    PositionS,
    SeekFromS,
    SeekToS,
    Rate,
    DurationS,
    Region,
    Device,
    Sequence,
    EventId,
}

/// The names of the known fields, in the usual order. A producer that writes its fields in this order (leaving out any, with
/// at most one space after a colon or comma, without escapes in strings, unknown fields not at all) is decoded by the fast path.
pub const FIELD_ORDER: [&str; 14] = [
    "user_id",
    "video_id",
    "session_id",
    "event_type",
    "timestamp",
    "position_s",
    "seek_from_s",
    "seek_to_s",
    "rate",
    "duration_s",
    "region",
    "device",
    "sequence",
    "event_id",
];

impl Field {
    pub const fn name(self) -> &'static str {
        FIELD_ORDER[self as usize]
    }

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "user_id" => Self::UserId,
            "video_id" => Self::VideoId,
            "session_id" => Self::SessionId,
            "event_type" => Self::EventType,
            "timestamp" => Self::Timestamp,
            "position_s" => Self::PositionS,
            "seek_from_s" => Self::SeekFromS,
            "seek_to_s" => Self::SeekToS,
            "rate" => Self::Rate,
            "duration_s" => Self::DurationS,
            "region" => Self::Region,
            "device" => Self::Device,
            "sequence" => Self::Sequence,
            "event_id" => Self::EventId,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not there, or `null`.
    Absent,
    /// A string without escapes: the span is its inside in the record.
    Text,
    /// A string with escapes: the span is what it says, in [`Parsed::unescaped`].
    Unescaped,
    /// A number: the span is its text in the record.
    Number,
    /// `true`, `false`, an array or an object: the span is its text in the record.
    Other,
}

/// A value's kind and span (byte offsets; records are far shorter than 4 GiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    start: u32,
    end: u32,
}

impl Value {
    pub const ABSENT: Self = Self { kind: Kind::Absent, start: 0, end: 0 };

    #[inline(always)]
    pub fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self { kind, start: start as u32, end: end as u32 }
    }
}

/// An unknown field: its key (as a string value), and the span of its value in the record.
#[derive(Clone, Copy, Debug)]
struct Unknown {
    key: Value,
    value: Value,
}

/// Reused from record to record.
#[derive(Debug, Default)]
pub struct Parsed {
    values: Values,
    unescaped: String,
    unknown: Vec<Unknown>,
    /// Of the general path: one bit an open bracket, set for an object.
    pub(crate) nesting: Vec<u64>,
}

#[derive(Debug)]
struct Values([Value; FIELD_ORDER.len()]);

impl Default for Values {
    fn default() -> Self {
        Self([Value::ABSENT; FIELD_ORDER.len()])
    }
}

impl Parsed {
    #[inline(always)]
    pub fn clear(&mut self) {
        self.values = Values::default();
        self.unescaped.clear();
        self.unknown.clear();
    }

    #[inline(always)]
    pub fn value(&self, field: Field) -> Value {
        self.values.0[field as usize]
    }

    #[inline(always)]
    pub fn set(&mut self, field: Field, value: Value) {
        self.values.0[field as usize] = value;
    }

    /// A value's text: what a string says, what a number or anything else looks like.
    #[inline(always)]
    pub fn text<'a>(&'a self, record: &'a str, value: Value) -> &'a str {
        let whole = if value.kind == Kind::Unescaped { &self.unescaped } else { record };
        &whole[value.start as usize..value.end as usize]
    }

    /// The string value whose inside is this span of the record.
    pub fn string(&mut self, record: &str, start: usize, end: usize, escaped: bool) -> Value {
        if !escaped {
            return Value::new(Kind::Text, start, end);
        }
        let first = self.unescaped.len();
        text::unescape(&record[start..end], &mut self.unescaped);
        Value::new(Kind::Unescaped, first, self.unescaped.len())
    }

    /// Keeps an unknown field; `start..end` is its value's text in the record.
    pub fn keep(&mut self, key: Value, start: usize, end: usize) {
        self.unknown.push(Unknown { key, value: Value::new(Kind::Other, start, end) });
    }

    /// Whether there are unknown fields.
    #[inline(always)]
    pub fn has_extra(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Writes the unknown fields as a compact JSON object, sorted by key (by bytes); of a repeated key the last.
    /// Nested objects keep their order. Only where there are some.
    pub fn write_extra(&mut self, record: &str, out: &mut Vec<u8>, scratch: &mut String) {
        let mut unknown = std::mem::take(&mut self.unknown);
        // Values stand in the record in the order in which they came, so a start tells the last of a repeated key.
        unknown.sort_unstable_by(|a, b| {
            self.text(record, a.key).cmp(self.text(record, b.key)).then(a.value.start.cmp(&b.value.start))
        });
        let mut separator = b'{';
        for (i, field) in unknown.iter().enumerate() {
            let key = self.text(record, field.key);
            if unknown.get(i + 1).is_some_and(|next| self.text(record, next.key) == key) {
                continue;
            }
            out.extend_from_slice(&[separator, b'"']);
            separator = b',';
            text::write_escaped(key, out);
            out.extend_from_slice(b"\":");
            text::write_compact(self.text(record, field.value), out, scratch);
        }
        out.push(b'}');
        self.unknown = unknown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_usual_order() {
        for (i, name) in FIELD_ORDER.into_iter().enumerate() {
            let field = Field::parse(name).expect("a known field");
            assert_eq!((field as usize, field.name()), (i, name));
        }
        assert_eq!(Field::parse("User_id"), None);
    }
}
