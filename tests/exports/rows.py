"""Compares CSV, Parquet and Hyper exports with what `query` says, row for row and value for value.

    rows.py PROGRAM HOME FOLDER
"""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow
from pyarrow import csv, parquet
from tableauhyperapi import Connection, CreateMode, Date, HyperProcess, TableName, Telemetry

SHOWN = 3


def key(row: tuple) -> tuple:
    """Orders rows that may hold nulls; equal numbers compare equal whatever their type."""
    return tuple((value is not None, value) for value in row)


def from_query(program: str, home: str, schema: pyarrow.Schema, table: str) -> list[tuple]:
    """What the program itself reads."""
    sql = f"select {', '.join(schema.names)} from gold.{table}"
    said = subprocess.run(
        [program, "--home", home, "query", "--format", "ndjson", sql], check=True, capture_output=True, text=True
    ).stdout
    dates = {field.name for field in schema if pyarrow.types.is_date(field.type)}
    rows = [json.loads(line) for line in said.splitlines()]
    read = lambda name, value: date.fromisoformat(value) if name in dates and value is not None else value
    return [tuple(read(name, row[name]) for name in schema.names) for row in rows]


def from_parquet(folder: Path, table: str) -> list[tuple]:
    """Rows of the Parquet file."""
    columns = parquet.read_table(folder / f"{table}.parquet").columns
    return list(zip(*(column.to_pylist() for column in columns)))


def from_csv(folder: Path, schema: pyarrow.Schema, table: str) -> list[tuple]:
    """Rows of the CSV file; an empty cell is a null."""
    convert = csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True)
    read = csv.read_csv(folder / f"{table}.csv", convert_options=convert)
    if read.schema.names != schema.names:
        raise SystemExit(f"{table}.csv has the columns {read.schema.names}, the Parquet file {schema.names}")
    return list(zip(*(column.to_pylist() for column in read.columns)))


def from_hyper(connection: Connection, schema: pyarrow.Schema, table: str) -> list[tuple]:
    """Rows of the extract."""
    name = TableName("Extract", table)
    columns = [column.name.unescaped for column in connection.catalog.get_table_definition(name).columns]
    if columns != schema.names:
        raise SystemExit(f"the extract's {table} has the columns {columns}, the Parquet file {schema.names}")
    plain = lambda value: value.to_date() if isinstance(value, Date) else value
    return [tuple(map(plain, row)) for row in connection.execute_list_query(f"select * from {name}")]


def differences(table: str, expected: list[tuple], form: str, found: list[tuple]) -> int:
    """How many rows differ; shows some."""
    expected, found = sorted(expected, key=key), sorted(found, key=key)
    if expected == found:
        return 0
    wrong = [pair for pair in zip(expected, found) if pair[0] != pair[1]]
    print(f"WRONG {table}: {len(expected)} rows, in {form} {len(found)}, of which {len(wrong)} differ")
    for ours, theirs in wrong[:SHOWN]:
        print(f"      {ours}\n      {theirs}")
    return abs(len(expected) - len(found)) + len(wrong)


def main() -> int:
    program, home, out = sys.argv[1:4]
    folder = Path(out)
    tables = sorted(file.stem for file in folder.glob("*.parquet"))
    if len(tables) < 11:
        raise SystemExit(f"only {tables} were exported")
    wrong = 0
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}) as hyper:
        with Connection(hyper.endpoint, folder / "streamreel.hyper", CreateMode.NONE) as connection:
            there = sorted(str(name.name.unescaped) for name in connection.catalog.get_table_names("Extract"))
            if there != tables:
                raise SystemExit(f"the extract has {there}, the folder {tables}")
            for table in tables:
                schema = parquet.read_schema(folder / f"{table}.parquet")
                rows = from_query(program, home, schema, table)
                if not rows:
                    raise SystemExit(f"{table} is empty: nothing is compared")
                found = {
                    "parquet": from_parquet(folder, table),
                    "csv": from_csv(folder, schema, table),
                    "hyper": from_hyper(connection, schema, table),
                }
                differ = sum(differences(table, rows, form, read) for form, read in found.items())
                wrong += differ
                print(f"{'WRONG' if differ else 'ok   '} {table}: {len(rows)} rows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
