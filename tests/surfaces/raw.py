"""Requests as no library would send them: bytes on a socket, and what comes back."""

import socket

ANSWERS_WITHIN_S = 10


def connect(port: int, receive_buffer: int | None = None) -> socket.socket:
    """A connection to the server."""
    opened = socket.socket()
    if receive_buffer is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    opened.settimeout(ANSWERS_WITHIN_S)
    opened.connect(("127.0.0.1", port))
    return opened


def exchange(port: int, request: bytes) -> bytes:
    """Sends bytes and reads until the server closes; empty if it closed without a word.

    The request should ask for the connection to be closed, or be one that the server closes by itself.
    """
    with connect(port) as opened:
        try:
            opened.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough, and may have answered
        return read_all(opened)


def read_all(opened: socket.socket) -> bytes:
    """What comes until the end; a reset after an answer is an end, silence is an error."""
    parts = []
    while True:
        try:
            part = opened.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def status(answer: bytes) -> int | None:
    """The status of an answer; None where there is none."""
    line = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/1.") and line[1].isdigit() else None


def get(target: str | bytes, headers: bytes = b"", method: bytes = b"GET") -> bytes:
    """A request for a target as it is, whatever it is."""
    target = target.encode() if isinstance(target, str) else target
    return method + b" " + target + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n" + headers + b"\r\n"


def post(body: bytes, headers: bytes = b"", target: bytes = b"/v1/events") -> bytes:
    """A POST with its length."""
    length = b"content-length: %d\r\ncontent-type: application/json\r\n" % len(body)
    return get(target, length + headers, b"POST") + body
