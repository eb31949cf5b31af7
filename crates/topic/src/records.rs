//! Batches of records in columns: one buffer of bytes, and for each record a timestamp and the spans of its key, its
//! value and its headers in that buffer.

use std::fmt;

/// Where bytes are in a batch's buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// The span of an absent key.
    pub(crate) const NONE: Span = Span { start: 0, len: u32::MAX };

    pub(crate) fn is_none(self) -> bool {
        self.len == u32::MAX
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &bytes[start..start + self.len as usize]
    }
}

/// A header of a record: the number of its name in the batch, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderSpan {
    pub(crate) name: u16,
    pub(crate) value: Span,
}

/// A batch of records, immutable. Timestamps are milliseconds since 1970, UTC.
#[derive(Clone, Default)]
pub struct Records {
    pub(crate) bytes: Vec<u8>,
    pub(crate) timestamps_ms: Vec<i64>,
    pub(crate) keys: Vec<Span>,
    pub(crate) values: Vec<Span>,
    pub(crate) names: Vec<Box<str>>,
    pub(crate) headers: Vec<HeaderSpan>,
    /// For each record the end of its headers in `headers`; empty when no record has one.
    pub(crate) header_ends: Vec<u32>,
}

impl Records {
    /// How many records.
    pub fn len(&self) -> usize {
        self.timestamps_ms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }

    /// Bytes that the batch keeps in memory for keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The timestamp of record `i` in milliseconds.
    #[inline]
    pub fn timestamp_ms(&self, i: usize) -> i64 {
        self.timestamps_ms[i]
    }

    /// All timestamps in milliseconds.
    pub fn timestamps_ms(&self) -> &[i64] {
        &self.timestamps_ms
    }

    /// The key of record `i`.
    #[inline]
    pub fn key(&self, i: usize) -> Option<&[u8]> {
        let span = self.keys[i];
        (!span.is_none()).then(|| span.of(&self.bytes))
    }

    /// The value of record `i`.
    #[inline]
    pub fn value(&self, i: usize) -> &[u8] {
        self.values[i].of(&self.bytes)
    }

