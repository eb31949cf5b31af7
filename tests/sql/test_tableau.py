"""Tableau's handshake: what it sends when it connects and reads, in the order in which it does."""

import psycopg
import pytest
from conftest import Server

# The first statements of a connection. Each is sent as a simple query.
HANDSHAKE = [
    "SET DateStyle = 'ISO'",
    "SET extra_float_digits = 2",
    "show transaction_isolation",
    "select oid, typbasetype from pg_type where typname = 'lo'",
    'CREATE LOCAL TEMPORARY TABLE "#Tableau_5_2_Connect" (\n\t"COL" INTEGER\n\t)\nON COMMIT PRESERVE ROWS',
    'INSERT INTO "#Tableau_5_2_Connect" VALUES (1)',
    'SELECT "COL" FROM "#Tableau_5_2_Connect"',
    'DROP TABLE "#Tableau_5_2_Connect"',
    'SELECT "SUBQUERY"."COL" AS "COL"\nFROM (\n  SELECT 1 AS "COL"\n) "SUBQUERY"\nLIMIT 1',
    'SELECT "SUBCOL" AS "COL"\nFROM (\n  SELECT 1 AS "SUBCOL"\n) "SUBQUERY"\nGROUP BY 1',
    'SELECT 1 AS "ONE", "SUBCOL" AS "COL"\nFROM (\n  SELECT 1 AS "SUBCOL"\n) "SUBQUERY"\nGROUP BY 2',
    'CREATE LOCAL TEMPORARY TABLE "#Tableau_5_3_Connect" ON COMMIT PRESERVE ROWS AS SELECT 1 AS "COL"',
    'DROP TABLE "#Tableau_5_3_Connect"',
]
# What a data source over a table sends.
METADATA = [
    "select nspname, relname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p')"
    " and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace"
    " order by nspname, relname",
    "select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull, c.relhasrules,"
    " c.relkind, c.oid, t.typtype, t.typbasetype from pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid ="
    " c.relnamespace inner join pg_catalog.pg_attribute a on not a.attisdropped and a.attnum > 0 and a.attrelid = c.oid inner join"
    " pg_catalog.pg_type t on t.oid = a.atttypid where c.relname = 'viewer_retention' and n.nspname = 'gold'"
    " order by n.nspname, c.relname, attnum",
    "select ta.attname, ia.attnum, ic.relname, n.nspname, tc.relname from pg_catalog.pg_attribute ta, pg_catalog.pg_attribute ia,"
    " pg_catalog.pg_class tc, pg_catalog.pg_index i, pg_catalog.pg_namespace n, pg_catalog.pg_class ic where tc.relname ="
    " 'viewer_retention' and n.nspname = 'gold' and tc.oid = i.indrelid and n.oid = tc.relnamespace and i.indisprimary = 't' and"
    " ia.attrelid = i.indexrelid and ta.attrelid = i.indrelid and ic.oid = i.indexrelid and (not ta.attisdropped) and"
    " (not ia.attisdropped) order by ia.attnum",
    'SELECT *\nFROM "gold"."viewer_retention" "viewer_retention"\nLIMIT 0',
    'SELECT "top_content"."creator" AS "creator",\n  SUM("top_content"."watch_time_s") AS "sum:watch_time_s:ok"\n'
    'FROM "gold"."top_content" "top_content"\nWHERE ("top_content"."period" = \'all\')\nGROUP BY 1\nHAVING (COUNT(1) > 0)',
    'SELECT CAST(DATE_TRUNC(\'DAY\', "views"."started_at") AS DATE) AS "tdy:started_at:ok",\n'
    '  COUNT(DISTINCT "views"."user_id") AS "ctd:user_id:ok"\nFROM "silver"."views" "views"\nGROUP BY 1',
]


def test_the_handshake(server: Server):
    """All of it, twice over one connection, as Tableau does when it connects again."""
    with server.connect(application_name="Tableau") as connection:
        for _ in range(2):
            for statement in HANDSHAKE:
                cursor = connection.execute(statement)
                if statement.startswith("SELECT 1 AS"):
                    assert cursor.fetchall() == [(1, 1)]
                elif statement.startswith("SELECT"):
                    assert cursor.fetchall() == [(1,)]


def test_a_data_source(server: Server):
    """What Tableau asks about a table and how it reads it."""
    with server.connect() as connection:
        tables, columns, keys, nothing, sums, days = [connection.execute(text).fetchall() for text in METADATA]
    assert ("gold", "viewer_retention", "r") in tables
    assert [(row[2], row[4]) for row in columns] == [("video_id", "text"), ("total_views", "int8"), ("avg_retention", "float8")]
    assert (keys, nothing) == ([], [])
    assert sums and days


def test_temporary_tables_end_with_the_session(server: Server):
    """Nothing is left of them for others."""
    with server.connect() as connection:
        connection.execute(HANDSHAKE[4])
    with server.connect() as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute('SELECT "COL" FROM "#Tableau_5_2_Connect"')


def test_older_versions_read_by_cursor(server: Server):
    """DECLARE ... WITH HOLD outside a transaction, by both protocols; FETCH; CLOSE."""
    for prepare in (False, True):
        with server.connect() as connection:
            run = lambda text: connection.execute(text, prepare=prepare)
            run("BEGIN")
            run('DECLARE "SQL_CUR0x1" CURSOR WITH HOLD FOR SELECT video_id FROM gold.viewer_retention ORDER BY 1')
            run("COMMIT")
            first = run('FETCH 10 IN "SQL_CUR0x1"').fetchall()
            rest = run('FETCH 10000 IN "SQL_CUR0x1"').fetchall()
            assert run('FETCH 10000 IN "SQL_CUR0x1"').fetchall() == []
            run('CLOSE "SQL_CUR0x1"')
            with pytest.raises(psycopg.errors.InvalidCursorName):
                run('FETCH 1 IN "SQL_CUR0x1"')
            assert first + rest == run("SELECT video_id FROM gold.viewer_retention ORDER BY 1").fetchall()
            run('DECLARE c CURSOR WITH HOLD FOR SELECT 1')
            assert run("FETCH ALL FROM c").fetchall() == [(1,)]
