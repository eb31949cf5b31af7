//! A client's connection: messages in and out, with a bound on how long a client may let rows wait.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use datafusion_postgres::pgwire::{
    api::{ClientInfo, DefaultClient, PgWireConnectionState, SessionExtensions},
    messages::{
        PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion, response::TransactionStatus, startup::SecretKey,
    },
    tokio::{server::MaybeTls, tokio_rustls::rustls::pki_types::CertificateDer},
};
use futures::{Sink, SinkExt, StreamExt};
use tokio_util::codec::Framed;

use crate::codec::{Broken, Codec};

/// Bytes that wait before they are written.
const WRITE_AT: usize = 64 << 10;
/// Messages that are taken from a client while its query runs, to see whether it is still there.
const READ_AHEAD: usize = 4;

/// A client's connection after its start-up message.
pub(crate) struct Wire {
    framed: Framed<MaybeTls, Codec>,
    client: DefaultClient<()>,
    write_timeout: Duration,
    ahead: VecDeque<PgWireFrontendMessage>,
}

impl Wire {
    /// A connection whose start-up message was read from the stream.
    pub(crate) fn new(stream: MaybeTls, peer: SocketAddr, secure: bool, write_timeout: Duration) -> Self {
        let mut framed = Framed::new(stream, Codec::default());
        framed.set_backpressure_boundary(WRITE_AT);
        Self { framed, client: DefaultClient::new(peer, secure), write_timeout, ahead: VecDeque::new() }
    }

    /// The client has logged in: it may send statements.
    pub(crate) fn trust(&mut self) {
        self.framed.codec_mut().trusted = true;
    }

    /// The next message; `None`: the client is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<PgWireFrontendMessage>, Broken> {
        match self.ahead.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.framed.next().await.transpose(),
        }
    }

    /// Reads ahead, and ends when the client is gone. What it sent until then waits for [`Wire::next`].
    pub(crate) async fn gone(&mut self) {
        while self.ahead.len() < READ_AHEAD {
            match self.framed.next().await {
                Some(Ok(message @ PgWireFrontendMessage::Terminate(_))) => {
                    self.ahead.push_back(message);
                    return;
                }
                Some(Ok(message)) => self.ahead.push_back(message),
                Some(Err(_)) | None => return,
            }
        }
        std::future::pending().await
    }

    /// Queues a message; writes when enough wait.
    pub(crate) async fn put(&mut self, message: PgWireBackendMessage) -> Result<(), Broken> {
        let written = tokio::time::timeout(self.write_timeout, self.framed.feed(message)).await;
        written.map_err(|_| self.stalled())?
    }

    /// Writes what is queued.
    pub(crate) async fn write(&mut self) -> Result<(), Broken> {
        let written = tokio::time::timeout(self.write_timeout, self.framed.flush()).await;
        written.map_err(|_| self.stalled())?
    }

    fn stalled(&self) -> Broken {
        let what = format!("the client took nothing for {} s", self.write_timeout.as_secs());
        Broken::Io(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

impl Sink<PgWireBackendMessage> for Wire {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.framed.poll_ready_unpin(cx).map_err(system)
    }

    fn start_send(mut self: Pin<&mut Self>, item: PgWireBackendMessage) -> io::Result<()> {
        self.framed.start_send_unpin(item).map_err(system)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.framed.poll_flush_unpin(cx).map_err(system)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.framed.poll_close_unpin(cx).map_err(system)
    }
}

fn system(broken: Broken) -> io::Error {
    match broken {
        Broken::Io(error) => error,
        Broken::Protocol(what) => io::Error::new(io::ErrorKind::InvalidData, what),
    }
}

impl ClientInfo for Wire {
    fn socket_addr(&self) -> SocketAddr {
        self.client.socket_addr()
    }

    fn is_secure(&self) -> bool {
        self.client.is_secure()
    }

    fn protocol_version(&self) -> ProtocolVersion {
        self.client.protocol_version()
    }

    fn set_protocol_version(&mut self, version: ProtocolVersion) {
        self.client.set_protocol_version(version);
    }

    fn pid_and_secret_key(&self) -> (i32, SecretKey) {
        self.client.pid_and_secret_key()
    }

    fn set_pid_and_secret_key(&mut self, pid: i32, secret_key: SecretKey) {
        self.client.set_pid_and_secret_key(pid, secret_key);
    }

    fn state(&self) -> PgWireConnectionState {
        self.client.state()
    }

    fn set_state(&mut self, state: PgWireConnectionState) {
        self.client.set_state(state);
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.client.transaction_status()
    }

    fn set_transaction_status(&mut self, status: TransactionStatus) {
        self.client.set_transaction_status(status);
    }

    fn metadata(&self) -> &HashMap<String, String> {
        self.client.metadata()
    }

    fn metadata_mut(&mut self) -> &mut HashMap<String, String> {
        self.client.metadata_mut()
    }

    fn session_extensions(&self) -> &SessionExtensions {
        self.client.session_extensions()
    }

    fn sni_server_name(&self) -> Option<&str> {
        self.client.sni_server_name()
    }

    fn client_certificates<'a>(&self) -> Option<&[CertificateDer<'a>]> {
        None
    }
}
