"""Who comes in: passwords, encryption, names of databases, start-up settings."""

import contextlib
import socket
import struct
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from conftest import Server, psql, serving


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> dict[str, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    paths = {"certificate": folder / "server.crt", "key": folder / "server.key"}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-out", paths["certificate"], "-keyout", paths["key"]],
        check=True, capture_output=True)
    return paths


def test_without_users_everybody_on_this_machine_comes_in(server: Server):
    """Under any name; the name is what the session says."""
    for user in ("ann", "bob", "Ünal"):
        with server.connect(user=user) as connection:
            assert connection.execute("select current_user").fetchone() == (user,)


def test_passwords(certificate):
    """Right, wrong, missing; a user that is not there is refused in the same words."""
    with serving(user="ann:p'ss wörd") as server:
        with server.connect(password="p\\'ss wörd") as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        said = set()
        for options in ({"password": "wrong"}, {"user": "bob", "password": "wrong"}, {"password": "P\\'ss wörd"}):
            with pytest.raises(psycopg.OperationalError) as raised:
                server.connect(**options)
            said.add(str(raised.value).rsplit("FATAL", 1)[1].replace("bob", "ann"))
        assert len(said) == 1 and "assword authentication failed" in said.pop()
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            server.connect()


def test_encryption(certificate):
    """Asked for, required, verified, with channel binding; and without, on this machine."""
    with serving(user="ann:secret", **certificate) as server:
        root = {"sslrootcert": certificate["certificate"]}
        for options in (
            {"sslmode": "require"},
            {"sslmode": "verify-full", **root},
            {"sslmode": "require", "channel_binding": "require"},
            {"sslmode": "disable"},
            {"sslmode": "prefer", "gssencmode": "disable"},
        ):
            with server.connect(password="secret", **options) as connection:
                assert connection.execute("select count(*) from gold.viewer_retention").fetchone()[0] > 0
                assert connection.pgconn.ssl_in_use == (options["sslmode"] != "disable")
        printed = psql(server, "\\conninfo", password="secret", sslmode="require")
        assert "SSL connection" in printed
        # Cancelling over an encrypted connection of its own.
        with server.connect(password="secret", sslmode="require") as connection:
            connection.execute("set statement_timeout = '300ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("select sum(a.plays + b.plays) from gold.retention_curve a, gold.retention_curve b")
    with serving() as server, pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        server.connect(sslmode="require")


def test_beyond_this_machine(certificate):
    """Refused without a password and TLS, with what to do; with both, only encrypted sessions come in."""
    for settings, missing in (({}, "a password and TLS"), ({"user": "ann:secret"}, "TLS"), (certificate, "a password")):
        with pytest.raises(RuntimeError, match=f"without {missing}: give"), serving(addr="0.0.0.0:0", **settings):
            pass
    with serving(addr="0.0.0.0:0", user="ann:secret", **certificate) as server:
        with server.connect(password="secret", sslmode="require") as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="not encrypted"):
            server.connect(password="secret", sslmode="disable")


def test_databases(server: Server):
    """There is one; under the name of the user or postgres it is found too."""
    for name in ("streamreel", "ann", "postgres"):
        with server.connect(dbname=name) as connection:
            assert connection.execute("select current_database()").fetchone() == ("streamreel",)
    with pytest.raises(psycopg.OperationalError, match='database "other" does not exist'):
        server.connect(dbname="other")


def test_start_up_settings(server: Server):
    """Wrong ones refuse the session, unknown ones don't."""
    with pytest.raises(psycopg.OperationalError, match="statement_timeout"):
        server.connect(options="-c statement_timeout=soon")
    with server.connect(options="-c nothing=1", client_encoding="utf8", application_name="x" * 300) as connection:
        assert connection.info.parameter_status("server_version")


def test_who_does_not_log_in_is_let_go():
    """After a while, whatever it did until then; others are not held up."""
    startup = struct.pack("!iHH", 8 + 10, 3, 0) + b"user\0ann\0\0"
    with serving(login_timeout_ms=700, user="ann:secret") as server:
        openings = [b"", b"\0", startup[:10], struct.pack("!ii", 8, 80877103), startup, b"\x16\x03\x01"]
        sockets = []
        for opening in openings:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(opening)
            sockets.append(client)
        with server.connect(password="secret") as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        time.sleep(1)
        for client, opening in zip(sockets, openings):
            client.settimeout(2)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
            client.close()
