"""What no client can do to the others: run for ever, use up memory, wait for ever, send too much, come in too great numbers."""

import contextlib
import datetime
import threading
import time

import psycopg
import pytest
from conftest import Server, psql, serving

PRODUCT = "from gold.retention_curve a, gold.retention_curve b, gold.retention_curve c"
FOREVER = f"select sum(a.plays + b.plays + c.plays) {PRODUCT}"
ENDLESS = {
    "cross join": FOREVER,
    "comparison of all with all": f"select count(*) {PRODUCT} where a.plays + b.plays + c.plays < 0",
    "anti join": "select count(*) from gold.retention_curve a where not exists"
    " (select 1 from gold.retention_curve b, gold.retention_curve c where a.plays + b.plays + c.plays < 0)",
    "rows without end": "select a.*, b.* from gold.retention_curve a, gold.retention_curve b",
    "recursion": "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t",
    "sorted product": "select a.second_s + b.second_s from gold.retention_curve a, gold.retention_curve b order by 1",
    "distinct pairs": "select count(distinct a.video_id || b.video_id || a.second_s || b.second_s)"
    " from gold.retention_curve a, gold.retention_curve b",
    "series": "select count(*) from generate_series(1, 1000000000000)",
}


def quiet(server: Server) -> float:
    """CPU that the server uses in a second, in seconds."""
    before = server.cpu()
    time.sleep(1)
    return server.cpu() - before


def settles(server: Server) -> None:
    """The server does nothing any more, at once or nearly so."""
    for _ in range(3):
        if quiet(server) < 0.2:
            return
    raise AssertionError(f"the server still uses {quiet(server):.2f} s of CPU a second")


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_statement_timeout_stops_a_query(server: Server, what: str, prepare: bool):
    """In time, for the client and for the machine."""
    with server.connect() as connection:
        connection.execute("set statement_timeout = '1s'")
        began = time.monotonic()
        with pytest.raises((psycopg.errors.QueryCanceled, psycopg.errors.OutOfMemory, psycopg.errors.DiskFull)) as raised:
            for _ in connection.cursor().stream(ENDLESS[what]) if prepare else connection.execute(ENDLESS[what]):
                pass
        assert time.monotonic() - began < 4, raised.value
        settles(server)
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("what", ENDLESS)
def test_cancelling_stops_a_query(server: Server, what: str):
    """By libpq's cancel request, as Ctrl-C in psql sends it."""
    with server.connect() as connection:
        connection.execute("set statement_timeout = 0")
        timer = threading.Timer(1, connection.cancel_safe)
        timer.start()
        began = time.monotonic()
        with pytest.raises((psycopg.errors.QueryCanceled, psycopg.errors.OutOfMemory, psycopg.errors.DiskFull)):
            for _ in connection.cursor().stream(ENDLESS[what]):
                pass
        assert time.monotonic() - began < 4
        timer.join()
        settles(server)
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_servers_own_timeout():
    """Holds for sessions that set none; they can set another."""
    with serving(statement_timeout_ms=500) as server, server.connect() as connection:
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(FOREVER)
        connection.execute("set statement_timeout = '2s'")
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(FOREVER)
        assert 1.5 < time.monotonic() - began < 4


def test_a_client_that_leaves_ends_its_query(server: Server):
    """Without a word, during its query."""
    connection = server.connect()
    connection.execute("set statement_timeout = 0")
    connection.pgconn.send_query(FOREVER.encode())
    time.sleep(0.5)
    assert quiet(server) > 0.3, "the query runs"
    connection.close()
    settles(server)


def test_memory_is_bounded():
    """A query that needs too much spills, and fails when that does not help; others go on, and so does its session."""
    with serving(query_memory_mb=32) as server, server.connect() as connection:
        before = server.memory()
        greedy = "select array_agg(a.video_id || b.video_id) from gold.retention_curve a, gold.retention_curve b"
        with pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute(greedy)
        join = "select count(*) from gold.retention_curve a join gold.retention_curve b on a.second_s = b.second_s" \
            " join gold.retention_curve c on b.second_s = c.second_s"
        with contextlib.suppress(psycopg.errors.OutOfMemory, psycopg.errors.QueryCanceled):
            connection.execute("set statement_timeout = '3s'")
            connection.execute(join)
        sort = "select max(n) from (select row_number() over (order by a.video_id || b.video_id || a.second_s) as n" \
            " from gold.retention_curve a, (select * from gold.viewer_retention limit 10) b)"
        connection.execute("set statement_timeout = '60s'")
        rows = connection.execute("select count(*) from gold.retention_curve").fetchone()[0]
        assert connection.execute(sort).fetchone() == (10 * rows,), "sorted on the disk"
        assert connection.execute("select 1").fetchone() == (1,)
        assert server.memory() - before < 600 << 20, f"{(server.memory() - before) >> 20} MiB more"


