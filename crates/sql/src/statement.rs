//! Text to statements: what each asks for, and which are refused because they would write.

use datafusion::sql::sqlparser::{
    ast::{
        CloseCursor, CreateTable, CreateTableOptions, Declare, Expr, FetchDirection, Ident, Insert, ObjectName,
        ObjectType, Query, Reset, Set, SetExpr, Statement, TableObject, Value,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};
use datafusion_postgres::datafusion_pg_catalog::sql::{
    PostgresCompatibilityParser,
    rules::{
        AliasDuplicatedProjectionRewrite, CurrentUserVariableToSessionUserFunctionCall, FixArrayLiteral,
        RewriteArrayAnyAllOperation, RewritePgCatalogOperator, RewriteRegCastToSubquery, SqlStatementRewriteRule,
        StripCallableQualifier, StripCollate,
    },
};

use crate::{
    adapt::adapt,
    bounds, columns,
    failure::{Failure, Outcome, code},
    parts,
};

/// Expressions within one another that the parser takes.
const DEEPEST: usize = 128;

/// A query, as the engine takes it.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// A query or an EXPLAIN.
    pub(crate) statement: Box<Statement>,
    /// Names of its columns, where PostgreSQL's differ from the engine's.
    pub(crate) names: Vec<Option<String>>,
}

/// What a statement asks for.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Select(Select),
    Declare {
        name: String,
        hold: bool,
        query: Select,
    },
    /// Rows of a cursor; `None`: all that are left.
    Fetch {
        name: String,
        count: Option<usize>,
    },
    /// `None`: all.
    Close(Option<String>),
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `None`: to the default.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// Modes of a transaction. All are as good as what there is.
    SetTransaction,
    /// `None`: all.
    Reset(Option<String>),
    /// A setting, or `all`.
    Show(String),
    /// Everything that a session has.
    DiscardAll,
    /// A prepared statement; `None`: all.
    Deallocate(Option<String>),
    CreateTemporary {
        table: Box<CreateTable>,
        query: Option<Select>,
    },
    InsertTemporary {
        insert: Box<Insert>,
        query: Select,
    },
    DropTemporary {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
}

/// Reads statements.
pub(crate) struct Reader {
    /// For statements about the system's tables: it turns what the engine lacks into what comes closest.
    catalog: PostgresCompatibilityParser,
    /// For all others, only what keeps their meaning.
    rules: Vec<Box<dyn SqlStatementRewriteRule>>,
}

impl Reader {
    /// A reader.
    pub(crate) fn new() -> Self {
        let rules: Vec<Box<dyn SqlStatementRewriteRule>> = vec![
            Box::new(AliasDuplicatedProjectionRewrite),
            Box::new(RewriteArrayAnyAllOperation),
            Box::new(StripCallableQualifier),
            Box::new(FixArrayLiteral),
            Box::new(CurrentUserVariableToSessionUserFunctionCall),
            Box::new(StripCollate),
            Box::new(RewritePgCatalogOperator),
            Box::new(RewriteRegCastToSubquery::new()),
        ];
        Self { catalog: PostgresCompatibilityParser::new(), rules }
    }

    /// The statements of a text, in order.
    ///
    /// # Errors
    /// For a text that is out of bounds or no SQL, and for statements that would write.
    pub(crate) fn read(&self, text: &str) -> Outcome<Vec<Command>> {
        bounds::check(text)?;
        let statements = Parser::new(&PostgreSqlDialect {})
            .with_recursion_limit(DEEPEST)
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_statements());
        let statements = match statements {
            Ok(statements) => statements,
            // It knows statements that the parser alone does not, as ABORT.
            Err(error) => return self.as_catalog(text).map_err(|_| Failure::from(error)),
        };
        for statement in &statements {
            if parts::weigh(statement)?.system {
                return self.as_catalog(text);
            }
        }
        let rewritten = statements
            .into_iter()
            .map(|statement| self.rules.iter().fold(statement, |statement, rule| rule.rewrite(statement)));
        rewritten.map(command).collect()
    }

    fn as_catalog(&self, text: &str) -> Outcome<Vec<Command>> {
        let mut statements = self.catalog.parse(text)?;
        for statement in &mut statements {
            parts::weigh(statement)?;
            adapt(statement);
        }
        statements.into_iter().map(command).collect()
    }
}

