//! The extended protocol: statements are prepared, given parameters, described and executed message by message.

use std::sync::Arc;

use datafusion_postgres::pgwire::{
    api::{Type, portal::Format, results::FieldInfo},
    messages::{
        PgWireBackendMessage, PgWireFrontendMessage,
        data::{NoData, ParameterDescription},
        extendedquery::{
            Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
            TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
        },
        response::EmptyQueryResponse,
    },
};

use crate::{
    codec::Broken,
    commands::{self, Reply},
    deliver,
    failure::{Failure, Outcome, code},
    interrupt::Interrupt,
    rows::Rows,
    session::{Portal, Prepared, Session},
    wire::Wire,
};

/// Answers a message of the extended protocol.
pub(crate) async fn message(
    wire: &mut Wire,
    session: &mut Session,
    message: PgWireFrontendMessage,
) -> Result<Outcome, Broken> {
    match message {
        PgWireFrontendMessage::Parse(message) => {
            let done = parse(wire, session, message).await?;
            if let Err(failure) = &done {
                deliver::count(Some(failure));
            }
            Ok(done)
        }
        PgWireFrontendMessage::Bind(message) => match bind(session, &message) {
            Ok(()) => wire.put(PgWireBackendMessage::BindComplete(BindComplete::new())).await.map(Ok),
            Err(failure) => Ok(Err(failure)),
        },
        PgWireFrontendMessage::Describe(message) => describe(wire, session, &message).await,
        PgWireFrontendMessage::Execute(message) => {
            let done = execute(wire, session, message).await?;
            deliver::count(done.as_ref().err());
            Ok(done)
        }
        PgWireFrontendMessage::Close(message) => {
            close(session, &message);
            wire.put(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await.map(Ok)
        }
        PgWireFrontendMessage::Flush(_) => wire.write().await.map(Ok),
        _ => Ok(Err(Failure::fatal(code::PROTOCOL, "a message that has no place here"))),
    }
}

async fn parse(wire: &mut Wire, session: &mut Session, parse: Parse) -> Result<Outcome, Broken> {
    let mut interrupt = Interrupt::new(wire, session.variables.statement_timeout()).await;
    let name = parse.name.unwrap_or_default();
    if name.is_empty() {
        session.forget(Some(""));
    }
    let given = parse.type_oids.iter().map(|oid| Type::from_oid(*oid).filter(|kind| *kind != Type::UNKNOWN)).collect();
    let prepared = async {
        let bytes = parse.query.len();
        let mut all = session.read(parse.query).await?;
        if all.len() > 1 {
            return Err(Failure::new(code::SYNTAX, "cannot insert multiple commands into a prepared statement"));
        }
        let command = all.pop();
        if command.as_ref().is_some_and(|command| !commands::ends_transaction(command)) {
            session.transaction.check()?;
        }
        let statement = session.prepare(command, given, bytes).await?;
        session.keep(name, statement)
    };
    match interrupt.wait(wire, prepared).await? {
        Ok(()) => wire.put(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await.map(Ok),
        Err(failure) => Ok(Err(failure)),
    }
}

fn bind(session: &mut Session, bind: &Bind) -> Outcome {
    let statement = session.statement(bind.statement_name.as_deref().unwrap_or_default())?;
    if statement.command.as_ref().is_some_and(|command| !commands::ends_transaction(command)) {
        session.transaction.check()?;
    }
    let values = match &statement.plan {
        Some(plan) => plan.values(bind, &statement.given)?,
        None if bind.parameters.is_empty() => Vec::new(),
        None => {
            let sent = bind.parameters.len();
            return Err(Failure::protocol(format!(
                "bind message supplies {sent} parameters, but the statement has none"
            )));
        }
    };
    let columns = commands::columns_of(session, &statement)?.map_or(0, |schema| schema.fields().len());
    let format = match bind.result_column_format_codes.as_slice() {
        [] => Format::UnifiedText,
        [one] => Format::from(*one),
        each if each.len() == columns => Format::Individual(each.to_vec()),
        each => {
            let what = format!("bind message has {} result formats but query has {columns} columns", each.len());
            return Err(Failure::protocol(what));
        }
    };
    let name = bind.portal_name.clone().unwrap_or_default();
    if name.is_empty() {
        session.portals.remove("");
    }
    let names = statement.names().to_vec();
    let portal = Portal { statement, values, format, rows: None, names, started: false, cursor: false, hold: false };
    session.open(name, portal)
}

async fn describe(wire: &mut Wire, session: &mut Session, describe: &Describe) -> Result<Outcome, Broken> {
    let name = describe.name.as_deref().unwrap_or_default();
    let described = match describe.target_type {
        TARGET_TYPE_BYTE_STATEMENT => statement_columns(session, name),
        TARGET_TYPE_BYTE_PORTAL => portal_columns(session, name).map(|fields| (None, fields)),
        other => Err(Failure::protocol(format!("invalid DESCRIBE message subtype {other}"))),
    };
    let (parameters, fields) = match described {
        Ok(described) => described,
        Err(failure) => return Ok(Err(failure)),
    };
    if let Some(parameters) = parameters {
        let oids = parameters.iter().map(Type::oid).collect();
        wire.put(PgWireBackendMessage::ParameterDescription(ParameterDescription::new(oids))).await?;
    }
    match fields {
        Some(fields) => deliver::columns(wire, &fields).await.map(Ok),
        None => wire.put(PgWireBackendMessage::NoData(NoData::new())).await.map(Ok),
    }
}

type Fields = Option<Arc<Vec<FieldInfo>>>;

fn statement_columns(session: &Session, name: &str) -> Outcome<(Option<Vec<Type>>, Fields)> {
    let statement = session.statement(name)?;
    let parameters = statement.plan.as_ref().map(|plan| plan.parameters.clone()).unwrap_or_default();
    let columns = commands::columns_of(session, &statement)?;
    let fields = columns.map(|schema| session.fields(&schema, &names(session, &statement), &Format::UnifiedText));
    Ok((Some(parameters), fields.transpose()?))
}

fn portal_columns(session: &Session, name: &str) -> Outcome<Fields> {
    let portal = portal(session, name)?;
    let columns = match &portal.rows {
        Some(rows) => Some(Arc::clone(rows.schema())),
        None => commands::columns_of(session, &portal.statement)?,
    };
    let names = if portal.cursor { portal.names.clone() } else { names(session, &portal.statement) };
    columns.map(|schema| session.fields(&schema, &names, &portal.format)).transpose()
}

/// Names of the columns of what a statement answers. Those of a FETCH are its cursor's.
fn names(session: &Session, statement: &Prepared) -> Vec<Option<String>> {
    match &statement.command {
        Some(crate::statement::Command::Fetch { name, .. }) => {
            session.portals.get(name).map(|cursor| cursor.names.clone()).unwrap_or_default()
        }
        _ => statement.names().to_vec(),
    }
}

fn portal<'a>(session: &'a Session, name: &str) -> Outcome<&'a Portal> {
    let missing = || Failure::new(code::NO_CURSOR, format!("portal \"{name}\" does not exist"));
    session.portals.get(name).ok_or_else(missing)
}

