//! A body taken apart into records, by its bytes. What a record is worth is not decided here: the processor judges it.
//!
//! * A body that begins with `[` is an array: each element is a record, as it was sent. What follows the array, and what is
//!   left of an array that breaks off, is a record too, so that it is found among the dead letters.
//! * A body that begins with `{` is one event if it is one object from its first to its last byte, on however many lines;
//!   otherwise each line that is not blank is a record.
//! * Anything else was not meant for a collector.
//!
//! Of an array or lines that are valid, exactly the elements come out. Of any other body every byte that is neither space nor
//! separator is in some record.

use memchr::{memchr, memchr2};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a body can't be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEvents {
    /// Nothing but space.
    Empty,
    /// It begins like neither an array nor an object.
    Other,
}

/// Gives each record of a body to `each`, in order.
pub(crate) fn split<'a>(body: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Result<(), NoEvents> {
    let body = trimmed(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
    match body.first() {
        None => return Err(NoEvents::Empty),
        Some(b'[') => array(&body[1..], &mut each),
        Some(b'{') if object_end(body) == Some(body.len()) => each(body),
        Some(b'{') => lines(body, &mut each),
        Some(_) => return Err(NoEvents::Other),
    }
    Ok(())
}

/// The elements of an array whose bracket is open already.
fn array<'a>(bytes: &'a [u8], each: &mut impl FnMut(&'a [u8])) {
    let mut give = |record: &'a [u8]| {
        let record = trimmed(record);
        if !record.is_empty() {
            each(record);
        }
    };
    let (mut begin, mut at, mut depth) = (0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b']' => {
                give(&bytes[begin..at]);
                return give(&bytes[at + 1..]);
            }
            b',' if depth == 0 => {
                give(&bytes[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    give(&bytes[begin..]);
}

fn lines<'a>(bytes: &'a [u8], each: &mut impl FnMut(&'a [u8])) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = trimmed(&rest[..end]);
        if !line.is_empty() {
            each(line);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// Where the object at the beginning ends; `None` if it does not.
fn object_end(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place behind the string whose inside begins at `at`; the end of the bytes if it is not closed.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if bytes[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    bytes.len()
}

/// Without the space of JSON around it.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let begin = bytes.iter().position(|byte| !is_space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(begin, |last| last + 1);
    &bytes[begin..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn records(body: &[u8]) -> Result<Vec<&[u8]>, NoEvents> {
        let mut records = Vec::new();
        split(body, |record| records.push(record))?;
        Ok(records)
    }

    #[test]
    fn bodies_and_their_records() {
        type Case<'a> = (&'a str, Result<&'a [&'a str], NoEvents>);
        let cases: [Case; 24] = [
            ("", Err(NoEvents::Empty)),
            (" \r\n\t", Err(NoEvents::Empty)),
            ("\u{feff}", Err(NoEvents::Empty)),
            ("hello", Err(NoEvents::Other)),
            ("user_id=1&video_id=2", Err(NoEvents::Other)),
            ("\"text\"", Err(NoEvents::Other)),
            ("17", Err(NoEvents::Other)),
            ("[]", Ok(&[])),
            (" [ ] ", Ok(&[])),
            ("[{\"a\":1}]", Ok(&["{\"a\":1}"])),
            ("\u{feff}[ {\"a\":[1,{}]} ,\n{\"b\":\"]},\"} ]\n", Ok(&["{\"a\":[1,{}]}", "{\"b\":\"]},\"}"])),
            ("[1,\"x\",null,[2,3]]", Ok(&["1", "\"x\"", "null", "[2,3]"])),
            (r#"[{"a":"\\"},{"b":"\""}]"#, Ok(&[r#"{"a":"\\"}"#, r#"{"b":"\""}"#])),
            ("{\"a\":1}", Ok(&["{\"a\":1}"])),
            ("{\n \"a\": {\n}\n}\n", Ok(&["{\n \"a\": {\n}\n}"])),
            ("{\"a\":1}\n\n{\"b\":2}\r\n", Ok(&["{\"a\":1}", "{\"b\":2}"])),
            ("{\"a\":1}\nno json\n{\"b\":\"", Ok(&["{\"a\":1}", "no json", "{\"b\":\""])),
            // Broken off: what came whole is an event, the rest a record that will be rejected.
            ("[{\"a\":1},{\"b\":", Ok(&["{\"a\":1}", "{\"b\":"])),
            ("[{\"a\":1},{\"b\":\"x", Ok(&["{\"a\":1}", "{\"b\":\"x"])),
            ("[{\"a\":1}", Ok(&["{\"a\":1}"])),
            // More than an array, or less.
            ("[{\"a\":1}] {\"b\":2}", Ok(&["{\"a\":1}", "{\"b\":2}"])),
            ("[{\"a\":1},,{\"b\":2},]", Ok(&["{\"a\":1}", "{\"b\":2}"])),
            ("[{\"a\":1} {\"b\":2}]", Ok(&["{\"a\":1} {\"b\":2}"])),
            ("[1}2", Ok(&["1", "2"])),
        ];
        for (body, expected) in cases {
            let expected: Result<Vec<&[u8]>, _> = expected.map(|all| all.iter().map(|text| text.as_bytes()).collect());
            assert_eq!(records(body.as_bytes()), expected, "{body:?}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no other numbers", |number| number.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\[\\]{},:\"\\\\\n ]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Something and nothing between the brackets, quotes and letters that a scanner may stumble over.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let one = prop_oneof![
            prop::sample::select(b"[]{},:\"\\ \n\r\tabc019".to_vec()),
            prop::sample::select(b"[]{},:\"\\ \n\r\tabc019".to_vec()),
            any::<u8>(),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_elements_of_an_array_are_those_that_serde_finds(values in prop::collection::vec(value(), 0..8), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) };
            let text = text.unwrap();
            let found: Vec<Value> =
                records(text.as_bytes()).unwrap().into_iter().map(|r| serde_json::from_slice(r).unwrap()).collect();
            prop_assert_eq!(found, serde_json::from_str::<Vec<Value>>(&text).unwrap());
        }

        #[test]
        fn objects_one_a_line_are_those_lines(values in prop::collection::vec(value(), 1..8)) {
            let objects: Vec<Value> = values.into_iter().map(|value| serde_json::json!({ "v": value })).collect();
            let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
            let text = lines.join("\n");
            let found: Vec<&str> =
                records(text.as_bytes()).unwrap().into_iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
            prop_assert_eq!(found, lines);
        }

        #[test]
        fn nothing_of_a_body_is_lost(body in bytes()) {
            prop_assume!(!body.starts_with(BYTE_ORDER_MARK));
            let Ok(records) = records(&body) else { return Ok(()) };
            let start = body.as_ptr() as usize;
            let mut covered = vec![false; body.len()];
            for record in records {
                prop_assert!(!record.is_empty());
                let at = record.as_ptr() as usize - start;
                covered[at..at + record.len()].fill(true);
            }
            for (byte, is_covered) in body.iter().zip(covered) {
                prop_assert!(is_covered || b" \t\r\n,[]}".contains(byte), "{:?} of {:?}", *byte as char, body);
            }
        }
    }
}
