//! The general path: any JSON text (RFC 8259), checked in full, without recursion.
//!
//! Written by hand because what a value looks like matters here: an integer of any length is an id by its decimal text, a
//! number is compared before it is rounded, an unknown field is kept as it was sent, and nesting is limited by nothing but
//! the record's size. Time and memory are linear in the record.

use crate::parsed::{Field, Kind, Parsed, Value};
use crate::text::{Fault, number_end, string_end};

/// Why a record is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    NotJson(Fault),
    /// What it is instead.
    NotAnObject(&'static str),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::NotJson(fault)
    }
}

/// Takes the record apart. Of a repeated key the last one counts.
pub fn parse(record: &str, parsed: &mut Parsed) -> Result<(), Problem> {
    parsed.clear();
    let mut reader =
        Reader { bytes: record.as_bytes(), at: 0, nesting: Nesting::new(std::mem::take(&mut parsed.nesting)) };
    let result = reader.record(record, parsed);
    parsed.nesting = reader.nesting.words;
    result
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nesting: Nesting,
}

impl Reader<'_> {
    fn record(&mut self, record: &str, parsed: &mut Parsed) -> Result<(), Problem> {
        self.space();
        let first = self.peek();
        if first != Some(b'{') {
            self.value()?;
            self.end()?;
            return Err(Problem::NotAnObject(kind_name(first)));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(self.end()?);
        }
        loop {
            let (start, end, escaped) = self.key()?;
            let key = parsed.string(record, start, end, escaped);
            let first = self.at;
            let kind = self.value()?;
            match Field::parse(parsed.text(record, key)) {
                Some(field) => {
                    let value = match kind {
                        ValueKind::Null => Value::ABSENT,
                        ValueKind::Text { escaped } => parsed.string(record, first + 1, self.at - 1, escaped),
                        ValueKind::Number => Value::new(Kind::Number, first, self.at),
                        ValueKind::Other => Value::new(Kind::Other, first, self.at),
                    };
                    parsed.set(field, value);
                }
                None => parsed.keep(key, first, self.at),
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(self.end()?);
                }
                _ => return Err(self.fault("neither a comma nor the object's end").into()),
            }
            self.space();
        }
    }

    /// Nothing but space may follow.
    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fault("something after the end")) }
    }

    /// A key, its colon, and the space after it: the key's inside and whether it has escapes.
    fn key(&mut self) -> Result<(usize, usize, bool), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("no key"));
        }
        let start = self.at + 1;
        let (end, escaped) = string_end(self.bytes, start)?;
        self.at = end + 1;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.fault("no colon after a key"));
        }
        self.at += 1;
        self.space();
        Ok((start, end, escaped))
    }

    /// Passes over a whole value, however deep.
    fn value(&mut self) -> Result<ValueKind, Fault> {
        let kind = match self.peek() {
            Some(b'{' | b'[') => ValueKind::Other,
            _ => return self.scalar(),
        };
        self.nesting.clear();
        loop {
            // At the beginning of a value.
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.space();
                    self.nesting.open(open == b'{');
                    if self.peek() != Some(if open == b'{' { b'}' } else { b']' }) {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.scalar()?;
                }
            }
            // After a value: close what closes here, then there is another value.
            loop {
                let Some(in_object) = self.nesting.innermost() else {
                    return Ok(kind);
                };
                self.space();
                match (self.peek(), in_object) {
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        self.nesting.close();
                    }
                    (Some(b','), _) => {
                        self.at += 1;
                        self.space();
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    (_, true) => return Err(self.fault("neither a comma nor the object's end")),
                    (_, false) => return Err(self.fault("neither a comma nor the array's end")),
                }
            }
        }
    }

    #[inline]
    fn scalar(&mut self) -> Result<ValueKind, Fault> {
        let rest = &self.bytes[self.at..];
        let (kind, length) = match rest.first() {
            Some(b'"') => {
                let (end, escaped) = string_end(self.bytes, self.at + 1)?;
                (ValueKind::Text { escaped }, end + 1 - self.at)
            }
            Some(b'-' | b'0'..=b'9') => match number_end(self.bytes, self.at) {
                Ok(end) => (ValueKind::Number, end - self.at),
                Err(at) => return Err(Fault { at, what: "a number without a digit" }),
            },
            _ if rest.starts_with(b"null") => (ValueKind::Null, 4),
            _ if rest.starts_with(b"true") => (ValueKind::Other, 4),
            _ if rest.starts_with(b"false") => (ValueKind::Other, 5),
            None => return Err(self.fault("the end where a value should be")),
            _ => return Err(self.fault("no value")),
        };
        self.at += length;
        Ok(kind)
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }
}

#[derive(Clone, Copy)]
enum ValueKind {
    Null,
    Text { escaped: bool },
    Number,
    Other,
}

fn kind_name(first: Option<u8>) -> &'static str {
    match first {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The open brackets, one bit each (set for an object), so that 32 KiB of them fit in 4 KiB.
struct Nesting {
    words: Vec<u64>,
    depth: usize,
}

impl Nesting {
    fn new(words: Vec<u64>) -> Self {
        Self { words, depth: 0 }
    }

    fn clear(&mut self) {
        self.depth = 0;
    }

    fn open(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.words[last / 64] >> (last % 64) & 1 == 1)
    }
}
