//! JSON strings and numbers as text: where they end, what they say, how they are written.

/// What is wrong with a JSON text, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: usize,
    pub what: &'static str,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte from `at` on that does not simply stand for itself inside a JSON string: a quote, a backslash or a control
/// character. `None`: there is none.
#[inline(always)]
pub fn first_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // The lowest byte that a mask marks is right; those above it may be marked by a borrow.
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
        let special =
            zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
        if special != 0 {
            return Some(at + (special.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\').map(|offset| at + offset)
}

/// The end of the number that begins at `at` by JSON's grammar (RFC 8259 section 6), or the byte where it breaks off.
#[inline(always)]
pub fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    let digits = |mut at: usize| {
        let first = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > first { Ok(at) } else { Err(at) }
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}

/// The closing quote of the string whose first byte after the opening quote is at `at`, and whether it has escapes. Every escape is
/// checked: a surrogate must be one of a pair.
#[inline]
pub fn string_end(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = first_special(bytes, at).ok_or(Fault { at: bytes.len(), what: "a string without an end" })?;
        match bytes[at] {
            b'"' => return Ok((at, escaped)),
            b'\\' => {
                escaped = true;
                at += escape(bytes, at)?.1;
            }
            _ => return Err(Fault { at, what: "a control character in a string" }),
        }
    }
}

/// The character that the escape at `at` stands for, and the escape's length.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Fault> {
    let fault = |what| Fault { at, what };
    let character = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = hex4(bytes, at + 2).ok_or(fault("an escape without four hex digits"))?;
            if let Some(character) = char::from_u32(unit) {
                return Ok((character, 6));
            }
            let low =
                if unit < 0xdc00 && bytes.get(at + 6..at + 8) == Some(b"\\u") { hex4(bytes, at + 8) } else { None };
            return match low {
                Some(low @ 0xdc00..=0xdfff) => {
                    let character = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                    Ok((character.ok_or(fault("a lone surrogate"))?, 12))
                }
                _ => Err(fault("a lone surrogate")),
            };
        }
        _ => return Err(fault("an escape that JSON does not know")),
    };
    Ok((character, 2))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// Appends what a checked string's inside (between the quotes) says.
pub fn unescape(inside: &str, out: &mut String) {
    let mut rest = 0;
    while let Some(offset) = memchr::memchr(b'\\', &inside.as_bytes()[rest..]) {
        out.push_str(&inside[rest..rest + offset]);
        let Ok((character, length)) = escape(inside.as_bytes(), rest + offset) else {
            return;
        };
        out.push(character);
        rest += offset + length;
    }
    out.push_str(&inside[rest..]);
}

/// Appends `text` as the inside of a JSON string, escaped as little as JSON allows: `"`, `\` and what is below U+0020.
#[inline]
pub fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut rest = 0;
    while let Some(at) = first_special(bytes, rest) {
        out.extend_from_slice(&bytes[rest..at]);
        match bytes[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(control >> 4)]);
                out.push(DIGITS[usize::from(control & 15)]);
            }
        }
        rest = at + 1;
    }
    out.extend_from_slice(&bytes[rest..]);
}

