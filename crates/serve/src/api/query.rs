//! The query string, taken strictly: nothing that a client sends is ignored or guessed at.

use crate::problem::{Kind, Problem};

/// Bytes of a query string that are taken.
const LONGEST_QUERY: usize = 16 * 1024;
/// Parameters of a query string that are taken.
const MOST_PARAMETERS: usize = 512;
/// Characters of a value that are taken, decoded.
pub(crate) const LONGEST_VALUE: usize = 256;

/// The parameters that nobody has asked for yet, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Decodes a query string.
    ///
    /// # Errors
    /// 414 if it is too long, 400 for percent escapes that are none or not UTF-8, and for too much of anything.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let raw = raw.unwrap_or_default();
        if raw.len() > LONGEST_QUERY {
            let detail = format!("the query string has {} bytes; at most {LONGEST_QUERY} are taken", raw.len());
            return Err(Problem::new(Kind::UriTooLong, detail));
        }
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|what| Problem::parameter(shown(name), what))?;
            let value = decode(value).map_err(|what| Problem::parameter(shown(&name), what))?;
            let characters = value.chars().count();
            if characters > LONGEST_VALUE {
                let detail = format!("a value has {characters} characters; at most {LONGEST_VALUE} are taken");
                return Err(Problem::parameter(shown(&name), detail));
            }
            pairs.push((name, value));
        }
        if pairs.len() > MOST_PARAMETERS {
            let detail = format!("there are {} parameters; at most {MOST_PARAMETERS} are taken", pairs.len());
            return Err(Problem::parameter(shown(&pairs[MOST_PARAMETERS].0), detail));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter that may come once.
    pub(crate) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            times => Err(Problem::parameter(name, format!("`{name}` is given {times} times; give it once"))),
        }
    }

    /// A parameter that is one of some words.
    pub(crate) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&'static str, T)]) -> Result<Option<T>, Problem> {
        let Some(given) = self.one(name)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, meant)| *meant);
        let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| Problem::parameter(name, format!("`{name}` is one of {}", list())))
    }

    /// The values of a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(given, _)| given == name);
        taken.map(|(_, value)| value).collect()
    }

    /// Names (without the prefix) and values of all parameters whose names begin so.
    pub(crate) fn prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let taken = self.pairs.extract_if(.., |(given, _)| given.starts_with(prefix));
        taken.map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Says that everything has been asked for; `taken` is what the endpoint takes.
    pub(crate) fn none_left(&self, taken: &[&str]) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else { return Ok(()) };
        let detail = match taken {
            [] => format!("there is no parameter `{}` here; this endpoint takes none", shown(name)),
            _ => format!("there is no parameter `{}` here; this endpoint takes {}", shown(name), taken.join(", ")),
        };
        Err(Problem::parameter(shown(name), detail))
    }
}

/// The beginning of a client's text, for a message.
fn shown(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Decodes `+` and percent escapes.
fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = digits else {
                    return Err("a `%` is not followed by two hexadecimal digits; write %25 for the sign itself");
                };
                high << 4 | low
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| "the percent escapes are not UTF-8")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes a value so that [`decode`] gives it back and no two values share a text.
pub(crate) fn encode(value: &str, into: &mut String) {
    use std::fmt::Write;
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            byte => {
                // Writing to a string does not fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        for value in ["", "a b", "100%", "ä/ö", "a+b=c&d", "\u{1F600}"] {
            let mut text = String::new();
            encode(value, &mut text);
            assert_eq!(decode(&text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn takes_nothing_silently() {
        let cases =
            [("a=%", "a"), ("a=%4", "a"), ("a=%zz", "a"), ("a=%ff", "a"), ("a=1&a=2", "a"), ("b=1", "b"), ("=1", "")];
        for (raw, parameter) in cases {
            let result = Params::parse(Some(raw)).and_then(|mut params| {
                params.one("a")?;
                params.none_left(&["a"])
            });
            let problem = result.expect_err(raw);
            assert_eq!(problem.kind, Kind::BadParameter, "{raw}");
            let body = serde_json::to_value(problem.body()).expect("JSON");
            assert_eq!(body["parameter"], parameter, "{raw}");
        }
    }

    #[test]
    fn repeated_and_prefixed() {
        let mut params = Params::parse(Some("r=A&user.plan=pro&r=&user.age=+7&&x")).expect("decodes");
        assert_eq!(params.all("r"), ["A", ""]);
        let expected = [("plan".to_owned(), "pro".to_owned()), ("age".to_owned(), " 7".to_owned())];
        assert_eq!(params.prefixed("user."), expected);
        assert_eq!(params.one("x"), Ok(Some(String::new())));
        assert_eq!(params.none_left(&[]), Ok(()));
    }

    #[test]
    fn too_long() {
        let problem = Params::parse(Some(&"a".repeat(LONGEST_QUERY + 1))).expect_err("too long");
        assert_eq!(problem.kind, Kind::UriTooLong);
        let value = format!("a={}", "b".repeat(LONGEST_VALUE + 1));
        assert_eq!(Params::parse(Some(&value)).expect_err("too long").kind, Kind::BadParameter);
        let many = "a=1&".repeat(MOST_PARAMETERS + 1);
        assert_eq!(Params::parse(Some(&many)).expect_err("too many").kind, Kind::BadParameter);
    }
}
