//! Bytes of a logged-in client to messages, and back.
//!
//! The wire library decodes what a message says, but trusts its counts and lengths, and panics when they are wrong. So a message
//! is cut out by its own length first, which is bounded, and must be of the form that its type has.

use std::io;

use bytes::BytesMut;
use datafusion_postgres::pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage};
use tokio_util::codec::{Decoder, Encoder};

use crate::bounds::LONGEST_TEXT;

/// Type bytes of the messages that a client may send after its start-up message.
const KINDS: &[u8] = b"pQPBDECHSXdcfF";
/// Longest message before the client has logged in, in bytes.
const LONGEST_LOGIN: usize = 10_000;
/// Longest message, in bytes: the longest statement and its parameters.
const LONGEST_MESSAGE: usize = 4 * LONGEST_TEXT;

/// Why nothing more can be read from a client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no message of the protocol, or one that is too long.
    #[error("{0}")]
    Protocol(String),
}

/// Cuts messages out of the stream.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    /// Whether the client has logged in.
    pub(crate) trusted: bool,
}

impl Decoder for Codec {
    type Item = PgWireFrontendMessage;
    type Error = Broken;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, Broken> {
        let Some(header) = buffer.first_chunk::<5>() else { return Ok(None) };
        let (kind, length) = (header[0], i32::from_be_bytes([header[1], header[2], header[3], header[4]]));
        if !KINDS.contains(&kind) {
            return Err(Broken::Protocol(format!("invalid frontend message type {kind}")));
        }
        let longest = if self.trusted { LONGEST_MESSAGE } else { LONGEST_LOGIN };
        let length = match usize::try_from(length) {
            Ok(length @ 4..) if length <= longest => length,
            _ => {
                let what = format!("invalid message length {length}; at most {longest} bytes are taken");
                return Err(Broken::Protocol(what));
            }
        };
        if buffer.len() < 1 + length {
            return Ok(None);
        }
        let mut message = buffer.split_to(1 + length);
        decode(&mut message).map(Some)
    }
}

/// Decodes exactly one message.
fn decode(message: &mut BytesMut) -> Result<PgWireFrontendMessage, Broken> {
    let kind = char::from(message[0]);
    let broken = |what: String| Broken::Protocol(format!("invalid message of type {kind}: {what}"));
    if kind == 'F' {
        return Err(Broken::Protocol("function calls are not supported".to_owned()));
    }
    if !is_well_formed(message[0], &message[5..]) {
        return Err(broken("its length and its contents disagree".to_owned()));
    }
    let mut context = DecodeContext::default();
    context.awaiting_frontend_ssl = false;
    context.awaiting_frontend_startup = false;
    match PgWireFrontendMessage::decode(message, &context) {
        Ok(Some(decoded)) => Ok(decoded),
        Ok(None) => Err(broken("it is not whole".to_owned())),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Whether a message's body has the form of its type, from its first byte to its last.
fn is_well_formed(kind: u8, body: &[u8]) -> bool {
    type Skip = fn(&[u8]) -> Option<&[u8]>;
    let parts: &[Skip] = match kind {
        b'Q' | b'f' => &[text],
        b'P' => &[text, text, |rest| counted(rest, 4)],
        b'B' => &[text, text, |rest| counted(rest, 2), values, |rest| counted(rest, 2)],
        b'D' | b'C' => &[|rest| rest.get(1..), text],
        b'E' => &[text, |rest| rest.get(4..)],
        b'H' | b'S' | b'X' | b'c' => &[],
        // What a login or a copy sends is its own affair.
        _ => return true,
    };
    let rest = parts.iter().try_fold(body, |rest, part| part(rest));
    rest.is_some_and(<[u8]>::is_empty)
}

/// What follows a text and the 0 at its end.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(end + 1..)
}

/// What follows a number and as many things of this size.
fn counted(bytes: &[u8], size: usize) -> Option<&[u8]> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    rest.get(usize::from(u16::from_be_bytes(*count)) * size..)
}

/// What follows a number and as many values, each after its length; -1 is NULL.
fn values(bytes: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = bytes.split_first_chunk::<2>()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, value) = rest.split_first_chunk::<4>()?;
        rest = match i32::from_be_bytes(*length) {
            -1 => value,
            length => value.get(usize::try_from(length).ok()?..)?,
        };
    }
    Some(rest)
}

impl Encoder<PgWireBackendMessage> for Codec {
    type Error = Broken;

    fn encode(&mut self, message: PgWireBackendMessage, buffer: &mut BytesMut) -> Result<(), Broken> {
        message.encode(buffer).map_err(|error| Broken::Io(io::Error::other(error)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn message(kind: u8, length: i32, body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        buffer.put_u8(kind);
        buffer.put_i32(length);
        buffer.put_slice(body);
        buffer
    }

    fn framed(kind: u8, body: &[u8]) -> BytesMut {
        message(kind, 4 + i32::try_from(body.len()).unwrap(), body)
    }

    #[test]
    fn messages_are_cut_by_their_length() {
        let mut buffer = framed(b'Q', b"select 1\0");
        let whole = buffer.clone();
        buffer.extend_from_slice(&whole[..7]);
        let mut codec = Codec { trusted: true };
        assert!(
            matches!(codec.decode(&mut buffer), Ok(Some(PgWireFrontendMessage::Query(q))) if q.query == "select 1")
        );
        assert!(matches!(codec.decode(&mut buffer), Ok(None)), "the second one is not whole yet");
        buffer.extend_from_slice(&whole[7..]);
        assert!(matches!(codec.decode(&mut buffer), Ok(Some(PgWireFrontendMessage::Query(_)))));
    }

    #[test]
    fn what_is_no_message_breaks_the_connection() {
        let longest = i32::try_from(LONGEST_MESSAGE).unwrap();
        let cases = [
            ("an unknown type", message(b'!', 4, b"")),
            ("a negative length", message(b'Q', -1, b"")),
            ("a length shorter than itself", message(b'Q', 3, b"")),
            ("too long", message(b'Q', longest + 1, b"")),
            ("text without an end", framed(b'Q', b"select 1")),
            ("text that ends early", framed(b'Q', b"select\0 1\0")),
            ("a statement without its types", framed(b'P', b"\0select 1\0")),
            ("more types than there are", framed(b'P', b"\0select 1\0\xff\xff")),
            ("a parameter longer than the message", framed(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff")),
            ("nothing to describe", framed(b'D', b"")),
            ("no number of rows", framed(b'E', b"\0")),
            ("a sync with something in it", framed(b'S', b"x")),
            ("a function call", framed(b'F', b"\0\0\0\0")),
        ];
        for (what, mut bytes) in cases {
            let mut codec = Codec { trusted: true };
            assert!(matches!(codec.decode(&mut bytes), Err(Broken::Protocol(_))), "{what}");
        }
    }

    #[test]
    fn who_has_not_logged_in_may_say_little() {
        let mut bytes = message(b'p', 20_000, b"");
        assert!(matches!(Codec { trusted: false }.decode(&mut bytes.clone()), Err(Broken::Protocol(_))));
        assert!(matches!(Codec { trusted: true }.decode(&mut bytes), Ok(None)));
    }
}