async fn execute(wire: &mut Wire, session: &mut Session, execute: Execute) -> Result<Outcome, Broken> {
    let mut interrupt = Interrupt::new(wire, session.variables.statement_timeout()).await;
    let name = execute.name.unwrap_or_default();
    let limit = usize::try_from(execute.max_rows).ok().filter(|limit| *limit > 0);
    let (statement, values, started) = match portal(session, &name) {
        Ok(portal) => (Arc::clone(&portal.statement), portal.values.clone(), portal.started),
        Err(failure) => return Ok(Err(failure)),
    };
    if statement.command.is_none() {
        wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        return Ok(Ok(()));
    }
    if started {
        return take(wire, session, &mut interrupt, &name, &name, limit, "SELECT").await;
    }
    let reply = match interrupt.wait(wire, commands::execute(session, &statement, &values)).await? {
        Ok(reply) => reply,
        Err(failure) => return Ok(Err(failure)),
    };
    if let Some(portal) = session.portals.get_mut(&name) {
        portal.started = true;
    }
    match reply {
        Reply::Done(tag, aside) => {
            if let Some(aside) = aside {
                deliver::aside(wire, session, aside).await?;
            }
            deliver::complete(wire, tag).await.map(Ok)
        }
        Reply::Rows(rows, tag) => {
            if let Some(portal) = session.portals.get_mut(&name) {
                portal.rows = Some(rows);
            }
            take(wire, session, &mut interrupt, &name, &name, limit, tag).await
        }
        Reply::Fetch(cursor, count) => {
            let count = [count, limit].into_iter().flatten().min();
            take(wire, session, &mut interrupt, &name, &cursor, count, "FETCH").await
        }
    }
}

/// Sends rows of the result of one portal in the format of another.
async fn take(
    wire: &mut Wire,
    session: &mut Session,
    interrupt: &mut Interrupt,
    asked: &str,
    taken: &str,
    limit: Option<usize>,
    tag: &str,
) -> Result<Outcome, Broken> {
    let prepared = ready(session, asked, taken);
    let (mut rows, fields) = match prepared {
        Ok(Some(prepared)) => prepared,
        // All was taken before.
        Ok(None) => return deliver::complete(wire, format!("{tag} 0")).await.map(Ok),
        Err(failure) => return Ok(Err(failure)),
    };
    let sent = match deliver::rows(wire, interrupt, &mut rows, &fields, limit).await? {
        Ok(sent) => sent,
        Err(failure) => {
            session.portals.remove(taken);
            return Ok(Err(failure));
        }
    };
    if let Some(portal) = session.portals.get_mut(taken)
        && (portal.cursor || !sent.all)
    {
        portal.rows = Some(rows);
    }
    let suspended = !sent.all && tag != "FETCH";
    match (suspended, tag) {
        (true, _) => wire.put(PgWireBackendMessage::PortalSuspended(PortalSuspended::new())).await.map(Ok),
        (false, "SHOW") => deliver::complete(wire, tag).await.map(Ok),
        (false, tag) => deliver::complete(wire, format!("{tag} {}", sent.rows)).await.map(Ok),
    }
}

/// The rows that are to be sent, and how.
fn ready(session: &mut Session, asked: &str, taken: &str) -> Outcome<Option<(Rows, Arc<Vec<FieldInfo>>)>> {
    if asked != taken {
        commands::cursor(session, taken)?;
    }
    let format = portal(session, asked)?.format.clone();
    let names = portal(session, taken)?.names.clone();
    let Some(rows) = session.portals.get_mut(taken).and_then(|portal| portal.rows.take()) else { return Ok(None) };
    let fields = session.fields(rows.schema(), &names, &format)?;
    Ok(Some((rows, fields)))
}

fn close(session: &mut Session, close: &Close) {
    let name = close.name.as_deref().unwrap_or_default();
    match close.target_type {
        TARGET_TYPE_BYTE_STATEMENT => {
            session.forget(Some(name));
        }
        _ => {
            session.portals.remove(name);
        }
    }
}
