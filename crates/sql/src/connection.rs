//! One client, from its first byte to its last.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use datafusion_postgres::pgwire::{
    api::ClientInfo,
    error::ErrorInfo,
    messages::{PgWireBackendMessage, PgWireFrontendMessage},
};
use futures::SinkExt;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Door,
    codec::Broken,
    deliver, extended,
    failure::{Failure, Outcome, code},
    opening::{self, Opening},
    session::{Session, Shared},
    simple,
    snapshot::CATALOG,
    wire::Wire,
};

/// A session that is silent for this long is asked whether it is still there; the places of those that vanished are given on.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Serves a client until it leaves, breaks a rule, or the server stops.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    door: Arc<Door>,
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let served = async {
        let entered =
            tokio::time::timeout(shared.settings.authentication_timeout, enter(socket, peer, &door, &shared, &places));
        let entered = entered.await.map_err(|_| {
            let seconds = shared.settings.authentication_timeout.as_secs_f32();
            Broken::Protocol(format!("the client did not log in within {seconds} s"))
        })??;
        let Some((mut wire, mut session, _place)) = entered else { return Ok(()) };
        metrics::gauge!("streamreel_sql_connections").increment(1);
        let _leaving = Leaving;
        tracing::debug!(%peer, user = session.variables.get("session_authorization"), "SQL session begins");
        let talked = talk(&mut wire, &mut session, stop).await;
        if let Err(Broken::Protocol(what)) = &talked {
            // What is said to a client that breaks the protocol may not reach it.
            let _ = part(&mut wire, Failure::fatal(code::PROTOCOL, what.clone())).await;
        }
        talked
    };
    match served.await {
        Ok(()) => tracing::debug!(%peer, "SQL session ends"),
        Err(Broken::Io(error)) if is_leaving(&error) => tracing::debug!(%peer, %error, "SQL client left"),
        Err(error) => tracing::warn!(%peer, %error, "SQL connection closed"),
    }
}

/// Counts a session out.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        metrics::gauge!("streamreel_sql_connections").decrement(1);
    }
}

fn is_leaving(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::BrokenPipe | Kind::ConnectionAborted | Kind::ConnectionReset | Kind::UnexpectedEof)
}

