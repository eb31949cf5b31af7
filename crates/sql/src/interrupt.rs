//! What ends a statement before it is done: its deadline, a request to cancel it, or a client that is gone.

use std::{future::Future, io, sync::Arc, time::Duration};

use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionHandle};
use futures::channel::oneshot;
use tokio::time::Instant;

use crate::{
    codec::Broken,
    failure::{Failure, Outcome, code},
    wire::Wire,
};

/// Watches over one statement.
pub(crate) struct Interrupt {
    cancel: Option<oneshot::Receiver<()>>,
    deadline: Option<Instant>,
}

impl Interrupt {
    /// From now on.
    pub(crate) async fn new(wire: &Wire, timeout: Option<Duration>) -> Self {
        let cancel = match wire.session_extensions().get::<Arc<ConnectionHandle>>() {
            Some(handle) => Some(handle.start_query().await),
            None => None,
        };
        Self { cancel, deadline: timeout.map(|timeout| Instant::now() + timeout) }
    }

    /// Waits for work, but no longer than until the statement is to end.
    pub(crate) async fn wait<T>(
        &mut self,
        wire: &mut Wire,
        work: impl Future<Output = Outcome<T>>,
    ) -> Result<Outcome<T>, Broken> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            failure = self.over() => Ok(Err(failure)),
            () = wire.gone() => {
                Err(Broken::Io(io::Error::new(io::ErrorKind::ConnectionAborted, "the client left during its query")))
            }
        }
    }

    /// Waits for something to be written, as [`Interrupt::wait`].
    pub(crate) async fn sent(&mut self, written: impl Future<Output = Result<(), Broken>>) -> Result<Outcome, Broken> {
        tokio::select! {
            biased;
            done = written => done.map(Ok),
            failure = self.over() => Ok(Err(failure)),
        }
    }

    /// Why the statement is to end, if it is by now. Work that is always ready would otherwise never be looked away from.
    pub(crate) async fn is_over(&mut self) -> Option<Failure> {
        tokio::select! {
            biased;
            failure = self.over() => Some(failure),
            () = std::future::ready(()) => None,
        }
    }

    async fn over(&mut self) -> Failure {
        let Self { cancel, deadline } = self;
        let cancelled = async {
            if let Some(cancel) = cancel
                && cancel.await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(*deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancelled => Failure::new(code::QUERY_CANCELED, "canceling statement due to user request"),
            () = late => Failure::new(code::QUERY_CANCELED, "canceling statement due to statement timeout")
                .hint("SET statement_timeout = '10min' gives this session's statements more time; 0 is no limit."),
        }
    }
}
