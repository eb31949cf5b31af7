//! The first bytes of a connection: encryption, a start-up message, or a request to cancel a query.
//!
//! Nothing is read beyond the message at hand, so bytes that came before encryption can't pass for encrypted ones.

use std::io;

use bytes::BytesMut;
use datafusion_postgres::pgwire::{
    error::PgWireError,
    messages::{DecodeContext, Message, cancel::CancelRequest, startup::Startup},
    tokio::{TlsAcceptor, server::MaybeTls},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::codec::Broken;

/// First byte of a TLS connection that asks for nothing beforehand.
const TLS_HANDSHAKE: u8 = 0x16;
/// What a client that does so must say that it speaks.
const ALPN: &[u8] = b"postgresql";
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// Longest start-up message, in bytes.
const LONGEST: usize = 10_000;

/// What a client wants.
pub(crate) enum Opening {
    /// A session.
    Session { stream: MaybeTls, startup: Startup, secure: bool },
    /// Another connection's query stopped.
    Cancel(CancelRequest),
    /// Nothing: it is gone.
    Gone,
}

/// Reads what a client wants, encrypting the connection when it asks for it.
pub(crate) async fn open(socket: TcpStream, tls: Option<&TlsAcceptor>) -> Result<Opening, Broken> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Ok(Opening::Gone);
    }
    if first[0] == TLS_HANDSHAKE {
        return direct(socket, tls).await;
    }
    let mut socket = socket;
    // Encryption can be asked for once in each of its two kinds.
    for _ in 0..3 {
        let (code, body) = match packet(&mut socket).await? {
            Some(packet) => packet,
            None => return Ok(Opening::Gone),
        };
        match (code, tls) {
            (SSL_REQUEST, Some(tls)) => {
                socket.write_all(b"S").await?;
                let encrypted = tls.accept(socket).await?;
                return session(MaybeTls::Tls(Box::new(encrypted)), true).await;
            }
            (SSL_REQUEST | GSS_REQUEST, _) => socket.write_all(b"N").await?,
            _ => return wanted(code, body, MaybeTls::Plain(socket), false),
        }
    }
    Err(Broken::Protocol("encryption was asked for again and again".to_owned()))
}

async fn direct(socket: TcpStream, tls: Option<&TlsAcceptor>) -> Result<Opening, Broken> {
    let tls = tls.ok_or_else(|| Broken::Protocol("a TLS handshake, but no TLS is set up".to_owned()))?;
    let encrypted = tls.accept(socket).await?;
    if encrypted.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Broken::Protocol("a TLS handshake without ALPN protocol postgresql".to_owned()));
    }
    session(MaybeTls::Tls(Box::new(encrypted)), true).await
}

async fn session(mut stream: MaybeTls, secure: bool) -> Result<Opening, Broken> {
    match packet(&mut stream).await? {
        Some((code, body)) => wanted(code, body, stream, secure),
        None => Ok(Opening::Gone),
    }
}

/// One message without a type byte: its code, and all of it.
async fn packet(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Option<(u32, BytesMut)>, Broken> {
    let mut head = [0; 8];
    match stream.read_exact(&mut head).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let (length, code) = head.split_at(4);
    let number = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let (length, code) = (number(length) as usize, number(code));
    if !(8..=LONGEST).contains(&length) {
        return Err(Broken::Protocol(format!("invalid length of start-up message: {length}")));
    }
    let mut all = BytesMut::zeroed(length);
    all[..8].copy_from_slice(&head);
    stream.read_exact(&mut all[8..]).await?;
    Ok(Some((code, all)))
}

fn wanted(code: u32, mut packet: BytesMut, stream: MaybeTls, secure: bool) -> Result<Opening, Broken> {
    let mut context = DecodeContext::default();
    context.awaiting_frontend_ssl = false;
    let invalid = |error: PgWireError| Broken::Protocol(format!("invalid start-up message: {error}"));
    let opening = match code {
        CANCEL_REQUEST => CancelRequest::decode(&mut packet, &context).map_err(invalid)?.map(Opening::Cancel),
        _ => {
            let startup = Startup::decode(&mut packet, &context).map_err(invalid)?;
            startup.map(|startup| Opening::Session { stream, startup, secure })
        }
    };
    opening.ok_or_else(|| Broken::Protocol("invalid start-up message".to_owned()))
}
