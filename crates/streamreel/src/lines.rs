//! Lines of a file, plain or compressed, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

const BUFFER_BYTES: usize = 1 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Counts the bytes that are read from a file, before they are decompressed.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Lines of a source, one after another.
pub struct Lines {
    source: Box<dyn BufRead>,
    read: Arc<AtomicU64>,
    limit: usize,
    line: Vec<u8>,
    number: u64,
}

/// One line without its end.
pub struct Line<'a> {
    /// At most `limit` bytes of it.
    pub bytes: &'a [u8],
    /// Its whole length, where it was longer than that.
    pub cut_from: Option<usize>,
}

impl Lines {
    /// Lines of a file, or of stdin (`-`); what is compressed is known by its first bytes. Of a line, `limit` bytes are kept.
    ///
    /// # Errors
    /// If the file can't be opened, or its first bytes not be read.
    pub fn open(path: &Path, limit: usize) -> io::Result<Self> {
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a file"));
            }
            Box::new(file)
        };
        Self::of(input, limit)
    }

    fn of(input: Box<dyn Read>, limit: usize) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let mut input = BufReader::with_capacity(BUFFER_BYTES, Counted { inner: input, read: read.clone() });
        let first = input.fill_buf()?;
        let source: Box<dyn BufRead> = if first.starts_with(&GZIP) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input)))
        } else if first.starts_with(&ZSTD) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(input)?))
        } else {
            Box::new(input)
        };
        Ok(Self { source, read, limit, line: Vec::new(), number: 0 })
    }

    /// Bytes read so far of the file itself.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Lines given so far, blank ones included.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end. A line that an error breaks off is not given.
    ///
    /// # Errors
    /// What reading or decompressing says.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0;
        let mut ended = false;
        while !ended {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            // One byte more than the limit, so that a carriage return right behind it is seen.
            let room = (self.limit + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            length += part.len();
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            self.source.consume(used);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        self.number += 1;
        let mut bytes = self.line.as_slice();
        if length == bytes.len() && bytes.last() == Some(&b'\r') {
            bytes = &bytes[..length - 1];
            length -= 1;
        }
        if self.number == 1
            && let Some(rest) = bytes.strip_prefix(&BYTE_ORDER_MARK)
        {
            bytes = rest;
            length -= BYTE_ORDER_MARK.len();
        }
        let cut_from = (length > self.limit).then_some(length);
        Ok(Some(Line { bytes: &bytes[..bytes.len().min(self.limit)], cut_from }))
    }
}

impl Line<'_> {
    /// Whether there is nothing on it.
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace) && self.cut_from.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn all(bytes: Vec<u8>) -> io::Result<Vec<(String, Option<usize>)>> {
        let mut lines = Lines::of(Box::new(Cursor::new(bytes)), 8)?;
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            found.push((String::from_utf8_lossy(line.bytes).into_owned(), line.cut_from));
        }
        Ok(found)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn ends_marks_and_long_lines() {
        type Case<'a> = (&'a [u8], &'a [(&'a str, Option<usize>)]);
        let cases: [Case; 7] = [
            (b"", &[]),
            (b"a\nb", &[("a", None), ("b", None)]),
            (b"a\r\n\r\nb\r\n", &[("a", None), ("", None), ("b", None)]),
            (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", &[("a", None), ("\u{feff}b", None)]),
            (b"12345678\n", &[("12345678", None)]),
            (b"12345678\r\n", &[("12345678", None)]),
            (b"123456789abc\nx\n", &[("12345678", Some(12)), ("x", None)]),
        ];
        for (bytes, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(text, cut)| ((*text).to_owned(), *cut)).collect();
            assert_eq!(all(bytes.to_vec()).unwrap(), expected);
            if !bytes.is_empty() {
                assert_eq!(all(gzip(bytes)).unwrap(), expected);
                assert_eq!(all(zstd::encode_all(bytes, 1).unwrap()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let whole = gzip(&b"one line and another\n".repeat(1000));
        assert!(all(whole[..whole.len() - 9].to_vec()).is_err());
        let whole = zstd::encode_all(b"one line and another\n".repeat(1000).as_slice(), 1).unwrap();
        assert!(all(whole[..whole.len() - 3].to_vec()).is_err());
    }
}