/// What a statement asks for.
fn command(statement: Statement) -> Outcome<Command> {
    Ok(match statement {
        Statement::Query(query) => Command::Select(select(query)?),
        Statement::Explain { statement: of, analyze, verbose, .. } => explain(*of, analyze, verbose)?,
        Statement::StartTransaction { .. } => Command::Begin,
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint: Some(name), .. } => Command::RollbackTo(named(&name)),
        Statement::Rollback { .. } => Command::Rollback,
        Statement::Savepoint { name } => Command::Savepoint(named(&name)),
        Statement::ReleaseSavepoint { name } => Command::Release(named(&name)),
        Statement::Set(set) => setting(set)?,
        Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Command::Reset(None),
            Reset::ConfigurationParameter(name) => Command::Reset(Some(dotted(&name))),
        },
        Statement::ShowVariable { variable } => Command::Show(shown(&variable)),
        Statement::Discard { .. } => Command::DiscardAll,
        Statement::Deallocate { name, .. } => {
            Command::Deallocate((!name.value.eq_ignore_ascii_case("all")).then(|| named(&name)))
        }
        Statement::Declare { stmts } => declare(stmts)?,
        Statement::Fetch { name, direction, into: None, .. } => {
            Command::Fetch { name: named(&name), count: count(&direction)? }
        }
        Statement::Close { cursor: CloseCursor::All } => Command::Close(None),
        Statement::Close { cursor: CloseCursor::Specific { name } } => Command::Close(Some(named(&name))),
        Statement::CreateTable(table) => create_table(table)?,
        Statement::Insert(insert) => insert_into(insert)?,
        Statement::Drop { object_type: ObjectType::Table, names, if_exists, .. } => {
            Command::DropTemporary { names, if_exists }
        }
        other => return Err(refused(&other)),
    })
}

fn select(mut query: Box<Query>) -> Outcome<Select> {
    reads_only(&query)?;
    let names = columns::named_as_in_postgresql(&mut query);
    Ok(Select { statement: Box::new(Statement::Query(query)), names })
}

fn reads_only(query: &Query) -> Outcome {
    if !query.locks.is_empty() {
        return Err(Failure::read_only("SELECT FOR UPDATE or SHARE"));
    }
    for with in query.with.iter().flat_map(|with| &with.cte_tables) {
        reads_only(&with.query)?;
    }
    writes(&query.body)
}

fn writes(body: &SetExpr) -> Outcome {
    match body {
        SetExpr::Select(select) if select.into.is_some() => Err(Failure::read_only("SELECT INTO")
            .hint("CREATE TEMPORARY TABLE name AS SELECT ... keeps rows until the session ends.")),
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
        SetExpr::Query(query) => reads_only(query),
        SetExpr::SetOperation { left, right, .. } => writes(left).and_then(|()| writes(right)),
        SetExpr::Insert(_) => Err(Failure::read_only("INSERT")),
        SetExpr::Update(_) => Err(Failure::read_only("UPDATE")),
        SetExpr::Delete(_) => Err(Failure::read_only("DELETE")),
        SetExpr::Merge(_) => Err(Failure::read_only("MERGE")),
    }
}

fn explain(of: Statement, analyze: bool, verbose: bool) -> Outcome<Command> {
    let Statement::Query(query) = of else { return Err(refused(&of)) };
    let Select { statement: of, .. } = select(query)?;
    let statement = Statement::Explain {
        describe_alias: datafusion::sql::sqlparser::ast::DescribeAlias::Explain,
        analyze,
        verbose,
        query_plan: false,
        estimate: false,
        statement: of,
        format: None,
        options: None,
    };
    Ok(Command::Select(Select { statement: Box::new(statement), names: Vec::new() }))
}

fn setting(set: Set) -> Outcome<Command> {
    use datafusion::sql::sqlparser::ast::ContextModifier;
    let (name, values, local) = match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            (dotted(&variable), values, scope == Some(ContextModifier::Local))
        }
        Set::SetTimeZone { local, value } => ("TimeZone".to_owned(), vec![value], local),
        Set::SetNames { charset_name, .. } => {
            ("client_encoding".to_owned(), vec![Expr::Identifier(charset_name)], false)
        }
        Set::SetNamesDefault {} => ("client_encoding".to_owned(), Vec::new(), false),
        Set::SetTransaction { snapshot: None, .. } => return Ok(Command::SetTransaction),
        Set::SetTransaction { .. } => return Err(Failure::unsupported("SET TRANSACTION SNAPSHOT")),
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => return Err(Failure::unsupported("another role")),
        other => return Err(Failure::unsupported(format!("this form of SET ({other})"))),
    };
    let texts: Vec<String> = values.iter().map(plain).collect();
    let default = texts.is_empty() || matches!(texts.as_slice(), [one] if one.eq_ignore_ascii_case("default"));
    Ok(Command::Set { name, value: (!default).then(|| texts.join(", ")), local })
}

