//! Frames: how a run of records is laid out and compressed for storage.
//!
//! A frame's raw bytes are `values | keys | header values | columns | footer`. The bytes of the records come first and
//! as they are, so that a reader decompresses straight into a batch's buffer and only makes spans. The columns are
//! integers less their minimum, 0, 1, 2, 4 or 8 bytes wide: timestamps, key lengths + 1 (0: no key), value lengths,
//! and, when there are headers, how many a record has, their names' numbers, and their value lengths + 1 (0: the
//! frame's previous value of that name again). All numbers are little-endian.

use zstd::bulk::{Compressor, Decompressor};

use crate::records::{HeaderSpan, Records, Span};

/// A frame is closed at so many records,
const MAX_RECORDS: usize = 5_000;
/// or when the next record would bring its keys, values and headers over so many bytes.
const MAX_BYTES: usize = 2 << 20;
/// Bytes of the largest record that a frame takes.
pub(crate) const MAX_RECORD_BYTES: usize = 16 << 20;
/// No frame is larger than this when decompressed: the largest record and room for a frame's columns.
pub(crate) const MAX_RAW_BYTES: usize = MAX_RECORD_BYTES + MAX_BYTES + (4 << 20);
/// Level 1 stores half the bytes of lz4; the disk is written twice (write-ahead log, then file), so bytes count.
const LEVEL: i32 = 1;
const FOOTER_BYTES: usize = 20;
/// Sanity bounds of a frame that is read: columns of equal values take no bytes, so a size alone bounds no count.
const MOST_RECORDS: usize = 1 << 20;
const MOST_HEADERS: usize = 1 << 24;

/// A compressed frame, before it has an offset.
pub(crate) struct Frame {
    pub(crate) records: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) max_timestamp_ms: i64,
    pub(crate) data: Vec<u8>,
}

/// Collects records into a frame.
#[derive(Default)]
pub(crate) struct FrameBuilder {
    raw: Vec<u8>,
    keys: Vec<u8>,
    header_values: Vec<u8>,
    timestamps_ms: Vec<i64>,
    key_codes: Vec<i64>,
    value_lens: Vec<i64>,
    header_counts: Vec<i64>,
    header_names: Vec<i64>,
    header_codes: Vec<i64>,
    names: Vec<Box<str>>,
    last_values: Vec<LastValue>,
    compressed: Vec<u8>,
}

/// The last value of a header name.
#[derive(Clone, Copy)]
struct LastValue {
    /// In the builder.
    kept: Span,
    /// Where the batch that is being pushed has it; [`Span::NONE`] if it is of an earlier batch.
    in_batch: Span,
}

impl FrameBuilder {
    /// Says that the records pushed next are of another batch than those before.
    pub(crate) fn begin_batch(&mut self) {
        self.last_values.iter_mut().for_each(|last| last.in_batch = Span::NONE);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }

    /// Whether a record of so many bytes belongs into the next frame.
    pub(crate) fn is_full_for(&self, record_bytes: usize) -> bool {
        let bytes = self.raw.len() + self.keys.len() + self.header_values.len();
        self.timestamps_ms.len() >= MAX_RECORDS || (!self.is_empty() && bytes + record_bytes > MAX_BYTES)
    }

    /// Adds record `i` of a batch; between two batches comes [`FrameBuilder::begin_batch`].
    pub(crate) fn push(&mut self, records: &Records, i: usize) {
        let value = records.value(i);
        self.timestamps_ms.push(records.timestamp_ms(i));
        self.value_lens.push(value.len() as i64);
        self.raw.extend_from_slice(value);
        match records.key(i) {
            Some(key) => {
                self.key_codes.push(key.len() as i64 + 1);
                self.keys.extend_from_slice(key);
            }
            None => self.key_codes.push(0),
        }
        let headers = records.header_spans(i);
        self.header_counts.push(headers.len() as i64);
        for header in headers {
            let name = self.name(&records.names[usize::from(header.name)], usize::from(header.name));
            let last = &mut self.last_values[name];
            self.header_names.push(name as i64);
            // A batch keeps equal values in a row once: the same place tells without looking.
            if last.in_batch == header.value {
                self.header_codes.push(0);
                continue;
            }
            last.in_batch = header.value;
            let value = header.value.of(&records.bytes);
            if !last.kept.is_none() && last.kept.of(&self.header_values) == value {
                self.header_codes.push(0);
                continue;
            }
            self.header_codes.push(value.len() as i64 + 1);
            last.kept = Span { start: self.header_values.len() as u32, len: value.len() as u32 };
            self.header_values.extend_from_slice(value);
        }
    }

