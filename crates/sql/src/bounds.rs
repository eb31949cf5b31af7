//! What a statement may be before anybody parses it.
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
const LONGEST_CHAIN: usize = 2_000;
/// Statements of one message.
const MOST_STATEMENTS: usize = 100;

/// Refuses a text that is too long, too deep or too chained.
pub(crate) fn check(text: &str) -> Outcome {
    if text.len() > LONGEST_TEXT {
        let what = format!("the statement is {} bytes long; at most {LONGEST_TEXT} are taken", text.len());
        return Err(Failure::new(code::TOO_LARGE, what));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize();
    let tokens = tokens.map_err(|error| Failure::new(code::SYNTAX, format!("syntax error: {error}")))?;
    let (mut depth, mut chain, mut statements) = (0_usize, 0_usize, 1_usize);
    for token in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) if word.keyword == Keyword::CASE => depth += 1,
            Token::Word(word) if word.keyword == Keyword::END => depth = depth.saturating_sub(1),
            Token::SemiColon => (depth, chain, statements) = (0, 0, statements + 1),
            _ => {}
        }
        chain += usize::from(lengthens(token));
        if depth > DEEPEST {
            let what =
                format!("the statement is nested too deeply: more than {DEEPEST} brackets or CASEs are open at once");
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what));
        }
        if chain > LONGEST_CHAIN {
            let what = format!("the statement has more than {LONGEST_CHAIN} operators, joins and set operations");
            let hint = "A long list of values is taken as: column IN (value, value, ...)";
            return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what).hint(hint));
        }
    }
    if statements > MOST_STATEMENTS {
        let what = format!("the message has more than {MOST_STATEMENTS} statements");
        return Err(Failure::new(code::STATEMENT_TOO_COMPLEX, what));
    }
    Ok(())
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
