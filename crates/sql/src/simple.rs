//! The simple protocol: a text with one or more statements, answered in full as text.

use std::sync::Arc;

use datafusion_postgres::pgwire::{
    api::portal::Format,
    messages::{PgWireBackendMessage, response::EmptyQueryResponse, simplequery::Query},
};

use crate::{
    codec::Broken,
    commands::{self, Reply},
    deliver::{self, Sent},
    failure::{Failure, Outcome, code},
    interrupt::Interrupt,
    session::Session,
    statement::Command,
    wire::Wire,
};

/// Answers a text.
pub(crate) async fn query(wire: &mut Wire, session: &mut Session, query: Query) -> Result<(), Broken> {
    let mut interrupt = Interrupt::new(wire, session.variables.statement_timeout()).await;
    // What had no name ends with the next text.
    session.portals.remove("");
    session.forget(Some(""));
    let answered = answer(wire, session, &mut interrupt, query.query).await?;
    if let Err(failure) = answered {
        session.transaction.fail();
        deliver::failure(wire, failure).await?;
    }
    if session.transaction.is_open() {
        session.portals.remove("");
    } else {
        session.transaction_over();
    }
    deliver::ready(wire, session).await
}

async fn answer(
    wire: &mut Wire,
    session: &mut Session,
    interrupt: &mut Interrupt,
    text: String,
) -> Result<Outcome, Broken> {
    let read = interrupt.wait(wire, session.read(text)).await?;
    let all = match read {
        Ok(all) => all,
        Err(failure) => {
            deliver::count(Some(&failure));
            return Ok(Err(failure));
        }
    };
    if all.is_empty() {
        wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
    }
    for command in all {
        let done = one(wire, session, interrupt, command).await?;
        deliver::count(done.as_ref().err());
        if done.is_err() {
            return Ok(done);
        }
    }
    Ok(Ok(()))
}

async fn one(
    wire: &mut Wire,
    session: &mut Session,
    interrupt: &mut Interrupt,
    command: Command,
) -> Result<Outcome, Broken> {
    let executed = async {
        if !commands::ends_transaction(&command) {
            session.transaction.check()?;
        }
        let statement = Arc::new(session.prepare(Some(command), Vec::new(), 0).await?);
        if statement.plan.as_ref().is_some_and(|plan| !plan.parameters.is_empty()) {
            let what = "there is no parameter $1: a statement without Bind has none";
            return Err(Failure::new(code::UNDEFINED_PARAMETER, what));
        }
        let reply = commands::execute(session, &statement, &[]).await?;
        Ok((reply, statement))
    };
    let (reply, statement) = match interrupt.wait(wire, executed).await? {
        Ok(executed) => executed,
        Err(failure) => return Ok(Err(failure)),
    };
    match reply {
        Reply::Done(tag, aside) => {
            if let Some(aside) = aside {
                deliver::aside(wire, session, aside).await?;
            }
            deliver::complete(wire, tag).await?;
        }
        Reply::Rows(mut rows, tag) => {
            let fields = match session.fields(rows.schema(), statement.names(), &Format::UnifiedText) {
                Ok(fields) => fields,
                Err(failure) => return Ok(Err(failure)),
            };
            deliver::columns(wire, &fields).await?;
            match deliver::rows(wire, interrupt, &mut rows, &fields, None).await? {
                Ok(sent) => complete(wire, tag, sent).await?,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        Reply::Fetch(name, count) => return fetch(wire, session, interrupt, &name, count).await,
    }
    Ok(Ok(()))
}

async fn complete(wire: &mut Wire, tag: &str, sent: Sent) -> Result<(), Broken> {
    let tag = if tag == "SHOW" { tag.to_owned() } else { format!("{tag} {}", sent.rows) };
    deliver::complete(wire, tag).await
}

async fn fetch(
    wire: &mut Wire,
    session: &mut Session,
    interrupt: &mut Interrupt,
    name: &str,
    count: Option<usize>,
) -> Result<Outcome, Broken> {
    let found = commands::cursor(session, name).map(|portal| portal.names.clone());
    let names = match found {
        Ok(names) => names,
        Err(failure) => return Ok(Err(failure)),
    };
    let Some(mut rows) = session.portals.get_mut(name).and_then(|portal| portal.rows.take()) else {
        return Ok(Err(Failure::new(code::INTERNAL, "the cursor has no rows")));
    };
    let fields = match session.fields(rows.schema(), &names, &Format::UnifiedText) {
        Ok(fields) => fields,
        Err(failure) => return Ok(Err(failure)),
    };
    deliver::columns(wire, &fields).await?;
    match deliver::rows(wire, interrupt, &mut rows, &fields, count).await? {
        Ok(sent) => {
            if let Some(portal) = session.portals.get_mut(name) {
                portal.rows = Some(rows);
            }
            deliver::complete(wire, format!("FETCH {}", sent.rows)).await?;
            Ok(Ok(()))
        }
        Err(failure) => {
            session.portals.remove(name);
            Ok(Err(failure))
        }
    }
}