/// Lets a client in; `None`: it wanted no session, or was refused.
async fn enter(
    socket: TcpStream,
    peer: SocketAddr,
    door: &Door,
    shared: &Arc<Shared>,
    places: &Arc<Semaphore>,
) -> Result<Option<(Wire, Session, OwnedSemaphorePermit)>, Broken> {
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 6))?;
    let (stream, startup, secure) = match opening::open(socket, door.tls.as_ref()).await? {
        Opening::Session { stream, startup, secure } => (stream, startup, secure),
        Opening::Cancel(request) => {
            let found = door.sessions.cancel(request.pid, &request.secret_key).await;
            tracing::debug!(%peer, pid = request.pid, found, "SQL cancel request");
            return Ok(None);
        }
        Opening::Gone => return Ok(None),
    };
    let mut wire = Wire::new(stream, peer, secure, shared.settings.write_timeout);
    let database = startup.parameters.get("database").cloned();
    let user = startup.parameters.get("user").cloned().unwrap_or_default();
    if user.is_empty() {
        let refused =
            Failure::fatal(code::INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet");
        return part(&mut wire, refused).await.map(|()| None);
    }
    if let Some(name) = database.filter(|name| ![CATALOG, "postgres", user.as_str()].contains(&name.as_str())) {
        let refused = Failure::fatal(code::NO_DATABASE, format!("database \"{name}\" does not exist"));
        return part(&mut wire, refused.hint(format!("There is one database: {CATALOG}"))).await.map(|()| None);
    }
    let Some(place) = Arc::clone(places).try_acquire_owned().ok() else {
        let refused = Failure::fatal(code::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        tracing::warn!(%peer, "SQL client refused: too many sessions");
        return part(&mut wire, refused).await.map(|()| None);
    };
    let variables = match door.let_in(&mut wire, startup, &shared.settings).await? {
        Ok(variables) => variables,
        Err(refused) => {
            tracing::warn!(%peer, user, why = refused.message, "SQL client refused");
            return part(&mut wire, refused).await.map(|()| None);
        }
    };
    let (pid, _) = wire.pid_and_secret_key();
    match Session::new(Arc::clone(shared), variables, pid) {
        Ok(session) => Ok(Some((wire, session, place))),
        Err(failure) => part(&mut wire, Failure { fatal: true, ..failure }).await.map(|()| None),
    }
}

/// Tells a client why it can't stay, and closes.
async fn part(wire: &mut Wire, failure: Failure) -> Result<(), Broken> {
    let failure = Failure { fatal: true, ..failure };
    deliver::failure(wire, failure).await?;
    wire.write().await?;
    SinkExt::close(wire).await?;
    Ok(())
}

/// Answers messages until the client leaves.
async fn talk(wire: &mut Wire, session: &mut Session, stop: CancellationToken) -> Result<(), Broken> {
    // After an error, what was sent along with the failed message is passed over.
    let mut until_sync = false;
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => {
                let why = "terminating connection due to administrator command";
                return part(wire, Failure::fatal(code::ADMIN_SHUTDOWN, why)).await;
            }
            message = wire.next() => message?,
            () = idle_for_too_long(session) => {
                let why = "terminating connection due to idle-in-transaction timeout";
                return part(wire, Failure::fatal(code::IDLE_IN_TRANSACTION, why)).await;
            }
        };
        let message = match message {
            None | Some(PgWireFrontendMessage::Terminate(_)) => return Ok(()),
            Some(message) => message,
        };
        let answered = tokio::select! {
            biased;
            () = stop.cancelled() => {
                Ok(Err(Failure::fatal(code::ADMIN_SHUTDOWN, "terminating connection due to administrator command")))
            }
            answered = answer(wire, session, message, &mut until_sync) => answered,
        };
        if let Err(failure) = answered? {
            if failure.fatal {
                return part(wire, failure).await;
            }
            session.transaction.fail();
            until_sync = true;
            deliver::failure(wire, failure).await?;
        }
    }
}

async fn answer(
    wire: &mut Wire,
    session: &mut Session,
    message: PgWireFrontendMessage,
    until_sync: &mut bool,
) -> Result<Outcome, Broken> {
    match message {
        PgWireFrontendMessage::Sync(_) => {
            *until_sync = false;
            if !session.transaction.is_open() {
                session.transaction_over();
            }
            deliver::ready(wire, session).await.map(Ok)
        }
        _ if *until_sync => Ok(Ok(())),
        PgWireFrontendMessage::Query(query) => simple::query(wire, session, query).await.map(Ok),
        PgWireFrontendMessage::CopyData(_)
        | PgWireFrontendMessage::CopyDone(_)
        | PgWireFrontendMessage::CopyFail(_) => Ok(Ok(())),
        other => extended::message(wire, session, other).await,
    }
}

/// Ends when a session has waited inside a transaction for as long as it may.
async fn idle_for_too_long(session: &Session) {
    match session.variables.idle_in_transaction_timeout() {
        Some(timeout) if session.transaction.is_open() => tokio::time::sleep(timeout).await,
        _ => std::future::pending().await,
    }
}

/// Tells a client that has not begun to talk why it can't, without waiting for it.
pub(crate) fn turn_away(socket: TcpStream, failure: Failure) {
    let mut bytes = bytes::BytesMut::new();
    let info = ErrorInfo::from(Failure { fatal: true, ..failure });
    let message = PgWireBackendMessage::ErrorResponse(info.into());
    if message.encode(&mut bytes).is_ok() {
        // The socket's buffer is empty, so this takes no time; a client that is gone does not miss it.
        let _ = socket.try_write(&bytes);
    }
}
