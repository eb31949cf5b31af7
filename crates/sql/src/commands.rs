//! What each statement does to its session, in either protocol.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::{common::ScalarValue, sql::sqlparser::ast::CreateTable};
use datafusion_postgres::pgwire::api::portal::Format;

use crate::{
    deliver::Aside,
    failure::{Failure, Outcome, code},
    rows::Rows,
    session::{Portal, Prepared, Session},
    statement::{Command, named},
    temporary,
    variables::{Changed, Variables},
};

/// What a statement answers.
pub(crate) enum Reply {
    /// Rows; the tag that they end with is followed by their number.
    Rows(Rows, &'static str),
    /// Rows of a cursor; `None`: all that are left.
    Fetch(String, Option<usize>),
    /// Nothing but that it is done.
    Done(String, Option<Aside>),
}

fn done(tag: impl Into<String>) -> Outcome<Reply> {
    Ok(Reply::Done(tag.into(), None))
}

/// Does what a statement asks for.
pub(crate) async fn execute(
    session: &mut Session,
    statement: &Arc<Prepared>,
    values: &[ScalarValue],
) -> Outcome<Reply> {
    let Some(command) = &statement.command else {
        return Err(Failure::new(code::INTERNAL, "an empty statement was executed"));
    };
    if !ends_transaction(command) {
        session.transaction.check()?;
    }
    match command {
        Command::Select(_) => Ok(Reply::Rows(session.start(statement, values).await?, "SELECT")),
        Command::Declare { name, hold, .. } => declare(session, statement, values, name, *hold).await,
        Command::Fetch { name, count } => Ok(Reply::Fetch(name.clone(), *count)),
        Command::Close(name) => close(session, name.as_deref()),
        Command::Begin | Command::Commit | Command::Rollback => transaction(session, command),
        Command::Savepoint(name) => session.transaction.savepoint(name.clone()).and_then(|()| done("SAVEPOINT")),
        Command::Release(name) => session.transaction.release(name).and_then(|()| done("RELEASE")),
        Command::RollbackTo(name) => session.transaction.rollback_to(name).and_then(|()| done("ROLLBACK")),
        Command::Set { name, value, local } => set(session, name, value.as_deref(), *local),
        Command::SetTransaction => done("SET"),
        Command::Reset(Some(name)) => {
            set(session, name, None, false)?;
            done("RESET")
        }
        Command::Reset(None) => {
            session.variables.reset();
            session.settings_changed()?;
            done("RESET")
        }
        Command::Show(name) => show(session, name),
        Command::DiscardAll => {
            if session.transaction.is_open() {
                let what = "DISCARD ALL cannot run inside a transaction block";
                return Err(Failure::new("25001", what));
            }
            session.discard()?;
            done("DISCARD ALL")
        }
        Command::Deallocate(name) => deallocate(session, name.as_deref()),
        Command::CreateTemporary { table, query: None } => create(session, table).await,
        Command::CreateTemporary { table, query: Some(_) } => create_as(session, table, statement, values).await,
        Command::InsertTemporary { insert, .. } => {
            let (name, schema, order) = temporary::target(&session.temporary, insert)?;
            let batches = gather(session, statement, values).await?;
            let arranged: Vec<_> =
                batches.iter().map(|batch| temporary::arrange(batch, &schema, &order)).collect::<Outcome<_>>()?;
            let rows: usize = arranged.iter().map(RecordBatch::num_rows).sum();
            session.temporary.add(&name, arranged)?;
            done(format!("INSERT 0 {rows}"))
        }
        Command::DropTemporary { names, if_exists } => {
            session.temporary.drop(names, *if_exists)?;
            done("DROP TABLE")
        }
    }
}

/// Whether a statement is one of the few that a failed transaction takes.
pub(crate) fn ends_transaction(command: &Command) -> bool {
    matches!(command, Command::Commit | Command::Rollback | Command::RollbackTo(_))
}

/// Columns of what a statement answers; `None`: it answers no rows.
pub(crate) fn columns_of(session: &Session, statement: &Prepared) -> Outcome<Option<SchemaRef>> {
    Ok(match &statement.command {
        Some(Command::Select(_)) => statement.plan.as_ref().map(|plan| Arc::clone(&plan.schema)),
        Some(Command::Show(name)) => Some(shown_columns(name)),
        Some(Command::Fetch { name, .. }) => cursor(session, name)?.rows.as_ref().map(|rows| Arc::clone(rows.schema())),
        _ => None,
    })
}

/// A cursor whose rows are under way.
pub(crate) fn cursor<'a>(session: &'a Session, name: &str) -> Outcome<&'a Portal> {
    let missing = || Failure::new(code::NO_CURSOR, format!("cursor \"{name}\" does not exist"));
    session.portals.get(name).filter(|portal| portal.cursor).ok_or_else(missing)
}

async fn declare(
    session: &mut Session,
    statement: &Arc<Prepared>,
    values: &[ScalarValue],
    name: &str,
    hold: bool,
) -> Outcome<Reply> {
    if !hold {
        session.transaction.needs_transaction("DECLARE CURSOR")?;
    }
    let rows = session.start(statement, values).await?;
    let portal = Portal {
        names: statement.names().to_vec(),
        statement: Arc::clone(statement),
        values: Vec::new(),
        format: Format::UnifiedText,
        rows: Some(rows),
        started: true,
        cursor: true,
        hold,
    };
    session.open(name.to_owned(), portal)?;
    done("DECLARE CURSOR")
}