def test_large_statements(server: Server):
    """A million bytes of SQL, of every shape, are answered, or refused by name; nothing of it takes long."""
    million = 1_000_000
    cases = [
        ("select '" + "x" * million + "' = ''", {None}),
        ("select '" + "x" * 3 * million + "'", {"54000"}),
        ("select 1 where 1 in (" + ",".join(["1"] * 200_000) + ")", {None}),
        ("select " + ",".join(f"{n} as c{n}" for n in range(20_000)), {"54011"}),
        ("select " + ",".join(f"{n} as c{n}" for n in range(1_600)), {None}),
        ("select " + "(" * 100_000 + "1" + ")" * 100_000, {"54001"}),
        ("select " + "(select " * 10_000 + "1" + ")" * 10_000, {"54001"}),
        ("select " + "case when true then " * 10_000 + "1" + " end" * 10_000, {"54001"}),
        ("select " + "not " * 100_000 + "true", {"54001"}),
        ("select " + "-" + " -" * 100_000 + "1", {"54001"}),
        ("select 1" + "+1" * 400_000, {"54001"}),
        ("select 1" + " or 1=1" * 100_000, {"54001"}),
        ("select 1" + " union all select 1" * 50_000, {"54001"}),
        ("select 1 from a" + ",a" * 100_000, {"54001"}),
        ("select '{}'" + "::text" * 100_000, {"54001"}),
        ("select a" + "[1]" * 100_000, {"54001"}),
        ("select array" + "[" * 100_000 + "]" * 100_000, {"54001"}),
        ("explain " * 50_000 + "select 1", {"54001"}),
        ("select 1;" * 100_000, {"54001"}),
        ("/*" * 300_000 + "*/" * 300_000 + "select 1", {None, "42601", "54000"}),
        ("with " + ",".join(f"a{n} as (select 1)" for n in range(30_000)) + " select 1", {"54001"}),
        ("select " + "abs(" * 60 + "1" + ")" * 60, {"54001"}),
        ("with t0 as (select 1)" + "".join(f", t{n} as (select 1 from t{n - 1} a, t{n - 1} b)" for n in range(1, 300))
         + " select 1 from t299", {"54001"}),
    ]
    with server.connect() as connection:
        connection.execute("set statement_timeout = '20s'")
        for text, expected in cases:
            for prepare in (False, True):
                began = time.monotonic()
                try:
                    connection.execute(text, prepare=prepare)
                    code = None
                except psycopg.Error as error:
                    code = error.sqlstate
                assert code in expected, f"{text[:60]}...: {code}"
                assert time.monotonic() - began < 10, f"{text[:60]}...: {time.monotonic() - began:.1f} s"
        assert connection.execute("select 1").fetchone() == (1,)


def test_what_is_allowed_just_so(server: Server):
    """As much as may be: it is planned and run, deep as it is."""
    doubled = "".join(f", t{n} as (select a.x from t{n - 1} a, t{n - 1} b)" for n in range(1, 7))
    cases = [
        "select second_s" + " + 1" * 990 + " from gold.retention_curve limit 1",
        "select true" + " and true or false" * 490,
        "select count(*) from gold.viewer_retention where video_id = 'x'" + " or video_id = 'y'" * 490,
        "select " + "(" * 60 + "1" + ")" * 60,
        "select " + "-(" * 60 + "1" + ")" * 60,
        "select " + "(select " * 13 + "1" + ")" * 13,
        "select * from " + "(select * from " * 60 + "gold.viewer_retention" + ") t" * 60,
        "select " + "coalesce(" * 15 + "second_s" + ", 1)" * 15 + " from gold.retention_curve limit 1",
        "select " + "case when second_s = 1 then " * 60 + "1" + " end" * 60 + " from gold.retention_curve limit 1",
        "select 1" + " union all select 1" * 490,
        "select count(*) from " + ", ".join(f"(select 1) t{n}" for n in range(60)),
        "select count(*) from gold.viewer_retention v0"
        + "".join(f" join gold.viewer_retention v{n} on v{n}.video_id = v0.video_id" for n in range(1, 64)),
        f"with t0 as (select 1 as x from gold.viewer_retention limit 1){doubled} select count(*) from t6",
        "select " + ", ".join(f"sum(second_s + {n})" for n in range(500)) + " from gold.retention_curve",
    ]
    with server.connect() as connection:
        connection.execute("set statement_timeout = '60s'")
        for text in cases:
            for prepare in (False, True):
                began = time.monotonic()
                connection.execute(text, prepare=prepare).fetchone()
                took = time.monotonic() - began
                assert took < 20, f"{text[:60]}...: {took:.1f} s"


