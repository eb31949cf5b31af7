"""A lake that the program made, to compare with: what it landed in bronze and derived into silver."""

import os
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from duckdb_extensions import import_extension

EVENTS = 20_000


class Lake:
    """Tables of a lake as Arrow tables."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.duckdb = duckdb.connect()
        import_extension("delta")
        self.duckdb.execute("load delta; set timezone = 'UTC'")

    def query(self, sql: str, *tables: str) -> pa.Table:
        """`{0}`, `{1}`, ... in the query are the tables, as `silver/views`."""
        scans = [f"delta_scan('{self.folder}/{table}')" for table in tables]
        return self.duckdb.execute(sql.format(*scans)).to_arrow_table()


@pytest.fixture(scope="session")
def program() -> Path:
    """The program, named by the variable REEL_PROGRAM."""
    path = Path(os.environ.get("REEL_PROGRAM", ""))
    assert path.is_file(), (
        "set REEL_PROGRAM to the program, target/release/streamreel: the tests compare with what it does"
    )
    return path


@pytest.fixture(scope="session")
def lake(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Simulated records with every kind of dirt, landed with their payloads and built to silver."""
    home = tmp_path_factory.mktemp("lake") / "home"

    def run(*command: str) -> None:
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("STREAMREEL_")}
        subprocess.run(
            [program, "--quiet", "--home", home, *command], check=True, env=surroundings, stdout=subprocess.DEVNULL
        )

    run("simulate", "--events", str(EVENTS), "--seed", "7", "--dirt", "0.3", "--loss", "0.02")
    run("--set", "bronze.keep_payload=all", "process")
    run("build", "--layer", "silver")
    return Lake(home / "data_lake")
