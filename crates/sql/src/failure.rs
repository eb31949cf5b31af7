//! What a client is told when something fails: a SQLSTATE and words that say what was wrong and what to do.

use arrow_schema::ArrowError;
use datafusion::{common::SchemaError, error::DataFusionError, sql::sqlparser::parser::ParserError};
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
        Self::new(code::READ_ONLY, format!("cannot execute {what} in a read-only transaction"))
            .hint("The tables are written by StreamReel alone. Temporary tables can be made; they end with the session.")
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

impl From<ParserError> for Failure {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
                Self::new(code::SYNTAX, format!("syntax error: {what}"))
            }
            ParserError::RecursionLimitExceeded => {
                Self::new(code::STATEMENT_TOO_COMPLEX, "the statement is nested too deeply")
            }
        }
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::SQL(error, _) => Self::from(ParserError::clone(error)),
            DataFusionError::SchemaError(schema, _) => of_schema(schema),
            DataFusionError::ArrowError(arrow, _) => of_arrow(arrow),
            DataFusionError::NotImplemented(what) => Self::unsupported_by_engine(what),
            DataFusionError::Plan(what) => of_plan(what),
            DataFusionError::Configuration(what) => Self::new(code::INVALID_PARAMETER, what),
            DataFusionError::Execution(what) => of_execution(what),
            DataFusionError::ResourcesExhausted(what) => out_of_memory(what),
            DataFusionError::IoError(source) => of_io(source),
            DataFusionError::ObjectStore(source) => of_files(source),
            DataFusionError::ParquetError(source) => of_files(source),
            DataFusionError::Collection(all) => match all.first() {
                Some(first) => Self::new(code::SYNTAX_OR_ACCESS, first.strip_backtrace()),
                None => Self::new(code::INTERNAL, "the engine failed and did not say why"),
            },
            other => Self::new(code::INTERNAL, other.strip_backtrace()),
        }
    }
}

impl Failure {
    fn unsupported_by_engine(what: &str) -> Self {
        Self::new(code::FEATURE_NOT_SUPPORTED, without_backtrace(what))
    }
}

