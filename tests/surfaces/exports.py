"""What the exported files say of a pair: CSV, Parquet and Hyper, read by libraries of others."""

import pyarrow
from pathlib import Path

from pyarrow import csv, parquet
from tableauhyperapi import Connection, CreateMode, Date, HyperProcess, TableName, Telemetry

from figures import DROP_OFF, curve
from pairs import Pair

TABLES = ("retention_changes", "drop_off", "seeks_after_half")


def read_parquet(folder: Path) -> dict[str, list[dict]]:
    """Rows of the Parquet files."""
    return {table: parquet.read_table(folder / f"{table}.parquet").to_pylist() for table in TABLES}


def read_csv(folder: Path) -> dict[str, list[dict]]:
    """Rows of the CSV files; an empty cell is a null."""
    rows = {}
    for table in TABLES:
        schema = parquet.read_schema(folder / f"{table}.parquet")
        types = {field.name: field.type for field in schema if not pyarrow.types.is_string(field.type)}
        options = csv.ConvertOptions(column_types=types | {"video_id": pyarrow.string(), "region": pyarrow.string()},
                                     null_values=[""], strings_can_be_null=True)
        rows[table] = csv.read_csv(folder / f"{table}.csv", convert_options=options).to_pylist()
    return rows


def read_hyper(folder: Path) -> dict[str, list[dict]]:
    """Rows of the extract."""
    plain = lambda value: value.to_date() if isinstance(value, Date) else value
    rows = {}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}) as hyper:
        with Connection(hyper.endpoint, folder / "streamreel.hyper", CreateMode.NONE) as connection:
            for table in TABLES:
                name = TableName("Extract", table)
                columns = [c.name.unescaped for c in connection.catalog.get_table_definition(name).columns]
                read = connection.execute_list_query(f"select * from {name}")
                rows[table] = [dict(zip(columns, map(plain, row))) for row in read]
    return rows


class Exported:
    """The rows of one format, by video."""

    def __init__(self, rows: dict[str, list[dict]]):
        self.rows = {}
        for table, all_rows in rows.items():
            for row in all_rows:
                self.rows.setdefault((table, row["video_id"]), []).append(row)

    def numbers(self, pair: Pair) -> dict:
        """What is compared."""
        changes, drops, after = (
            [row for row in self.rows.get((table, pair.video), []) if pair.includes(row)] for table in TABLES
        )
        sums: dict[int, list[int]] = {}
        for row in changes:
            at = sums.setdefault(row["second_s"], [0, 0, 0])
            for place, column in enumerate(("plays_change", "watched_change", "survived_change")):
                at[place] += row[column]
        said = {column: sum(row[column] for row in drops) for column in DROP_OFF}
        said["views"] = sum(row["views"] for row in after)
        said["views_with_seek"] = sum(row["views_with_seek_after_half"] for row in after)
        said["seeks"] = sum(row["seeks_after_half"] for row in after)
        said["curve"] = curve([(second, *counts) for second, counts in sums.items()])
        return said
