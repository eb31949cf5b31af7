"""psql: its commands about tables and schemas, and what it prints."""

import subprocess

import pytest
from conftest import Server, psql, query

GOLD = [
    "builds", "drop_off", "regional_engagement", "retention_changes", "retention_curve", "retention_curve_by_region",
    "seeks_after_half", "top_content", "top_creators", "top_genres", "viewer_retention", "viewer_retention_by_region",
]
SILVER = ["changes", "enriched_events", "views", "watched_segments"]


def rows(printed: str) -> list[list[str]]:
    """Rows of an unaligned table, without its title and footer."""
    return [line.split("|") for line in printed.splitlines() if "|" in line][1:]


def test_tables_are_listed(server: Server):
    """\\dt and \\d list all layers; \\dt with a pattern, one."""
    for command in ("\\dt", "\\d"):
        found = {(row[0], row[1]) for row in rows(psql(server, command))}
        assert {("gold", name) for name in GOLD} | {("silver", name) for name in SILVER} | {("bronze", "events")} <= found
    found = rows(psql(server, "\\dt gold.*"))
    assert [row[1] for row in found] == GOLD
    assert {(row[0], row[2]) for row in found} == {("gold", "table")}
    assert [row[1] for row in rows(psql(server, "\\dt *.watched*"))] == ["watched_segments"]
    assert "gold|viewer_retention|table|streamreel" in psql(server, "\\dt+ gold.viewer_retention")


def test_a_table_is_described(server: Server):
    """\\d and \\d+ with a table's name."""
    for command in ("\\d gold.viewer_retention", "\\d viewer_retention"):
        printed = psql(server, command)
        assert 'Table "gold.viewer_retention"' in printed
        assert [row[:2] for row in rows(printed)] == [
            ["video_id", "text"], ["total_views", "bigint"], ["avg_retention", "double precision"],
        ]
    assert "avg_retention|double precision" in psql(server, "\\d+ gold.viewer_retention")
    kinds = dict(row[:2] for row in rows(psql(server, "\\d silver.views")))
    assert kinds["view_date"] == "date"
    assert kinds["started_at"] == "timestamp with time zone"
    assert kinds["is_completed"] == "boolean"
    assert kinds["watch_time_s"] == "double precision"


def test_schemas_are_listed(server: Server):
    """\\dn."""
    assert [row[0] for row in rows(psql(server, "\\dn"))] == ["bronze", "gold", "public", "silver"]


OTHERS = [
    "\\dv", "\\dn+", "\\du", "\\df", "\\l", "\\di", "\\ds", "\\dm", "\\dp gold.*", "\\db", "\\dx", "\\dD", "\\dRp", "\\des",
    "\\do ~", "\\dC text", "\\dA", "\\dc", "\\dF", "\\dP", "\\z", "\\dS pg_class", "\\dtS", "\\dy", "\\conninfo", "\\encoding",
    "\\dconfig search_path", "\\d pg_catalog.pg_type", "\\d information_schema.tables",
]


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_work(server: Server, command: str):
    """Commands that ask for what this server has not answer that there is none."""
    assert "ERROR" not in psql(server, command)


def test_results_are_printed(server: Server):
    """Numbers are those that the program itself gives."""
    statement = "select video_id, total_views, avg_retention from gold.viewer_retention order by video_id"
    assert rows(psql(server, statement)) == query(statement)[1:]
    assert psql(server, "select null as nothing, '' as empty, true as yes, 1.5 as number") == (
        "nothing|empty|yes|number\n||t|1.5\n(1 row)\n"
    )
    assert psql(server, "select started_at from silver.views order by 1 limit 1").splitlines()[1].endswith("+00")


def test_scripts_and_variables(server: Server, tmp_path):
    """A file of statements, parameters by \\bind where psql knows it, CSV, \\gdesc."""
    file = tmp_path / "script.sql"
    file.write_text("\\set id v0003\nselect count(*) from gold.viewer_retention where video_id = :'id';\nselect 2;\n")
    done = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-f", file, server.dsn()], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n2\n"
    done = subprocess.run(
        ["psql", "-X", "--csv", "-c", "select 'a,b' as x, 1 as y", server.dsn()], capture_output=True, text=True, check=True)
    assert done.stdout == 'x,y\n"a,b",1\n'
    done = subprocess.run(
        ["psql", "-X", "-A", "-t", server.dsn()], input="select video_id, total_views from gold.viewer_retention \\gdesc\n",
        capture_output=True, text=True, check=True)
    assert done.stdout == "video_id|text\ntotal_views|bigint\n"


def test_errors_say_what_to_do(server: Server):
    """Where, what, and what to do."""
    printed = psql(server, "select total_view from gold.viewer_retention", status=1)
    assert 'column "total_view" does not exist' in printed and "total_views" in printed
    printed = psql(server, "select * from gold.viewers", status=1)
    assert 'relation "gold.viewers" does not exist' in printed and "\\dt" in printed
    printed = psql(server, "delete from gold.viewer_retention", status=1)
    assert "read-only" in printed and "StreamReel alone" in printed


def test_fetch_count(server: Server):
    """psql takes a large result in parts by a cursor of its own."""
    statement = "select count(*) from gold.retention_curve"
    [[_], [expected]] = query(statement)
    printed = psql(server, "\\set FETCH_COUNT 1000", "\\pset tuples_only on", "select second_s from gold.retention_curve")
    lines = [line for line in printed.splitlines() if line.isdigit()]
    assert len(lines) == int(expected)