    /// Lays out and compresses what was pushed; the builder is empty again and keeps its buffers.
    pub(crate) fn finish(&mut self, compressor: &mut Compressor<'static>) -> std::io::Result<Frame> {
        let lens = [self.timestamps_ms.len(), self.raw.len(), self.keys.len(), self.header_values.len()];
        self.raw.append(&mut self.keys);
        self.raw.append(&mut self.header_values);
        let columns_at = self.raw.len();
        for column in [&self.timestamps_ms, &self.key_codes, &self.value_lens] {
            pack(column, &mut self.raw);
        }
        if !self.header_names.is_empty() {
            self.raw.extend_from_slice(&(self.names.len() as u32).to_le_bytes());
            for name in &self.names {
                self.raw.extend_from_slice(&(name.len() as u32).to_le_bytes());
                self.raw.extend_from_slice(name.as_bytes());
            }
            pack(&self.header_counts, &mut self.raw);
            self.raw.extend_from_slice(&(self.header_names.len() as u32).to_le_bytes());
            pack(&self.header_names, &mut self.raw);
            pack(&self.header_codes, &mut self.raw);
        }
        let columns = self.raw.len() - columns_at;
        // A frame's bytes are bounded by MAX_RAW_BYTES, far below 4 GiB.
        for len in lens.into_iter().chain([columns]) {
            self.raw.extend_from_slice(&(len as u32).to_le_bytes());
        }
        // Compressed bytes are few: what they may need at most is kept for the next frame.
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.raw.len()));
        compressor.compress_to_buffer(&self.raw, &mut self.compressed)?;
        let frame = Frame {
            records: lens[0] as u32,
            raw_bytes: self.raw.len() as u32,
            max_timestamp_ms: self.timestamps_ms.iter().copied().max().unwrap_or(i64::MIN),
            data: self.compressed.as_slice().to_vec(),
        };
        self.clear();
        Ok(frame)
    }

    pub(crate) fn clear(&mut self) {
        self.raw.clear();
        self.keys.clear();
        self.header_values.clear();
        for column in [
            &mut self.timestamps_ms,
            &mut self.key_codes,
            &mut self.value_lens,
            &mut self.header_counts,
            &mut self.header_names,
            &mut self.header_codes,
        ] {
            column.clear();
        }
        self.names.clear();
        self.last_values.clear();
    }

    /// The number of a header name in this frame; mostly it is the one that it has in the batch.
    fn name(&mut self, name: &str, guess: usize) -> usize {
        if self.names.get(guess).is_some_and(|known| &**known == name) {
            return guess;
        }
        self.names.iter().position(|known| &**known == name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.last_values.push(LastValue { kept: Span::NONE, in_batch: Span::NONE });
            self.names.len() - 1
        })
    }
}

/// A compressor for frames.
pub(crate) fn compressor() -> std::io::Result<Compressor<'static>> {
    Compressor::new(LEVEL)
}

/// What is wrong with a frame.
pub(crate) type Damage = &'static str;

/// Decompresses a frame behind the records that are there and appends its records from `skip` on.
pub(crate) fn append(
    records: &mut Records,
    data: &[u8],
    raw_bytes: usize,
    skip: usize,
    decompressor: &mut Decompressor<'static>,
) -> Result<usize, Damage> {
    if raw_bytes > MAX_RAW_BYTES {
        return Err("its size is beyond every limit");
    }
    let start = records.bytes.len();
    if start + raw_bytes > u32::MAX as usize {
        return Err("the batch is over 4 GiB");
    }
    records.bytes.reserve(raw_bytes);
    let mut cursor = std::io::Cursor::new(&mut records.bytes);
    cursor.set_position(start as u64);
    let written = decompressor.decompress_to_buffer(data, &mut cursor).map_err(|_| "it cannot be decompressed")?;
    if written != raw_bytes || records.bytes.len() != start + raw_bytes {
        return Err("its decompressed size is another");
    }
    let buffer = std::mem::take(&mut records.bytes);
    let appended = append_spans(records, &buffer, start, skip);
    records.bytes = buffer;
    appended
}

fn append_spans(records: &mut Records, buffer: &[u8], start: usize, skip: usize) -> Result<usize, Damage> {
    const SHORT: Damage = "its footer does not fit its size";
    let raw = &buffer[start..];
    let footer_at = raw.len().checked_sub(FOOTER_BYTES).ok_or(SHORT)?;
    let mut footer = Reader { bytes: &raw[footer_at..] };
    let count = footer.u32()? as usize;
    let [values, keys, header_values, columns] =
        [footer.u32()? as usize, footer.u32()? as usize, footer.u32()? as usize, footer.u32()? as usize];
    let columns_at = values + keys + header_values;
    if columns_at + columns != footer_at || count > MOST_RECORDS {
        return Err(SHORT);
    }
    let mut reader = Reader { bytes: &raw[columns_at..footer_at] };
    let timestamps_ms = reader.column(count)?;
    let key_codes = reader.column(count)?;
    let value_lens = reader.column(count)?;

    let mut value = Place { at: start, end: start + values };
    let mut key = Place { at: start + values, end: start + values + keys };
    records.timestamps_ms.extend((skip..count).map(|i| timestamps_ms.get(i)));
    records.values.reserve(count.saturating_sub(skip));
    records.keys.reserve(count.saturating_sub(skip));
    for i in 0..count {
        let value = value.take(value_lens.get(i))?;
        let key = match key_codes.get(i) {
            0 => Span::NONE,
            code => key.take(code - 1)?,
        };
        if i >= skip {
            records.values.push(value);
            records.keys.push(key);
        }
    }
    let place = Place { at: start + values + keys, end: start + columns_at };
    if reader.bytes.is_empty() {
        if !records.header_ends.is_empty() {
            records.header_ends.resize(records.timestamps_ms.len(), records.headers.len() as u32);
        }
    } else {
        append_headers(records, &mut reader, place, count, skip)?;
    }
    Ok(count)
}

