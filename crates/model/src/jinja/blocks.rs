//! dbt's own block tags. `{% macro %}` and `{% test %}` of a macro file become one template each; what this runner
//! does not know is refused with its line.

use crate::error::{Error, Place, Result};

const SUPPORTED: &str =
    "{% macro name(args) %} and {% test name(model, column_name, ...) %} in macro files and tests/generic";

/// Name of the one macro in a block's template: a macro calls others, and itself, through the project's names.
pub(crate) const BODY: &str = "macro_body";

/// A macro or generic test as a template of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its name; a generic test `x` is `test_x`, as in dbt.
    pub(crate) name: String,
    /// Line of its tag.
    pub(crate) line: usize,
    /// Template source that defines the macro [`BODY`], on the lines where the file has it.
    pub(crate) source: String,
}

/// A tag `{% ... %}` of a file.
struct Tag<'a> {
    start: usize,
    end: usize,
    /// First word and where it stands.
    word: &'a str,
    word_at: usize,
}

/// The macros and tests of a macro file. Text between them is ignored, as in dbt.
pub(crate) fn split(file: &str, text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        let place = Place::new(file, line_of(text, tag.start));
        let end_word = match tag.word {
            "macro" => "endmacro",
            "test" | "data_test" => {
                if tag.word == "test" {
                    "endtest"
                } else {
                    "enddata_test"
                }
            }
            "docs" => "enddocs",
            other => return Err(refuse(&place, other)),
        };
        let close = closing(text, tag.end, end_word).ok_or_else(|| {
            Error::unsupported(&place, format!("{{% {} %}} has no {{% {end_word} %}}", tag.word), SUPPORTED)
        })?;
        if tag.word != "docs" {
            blocks.push(block(text, &tag, &close, &place)?);
        }
        at = close.end;
    }
    Ok(blocks)
}

/// Refuses dbt tags in a model or singular test that only macro files may have.
pub(crate) fn check_sql(file: &str, text: &str) -> Result<()> {
    let mut at = 0;
    while let Some(tag) = next_tag(text, at) {
        if matches!(tag.word, "test" | "data_test" | "materialization" | "snapshot" | "docs" | "macro") {
            return Err(refuse(&Place::new(file, line_of(text, tag.start)), tag.word));
        }
        at = tag.end;
    }
    Ok(())
}

fn refuse(place: &Place, word: &str) -> Error {
    Error::unsupported(place, format!("{{% {word} %}} is not supported here"), SUPPORTED)
}

fn block(text: &str, tag: &Tag<'_>, close: &Tag<'_>, place: &Place) -> Result<Block> {
    let header = &text[tag.word_at + tag.word.len()..];
    let name_at = tag.word_at + tag.word.len() + (header.len() - header.trim_start().len());
    let name: String = text[name_at..tag.end].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[name_at + name.len()..tag.end];
    if name.is_empty() || !rest.trim_start().starts_with('(') {
        return Err(Error::unsupported(
            place,
            format!("`{}` has no name(args)", text[tag.start..tag.end].trim()),
            SUPPORTED,
        ));
    }
    let mut source = "\n".repeat(place.line - 1);
    source.push_str(&text[tag.start..tag.word_at]);
    source.push_str("macro ");
    source.push_str(BODY);
    source.push_str(rest);
    source.push_str(&text[tag.end..close.word_at]);
    source.push_str("endmacro");
    source.push_str(&text[close.word_at + close.word.len()..close.end]);
    let name = if tag.word == "macro" { name } else { format!("test_{name}") };
    Ok(Block { name, line: place.line, source })
}

fn closing<'a>(text: &'a str, mut at: usize, word: &str) -> Option<Tag<'a>> {
    while let Some(tag) = next_tag(text, at) {
        if tag.word == word {
            return Some(tag);
        }
        at = tag.end;
    }
    None
}

/// The next `{% %}` from `at` on that is not inside a comment or `{% raw %}`.
fn next_tag(text: &str, mut at: usize) -> Option<Tag<'_>> {
    loop {
        let open = at + text[at..].find('{')?;
        match text.as_bytes().get(open + 1) {
            Some(b'#') => at = open + 2 + text[open + 2..].find("#}").map_or(text.len() - open - 2, |end| end + 2),
            Some(b'%') => {
                let inner = open + 2;
                let end = tag_end(text, inner)?;
                let word_at = inner + text[inner..end].len()
                    - text[inner..end].trim_start_matches(|c: char| c.is_whitespace() || c == '-' || c == '+').len();
                let word = text[word_at..end].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                if word == "raw" {
                    at = text[end..].find("endraw").map_or(text.len(), |offset| end + offset);
                    at = text[at..].find("%}").map_or(text.len(), |offset| at + offset + 2);
                    continue;
                }
                return Some(Tag { start: open, end, word, word_at });
            }
            _ => at = open + 1,
        }
    }
}

/// Where the tag whose inside starts at `at` ends, after its `%}`; quotes hide one.
fn tag_end(text: &str, at: usize) -> Option<usize> {
    let mut quote = None;
    let bytes = text.as_bytes();
    let mut i = at;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), c) if c == q => quote = None,
            (None, c @ (b'\'' | b'"')) => quote = Some(c),
            (None, b'%') if bytes.get(i + 1) == Some(&b'}') => return Some(i + 2),
            _ => {}
        }
        i += 1;
    }
    None
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_macros_and_tests() {
        let text = "{# {% macro no() %} #}\n{% macro a(x, y='%}') -%}\n {{ x }}\n{%- endmacro %}\nignored\n{% test b(model) %}select 1{% endtest %}\n{% docs d %}x{% enddocs %}";
        let blocks = split("m.sql", text).unwrap();
        let names: Vec<_> = blocks.iter().map(|b| (b.name.as_str(), b.line)).collect();
        assert_eq!(names, [("a", 2), ("test_b", 6)]);
        assert_eq!(blocks[0].source, "\n{% macro macro_body(x, y='%}') -%}\n {{ x }}\n{%- endmacro %}");
        assert_eq!(blocks[1].source, "\n\n\n\n\n{% macro macro_body(model) %}select 1{% endmacro %}");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for (text, line) in [
            ("\n{% materialization x, default %}{% endmaterialization %}", "m.sql:2"),
            ("{% snapshot s %}{% endsnapshot %}", "m.sql:1"),
            ("\n\n{% macro a() %}", "m.sql:3"),
            ("{% macro %}{% endmacro %}", "m.sql:1"),
        ] {
            let error = split("m.sql", text).unwrap_err().to_string();
            assert!(error.starts_with(line) && error.contains("supported: {% macro"), "{error}");
        }
        assert!(check_sql("x.sql", "select 1\n{% snapshot s %}").unwrap_err().to_string().starts_with("x.sql:2"));
        assert!(check_sql("x.sql", "{% if a %}{% raw %}{% snapshot %}{% endraw %}{% endif %}").is_ok());
    }
}
