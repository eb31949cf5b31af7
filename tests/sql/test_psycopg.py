"""psycopg 3: parameters and results, text and binary, server-side cursors, pipelines."""

import datetime
from decimal import Decimal

import psycopg
import pytest
from conftest import Server, query
from psycopg import sql

UTC = datetime.timezone.utc
VALUES = [
    ("true", "bool", True),
    ("false", "bool", False),
    ("cast(-32768 as smallint)", "int2", -32768),
    ("2147483647", "int8", 2147483647),
    ("cast(2147483647 as int)", "int4", 2147483647),
    ("-9223372036854775808", "int8", -9223372036854775808),
    ("1.5::double precision", "float8", 1.5),
    ("cast(0.1 as real)", "float4", pytest.approx(0.1)),
    ("'NaN'::double precision = 'NaN'::double precision", "bool", True),
    ("'infinity'::double precision", "float8", float("inf")),
    ("cast('12345.6789' as decimal(20, 4))", "numeric", Decimal("12345.6789")),
    ("cast('-0.0001' as decimal(10, 4))", "numeric", Decimal("-0.0001")),
    ("'ünïcödé ''quoted'' \n line'", "text", "ünïcödé 'quoted' \n line"),
    ("''", "text", ""),
    ("date '2024-02-29'", "date", datetime.date(2024, 2, 29)),
    ("timestamp '2024-02-29 12:34:56.789012'", "timestamp", datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)),
    ("'2024-02-29T12:34:56.789012Z'::timestamptz", "timestamptz", datetime.datetime(2024, 2, 29, 12, 34, 56, 789012, UTC)),
    ("time '12:34:56'", "time", datetime.time(12, 34, 56)),
    ("interval '1 day 2 hours'", "interval", datetime.timedelta(days=1, hours=2)),
    ("array['a', 'b']", "_text", ["a", "b"]),
    ("array[1, 2]", "_int8", [1, 2]),
    ("null::bigint", "int8", None),
    ("null::timestamptz", "timestamptz", None),
    ("null", "text", None),
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize(("expression", "kind", "expected"), VALUES, ids=[value[0][:40] for value in VALUES])
def test_values_come_as_they_are(session, expression, kind, expected, binary, prepare):
    """Every type, by the protocol that psycopg chooses for it."""
    with session.cursor(binary=binary) as cursor:
        cursor.execute(f"select {expression} as v", prepare=prepare)
        assert session.adapters.types[cursor.description[0].type_code].name in (kind, kind.lstrip("_"))
        assert cursor.fetchone() == (expected,)


PARAMETERS = [
    True,
    1,
    40_000,
    3_000_000_000,
    -1.25,
    "text with 'quotes'",
    "",
    Decimal("12.500"),
    Decimal("0.001"),
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 1, 2, 3, 456),
    datetime.datetime(2024, 2, 29, 1, 2, 3, 456, UTC),
    None,
    [1, 2, 3],
    [True, None],
]


@pytest.mark.parametrize("value", PARAMETERS, ids=[repr(value) for value in PARAMETERS])
@pytest.mark.parametrize("format", ["%s", "%t", "%b"], ids=["auto", "text", "binary"])
def test_parameters_come_back(session, value, format):
    """A parameter that is only returned has the type that the client gave it."""
    if format == "%b" and value is None:
        format = "%s"
    assert session.execute(f"select {format} as v", [value]).fetchone() == (value,)


def test_parameters_select(session):
    """Parameters compared with columns of each type."""
    cases = [
        ("select count(*) from gold.viewer_retention where total_views > %s", [5], "total_views > 5"),
        ("select count(*) from gold.viewer_retention where total_views > %s", [5.5], "total_views > 5.5"),
        ("select count(*) from gold.viewer_retention where total_views > %s", [Decimal("5.5")], "total_views > 5.5"),
        ("select count(*) from gold.viewer_retention where avg_retention < %s", [50], "avg_retention < 50"),
        ("select count(*) from gold.viewer_retention where avg_retention < %s", [Decimal(50)], "avg_retention < 50"),
        ("select count(*) from gold.viewer_retention where video_id = %s", ["v0003"], "video_id = 'v0003'"),
        ("select count(*) from gold.viewer_retention where video_id = any(%s)", [["v0003", "v0004"]],
         "video_id in ('v0003', 'v0004')"),
        ("select count(*) from gold.viewer_retention where video_id like %s limit %s", ["v000%", 10], "video_id like 'v000%'"),
    ]
    for statement, parameters, condition in cases:
        [[_], [expected]] = query(f"select count(*) from gold.viewer_retention where {condition}")
        assert session.execute(statement, parameters).fetchone() == (int(expected),), statement