fn close(session: &mut Session, name: Option<&str>) -> Outcome<Reply> {
    match name {
        None => session.portals.retain(|_, portal| !portal.cursor),
        Some(name) => {
            cursor(session, name)?;
            session.portals.remove(name);
        }
    }
    done(if name.is_none() { "CLOSE CURSOR ALL" } else { "CLOSE CURSOR" })
}

fn transaction(session: &mut Session, command: &Command) -> Outcome<Reply> {
    let was_open = session.transaction.is_open();
    let none = |what: &str| Some(Aside::Notice(code::NO_TRANSACTION, what.to_owned()));
    let (tag, aside) = match command {
        Command::Begin => {
            if session.transaction.begin(&session.variables) {
                ("BEGIN", None)
            } else {
                ("BEGIN", Some(Aside::Notice("25001", "there is already a transaction in progress".to_owned())))
            }
        }
        Command::Commit => {
            let committed = session.transaction.commit(&mut session.variables);
            let aside = if was_open { None } else { none("there is no transaction in progress") };
            (if committed { "COMMIT" } else { "ROLLBACK" }, aside)
        }
        _ => {
            session.transaction.rollback(&mut session.variables);
            let aside = if was_open { None } else { none("there is no transaction in progress") };
            ("ROLLBACK", aside)
        }
    };
    if !matches!(command, Command::Begin) {
        session.transaction_over();
        session.settings_changed()?;
    }
    Ok(Reply::Done(tag.to_owned(), aside))
}

fn set(session: &mut Session, name: &str, value: Option<&str>, local: bool) -> Outcome<Reply> {
    let Session { transaction, variables, .. } = session;
    let changed = transaction.set(variables, local, |variables: &mut Variables| variables.set(name, value))?;
    session.settings_changed()?;
    let aside = match changed {
        Changed::Quietly => None,
        Changed::Reported(name) => Some(Aside::Setting(name)),
        Changed::Not(reason) if reason.is_empty() => None,
        Changed::Not(reason) => Some(Aside::Notice("00000", reason)),
    };
    Ok(Reply::Done("SET".to_owned(), aside))
}

fn shown_columns(name: &str) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(match name {
        "all" => Schema::new(["name", "setting", "description"].map(text).to_vec()),
        name => Schema::new(vec![text(&Variables::display_name(name))]),
    })
}

fn show(session: &Session, name: &str) -> Outcome<Reply> {
    let columns: Vec<ArrayRef> = if name == "all" {
        let (names, values): (Vec<_>, Vec<_>) = session.variables.all().into_iter().unzip();
        let descriptions = StringArray::from(vec![""; names.len()]);
        vec![Arc::new(StringArray::from(names)), Arc::new(StringArray::from(values)), Arc::new(descriptions)]
    } else {
        let value = session.variables.get(name).ok_or_else(|| {
            Failure::new(code::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
        })?;
        vec![Arc::new(StringArray::from(vec![value]))]
    };
    let batch = RecordBatch::try_new(shown_columns(name), columns);
    let batch = batch.map_err(datafusion::error::DataFusionError::from)?;
    Ok(Reply::Rows(Rows::fixed(batch), "SHOW"))
}

fn deallocate(session: &mut Session, name: Option<&str>) -> Outcome<Reply> {
    if !session.forget(name) {
        let name = name.unwrap_or_default();
        return Err(Failure::new(code::NO_STATEMENT, format!("prepared statement \"{name}\" does not exist")));
    }
    done(if name.is_none() { "DEALLOCATE ALL" } else { "DEALLOCATE" })
}

async fn create(session: &mut Session, table: &CreateTable) -> Outcome<Reply> {
    let state = session.state().await?;
    let columns = temporary::columns(state, Box::new(table.clone()));
    let schema = session.shared.engine.run(columns).await?;
    session.temporary.create(table, schema)?;
    done("CREATE TABLE")
}

async fn create_as(
    session: &mut Session,
    table: &CreateTable,
    statement: &Arc<Prepared>,
    values: &[ScalarValue],
) -> Outcome<Reply> {
    let Some(plan) = &statement.plan else {
        return Err(Failure::new(code::INTERNAL, "a table's query was not planned"));
    };
    let schema = temporary::schema_of_query(&plan.schema, table)?;
    let batches = gather(session, statement, values).await?;
    let order: Vec<_> = (0..schema.fields().len()).map(Some).collect();
    let arranged: Vec<_> =
        batches.iter().map(|batch| temporary::arrange(batch, &schema, &order)).collect::<Outcome<_>>()?;
    let rows: usize = arranged.iter().map(RecordBatch::num_rows).sum();
    temporary::check_bytes(&arranged)?;
    if session.temporary.create(table, schema)? {
        let name = table.name.0.last().and_then(|part| part.as_ident()).map(named).unwrap_or_default();
        if let Err(failure) = session.temporary.add(&name, arranged) {
            session.temporary.drop(std::slice::from_ref(&table.name), true)?;
            return Err(failure);
        }
    }
    done(format!("SELECT {rows}"))
}

/// All rows of a statement's query: few enough for a temporary table.
async fn gather(session: &mut Session, statement: &Arc<Prepared>, values: &[ScalarValue]) -> Outcome<Vec<RecordBatch>> {
    /// Rows that are taken at once.
    const AT_ONCE: usize = 8192;
    let mut rows = session.start(statement, values).await?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next(AT_ONCE).await? {
        batches.push(batch);
        temporary::check_bytes(&batches)?;
    }
    Ok(batches)
}