/// Appends a checked JSON text without the space between its tokens, its strings escaped as [`write_escaped`] does.
/// Numbers stay as they are. What is compact already is appended as it is.
pub fn write_compact(json: &str, out: &mut Vec<u8>, scratch: &mut String) {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let Ok((end, escaped)) = string_end(bytes, at + 1) else {
                    return;
                };
                if escaped {
                    scratch.clear();
                    unescape(&json[at + 1..end], scratch);
                    out.push(b'"');
                    write_escaped(scratch, out);
                    out.push(b'"');
                } else {
                    out.extend_from_slice(&bytes[at..=end]);
                }
                at = end + 1;
            }
            token => {
                out.push(token);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_where_json_says() {
        type End = Result<(usize, bool), (usize, &'static str)>;
        let cases: &[(&str, End)] = &[
            ("\"", Ok((0, false))),
            ("abc\"", Ok((3, false))),
            ("abcdefghijk\"lmnopqrst", Ok((11, false))),
            ("\u{e9}\u{80}\u{7f}\u{1f600}\"", Ok((9, false))),
            (r#"a\"b\\\/\b\f\n\r\t\u0041""#, Ok((24, true))),
            (r#"\ud83d\ude00""#, Ok((12, true))),
            (r#"\uD83D\uDE00""#, Ok((12, true))),
            ("abc", Err((3, "a string without an end"))),
            (r#"abc\""#, Err((5, "a string without an end"))),
            (r"abc\", Err((3, "an escape that JSON does not know"))),
            (r#"\x41""#, Err((0, "an escape that JSON does not know"))),
            (r#"\u12g4""#, Err((0, "an escape without four hex digits"))),
            (r#"\u123""#, Err((0, "an escape without four hex digits"))),
            (r#"\u+123""#, Err((0, "an escape without four hex digits"))),
            (r#"\ud83d""#, Err((0, "a lone surrogate"))),
            (r#"\ude00""#, Err((0, "a lone surrogate"))),
            (r#"\ude00\ud83d""#, Err((0, "a lone surrogate"))),
            (r#"\ud83dx\ude00""#, Err((0, "a lone surrogate"))),
            (r#"\ud83d\ud83d""#, Err((0, "a lone surrogate"))),
            (r#"\ud83d\u0041""#, Err((0, "a lone surrogate"))),
            ("ab\ncdefghijk\"", Err((2, "a control character in a string"))),
            ("abcdefghijk\u{0}\"", Err((11, "a control character in a string"))),
            ("abcdefgh\u{1f}jklmnop\"", Err((8, "a control character in a string"))),
        ];
        for (text, expected) in cases {
            let found = string_end(text.as_bytes(), 0).map_err(|fault| (fault.at, fault.what));
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_end_where_json_says() {
        let cases: &[(&str, Result<usize, usize>)] = &[
            ("0", Ok(1)),
            ("-0", Ok(2)),
            ("01", Ok(1)),
            ("12.50,", Ok(5)),
            ("1e400", Ok(5)),
            ("1E+4", Ok(4)),
            ("1.5e-07}", Ok(7)),
            ("-", Err(1)),
            ("+1", Err(0)),
            (".5", Err(0)),
            ("1.", Err(2)),
            ("1.e5", Err(2)),
            ("1e", Err(2)),
            ("1e+", Err(3)),
            ("NaN", Err(0)),
            ("-Infinity", Err(1)),
            ("0x10", Ok(1)),
        ];
        for (text, expected) in cases {
            assert_eq!(number_end(text.as_bytes(), 0), *expected, "{text}");
        }
    }

    #[test]
    fn strings_come_back() {
        let cases = [
            ("plain", "plain"),
            ("a\"b\\c/d", r#"a\"b\\c/d"#),
            ("\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}", "\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}"),
            ("\u{1f600}\u{e9}", "\u{1f600}\u{e9}"),
        ];
        for (text, expected) in cases {
            let mut written = Vec::new();
            write_escaped(text, &mut written);
            assert_eq!(std::str::from_utf8(&written), Ok(expected));
            let mut back = String::new();
            unescape(expected, &mut back);
            assert_eq!(back, text);
        }
        let mut back = String::new();
        unescape(r"\/\u00e9\u0041\ud83d\ude00!", &mut back);
        assert_eq!(back, "/\u{e9}A\u{1f600}!");
    }

    #[test]
    fn compact_text_has_one_form() {
        let mut out = Vec::new();
        write_compact(" [ 1 , {\"a b\\u0041\" :\t\"c \\/ \\n\"} ,\r\n null, -1.50E+3 ] ", &mut out, &mut String::new());
        let once = String::from_utf8(out).expect("UTF-8");
        assert_eq!(once, r#"[1,{"a bA":"c / \n"},null,-1.50E+3]"#);
        let mut again = Vec::new();
        write_compact(&once, &mut again, &mut String::new());
        assert_eq!(again, once.as_bytes());
    }
}