def test_dates_and_instants_select(session):
    """Dates and instants as parameters find what the program finds."""
    day = session.execute("select min(view_date) from silver.views").fetchone()[0]
    [[_], [expected]] = query(f"select count(*) from silver.views where view_date = date '{day}'")
    for value in [day, str(day)]:
        assert session.execute("select count(*) from silver.views where view_date = %s", [value]).fetchone()[0] == int(expected)
    noon = datetime.datetime.combine(day, datetime.time(12), UTC)
    [[_], [expected]] = query(f"select count(*) from silver.views where started_at < timestamp '{day} 12:00:00'")
    for value in [noon, noon.replace(tzinfo=None), noon.isoformat()]:
        found = session.execute("select count(*) from silver.views where started_at < %s", [value]).fetchone()[0]
        assert found == int(expected), value


def test_a_table_comes_whole_and_streams(session):
    """All rows of a larger table, by both protocols and in parts."""
    [[_, _], [rows, plays]] = query("select count(*), sum(plays) from gold.retention_curve")
    statement = "select video_id, second_s, plays from gold.retention_curve"
    for binary in (False, True):
        found = session.execute(statement, binary=binary).fetchall()
        assert (len(found), sum(row[2] for row in found)) == (int(rows), int(plays))
    found = list(session.cursor().stream(statement))
    assert (len(found), sum(row[2] for row in found)) == (int(rows), int(plays))


def test_server_side_cursors(server: Server):
    """DECLARE, FETCH and CLOSE as psycopg sends them, with parameters, text and binary."""
    with server.connect() as connection, connection.transaction():
        for binary in (False, True):
            with connection.cursor("rows", binary=binary) as cursor:
                cursor.itersize = 7
                cursor.execute("select second_s, plays from gold.retention_curve where video_id = %s order by 1", ["v0003"])
                assert [column.name for column in cursor.description] == ["second_s", "plays"]
                first = cursor.fetchmany(10)
                rest = list(cursor)
                assert [row[0] for row in first + rest] == list(range(len(first + rest)))
    with server.connect() as connection, connection.cursor("held", withhold=True) as cursor:
        cursor.execute("select 1 union all select 2 order by 1")
        assert cursor.fetchall() == [(1,), (2,)]
    with server.connect() as connection:
        with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
            connection.execute("declare c cursor for select 1")
        with pytest.raises(psycopg.errors.InvalidCursorName):
            connection.execute("fetch 1 from nothing")


def test_pipelines(session):
    """Statements sent without waiting for answers; an error skips what follows until the next sync."""
    with session.pipeline() as pipeline:
        first = session.execute("select 1")
        second = session.execute("select %s::int + 1", [1])
        pipeline.sync()
        assert (first.fetchone(), second.fetchone()) == ((1,), (2,))
        bad = session.execute("select no_such_column")
        skipped = session.execute("select 3")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            pipeline.sync()
            bad.fetchone()
        with pytest.raises(psycopg.ProgrammingError):
            skipped.fetchone()
    assert session.execute("select 4").fetchone() == (4,)


def test_names_of_columns(session):
    """Columns are named as PostgreSQL names them, and two may have one name."""
    cases = [
        ("select count(*), sum(plays), max(plays) as most from gold.retention_curve", ["count", "sum", "most"]),
        ("select 1, 1, 'a'", ["?column?"] * 3),
        ("select video_id, * from gold.viewer_retention limit 1", ["video_id", "video_id", "total_views", "avg_retention"]),
        ("select count(*), count(*) from gold.viewer_retention", ["count", "count"]),
        ("select version(), current_user, current_schema", ["version", "session_user", "current_schema"]),
    ]
    for statement, names in cases:
        assert [column.name for column in session.execute(statement).description] == names, statement


def test_composed_statements(session):
    """Names quoted by psycopg."""
    statement = sql.SQL("select {} from {} order by 1 limit 1").format(
        sql.Identifier("video_id"), sql.Identifier("gold", "viewer_retention"))
    assert session.execute(statement).fetchone()[0].startswith("v")


