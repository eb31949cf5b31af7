//! The `detail` of a rejected record: one short line that says what was wrong, the same for the same bytes.

use std::fmt::Write;

use crate::MAX_RECORD_BYTES;
use crate::general::Problem;
use crate::parsed::{Kind, Parsed};
use crate::text::write_escaped;
use crate::validate::Rejection;

/// Of the value at fault, at most this many characters are shown.
const SHOWN_CHARACTERS: usize = 60;

// Writing to a String does not fail: the results are dropped.

pub fn too_large(bytes: usize, cut: bool, out: &mut String) {
    out.clear();
    if cut {
        let _ = write!(out, "longer than {MAX_RECORD_BYTES} bytes, cut to {bytes}");
    } else {
        let _ = write!(out, "{bytes} bytes, at most {MAX_RECORD_BYTES}");
    }
}

pub fn invalid_utf8(valid_up_to: usize, out: &mut String) {
    out.clear();
    let _ = write!(out, "byte {valid_up_to}: not UTF-8");
}

pub fn problem(problem: Problem, out: &mut String) {
    out.clear();
    let _ = match problem {
        Problem::NotJson(fault) => write!(out, "byte {}: {}", fault.at, fault.what),
        Problem::NotAnObject(kind) => write!(out, "{kind}"),
    };
}

pub fn rejection(rejection: Rejection, record: &str, parsed: &Parsed, out: &mut String) {
    out.clear();
    out.push_str(rejection.field.name());
    let value = parsed.value(rejection.field);
    if value.kind != Kind::Absent {
        let text = parsed.text(record, value);
        let cut = text.char_indices().nth(SHOWN_CHARACTERS).map_or(text.len(), |(at, _)| at);
        let quote = if matches!(value.kind, Kind::Text | Kind::Unescaped) { "\"" } else { "" };
        let mut shown = Vec::new();
        write_escaped(&text[..cut], &mut shown);
        let shown = if quote.is_empty() {
            text[..cut].replace(char::is_control, " ")
        } else {
            String::from_utf8_lossy(&shown).into()
        };
        let _ = write!(out, " {quote}{shown}{quote}{}", if cut < text.len() { "..." } else { "" });
    }
    let _ = write!(out, ": {}", rejection.fault);
}
