"""What a session reads: the published build, one state of it for a transaction, temporary tables of its own."""

import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from conftest import PROGRAM, Server, serving

COUNT = "select count(*) from silver.enriched_events"


def feed(home: Path, build: bool) -> None:
    """Lets more events come in; builds them if asked."""
    for command in (["simulate", "--events", "3000", "--seed", "8"], ["process"], *([["build"]] if build else [])):
        subprocess.run([PROGRAM, "--quiet", "--home", home, *command], check=True, capture_output=True)


def test_a_transaction_reads_one_state(home: Path):
    """Within a transaction every statement reads what the first one read; outside, the newest build."""
    with serving(home) as server, server.connect() as inside, server.connect() as outside:
        before = outside.execute(COUNT).fetchone()
        bronze = "select count(*) from bronze.events"
        landed = outside.execute(bronze).fetchone()
        inside.execute("begin")
        assert inside.execute(COUNT).fetchone() == before
        assert inside.execute(bronze).fetchone() == landed

        feed(home, build=False)
        assert outside.execute(COUNT).fetchone() == before, "not built yet"
        assert outside.execute(bronze).fetchone() > landed, "bronze is read as it comes in"
        assert inside.execute(bronze).fetchone() == landed

        builds = outside.execute("select count(*) from gold.builds").fetchone()[0]
        feed(home, build=True)
        after = outside.execute(COUNT).fetchone()
        assert after > before
        assert outside.execute("select count(*) from gold.builds").fetchone()[0] == builds + 1
        assert inside.execute(COUNT).fetchone() == before
        inside.execute("commit")
        assert inside.execute(COUNT).fetchone() == after


def test_prepared_statements_follow_builds(home: Path):
    """A statement prepared over one build runs over the next."""
    with serving(home) as server, server.connect() as connection:
        before = connection.execute(COUNT, prepare=True).fetchone()
        feed(home, build=True)
        assert connection.execute(COUNT, prepare=True).fetchone() > before


def test_several_statements_of_one_text_read_one_state(server: Server):
    """And only BEGIN opens a transaction."""
    with server.connect() as connection:
        connection.execute("select 1; select 2")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        connection.execute("begin; select 1")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.execute("rollback")


def test_a_failed_transaction(server: Server):
    """After an error only its end or a savepoint is left."""
    with server.connect() as connection:
        connection.execute("begin")
        connection.execute("savepoint a")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("select nothing")
        for statement in ("select 1", "show server_version", "savepoint b"):
            for prepare in (False, True):
                with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                    connection.execute(statement, prepare=prepare)
        connection.execute("rollback to savepoint a")
        assert connection.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("select nothing")
        connection.execute("commit")
        assert connection.execute("select 1").fetchone() == (1,)


def test_psycopgs_own_transactions(server: Server):
    """Blocks, nested ones (savepoints), read-only, isolation levels."""
    with psycopg.connect(server.dsn()) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        assert connection.execute("select 1").fetchone() == (1,)
        connection.rollback()
        with connection.transaction():
            with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
                connection.execute("select 1/0").fetchone()
            assert connection.execute("select 2").fetchone() == (2,)


def test_settings(server: Server):
    """SET, SET LOCAL, RESET, SHOW; the client is told of those that it must know."""
    with server.connect() as connection:
        show = lambda name: connection.execute(f"show {name}").fetchone()[0]
        connection.execute("set application_name = 'a test'")
        assert connection.info.parameter_status("application_name") == "a test"
        connection.execute("set statement_timeout to 1500")
        assert show("statement_timeout") == "1500ms"
        connection.execute("reset statement_timeout")
        assert show("statement_timeout") == "5min"
        connection.execute("begin")
        connection.execute("set local statement_timeout = '7s'")
        assert show("statement_timeout") == "7s"
        connection.execute("commit")
        assert show("statement_timeout") == "5min"
        connection.execute("set session characteristics as transaction read only")
        connection.execute("set time zone 'Europe/Berlin'")
        assert (show("time zone"), connection.info.parameter_status("TimeZone")) == ("UTC", "UTC")
        connection.execute("set search_path = silver")
        assert connection.execute("select current_schema()").fetchone() == ("silver",)
        assert connection.execute("select count(*) > 0 from views").fetchone() == (True,)
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from viewer_retention")
        connection.execute("discard all")
        assert connection.execute("select current_setting('search_path')").fetchone()[0].startswith("gold")
        assert connection.info.parameter_status("default_transaction_read_only") == "on"
    with server.connect(options="-c statement_timeout=3s") as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("3s",)


def test_temporary_tables(server: Server):
    """They can be made, filled, read and dropped; other sessions don't see them, and they are bounded."""
    with server.connect() as connection, server.connect() as other:
        connection.execute("create temp table wanted (id text not null, n int default 1)")
        assert connection.execute("insert into wanted values ('v0003', 1), ('v0004', 2)").rowcount == 2
        connection.execute("insert into wanted (id) select video_id from viewer_retention limit %s", [3], prepare=True)
        assert connection.execute("select count(*), count(n) from wanted").fetchone() == (5, 2)
        joined = "select count(*) from gold.viewer_retention join wanted on id = video_id where n is not null"
        assert connection.execute(joined).fetchone() == (2,)
        with pytest.raises(psycopg.errors.UndefinedTable):
            other.execute("select * from wanted")
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute("insert into wanted (n) values (1)")
        with pytest.raises(psycopg.errors.DuplicateTable):
            connection.execute("create temp table wanted (id text)")
        connection.execute("create temp table if not exists wanted (id text)")
        connection.execute("create temp table copied as select video_id as id, total_views from gold.viewer_retention")
        assert connection.execute("select sum(total_views) from copied").fetchone() == connection.execute(
            "select sum(total_views) from gold.viewer_retention").fetchone()
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            connection.execute(
                "create temp table large as select a.video_id from gold.retention_curve a, gold.viewer_retention b")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from large")
        connection.execute("drop table wanted, copied")
        connection.execute("drop table if exists wanted")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("drop table wanted")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            for n in range(1000):
                connection.execute(f"create temp table t{n} (a int)")


def test_an_idle_transaction_ends():
    """A session that keeps a transaction open without doing anything is ended."""
    with serving(idle_in_transaction_ms=300) as server:
        with server.connect() as connection:
            connection.execute("select 1")
            time.sleep(0.6)
            assert connection.execute("select 1").fetchone() == (1,), "idle outside a transaction is no matter"
            connection.execute("begin")
            connection.execute("select 1")
            time.sleep(0.8)
            with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
                connection.execute("select 1")
            assert connection.broken