fn append_headers(
    records: &mut Records,
    reader: &mut Reader<'_>,
    mut place: Place,
    count: usize,
    skip: usize,
) -> Result<(), Damage> {
    const NAME: Damage = "a header's name is none of its own";
    let names = reader.u32()? as usize;
    let mut numbers = Vec::new();
    for _ in 0..names {
        let len = reader.u32()? as usize;
        let name = std::str::from_utf8(reader.take(len)?).map_err(|_| NAME)?;
        let known = records.names.iter().position(|known| &**known == name);
        let number = known.unwrap_or_else(|| {
            records.names.push(name.into());
            records.names.len() - 1
        });
        numbers.push(u16::try_from(number).map_err(|_| "there are over 65,535 header names")?);
    }
    let counts = reader.column(count)?;
    let headers = reader.u32()? as usize;
    if headers > MOST_HEADERS {
        return Err("its headers are beyond every limit");
    }
    let header_names = reader.column(headers)?;
    let header_codes = reader.column(headers)?;

    let before = records.timestamps_ms.len() - count.saturating_sub(skip);
    if records.header_ends.is_empty() {
        records.header_ends.resize(before, 0);
    }
    let mut last_values = vec![Span::NONE; names];
    let mut next: usize = 0;
    for i in 0..count {
        let end = usize::try_from(counts.get(i)).ok().and_then(|count| next.checked_add(count));
        let end = end.filter(|end| *end <= headers).ok_or("its headers are not as many as it says")?;
        for header in next..end {
            let name = usize::try_from(header_names.get(header)).map_err(|_| NAME)?;
            let last = last_values.get_mut(name).ok_or(NAME)?;
            match header_codes.get(header) {
                0 if last.is_none() => return Err("a header repeats a value that is not there"),
                0 => {}
                code => *last = place.take(code - 1)?,
            }
            if i >= skip {
                records.headers.push(HeaderSpan { name: numbers[name], value: *last });
            }
        }
        next = end;
        if i >= skip {
            records.header_ends.push(records.headers.len() as u32);
        }
    }
    Ok(())
}

/// Hands out consecutive spans of a part of the buffer.
struct Place {
    at: usize,
    end: usize,
}

impl Place {
    fn take(&mut self, len: i64) -> Result<Span, Damage> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let end = end.filter(|end| *end <= self.end).ok_or("its lengths do not fit its size")?;
        let span = Span { start: self.at as u32, len: (end - self.at) as u32 };
        self.at = end;
        Ok(span)
    }
}

/// Appends a column: its width in bytes, its minimum, and each value less the minimum.
fn pack(values: &[i64], out: &mut Vec<u8>) {
    let min = values.iter().copied().min().unwrap_or(0);
    let max = values.iter().copied().max().unwrap_or(0);
    let less = |value: i64| value.wrapping_sub(min) as u64;
    let width: u8 = match less(max) {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.push(width);
    out.extend_from_slice(&min.to_le_bytes());
    match width {
        0 => {}
        1 => out.extend(values.iter().map(|value| less(*value) as u8)),
        2 => out.extend(values.iter().flat_map(|value| (less(*value) as u16).to_le_bytes())),
        4 => out.extend(values.iter().flat_map(|value| (less(*value) as u32).to_le_bytes())),
        _ => out.extend(values.iter().flat_map(|value| less(*value).to_le_bytes())),
    }
}

/// A packed column.
#[derive(Clone, Copy)]
struct Column<'a> {
    width: usize,
    min: i64,
    bytes: &'a [u8],
}

impl Column<'_> {
    fn get(&self, i: usize) -> i64 {
        let at = i * self.width;
        let less = match self.width {
            0 => 0,
            1 => u64::from(self.bytes[at]),
            2 => u64::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])),
            4 => {
                let bytes = &self.bytes[at..at + 4];
                u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            _ => {
                let mut word = [0; 8];
                word.copy_from_slice(&self.bytes[at..at + 8]);
                u64::from_le_bytes(word)
            }
        };
        self.min.wrapping_add(less as i64)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or("its columns end early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Damage> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn column(&mut self, count: usize) -> Result<Column<'a>, Damage> {
        let width = usize::from(self.take(1)?[0]);
        if !matches!(width, 0 | 1 | 2 | 4 | 8) {
            return Err("a column has no known width");
        }
        let mut min = [0; 8];
        min.copy_from_slice(self.take(8)?);
        Ok(Column { width, min: i64::from_le_bytes(min), bytes: self.take(count * width)? })
    }
}

#[cfg(test)]
mod tests;
