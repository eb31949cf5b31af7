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
/// Files that may hold records, but not as lines: from which byte on is what, the kind, and what makes lines of it.
const FOREIGN: [(usize, &[u8], &str, &str); 8] = [
    (0, b"\xfd7zXZ\x00", "an xz archive", "xz -dc FILE"),
    (0, b"BZh", "a bzip2 archive", "bzip2 -dc FILE"),
    (0, b"PK\x03\x04", "a zip archive", "unzip -p FILE"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so FILE"),
    (0, b"\x04\x22\x4d\x18", "an lz4 archive", "lz4 -dc FILE"),
    (257, b"ustar", "a tar archive", "tar -xOf FILE"),
    (0, b"PAR1", "a Parquet file", "duckdb -c \"copy (from 'FILE') to '/dev/stdout' (format json)\""),
    (0, b"Obj\x01", "an Avro file", "avro-tools tojson FILE"),
];
const ARRAY: &str = "a JSON array";

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
    /// If the file can't be opened, or its first bytes not be read; if these say that it has no lines.
    pub fn open(path: &Path, limit: usize) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::of(Box::new(io::stdin()), limit, "FILE");
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a file"));
        }
        Self::of(Box::new(file), limit, &path.to_string_lossy())
    }

    fn of(input: Box<dyn Read>, limit: usize, name: &str) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let mut input = BufReader::with_capacity(BUFFER_BYTES, Counted { inner: input, read: read.clone() });
        let first = input.fill_buf()?;
        let (is_gzip, is_zstd) = (first.starts_with(&GZIP), first.starts_with(&ZSTD));
        let mut source: Box<dyn BufRead> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input)))
        } else if is_zstd {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(input)?))
        } else {
            Box::new(input)
        };
        if let Some((kind, lines)) = foreign(source.fill_buf()?) {
            let lines = match lines {
                Some(lines) => lines,
                None if is_gzip => "gzip -dc FILE | jq -c '.[]'",
                None if is_zstd => "zstd -dc FILE | jq -c '.[]'",
                None => "jq -c '.[]' FILE",
            };
            let lines = lines.replace("FILE", name);
            let problem = format!("it is {kind}, not lines; try `{lines} | streamreel ingest -`");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
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

/// What the first bytes are of, if not of lines, and what makes lines of it; `None` for an array, which depends on how it is packed.
fn foreign(first: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    let known = FOREIGN.iter().find(|(at, bytes, ..)| first.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    let packed = known.map(|(_, _, kind, lines)| (*kind, Some(*lines)));
    packed.or_else(|| is_array(first).then_some((ARRAY, None)))
}

/// Whether a text is an array as a whole. A line that is one and has others behind it is one record, a bad one.
fn is_array(first: &[u8]) -> bool {
    let text = first.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(first).trim_ascii_start();
    let (line, rest) = text.split_at(memchr::memchr(b'\n', text).unwrap_or(text.len()));
    text.starts_with(b"[") && (!line.trim_ascii_end().ends_with(b"]") || rest.trim_ascii().is_empty())
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
        let mut lines = Lines::of(Box::new(Cursor::new(bytes)), 8, "in.put")?;
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
    fn what_has_no_lines_is_refused_with_what_makes_lines_of_it() {
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 12] = [
            (b"\xfd7zXZ\x00\x00\x04", "an xz archive, not lines; try `xz -dc in.put | streamreel ingest -`"),
            (b"BZh91AY&SY", "a bzip2 archive, not lines; try `bzip2 -dc in.put |"),
            (b"PK\x03\x04\x14\x00", "a zip archive, not lines; try `unzip -p in.put |"),
            (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
            (b"\x04\x22\x4d\x18\x64\x40", "an lz4 archive"),
            (&tar, "a tar archive"),
            (b"PAR1\x15\x04", "a Parquet file, not lines; try `duckdb -c \"copy (from 'in.put')"),
            (b"Obj\x01\x04\x16", "an Avro file"),
            (b"[{\"a\":1},\n{\"a\":2}]\n", "a JSON array, not lines; try `jq -c '.[]' in.put | streamreel ingest -`"),
            (b"\xef\xbb\xbf\r\n  [\n  {}\n]", "a JSON array"),
            (b"[{}, {}]", "a JSON array"),
            (b"[]\n\n", "a JSON array"),
        ];
        for (bytes, expected) in cases {
            let said = all(bytes.to_vec()).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
            assert!(all(gzip(bytes)).is_err() && all(zstd::encode_all(bytes, 1).unwrap()).is_err(), "{expected}");
        }
        let said = all(gzip(b"[{}]")).unwrap_err().to_string();
        assert!(said.contains("`gzip -dc in.put | jq -c '.[]' | streamreel ingest -`"), "{said}");
        for lines in [&b"[1]\n{}\n"[..], b"{}\n[\n", b"B\nPK\n", b" \n"] {
            assert!(all(lines.to_vec()).is_ok(), "{lines:?}");
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
