//! The engine's errors as PostgreSQL's.

use arrow_schema::ArrowError;
use datafusion::{common::SchemaError, error::DataFusionError, sql::sqlparser::parser::ParserError};

use crate::failure::{Failure, code, undefined_table};

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
            DataFusionError::Internal(what) if what.contains("Regular expression") => {
                Self::new(code::INVALID_REGULAR_EXPRESSION, without_backtrace(what))
            }
            DataFusionError::External(source) => of_others(&source.to_string()),
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
    } else if lower.contains("cannot coerce") || lower.contains("cannot infer common") || lower.contains("no possible")
    {
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
    Failure::new(
        code::OUT_OF_MEMORY,
        format!("the query needs more memory than it may use: {}", without_backtrace(what)),
    )
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

/// Errors of what the engine calls: regular expressions, and tables.
fn of_others(what: &str) -> Failure {
    if what.contains("regex") {
        return Failure::new(code::INVALID_REGULAR_EXPRESSION, what);
    }
    if what.contains("No such file") || what.contains("Object at location") {
        return of_files(&what);
    }
    Failure::new(code::INTERNAL, without_backtrace(what))
}

fn without_backtrace(what: &str) -> String {
    what.split("\n\nbacktrace: ").next().unwrap_or(what).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;
    use streamreel_lake::plan;

    use super::*;

    async fn code_of(sql: &str) -> &'static str {
        let session = SessionContext::new();
        plan::sql(&session, "create table t (a int, b varchar) as values (1, 'x')").await.unwrap();
        let run = async { plan::sql(&session, sql).await?.collect().await };
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
            ("select b from t where b ~ '('", "2201B"),
        ];
        for (sql, code) in cases {
            assert_eq!(code_of(sql).await, code, "{sql}");
        }
    }
}