/// A setting's value without its quotes.
fn plain(value: &Expr) -> String {
    match value {
        Expr::Identifier(name) => name.value.clone(),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

fn shown(variable: &[Ident]) -> String {
    let words: Vec<_> = variable.iter().map(|word| word.value.to_ascii_lowercase()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["time", "zone"] => "TimeZone".to_owned(),
        ["transaction", "isolation", "level"] => "transaction_isolation".to_owned(),
        ["session", "authorization"] => "session_authorization".to_owned(),
        words => words.join("."),
    }
}

fn declare(mut all: Vec<Declare>) -> Outcome<Command> {
    let (Some(Declare { names, hold, scroll, for_query: Some(query), .. }), true) = (all.pop(), all.is_empty()) else {
        return Err(Failure::unsupported("this form of DECLARE"));
    };
    if scroll == Some(true) {
        return Err(Failure::unsupported("a cursor that scrolls back").hint("Leave SCROLL out."));
    }
    let name = names.first().map(named).unwrap_or_default();
    Ok(Command::Declare { name, hold: hold == Some(true), query: select(query)? })
}

fn count(direction: &FetchDirection) -> Outcome<Option<usize>> {
    let limit = match direction {
        FetchDirection::Next => return Ok(Some(1)),
        FetchDirection::All | FetchDirection::ForwardAll => return Ok(None),
        FetchDirection::Count { limit } => limit,
        FetchDirection::Forward { limit: Some(limit) } => limit,
        FetchDirection::Forward { limit: None } => return Ok(Some(1)),
        _ => return Err(Failure::new("55000", "cursor can only scan forward").hint("FETCH FORWARD n FROM name")),
    };
    match &limit.value {
        Value::Number(digits, _) => digits
            .parse()
            .map(Some)
            .map_err(|_| Failure::new(code::SYNTAX, format!("FETCH takes a number of rows, not {digits}"))),
        other => Err(Failure::new(code::SYNTAX, format!("FETCH takes a number of rows, not {other}"))),
    }
}

fn create_table(mut table: CreateTable) -> Outcome<Command> {
    if !table.temporary {
        return Err(Failure::read_only("CREATE TABLE"));
    }
    if table.like.is_some() || table.inherits.is_some() || table.partition_of.is_some() || !table.constraints.is_empty()
    {
        return Err(Failure::unsupported("a temporary table with LIKE, INHERITS, PARTITION OF or constraints"));
    }
    if !matches!(table.table_options, CreateTableOptions::None) {
        return Err(Failure::unsupported("a temporary table with options"));
    }
    let query = table.query.take().map(select).transpose()?;
    Ok(Command::CreateTemporary { table: Box::new(table), query })
}

fn insert_into(mut insert: Insert) -> Outcome<Command> {
    let plain = matches!(insert.table, TableObject::TableName(_))
        && insert.on.is_none()
        && insert.returning.is_none()
        && !insert.overwrite;
    match insert.source.take() {
        Some(query) if plain => Ok(Command::InsertTemporary { query: select(query)?, insert: Box::new(insert) }),
        _ => Err(Failure::read_only("INSERT")),
    }
}

/// Why a statement is not taken: it would write, or it is something that this endpoint has not.
fn refused(statement: &Statement) -> Failure {
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match statement {
        Statement::Copy { to: true, .. } => Failure::unsupported("COPY TO")
            .hint("In psql, \\g and --csv write the rows of a query to a file: psql --csv -c 'SELECT ...' -o file.csv"),
        Statement::Prepare { .. } | Statement::Execute { .. } => Failure::unsupported(format!("{word} in SQL"))
            .hint("Drivers prepare statements by the protocol, which is supported."),
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } | Statement::ShowSchemas { .. } => {
            Failure::unsupported(format!("this form of {word}"))
                .hint("Ask information_schema.tables or information_schema.columns.")
        }
        Statement::LISTEN { .. } | Statement::UNLISTEN { .. } | Statement::NOTIFY { .. } => Failure::unsupported(word),
        Statement::ExplainTable { .. } => Failure::unsupported(format!("{word} of a table")),
        _ => Failure::read_only(&word),
    }
}

/// A name as it is looked up: in lower case unless it was quoted.
pub(crate) fn named(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

fn dotted(name: &ObjectName) -> String {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    parts.join(".")
}
