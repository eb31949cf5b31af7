//! Messages of HTTP/1.1 as a proxy passes them on.

use std::io::{BufRead, Read};

/// A whole message of HTTP/1.1; an answer to HEAD has no body, whatever its length says.
pub fn message(stream: &mut impl BufRead, has_no_body: bool) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let from = whole.len();
        if stream.read_until(b'\n', &mut whole).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&whole[from..]).trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        if line.is_empty() {
            break;
        }
    }
    if has_no_body {
        return Some(whole);
    }
    while is_chunked {
        let from = whole.len();
        stream.read_until(b'\n', &mut whole).ok()?;
        let size = usize::from_str_radix(String::from_utf8_lossy(&whole[from..]).trim(), 16).ok()?;
        take(stream, &mut whole, size + 2)?;
        is_chunked = size > 0;
    }
    take(stream, &mut whole, length)?;
    Some(whole)
}

fn take(stream: &mut impl Read, into: &mut Vec<u8>, bytes: usize) -> Option<()> {
    let from = into.len();
    into.resize(from + bytes, 0);
    stream.read_exact(&mut into[from..]).ok()
}
