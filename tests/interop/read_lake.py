#!/usr/bin/env python3
"""Reads every table of a home with three other readers of Delta and compares what they find.

    python tests/interop/read_lake.py HOME        (HOME/data_lake, or the lake's own folder)

Needs: deltalake, pyarrow, polars, duckdb and duckdb-extension-delta (see requirements.txt). Row counts, columns and
the extremes of every time stamp must agree. Exit status 0 when they do, 1 when not, 2 for wrong use.
"""

import sys
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import polars
import pyarrow
from deltalake import DeltaTable, QueryBuilder

LAYERS = ("bronze", "silver", "gold")


def lake_of(home: Path) -> Path:
    """The lake's folder below a home."""
    return home / "data_lake" if (home / "data_lake").is_dir() else home


def tables_of(lake: Path) -> list[Path]:
    """Folders of the tables, by layer and name."""
    found = []
    for layer in LAYERS:
        folder = lake / layer
        if folder.is_dir():
            found += sorted(table for table in folder.iterdir() if (table / "_delta_log").is_dir())
    return found


def micros(value) -> int | None:
    """A time stamp as microseconds since 1970, whatever zone a reader prints it in."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    delta = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def with_deltalake(path: Path, times: list[str]) -> dict:
    """delta-rs, through its own query engine."""
    select = ", ".join(["count(*)"] + [f'min("{t}"), max("{t}")' for t in times])
    rows = pyarrow.table(QueryBuilder().register("t", DeltaTable(str(path))).execute(f"select {select} from t").read_all())
    cells = [column[0].as_py() for column in rows.columns]
    columns = [field.name for field in DeltaTable(str(path)).schema().fields]
    return {"rows": cells[0], "columns": sorted(columns), "times": [micros(cell) for cell in cells[1:]]}


def with_polars(path: Path, times: list[str]) -> dict:
    """Polars' scan."""
    frame = polars.scan_delta(str(path))
    aggregates = [polars.len().alias("n")]
    for name in times:
        aggregates += [polars.col(name).min().alias(f"{name}<"), polars.col(name).max().alias(f"{name}>")]
    cells = frame.select(aggregates).collect().row(0)
    return {"rows": cells[0], "columns": sorted(frame.collect_schema().names()), "times": [micros(c) for c in cells[1:]]}


def with_duckdb(connection, path: Path, times: list[str]) -> dict:
    """DuckDB's delta extension (delta-kernel)."""
    scan = f"delta_scan('{path}')"
    select = ", ".join(["count(*)"] + [f'epoch_us(min("{t}")), epoch_us(max("{t}"))' for t in times])
    cells = connection.sql(f"select {select} from {scan}").fetchone()
    columns = [row[0] for row in connection.sql(f"describe select * from {scan}").fetchall()]
    return {"rows": cells[0], "columns": sorted(columns), "times": list(cells[1:])}


def connect_duckdb():
    """DuckDB with the delta extension that PyPI brings; nothing is downloaded where that is installed."""
    connection = duckdb.connect()
    try:
        from duckdb_extensions import import_extension

        import_extension("delta")
    except ImportError:
        connection.sql("install delta")
    connection.sql("load delta")
    return connection


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    lake = lake_of(Path(sys.argv[1]).resolve())
    tables = tables_of(lake)
    if not tables:
        print(f"no tables below {lake}", file=sys.stderr)
        return 2
    connection = connect_duckdb()
    wrong = 0
    for path in tables:
        name = f"{path.parent.name}.{path.name}"
        schema = pyarrow.schema(DeltaTable(str(path)).schema().to_arrow())
        times = [field.name for field in schema if pyarrow.types.is_timestamp(field.type)]
        zones = {field.type.tz for field in schema if pyarrow.types.is_timestamp(field.type)}
        found = {}
        for reader, read in (
            ("deltalake", lambda: with_deltalake(path, times)),
            ("polars", lambda: with_polars(path, times)),
            ("duckdb", lambda: with_duckdb(connection, path, times)),
        ):
            try:
                found[reader] = read()
            except Exception as error:  # whatever a reader raises is a finding
                found[reader] = {"error": f"{type(error).__name__}: {error}"}
        first = found["deltalake"]
        agree = "error" not in first and all(other == first for other in found.values()) and zones <= {"UTC"}
        print(f"{'ok   ' if agree else 'WRONG'} {name}: {first.get('rows')} rows, {len(times)} time stamps")
        if not agree:
            wrong += 1
            print(f"      zones {zones}")
            for reader, what in found.items():
                print(f"      {reader}: {what}")
    print(f"{len(tables)} tables, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