def test_several_statements_at_once(session):
    """One text with several statements gives several results; an error ends it."""
    cursor = session.execute("select 1; select 2; select 3")
    results = [cursor.fetchone()]
    while cursor.nextset():
        results.append(cursor.fetchone())
    assert results == [(1,), (2,), (3,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        session.execute("select 1; select * from nowhere; select 3")
    assert session.execute("").description is None


ERRORS = [
    ("selec 1", "42601"),
    ("select 'open", "42601"),
    ("select * from nowhere", "42P01"),
    ("select * from gold.nowhere", "42P01"),
    ("select nothing from gold.viewer_retention", "42703"),
    ("select v.nothing from gold.viewer_retention v", "42703"),
    ("select video_id from gold.viewer_retention a, gold.retention_curve b", "42702"),
    ("select nothing(1)", "42883"),
    ("select 1 / 0", "22012"),
    ("select 1 / total_views * 0 / 0 from gold.viewer_retention", "22012"),
    ("select 'x'::int", "22P02"),
    ("select cast(video_id as int) from gold.viewer_retention", "22P02"),
    ("select 99999999999999999999 :: bigint", "22003"),
    ("select count(*) from gold.viewer_retention where video_id ~ '('", "2201B"),
    ("select repeat('x', 2000000000)", "53200"),
    ("show nothing", "42704"),
    ("set nothing = 1", "42704"),
    ("set statement_timeout = 'soon'", "22023"),
    ("set client_encoding = 'LATIN1'", "22023"),
    ("savepoint a", "25P01"),
    ("deallocate nothing", "26000"),
    ("listen a", "0A000"),
    ("copy gold.viewer_retention to stdout", "0A000"),
    ("prepare a as select 1", "0A000"),
]
WRITES = [
    "insert into gold.viewer_retention values ('x', 1, 1)",
    "update gold.viewer_retention set total_views = 0",
    "delete from gold.viewer_retention",
    "truncate gold.viewer_retention",
    "drop table gold.viewer_retention",
    "drop schema gold cascade",
    "create table t (a int)",
    "create table gold.t as select 1 as a",
    "create view v as select 1",
    "create schema s",
    "create database d",
    "create role r",
    "create function f() returns int as 'select 1' language sql",
    "alter table gold.viewer_retention add column x int",
    "select * into t from gold.viewer_retention",
    "select * from gold.viewer_retention for update",
    "with x as (delete from gold.viewer_retention returning 1) select * from x",
    "copy gold.viewer_retention from stdin",
    "grant select on gold.viewer_retention to ann",
    "vacuum",
    "lock table gold.viewer_retention",
    "merge into gold.viewer_retention t using gold.top_content s on false when matched then delete",
    "explain analyze delete from gold.viewer_retention",
    "comment on table gold.viewer_retention is 'x'",
    "refresh materialized view x",
    "do $$ begin end $$",
    "call f()",
]


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize(("statement", "code"), ERRORS, ids=[error[0] for error in ERRORS])
def test_errors_have_postgresqls_codes(session, statement, code, prepare):
    """And the session goes on."""
    with pytest.raises(psycopg.Error) as raised:
        session.execute(statement, prepare=prepare).fetchall()
    assert raised.value.sqlstate == code, str(raised.value)
    assert session.execute("select 1").fetchone() == (1,)


def test_parameters_without_values(session):
    """Neither protocol makes a value up."""
    for prepare, code in ((False, "42P02"), (True, "08P01")):
        with pytest.raises(psycopg.Error) as raised:
            session.execute("select $1", prepare=prepare)
        assert raised.value.sqlstate == code


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize("statement", WRITES)
def test_writes_are_refused(session, statement, prepare):
    """With the code of a read-only transaction, or as no SQL that this server knows."""
    rows = session.execute("select count(*) from gold.viewer_retention").fetchone()
    with pytest.raises(psycopg.Error) as raised:
        session.execute(statement, prepare=prepare)
    known = statement.split()[0] not in ("do", "refresh", "vacuum", "lock") and "function" not in statement
    assert raised.value.sqlstate in (("25006",) if known else ("25006", "42601", "0A000")), str(raised.value)
    assert session.execute("select count(*) from gold.viewer_retention").fetchone() == rows