def test_a_client_that_stops_reading():
    """Waits alone, and is let go after a while; memory stays."""
    with serving(write_timeout_ms=1500) as server, server.connect() as other:
        before = server.memory()
        stuck = server.connect()
        stuck.execute("set statement_timeout = 0")
        stuck.pgconn.send_query(ENDLESS["rows without end"].encode())
        time.sleep(1)
        began = time.monotonic()
        assert other.execute("select count(*) from gold.viewer_retention").fetchone()[0] > 0
        assert time.monotonic() - began < 1
        assert server.memory() - before < 200 << 20
        time.sleep(2)
        settles(server)
        with pytest.raises(psycopg.OperationalError):
            for _ in range(1_000_000):
                stuck.pgconn.consume_input()
                if not stuck.pgconn.is_busy() and stuck.pgconn.get_result() is None:
                    break
            stuck.execute("select 1")


def test_too_many_sessions():
    """One more than there is place for is told so; a place that becomes free is given away."""
    with serving(max_connections=5) as server:
        with contextlib.ExitStack() as stack:
            sessions = [stack.enter_context(server.connect()) for _ in range(5)]
            for _ in range(3):
                with pytest.raises(psycopg.OperationalError, match="too many clients"):
                    server.connect()
            # Cancelling needs no place.
            timer = threading.Timer(0.5, sessions[0].cancel_safe)
            timer.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                sessions[0].execute(FOREVER)
        deadline = time.monotonic() + 5
        while True:
            try:
                with server.connect() as connection:
                    assert connection.execute("select 1").fetchone() == (1,)
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_many_idle_sessions():
    """A thousand idle sessions cost little, and one that works is as fast as before."""
    with serving(max_connections=1100) as server, contextlib.ExitStack() as stack:
        before = server.memory()
        for _ in range(1000):
            stack.enter_context(server.connect())
        assert server.memory() - before < 400 << 20, f"{(server.memory() - before) >> 20} MiB more"
        with server.connect() as connection:
            connection.execute("select count(*) from gold.viewer_retention")
            began = time.monotonic()
            connection.execute("select count(*) from gold.viewer_retention")
            assert time.monotonic() - began < 1
        assert quiet(server) < 0.3


def test_sessions_side_by_side(server: Server):
    """Sessions that query at once get their own answers."""
    answers: list[object] = []

    def ask(number: int) -> None:
        with server.connect() as connection:
            for repeat in range(20):
                value = number * 1000 + repeat
                row = connection.execute("select %s::int, count(*) from gold.viewer_retention", [value], prepare=True).fetchone()
                answers.append(row[0] == value and row[1])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160 and len(set(answers)) == 1 and answers[0] is not False


def test_many_prepared_statements_and_cursors(server: Server):
    """What a session keeps is bounded."""
    with server.connect() as connection:
        result = None
        for n in range(1100):
            result = connection.pgconn.prepare(f"s{n}".encode(), b"select 1")
            if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                break
        assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"53400"
        connection.execute("deallocate all")
        connection.execute("begin")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            for n in range(100):
                connection.execute(f"declare c{n} cursor for {FOREVER}")
        connection.execute("rollback")
        assert connection.execute("select 1").fetchone() == (1,)
    settles(server)


def test_the_server_stops_with_queries_under_way():
    """Clients are told, and nothing is left."""
    with serving() as server:
        connection = server.connect()
        connection.execute("set statement_timeout = 0")
        connection.pgconn.send_query(FOREVER.encode())
        idle = server.connect()
        time.sleep(0.3)
    for client in (connection, idle):
        with pytest.raises(psycopg.OperationalError):
            while client.pgconn.get_result():
                pass
            client.execute("select 1")


def test_psql_says_so_when_cancelled(server: Server):
    """What a person sees."""
    began = datetime.datetime.now()
    printed = psql(server, "set statement_timeout = 300", FOREVER, status=1)
    assert "canceling statement due to statement timeout" in printed and "SET statement_timeout" in printed
    assert (datetime.datetime.now() - began).total_seconds() < 5
