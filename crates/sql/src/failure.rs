//! What a client is told when something fails: a SQLSTATE and words that say what was wrong and what to do.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

/// Codes of PostgreSQL's appendix A that are used here.
pub(crate) mod code {
    pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(crate) const AMBIGUOUS_COLUMN: &str = "42702";
    pub(crate) const BAD_TEXT: &str = "22P02";
    pub(crate) const CAST: &str = "42846";
    pub(crate) const CONFIGURATION_LIMIT: &str = "53400";
    pub(crate) const DIVISION_BY_ZERO: &str = "22012";
    pub(crate) const DUPLICATE_COLUMN: &str = "42701";
    pub(crate) const DUPLICATE_CURSOR: &str = "42P03";
    pub(crate) const DUPLICATE_STATEMENT: &str = "42P05";
    pub(crate) const DUPLICATE_TABLE: &str = "42P07";
    pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub(crate) const IDLE_IN_TRANSACTION: &str = "25P03";
    pub(crate) const IN_FAILED_TRANSACTION: &str = "25P02";
    pub(crate) const INTERNAL: &str = "XX000";
    pub(crate) const INVALID_AUTHORIZATION: &str = "28000";
    pub(crate) const INVALID_PARAMETER: &str = "22023";
    pub(crate) const INVALID_REGULAR_EXPRESSION: &str = "2201B";
    pub(crate) const IO: &str = "58030";
    pub(crate) const NO_CURSOR: &str = "34000";
    pub(crate) const NO_DATABASE: &str = "3D000";
    pub(crate) const NO_SAVEPOINT: &str = "3B001";
    pub(crate) const NO_STATEMENT: &str = "26000";
    pub(crate) const NO_TRANSACTION: &str = "25P01";
    pub(crate) const OUT_OF_MEMORY: &str = "53200";
    pub(crate) const OUT_OF_RANGE: &str = "22003";
    pub(crate) const PROTOCOL: &str = "08P01";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const STATEMENT_TOO_COMPLEX: &str = "54001";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const SYNTAX_OR_ACCESS: &str = "42000";
    pub(crate) const TOO_LARGE: &str = "54000";
    pub(crate) const TOO_MANY_COLUMNS: &str = "54011";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const TYPE_MISMATCH: &str = "42804";
    pub(crate) const UNDEFINED_COLUMN: &str = "42703";
    pub(crate) const UNDEFINED_FUNCTION: &str = "42883";
    pub(crate) const UNDEFINED_OBJECT: &str = "42704";
    pub(crate) const UNDEFINED_PARAMETER: &str = "42P02";
    pub(crate) const UNDEFINED_TABLE: &str = "42P01";
}

/// Longest message that is sent: the engine quotes what it was given.
const LONGEST_MESSAGE: usize = 4096;

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// SQLSTATE.
    pub(crate) code: &'static str,
    /// What was wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Whether the session ends with it.
    pub(crate) fatal: bool,
}

/// Result of something that a client asked for.
pub(crate) type Outcome<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// An error after which the session goes on.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, fatal: false }
    }

    /// An error that ends the session.
    pub(crate) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(code, message) }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Something that PostgreSQL has and this endpoint has not.
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(code::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// A write.
    pub(crate) fn read_only(what: &str) -> Self {
        Self::new(code::READ_ONLY, format!("cannot execute {what} in a read-only transaction")).hint(
            "The tables are written by StreamReel alone. Temporary tables can be made; they end with the session.",
        )
    }

    /// The connection broke a rule of the protocol.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::new(code::PROTOCOL, what)
    }
}

impl From<Failure> for ErrorInfo {
    fn from(failure: Failure) -> Self {
        let severity = if failure.fatal { "FATAL" } else { "ERROR" };
        let mut message = failure.message;
        if message.len() > LONGEST_MESSAGE {
            message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
            message.push_str(" ...");
        }
        let mut info = ErrorInfo::new(severity.to_owned(), failure.code.to_owned(), message);
        info.severity_nonlocalized = Some(severity.to_owned());
        info.hint = failure.hint;
        info
    }
}

impl From<PgWireError> for Failure {
    fn from(error: PgWireError) -> Self {
        let fatal = |info: &ErrorInfo| info.severity == "FATAL";
        let info = match error {
            PgWireError::UserError(info) => *info,
            PgWireError::FailedToParseParameter(source) => {
                return Self::new(code::BAD_TEXT, format!("a parameter's value can't be read: {source}"));
            }
            error => error.into(),
        };
        let (code, fatal) = (known(&info.code), fatal(&info));
        Self { code, message: info.message, hint: info.hint, fatal }
    }
}

/// The code as one of those that the wire library gives.
fn known(code: &str) -> &'static str {
    match code {
        "0A000" => code::FEATURE_NOT_SUPPORTED,
        "08P01" => code::PROTOCOL,
        "22003" => code::OUT_OF_RANGE,
        "22023" => code::INVALID_PARAMETER,
        "22P02" => code::BAD_TEXT,
        "26000" => code::NO_STATEMENT,
        "28000" => code::INVALID_AUTHORIZATION,
        "28P01" => "28P01",
        "57014" => code::QUERY_CANCELED,
        "58030" => code::IO,
        _ => code::INTERNAL,
    }
}

/// A table that is not there.
pub(crate) fn undefined_table(name: &str) -> Failure {
    Failure::new(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).hint(
        "The tables are listed by \\dt in psql or by: SELECT table_schema, table_name FROM information_schema.tables",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let info = ErrorInfo::from(Failure::new(code::SYNTAX, "ü".repeat(LONGEST_MESSAGE)));
        assert!(info.message.len() <= LONGEST_MESSAGE + 4 && info.message.ends_with("ü ..."), "{}", info.message.len());
    }
}
