//! What a statement may be before anybody parses it. What it may be made of then, `parts` says.
//!
//! Parser and planner recurse over what they are given, and so does everything that walks or frees their trees. A text is
//! therefore measured as tokens first: its length, how deeply it is nested, and how many operators could hang on one
//! another. What passes can't exhaust a stack.

use datafusion::sql::sqlparser::{
    dialect::PostgreSqlDialect,
    keywords::Keyword,
    tokenizer::{Token, Tokenizer},
};

use crate::failure::{Failure, Outcome, code};

/// Longest text of one message, in bytes.
pub(crate) const LONGEST_TEXT: usize = 1 << 20;
/// Brackets and CASEs that may be open at once.
const DEEPEST: usize = 64;
/// Operators, joins and set operations of one statement: as many levels as its tree could get by them.
const LONGEST_CHAIN: usize = 1_000;
/// Statements of one message.
const MOST_STATEMENTS: usize = 100;
/// Work that calls within one another may make: the parser reads the arguments of a call twice, so each doubles that of what it
/// is in. One alone may be 15 deep.
const MOST_WORK: usize = 1 << 16;

/// Refuses a text that is too long, too deep or too chained.
pub(crate) fn check(text: &str) -> Outcome {
    if text.len() > LONGEST_TEXT {
        let what = format!("the statement is {} bytes long; at most {LONGEST_TEXT} are taken", text.len());
        return Err(Failure::new(code::TOO_LARGE, what));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize();
    let tokens = tokens.map_err(|error| Failure::new(code::SYNTAX, format!("syntax error: {error}")))?;
    let mut counted = Counted::default();
    for token in &tokens {
        counted.add(token)?;
    }
    Ok(())
}

/// What was found so far in a text, and in the statement of it at hand.
#[derive(Default)]
struct Counted {
    statements: usize,
    chain: usize,
    /// What is open: for each whether it is a call's bracket.
    open: Vec<bool>,
    calls: u32,
    work: usize,
    /// Whether a bracket that opens now would be a call's.
    callable: bool,
}

impl Counted {
    fn add(&mut self, token: &Token) -> Outcome {
        match token {
            Token::Whitespace(_) => return Ok(()),
            Token::LParen => self.open(self.callable),
            Token::LBracket | Token::LBrace => self.open(false),
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Word(word) if word.keyword == Keyword::CASE => self.open(false),
            Token::Word(word) if word.keyword == Keyword::END => self.close(),
            Token::SemiColon => *self = Self { statements: self.statements + 1, ..Self::default() },
            _ => {}
        }
        self.callable = matches!(token, Token::Word(word) if !before_bracket(word.keyword));
        self.chain += usize::from(lengthens(token));
        if self.open.len() > DEEPEST {
            let what =
                format!("the statement is nested too deeply: more than {DEEPEST} brackets or CASEs are open at once");
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what));
        }
        if self.work > MOST_WORK {
            let what = "the statement has functions too deeply within one another";
            let hint = "A subquery or WITH takes a part out: SELECT f(x) FROM (SELECT g(...) AS x ...)";
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what).hint(hint));
        }
        if self.chain > LONGEST_CHAIN {
            let what = format!("the statement has more than {LONGEST_CHAIN} operators, joins and set operations");
            let hint = "A long list of values is taken as: column IN (value, value, ...)";
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what).hint(hint));
        }
        if self.statements >= MOST_STATEMENTS {
            let what = format!("the message has more than {MOST_STATEMENTS} statements");
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what));
        }
        Ok(())
    }

    fn open(&mut self, call: bool) {
        self.open.push(call);
        if call {
            self.calls += 1;
            self.work = self.work.saturating_add(1_usize.checked_shl(self.calls).unwrap_or(usize::MAX));
        }
    }

    fn close(&mut self) {
        if self.open.pop() == Some(true) {
            self.calls -= 1;
        }
    }
}

/// Whether a bracket after a word is no call's, or one of a call that the parser reads once.
fn before_bracket(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::ALL
            | Keyword::AND
            | Keyword::ANY
            | Keyword::AS
            | Keyword::BETWEEN
            | Keyword::BY
            | Keyword::CAST
            | Keyword::ELSE
            | Keyword::EXCEPT
            | Keyword::EXISTS
            | Keyword::EXTRACT
            | Keyword::FILTER
            | Keyword::FROM
            | Keyword::HAVING
            | Keyword::IN
            | Keyword::INTERSECT
            | Keyword::INTERVAL
            | Keyword::JOIN
            | Keyword::LATERAL
            | Keyword::LIMIT
            | Keyword::NOT
            | Keyword::OFFSET
            | Keyword::ON
            | Keyword::OR
            | Keyword::OVER
            | Keyword::POSITION
            | Keyword::SELECT
            | Keyword::SUBSTRING
            | Keyword::THEN
            | Keyword::UNION
            | Keyword::USING
            | Keyword::VALUES
            | Keyword::WHEN
            | Keyword::WHERE
    )
}

/// Whether a token can put what follows one level deeper. All operators can; what only separates can't.
fn lengthens(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::EXPLAIN
                | Keyword::COLLATE
                | Keyword::AT
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::Period
        | Token::Placeholder(_)
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace
        | Token::SemiColon => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> Option<&'static str> {
        check(text).err().map(|failure| failure.code)
    }

    #[test]
    fn what_could_exhaust_a_stack_is_refused() {
        let nested = |n: usize| format!("select {}1{}", "(".repeat(n), ")".repeat(n));
        let cases = [
            (nested(DEEPEST), None),
            (nested(DEEPEST + 1), Some("54001")),
            (nested(100_000), Some("54001")),
            (format!("select {}1{}", "abs(".repeat(15), ")".repeat(15)), None),
            (format!("select {}1{}", "abs(".repeat(16), ")".repeat(16)), Some("54001")),
            (format!("{}select 1{}", "explain (".repeat(30), ")".repeat(30)), Some("54001")),
            (format!("select * from {}1{}", "f (".repeat(30), ")".repeat(30)), Some("54001")),
            (format!("select {}", vec!["f(f(f(f(f(1)))))"; 1000].join(",")), None),
            (format!("select {}1{}", "1 in (".repeat(60), ")".repeat(60)), None),
            (format!("select {}", "case when true then ".repeat(100)), Some("54001")),
            (format!("select {}1", "not ".repeat(5_000)), Some("54001")),
            (format!("select {}1", "- ".repeat(5_000)), Some("54001")),
            (format!("select 1{}", " + 1".repeat(LONGEST_CHAIN)), None),
            (format!("select 1{}", " + 1".repeat(LONGEST_CHAIN + 1)), Some("54001")),
            (format!("select 1{}", "::int".repeat(5_000)), Some("54001")),
            (format!("select a{}", "[1]".repeat(5_000)), Some("54001")),
            (format!("select 1{}", " union all select 1".repeat(5_000)), Some("54001")),
            (format!("select 1 from a{}", " natural join a".repeat(5_000)), Some("54001")),
            (format!("{} select 1", "explain ".repeat(5_000)), Some("54001")),
            (format!("select 1 where 1 in ({})", vec!["1"; 100_000].join(",")), None),
            ("select 1;".repeat(MOST_STATEMENTS - 1), None),
            ("select 1;".repeat(5_000), Some("54001")),
            (format!("select '{}'", "x".repeat(LONGEST_TEXT)), Some("54000")),
            ("select 'open".to_owned(), Some("42601")),
        ];
        for (text, code) in cases {
            assert_eq!(code_of(&text), code, "{} ...", &text[..text.len().min(60)]);
        }
    }
}
