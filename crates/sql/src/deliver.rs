//! Answers on their way to a client.

use std::sync::Arc;

use datafusion_postgres::{
    arrow_pg::row_encoder::RowEncoder,
    pgwire::{
        api::results::FieldInfo,
        error::ErrorInfo,
        messages::{
            PgWireBackendMessage,
            data::{FieldDescription, RowDescription},
            response::{CommandComplete, NoticeResponse, ReadyForQuery},
            startup::ParameterStatus,
        },
    },
};

use crate::{
    codec::Broken,
    failure::{Failure, Outcome, code},
    interrupt::Interrupt,
    rows::Rows,
    session::Session,
    wire::Wire,
};

/// Rows that are encoded before others get their turn.
const ROWS_A_TURN: usize = 256;

/// Something that a client is told beside the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// A notice with its code.
    Notice(&'static str, String),
    /// A setting's new value: its name as shown.
    Setting(&'static str),
}

/// How far a result was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Rows.
    pub(crate) rows: usize,
    /// Whether there are no more.
    pub(crate) all: bool,
}

/// Sends up to so many rows.
pub(crate) async fn rows(
    wire: &mut Wire,
    interrupt: &mut Interrupt,
    rows: &mut Rows,
    fields: &Arc<Vec<FieldInfo>>,
    limit: Option<usize>,
) -> Result<Outcome<Sent>, Broken> {
    let mut sent = 0;
    loop {
        let turn = limit.map_or(ROWS_A_TURN, |limit| ROWS_A_TURN.min(limit - sent));
        if turn == 0 {
            return Ok(Ok(Sent { rows: sent, all: false }));
        }
        if let Some(failure) = interrupt.is_over().await {
            return Ok(Err(failure));
        }
        let batch = match interrupt.wait(wire, rows.next(turn)).await? {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(Ok(Sent { rows: sent, all: true })),
            Err(failure) => return Ok(Err(failure)),
        };
        let mut encoder = RowEncoder::new(batch, Arc::clone(fields));
        while let Some(row) = encoder.next_row() {
            let row = match row {
                Ok(row) => row,
                Err(error) => return Ok(Err(Failure::from(error))),
            };
            if let Err(failure) = interrupt.sent(wire.put(PgWireBackendMessage::DataRow(row))).await? {
                return Ok(Err(failure));
            }
            sent += 1;
        }
        tokio::task::yield_now().await;
    }
}

/// Describes the columns of a result.
pub(crate) async fn columns(wire: &mut Wire, fields: &[FieldInfo]) -> Result<(), Broken> {
    let description = RowDescription::new(fields.iter().map(FieldDescription::from).collect());
    wire.put(PgWireBackendMessage::RowDescription(description)).await
}

/// A statement is done.
pub(crate) async fn complete(wire: &mut Wire, tag: impl Into<String>) -> Result<(), Broken> {
    wire.put(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.into()))).await
}

/// Something beside the answer.
pub(crate) async fn aside(wire: &mut Wire, session: &Session, aside: Aside) -> Result<(), Broken> {
    let message = match aside {
        Aside::Notice(code, text) => {
            let severity = if code.starts_with("01") || code.starts_with("25") { "WARNING" } else { "NOTICE" };
            let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), text);
            info.severity_nonlocalized = Some(severity.to_owned());
            PgWireBackendMessage::NoticeResponse(NoticeResponse::from(info))
        }
        Aside::Setting(name) => {
            let value = session.variables.get(name).unwrap_or_default().to_owned();
            PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value))
        }
    };
    wire.put(message).await
}

/// A failure.
pub(crate) async fn failure(wire: &mut Wire, failure: Failure) -> Result<(), Broken> {
    let Failure { code, message, .. } = &failure;
    match *code {
        code::INTERNAL | code::IO => tracing::warn!(code, message, "SQL statement failed"),
        code => tracing::debug!(code, message, "SQL statement failed"),
    }
    wire.put(PgWireBackendMessage::ErrorResponse(ErrorInfo::from(failure).into())).await
}

/// The next statement may come.
pub(crate) async fn ready(wire: &mut Wire, session: &Session) -> Result<(), Broken> {
    wire.put(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(session.transaction.status()))).await?;
    wire.write().await
}

/// Counts a statement by how it ended.
pub(crate) fn count(outcome: Option<&Failure>) {
    let result = match outcome {
        None => "ok",
        Some(failure) if failure.code == code::QUERY_CANCELED && failure.message.contains("timeout") => "timed_out",
        Some(failure) if failure.code == code::QUERY_CANCELED => "cancelled",
        Some(failure) if failure.code == code::READ_ONLY => "refused",
        Some(_) => "failed",
    };
    metrics::counter!("streamreel_sql_queries_total", "result" => result).increment(1);
}