    /// The headers of record `i`, in the order in which they were written.
    pub fn headers(&self, i: usize) -> Headers<'_> {
        Headers { records: self, spans: self.header_spans(i).iter() }
    }

    /// The last header of record `i` with this name.
    #[inline]
    pub fn header(&self, i: usize, name: &str) -> Option<&[u8]> {
        let spans = self.header_spans(i);
        let span = spans.iter().rev().find(|span| &*self.names[usize::from(span.name)] == name)?;
        Some(span.value.of(&self.bytes))
    }

    /// Forgets the records from `len` on; their bytes stay in the buffer.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.timestamps_ms.truncate(len);
        self.keys.truncate(len);
        self.values.truncate(len);
        self.header_ends.truncate(len);
        self.headers.truncate(self.header_ends.last().map_or(0, |end| *end as usize));
    }

    #[inline]
    pub(crate) fn header_spans(&self, i: usize) -> &[HeaderSpan] {
        if self.header_ends.is_empty() {
            return &[];
        }
        let start = if i == 0 { 0 } else { self.header_ends[i - 1] as usize };
        &self.headers[start..self.header_ends[i] as usize]
    }

    /// What record `i` takes at most in a frame: key, value, and headers with their names and lengths.
    pub(crate) fn record_bytes(&self, i: usize) -> usize {
        let key = self.keys[i];
        let key_len = if key.is_none() { 0 } else { key.len as usize };
        const PER_HEADER: usize = 16;
        let header_len =
            |header: &HeaderSpan| header.value.len as usize + self.names[usize::from(header.name)].len() + PER_HEADER;
        let headers: usize = self.header_spans(i).iter().map(header_len).sum();
        key_len + self.values[i].len as usize + headers
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("len", &self.len()).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// The headers of one record: names and values.
#[derive(Clone)]
pub struct Headers<'a> {
    records: &'a Records,
    spans: std::slice::Iter<'a, HeaderSpan>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.spans.next()?;
        Some((&*self.records.names[usize::from(span.name)], span.value.of(&self.records.bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Collects records into a batch. A batch holds less than 4 GiB; [`RecordsBuilder::bytes`] tells when to finish one.
#[derive(Default)]
pub struct RecordsBuilder {
    records: Records,
    /// The last value of each header name: consecutive equal ones are kept once.
    last_values: Vec<Span>,
    /// Records and bytes for which room is made with the first record.
    room: (usize, usize),
}

impl RecordsBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty builder with room for this many records and bytes of keys and values.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { room: (records, bytes), ..Self::default() }
    }

    /// How many records so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys, values and headers so far.
    pub fn bytes(&self) -> usize {
        self.records.bytes.len()
    }

    /// How many different names headers have so far.
    pub fn names(&self) -> usize {
        self.records.names.len()
    }

    /// Adds a record.
    ///
    /// # Panics
    /// When the batch would reach 4 GiB, or has more than 65,535 different header names.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: &[u8], headers: &[(&str, &[u8])]) {
        if self.is_empty() {
            self.make_room();
        }
        self.records.timestamps_ms.push(timestamp_ms);
        let key = key.map_or(Span::NONE, |key| self.append(key));
        self.records.keys.push(key);
        let value = self.append(value);
        self.records.values.push(value);
        if !headers.is_empty() {
            self.push_headers(headers);
        } else if !self.records.header_ends.is_empty() {
            self.records.header_ends.push(self.records.headers.len() as u32);
        }
    }

    /// Adds record `i` of another batch as it is.
    pub fn push_from(&mut self, records: &Records, i: usize) {
        let headers: Vec<(&str, &[u8])> = records.headers(i).collect();
        self.push(records.timestamp_ms(i), records.key(i), records.value(i), &headers);
    }

    /// The batch. The builder is empty again, and makes room for the next one to be as large as the last that had a record.
    pub fn finish(&mut self) -> Records {
        self.last_values.clear();
        if !self.is_empty() {
            // An eighth more: the next batch may be a little larger, and would be moved for that.
            self.room = (self.len(), self.bytes() + self.bytes() / 8);
        }
        std::mem::take(&mut self.records)
    }

    fn make_room(&mut self) {
        let (records, bytes) = self.room;
        self.records.bytes.reserve(bytes);
        self.records.timestamps_ms.reserve(records);
        self.records.keys.reserve(records);
        self.records.values.reserve(records);
    }

    fn push_headers(&mut self, headers: &[(&str, &[u8])]) {
        if self.records.header_ends.is_empty() {
            // The first record with headers: those before it have none.
            self.records.header_ends.resize(self.records.len() - 1, 0);
        }
        for (position, (name, value)) in headers.iter().enumerate() {
            let name = self.name(name, position);
            let last = self.last_values[usize::from(name)];
            let span =
                if !last.is_none() && last.of(&self.records.bytes) == *value { last } else { self.append(value) };
            self.last_values[usize::from(name)] = span;
            self.records.headers.push(HeaderSpan { name, value: span });
        }
        self.records.header_ends.push(self.records.headers.len() as u32);
    }

    /// The number of a header name; records mostly have the same headers in the same places.
    fn name(&mut self, name: &str, position: usize) -> u16 {
        let names = &mut self.records.names;
        let known = if names.get(position).is_some_and(|known| &**known == name) {
            Some(position)
        } else {
            names.iter().position(|known| &**known == name)
        };
        let index = known.unwrap_or_else(|| {
            names.push(name.into());
            self.last_values.push(Span::NONE);
            names.len() - 1
        });
        u16::try_from(index).expect("a batch has at most 65,535 different header names")
    }

    fn append(&mut self, bytes: &[u8]) -> Span {
        let buffer = &mut self.records.bytes;
        let start = u32::try_from(buffer.len()).expect("a batch of records holds less than 4 GiB");
        buffer.extend_from_slice(bytes);
        assert!(buffer.len() < u32::MAX as usize, "a batch of records holds less than 4 GiB");
        Span { start, len: bytes.len() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (i64, Option<&'a [u8]>, &'a [u8], &'a [(&'a str, &'a [u8])]);

    #[test]
    fn gives_back_what_was_pushed() {
        let cases: [Case; 5] = [
            (1, Some(b"k"), b"v", &[]),
            (-5, None, b"", &[("a", b"1"), ("b", b"")]),
            (i64::MAX, Some(b""), b"x", &[("b", b"2"), ("a", b"1")]),
            (0, Some(b"key"), b"value", &[]),
            (9, None, b"last", &[("a", b"1"), ("a", b"2")]),
        ];
        let mut builder = RecordsBuilder::new();
        for (timestamp_ms, key, value, headers) in cases {
            builder.push(timestamp_ms, key, value, headers);
        }
        let first = builder.finish();
        assert!(builder.is_empty());
        for i in 0..first.len() {
            builder.push_from(&first, i);
        }
        for records in [first, builder.finish()] {
            assert_eq!(records.len(), cases.len());
            for (i, (timestamp_ms, key, value, headers)) in cases.into_iter().enumerate() {
                assert_eq!(records.timestamp_ms(i), timestamp_ms);
                assert_eq!(records.key(i), key);
                assert_eq!(records.value(i), value);
                assert_eq!(records.headers(i).collect::<Vec<_>>(), headers);
            }
            assert_eq!(records.header(2, "a"), Some(&b"1"[..]));
            assert_eq!(records.header(2, "c"), None);
            assert_eq!(records.header(0, "a"), None);
            assert_eq!(records.header(4, "a"), Some(&b"2"[..]));
        }
    }

    #[test]
    fn equal_header_values_in_a_row_are_kept_once() {
        let mut builder = RecordsBuilder::new();
        for _ in 0..1000 {
            builder.push(0, None, b"", &[("log", b"0123456789"), ("topic", b"events")]);
        }
        assert_eq!(builder.bytes(), 16);
    }
}
