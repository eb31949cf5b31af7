"""Homes with seeded events in portions, and the comparison of tables row by row."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
from duckdb_extensions import import_extension
from engines import run, say

SEED = 20260105

#: Share of the records that are dirt: rejects of every reason, copies near and far, disorder, corrections.
DIRT = 0.2

#: Share of an earlier portion that arrives with the last one, so that views of before are touched again.
LATE = 0.05

SILVER = ("enriched_events", "watched_segments", "seeks", "views", "view_spans")
GOLD = (
    "viewer_retention",
    "viewer_retention_by_region",
    "retention_changes",
    "retention_curve",
    "retention_curve_by_region",
    "drop_off",
    "seeks_after_half",
    "top_content",
    "top_creators",
    "top_genres",
    "regional_engagement",
)

SHOWN = 5


class Differ(Exception):
    """Two tables that should be equal are not."""


class Home:
    """A home of the program."""

    def __init__(self, program: Path, folder: Path):
        self.program = program
        self.folder = folder
        self.lake = folder / "data_lake"
        self.metadata = folder / "metadata"

    def command(self, *command: object) -> list[object]:
        return [self.program, "--quiet", "--home", self.folder, *command]

    def run(self, *command: object, **options) -> subprocess.CompletedProcess:
        # Variables of the caller's shell are settings to the program.
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("STREAMREEL_")}
        return run(*self.command(*command), env=surroundings, **options)

    def land(self, lines: list[bytes]) -> None:
        """Ingests and processes lines."""
        self.ingest(lines)
        self.process()

    def ingest(self, lines: list[bytes]) -> None:
        self.run("ingest", "-", input=b"\n".join(lines) + b"\n", stdout=subprocess.DEVNULL)

    def process(self) -> None:
        """With a short window for duplicates: copies of earlier portions come too late for it."""
        self.run("--set", "process.dedupe_window=1s", "process", stdout=subprocess.DEVNULL)

    def build(self, *arguments: object) -> dict:
        return json.loads(self.run("--json", "build", *arguments, capture_output=True).stdout)

    def copy_bronze(self, other: Home) -> None:
        """Brings the other home's bronze to where this one's is: files of Delta never change, new ones are added."""
        other.lake.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.lake / "bronze", other.lake / "bronze", dirs_exist_ok=True)
        shutil.copy(self.lake / "_streamreel.json", other.lake)
        shutil.rmtree(other.metadata, ignore_errors=True)
        shutil.copytree(self.metadata, other.metadata)


def portions(program: Path, scratch: Path, events: int, count: int) -> tuple[list[list[bytes]], str]:
    """Seeded records with every kind of dirt in portions, as they would arrive; and the videos' metadata."""
    log = scratch / "events.ndjson"
    maker = Home(program, scratch / "maker")
    # Titles go into a home that is there.
    maker.folder.mkdir(parents=True, exist_ok=True)
    maker.run(
        "simulate",
        "--events",
        events,
        "--seed",
        SEED,
        "--dirt",
        DIRT,
        "--loss",
        "0.02",
        "--to",
        log,
        stdout=subprocess.DEVNULL,
    )
    lines = log.read_bytes().split(b"\n")[:-1]
    dice = random.Random(SEED)
    cut = [lines[len(lines) * part // count : len(lines) * (part + 1) // count] for part in range(count)]
    late = [line for portion in cut[:-1] for line in portion if dice.random() < LATE]
    is_late = set(late)
    kept = [[line for line in portion if line not in is_late] for portion in cut[:-1]]
    last = cut[-1] + late
    dice.shuffle(last)
    return [*kept, last], (maker.metadata / "video_metadata.csv").read_text()


def write_metadata(folder: Path, titles: str, changed: bool = False) -> None:
    """Metadata with what real files have: titles that are missing, a further column, users with columns, odd spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    header, *rows = titles.strip().split("\n")
    kept = [row for number, row in enumerate(rows) if number % 9 != 4]
    dice = random.Random(1)
    further = [f"{row},{dice.choice(['en', 'de', ' ja', ''])}" for row in kept]
    if changed:
        # A duration that is not known any more, and a title that is gone.
        further = [_without_duration(header, row) if number % 7 == 3 else row for number, row in enumerate(further)][
            :-1
        ]
    (folder / "video_metadata.csv").write_text("\ufeff" + "\n".join([f"{header}, age_rating", *further]) + "\n")
    users = [f"u{SEED}-{number},{dice.choice(['free', 'paid', ''])},{number % 7}" for number in range(0, 400, 3)]
    (folder / "user_metadata.csv").write_text("user_id,plan,age_group\n" + "\n".join(users) + "\n")


def _without_duration(header: str, row: str) -> str:
    import csv
    import io

    cells = next(csv.reader([row]))
    cells[header.split(",").index("duration_s")] = ""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


class Comparison:
    """DuckDB over two lakes; collects what differs."""

    def __init__(self):
        self.duckdb = duckdb.connect()
        import_extension("delta")
        self.duckdb.execute("load delta")
        self.differences: list[str] = []
        self.compared = 0

    def attach(self, path: Path, name: str) -> None:
        """Makes a DuckDB file's tables known under a name."""
        self.duckdb.execute(f"attach '{path}' as {name} (read_only)")

    def tables(self, name: str, left: str, right: str, without: tuple[str, ...] = ("build_id",)) -> None:
        """Both relations have the same columns of the same kinds, and the same rows as often."""
        columns = [self._columns(relation, without) for relation in (left, right)]
        if columns[0] != columns[1]:
            only = [
                set(columns[0].items()) - set(columns[1].items()),
                set(columns[1].items()) - set(columns[0].items()),
            ]
            self._differ(f"{name}: columns differ: only left {sorted(only[0])}, only right {sorted(only[1])}")
            return
        names = ", ".join(f'"{column}"' for column in columns[0])
        rows = self.duckdb.execute(f"select count(*) from {left}").fetchone()[0]
        problem = []
        for side, one, other in (("left", left, right), ("right", right, left)):
            missing = f"(select {names} from {one} except all select {names} from {other})"
            count = self.duckdb.execute(f"select count(*) from {missing}").fetchone()[0]
            if count:
                shown = self.duckdb.execute(
                    f"select columns(*)::varchar from {missing} order by all limit {SHOWN}"
                ).fetchall()
                problem.append(f"  {count} rows only {side}, as:\n" + "\n".join(f"    {row}" for row in shown))
        if problem:
            self._differ(f"{name}: of {rows} rows left\n  ({names})\n" + "\n".join(problem))
        self.compared += 1
        print(f"    {name:<36} {rows:>9} rows {'DIFFER' if problem else 'equal'}", flush=True)

    def silver(self, left: Path, right: Path) -> None:
        for table in SILVER:
            self.tables(f"silver.{table}", scan(left, "silver", table), scan(right, "silver", table))
        last = "select distinct video_id, region, view_date from {0} where build_id = (select max(build_id) from {0})"
        changes = [f"({last.format(scan(lake, 'silver', 'changes'))})" for lake in (left, right)]
        self.tables("silver.changes of the last build", *changes)

    def gold(self, left: Path, right) -> None:
        for table in GOLD:
            self.tables(f"gold.{table}", scan(left, "gold", table), right(table))

    def finish(self) -> None:
        if self.differences:
            raise Differ(f"{len(self.differences)} differences\n" + "\n".join(self.differences))

    def _columns(self, relation: str, without: tuple[str, ...]) -> dict[str, str]:
        found = self.duckdb.execute(f"describe select * from {relation}").fetchall()
        return dict(sorted((row[0], row[1]) for row in found if row[0] not in without))

    def _differ(self, text: str) -> None:
        print(text, flush=True)
        self.differences.append(text)


#: What newer writers may have made of a table: the protocol as the next commit of its log says it, and what an engine
#: has to say.
NEWER = (
    ({"minReaderVersion": 9, "minWriterVersion": 2}, "uses reader protocol 9 and writer protocol 2 of Delta;"),
    (
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["new"], "writerFeatures": ["new", "newer"]},
        "uses reader protocol 3 and writer protocol 7 of Delta with new, newer;",
    ),
    ({"minReaderVersion": 1, "minWriterVersion": 9}, "uses reader protocol 1 and writer protocol 9 of Delta;"),
)

#: And what to do about it.
REMEDY = "them, or move that folder away"


def refuse_newer(lake: Path, tables: tuple[str, ...], refused: Callable[[], str], each: bool = True) -> None:
    """Each of these tables gets newer protocols, with which a run (`refused`, which returns what it said) must fail
    with one line about it, and leave the lake as it is. `each`: every table with every protocol, else each with one of
    them."""
    cases = [(table, case) for table in tables for case in NEWER] if each else zip(tables, NEWER, strict=False)
    for table, (protocol, says) in cases:
        log = lake / table / "_delta_log"
        version = max(int(commit.stem) for commit in log.glob("*.json")) + 1
        entry = log / f"{version:020d}.json"
        entry.write_text(json.dumps({"protocol": protocol}) + "\n")
        before = contents(lake)
        lines = refused().splitlines()
        about = f"{table.replace('/', '.')} at {lake}/{table} {says}"
        if not any(about in line and REMEDY in line for line in lines):
            raise SystemExit(f"expected a line that says {about!r} and {REMEDY!r}; found:\n" + "\n".join(lines)[-6000:])
        if contents(lake) != before:
            changed = sorted(map(str, set(contents(lake).items()) ^ set(before.items())))
            raise SystemExit(f"a run that was refused has changed the lake: {changed}")
        entry.unlink()
        say(f"    {about}")


def contents(lake: Path) -> dict[str, str]:
    """Every file of a lake with a hash of its bytes; leases, which come and go, aside."""
    files = (file for file in sorted(lake.rglob("*")) if file.is_file() and "_leases" not in file.parts)
    return {str(file.relative_to(lake)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def scan(lake: Path, layer: str, table: str) -> str:
    return f"delta_scan('{lake}/{layer}/{table}')"


def step(text: str) -> None:
    say(f"-- {text}")