fn of_schema(error: &SchemaError) -> Failure {
    match error {
        SchemaError::FieldNotFound { field, .. } => {
            let failure =
                Failure::new(code::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", field.flat_name()));
            let said = error.to_string();
            let near = said.split_once("Did you mean ").and_then(|(_, rest)| rest.lines().next());
            match near.or_else(|| said.split_once("Valid fields are ").map(|(_, rest)| rest)) {
                Some(there) if there.len() < 1000 => {
                    failure.hint(format!("There is {}.", there.trim_end_matches(['.', '?'])))
                }
                _ => failure,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Failure::new(code::AMBIGUOUS_COLUMN, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Failure::new(code::DUPLICATE_COLUMN, format!("column \"{name}\" is there more than once: name it with AS"))
        }
    }
}

fn of_arrow(error: &ArrowError) -> Failure {
    let code = match error {
        ArrowError::DivideByZero => return Failure::new(code::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::CastError(what) if what.starts_with("Can't cast value") => code::OUT_OF_RANGE,
        ArrowError::CastError(_) | ArrowError::ParseError(_) => code::BAD_TEXT,
        ArrowError::ArithmeticOverflow(_) => code::OUT_OF_RANGE,
        ArrowError::InvalidArgumentError(_) => code::INVALID_PARAMETER,
        ArrowError::NotYetImplemented(_) => code::FEATURE_NOT_SUPPORTED,
        ArrowError::MemoryError(_) => code::OUT_OF_MEMORY,
        ArrowError::IoError(_, _) => code::IO,
        _ => code::INTERNAL,
    };
    Failure::new(code, error.to_string())
}

/// Errors of planning come as words; the common ones are told apart by how they begin.
fn of_plan(what: &str) -> Failure {
    let what = without_backtrace(what);
    let lower = what.to_ascii_lowercase();
    if let Some(name) = what.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = name.strip_prefix("streamreel.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        return undefined_table(name);
    }
    let code = if lower.starts_with("invalid function") || lower.contains("no function matches") {
        code::UNDEFINED_FUNCTION
    } else if lower.contains("failed to resolve schema") {
        code::UNDEFINED_TABLE
    } else if lower.contains("placeholder") {
        code::UNDEFINED_PARAMETER
    } else if lower.contains("cannot coerce") || lower.contains("cannot infer common") || lower.contains("no possible") {
        code::TYPE_MISMATCH
    } else if lower.contains("cast") {
        code::CAST
    } else {
        code::SYNTAX_OR_ACCESS
    };
    match what.split_once('\n') {
        Some((first, rest)) => Failure::new(code, first.trim_end_matches('.')).hint(rest.trim()),
        None => Failure::new(code, what),
    }
}

/// A table that is not there.
pub(crate) fn undefined_table(name: &str) -> Failure {
    Failure::new(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
        .hint("The tables are listed by \\dt in psql or by: SELECT table_schema, table_name FROM information_schema.tables")
}

fn of_execution(what: &str) -> Failure {
    let what = without_backtrace(what);
    let lower = what.to_ascii_lowercase();
    let code = if lower.contains("overflow") || lower.contains("out of range") {
        code::OUT_OF_RANGE
    } else if lower.contains("divide by zero") || lower.contains("division by zero") {
        code::DIVISION_BY_ZERO
    } else if lower.contains("error parsing") || lower.contains("cannot cast") || lower.contains("invalid input") {
        code::BAD_TEXT
    } else {
        code::INTERNAL
    };
    Failure::new(code, what)
}

fn out_of_memory(what: &str) -> Failure {
    Failure::new(code::OUT_OF_MEMORY, format!("the query needs more memory than it may use: {}", without_backtrace(what)))
        .hint("Select fewer rows or columns, or join on a condition; the limits are [sql] settings of the server.")
}

fn of_io(source: &std::io::Error) -> Failure {
    let full = source.kind() == std::io::ErrorKind::StorageFull;
    Failure::new(if full { "53100" } else { code::IO }, format!("reading or spilling failed: {source}"))
}

fn of_files(source: &dyn std::fmt::Display) -> Failure {
    Failure::new(code::IO, format!("a table's file could not be read: {source}"))
        .hint("If a clean-up removed it meanwhile, run the query again: it reads the newest build.")
}

fn without_backtrace(what: &str) -> String {
    what.split("\n\nbacktrace: ").next().unwrap_or(what).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn code_of(sql: &str) -> &'static str {
        let session = SessionContext::new();
        session.sql("create table t (a int, b varchar)").await.unwrap();
        let run = async { session.sql(sql).await?.collect().await };
        Failure::from(run.await.expect_err(sql)).code
    }

    #[tokio::test]
    async fn the_engines_errors_get_the_code_that_postgresql_gives() {
        let cases = [
            ("selec 1", "42601"),
            ("select 'open", "42601"),
            ("select * from nowhere", "42P01"),
            ("select * from no_schema.nowhere", "42P01"),
            ("select c from t", "42703"),
            ("select t.c from t", "42703"),
            ("select a from t x, t y", "42702"),
            ("select no_such_function(a) from t", "42883"),
            ("select 1 / 0", "22012"),
            ("select cast('x' as int)", "22P02"),
            ("select 99999999999999999999 :: bigint", "22003"),
        ];
        for (sql, code) in cases {
            assert_eq!(code_of(sql).await, code, "{sql}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let info = ErrorInfo::from(Failure::new(code::SYNTAX, "ü".repeat(LONGEST_MESSAGE)));
        assert!(info.message.len() <= LONGEST_MESSAGE + 4 && info.message.ends_with("ü ..."), "{}", info.message.len());
    }
}
