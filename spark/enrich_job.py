"""Bronze to silver on Spark, incrementally: the rows of `streamreel build --layer silver`, in the same Delta tables.

    spark-submit --jars DELTA_JARS --py-files silver.py,metadata.py enrich_job.py --lake LAKE --metadata DIR

Runs on PySpark 4.1 with Delta 4.3 (docs/engines.md), where every worker has the package `streamreel`, whose kernel
derives the views:

    bronze (clean rows by source offset, not yet covered) -+
                                                           +-> metadata joins -> sorted by view -> mapInArrow -> silver
    silver of the views that those rows touch -------------+

* The last row of `silver.builds` says what silver is. Tables are committed one by one, that row last; what a run that
  was killed left beyond it is rolled back by the next one. So a run can be repeated at any time, and one with nothing
  new changes nothing.
* The rows of a view come from all its events: neither the order of arrival nor the number of runs shows.
* One build at a time: the program's lease is taken, on a lake in a folder and in a bucket. Elsewhere there is none, and
  a second writer is noticed before anything is published.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import metadata
import pyarrow as pa
import pyspark
import silver
import streamreel
from pyspark import SparkConf, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

#: What this job is tested with.
SPARK = "4.1."

KEYS = ("user_id", "video_id", "session_id")

#: An event on its way into views: the columns of bronze that silver keeps.
EVENT = tuple(name for name in streamreel.event_schema().column_names if name != "late_duplicates")

#: The only topic whose offsets rows of bronze name.
SOURCE_TOPIC = "video-events"

GROUP = ("video_id", "region", "view_date")


def main() -> None:
    arguments = parse()
    try:
        with lease_of(arguments) as check_lease:
            spark = session()
            try:
                summary = Enrich(spark, arguments, check_lease).run()
            finally:
                spark.stop()
    except (Busy, metadata.Invalid, silver.Conflict, silver.Unsupported) as problem:
        sys.exit(f"enrich: {problem}")
    print(json.dumps(summary), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lake", required=True, help="the lake, a folder or any URL that Spark reads: HOME/data_lake")
    parser.add_argument("--metadata", help="the folder with video_metadata.csv and user_metadata.csv")
    parser.add_argument("--config", type=Path, help="a streamreel.toml, of whose settings [view] is read, and [s3]")
    parser.add_argument("--full-refresh", action="store_true", help="derive everything again")
    parser.add_argument("--wait", action="store_true", help="wait for another build that is at work")
    parser.add_argument("--program", default="streamreel", help="the program, for the lease of a lake in a bucket")
    return parser.parse_args()


def session() -> SparkSession:
    """The session that spark-submit configured, with what this job cannot do without."""
    if not pyspark.__version__.startswith(SPARK):
        sys.exit(f"enrich: this is Spark {pyspark.__version__}; the job is for {SPARK}x (spark/requirements.txt)")
    master = SparkConf().get("spark.master", "local[*]")
    if master.startswith("local"):
        # Else workers take the first python3 of the PATH, which need not have the packages of this one.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    }
    builder = SparkSession.builder.appName("streamreel-enrich").master(master)
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        spark._jvm.java.lang.Class.forName(
            "io.delta.sql.DeltaSparkSessionExtension",
            False,
            spark._jvm.java.lang.Thread.currentThread().getContextClassLoader(),
        )
    except Exception:
        spark.stop()
        sys.exit(
            "enrich: Spark has no Delta; give the jars of io.delta:delta-spark_4.1_2.13:4.3.1 with --jars or --packages"
        )
    return spark


class Busy(Exception):
    """Another build has the lease, or has taken it."""


def lease_of(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """The program's lease for builds, which is given back at the end. What is entered checks that it is still had."""
    place = re.fullmatch(r"s3a?://(.+)", arguments.lake)
    if place:
        return bucket_lease(f"s3://{place[1].rstrip('/')}", arguments)
    if re.match(r"[a-z][a-z0-9+.-]*://", arguments.lake.removeprefix("file://")):
        return contextlib.nullcontext(lambda: None)
    return folder_lease(Path(re.sub("^file:(//)?", "", arguments.lake)), arguments.wait)


@contextlib.contextmanager
def folder_lease(lake: Path, wait: bool) -> Iterator[Callable[[], None]]:
    """A lock of the system, as the program's."""
    if not lake.is_dir():
        yield lambda: None
        return
    (lake / "_leases").mkdir(exist_ok=True)
    with open(lake / "_leases/build.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise Busy(f"another build is at work on this lake: {file.read() or 'its holder is not known'}") from None
        file.truncate(0)
        holder = {
            "lease": "build",
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "command": " ".join(sys.argv),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        file.write(json.dumps(holder))
        file.flush()
        try:
            yield lambda: None
        finally:
            # So that nobody reads of a holder that is gone.
            file.truncate(0)


@contextlib.contextmanager
def bucket_lease(lake: str, arguments: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """An object that has to be renewed again and again, which the program does until this process closes its stdin or
    ends."""
    command = [arguments.program, "--quiet", "--lake", lake, "lake", "lease"]
    command += ["--config", str(arguments.config)] if arguments.config else []
    command += ["--wait"] if arguments.wait else []
    pipe = subprocess.PIPE
    try:
        # In a session of its own: a Ctrl-C is for this process, which then gives the lease back.
        program = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    except OSError as problem:
        raise Busy(
            f"the lease of a lake in a bucket is taken by the program, and `{arguments.program}` can't be run "
            f"({problem.strerror}); say where it is with --program"
        ) from None

    def check() -> None:
        if not program.stdout.readline():
            said = program.stderr.read().strip().removeprefix("error: ") or "the program that had it has ended"
            raise Busy(f"there is no lease of this lake: {said}")

    def ask() -> None:
        # Past Python's buffer, from which a line that nobody reads would be written once more at the end.
        with contextlib.suppress(BrokenPipeError):
            os.write(program.stdin.fileno(), b"\n")
        check()

    with program:
        check()
        yield ask


class Enrich:
    """One build of silver."""

    def __init__(self, spark: SparkSession, arguments: argparse.Namespace, check_lease: Callable[[], None]):
        self.spark = spark
        self.check_lease = check_lease
        self.lake = arguments.lake.rstrip("/")
        self.metadata_folder = arguments.metadata
        self.settings = view_settings(arguments.config)
        self.full_refresh = arguments.full_refresh
        self.build_id = uuid7()
        self.versions: dict[str, int] = {}
        spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", self.build_id)

    def run(self) -> dict[str, Any]:
        silver.check_protocols(self.spark, self.lake)
        bronze = f"{self.lake}/bronze/events"
        self.bronze_version, self.offsets = silver.bronze_offsets(self.spark, bronze)
        self.builds = silver.Builds(self.spark, self.lake)
        last = self.builds.last()
        self.tables = {
            name: silver.Table(self.spark, self.lake, name)
            for name in (*silver.VIEW_TABLES, "changes", "video_metadata", "user_metadata")
        }
        if last:
            self.roll_back(last)
        reserved = self.reserved_names()
        self.videos = metadata.videos(self.spark, self.metadata_folder, reserved).persist()
        self.users = metadata.users(self.spark, self.metadata_folder, reserved).persist()
        self.plan(last)
        if self.base and not self.changed and self.base["offsets"] == self.offsets:
            return {"build_id": None, "new_events": 0, "views": 0}
        return self.build(self.spark.read.format("delta").option("versionAsOf", self.bronze_version).load(bronze))

    def roll_back(self, last: dict[str, Any]) -> None:
        for name, table in self.tables.items():
            version = last["versions"].get(f"silver.{name}")
            if version is not None:
                table.restore(version)

    def plan(self, last: dict[str, Any] | None) -> None:
        """What to go on from (`base`; None: everything is derived), and the videos and users whose metadata changed."""
        self.base, self.changed = None, {}
        self.definition = streamreel.definition(**self.settings)
        if not last or self.full_refresh or last["counts"].get("definition") != self.definition:
            return
        changed = {}
        for key, now in (("video_id", self.videos), ("user_id", self.users)):
            table = self.tables[f"{key.removesuffix('_id')}_metadata"]
            if f"silver.{table.name}" not in last["versions"]:
                if not now.isEmpty():
                    return
                continue
            ids = metadata.changed_ids(now, table.rows().drop(silver.BUILD_ID), key)
            if ids is None:
                return
            if not ids.isEmpty():
                changed[key] = ids
        # Rows that were landed from the cleaned topics name the offsets of the topic before: which are new can't be
        # told.
        rows_tell = all(transaction.rsplit("/", 2)[1] == SOURCE_TOPIC for transaction in self.offsets)
        if rows_tell or last["offsets"] == self.offsets:
            self.base, self.changed = last, changed

    def build(self, bronze: DataFrame) -> dict[str, Any]:
        is_full = self.base is None
        new = self.new_events(bronze)
        touched = None if is_full else self.touched(new).persist()
        dates = [] if touched is None else [str(row[0]) for row in touched.select("view_date").distinct().collect()]
        events = new
        if dates:
            earlier = self.tables["enriched_events"].rows().where(F.col("view_date").isin(dates))
            earlier = earlier.join(touched.select("view_id"), "view_id", "left_semi")
            events = new.unionByName(earlier.select(*EVENT, "late_duplicates"))
        derived = self.derive(events)
        summary = {
            "build_id": self.build_id,
            "full": is_full,
            "new_events": new.count(),
            "earlier_events": touched.agg(F.sum("events")).first()[0] or 0 if dates else 0,
            "replaced_views": touched.count() if dates else 0,
        }
        # Before anything is committed, so that what the kernel refuses leaves nothing to repair.
        plays = derived.where("view_spans is not null").groupBy("view_spans.has_play").count().collect()
        views = {row["has_play"]: row["count"] for row in plays}
        summary |= {"views": views.get(True, 0), "sessions_without_play": views.get(False, 0)}
        videos = derived.where("views is not null").select("views.video_id")
        summary["views_without_metadata"] = videos.join(self.videos, "video_id", "left_anti").count()
        summary["changed_groups"] = self.write(derived, touched, dates)
        self.publish(summary)
        return summary

    def new_events(self, bronze: DataFrame) -> DataFrame:
        """Clean events that the base does not cover, found by source offset, which files' statistics know."""
        clean = bronze.where("outcome = 'clean'").select(*EVENT, F.lit(0).cast("bigint").alias("late_duplicates"))
        if self.base is None:
            return clean.persist(StorageLevel.MEMORY_AND_DISK)
        ranges = F.lit(False)
        for transaction, offset in self.offsets.items():
            covered = self.base["offsets"].get(transaction, 0)
            log, topic, partition = transaction.rsplit("/", 2)
            if offset > covered:
                ranges |= (
                    (F.col("source_log") == log)
                    & (F.col("source_topic") == topic)
                    & (F.col("source_partition") == int(partition))
                    & (F.col("source_offset") >= covered)
                )
        return clean.where(ranges).persist(StorageLevel.MEMORY_AND_DISK)

    def touched(self, new: DataFrame) -> DataFrame:
        """The spans of the base that new events may belong to or whose metadata changed."""
        spans = self.tables["view_spans"].rows()
        sessions = new.where("session_id is not null").select(*KEYS).distinct()
        found = [spans.join(sessions, list(KEYS), "left_semi")]
        gap_us = int(self.settings.get("view_gap_s", 1800.0) * 1e6)
        s, e = spans.where("session_id is null").alias("s"), new.where("session_id is null").alias("e")
        at, first, last = (F.unix_micros(name) for name in ("e.event_ts", "s.first_event_at", "s.last_event_at"))
        near = at.between(first - gap_us, last + gap_us)
        same = (F.col("s.user_id") == F.col("e.user_id")) & (F.col("s.video_id") == F.col("e.video_id"))
        found.append(s.join(e, same & near, "left_semi"))
        found += [spans.join(ids, key, "left_semi") for key, ids in self.changed.items()]
        columns = ("view_id", *GROUP, "events")
        touched = found[0].select(*columns)
        for more in found[1:]:
            touched = touched.unionByName(more.select(*columns))
        return touched.distinct()

    def derive(self, events: DataFrame) -> DataFrame:
        """Rows of all five tables: a column a table, of which one is not null."""
        joined = self.join_metadata(events)
        schemas = {name: from_arrow_schema(schema) for name, schema in silver_schemas(joined.schema).items()}
        fields = [T.StructField(name, schema) for name, schema in schemas.items()]
        rows = joined.repartition(*KEYS).sortWithinPartitions(*KEYS)
        return rows.mapInArrow(deriver(self.settings), T.StructType(fields)).persist(StorageLevel.MEMORY_AND_DISK)

    def join_metadata(self, events: DataFrame) -> DataFrame:
        videos = self.videos.withColumnRenamed("duration_s", "video_duration_s")
        return events.join(videos, "video_id", "left").join(self.users, "user_id", "left")

    def reserved_names(self) -> set[str]:
        """Names of silver's own columns, which no further column of the metadata may take."""
        nothing = self.spark.createDataFrame([], T.StructType([T.StructField(name, T.StringType()) for name in EVENT]))
        schemas = silver_schemas(nothing.schema)
        return {*schemas["enriched_events"].names, *schemas["views"].names, silver.BUILD_ID}

    def write(self, derived: DataFrame, touched: DataFrame | None, dates: list[str]) -> int:
        is_full = touched is None
        for name in silver.VIEW_TABLES:
            rows = derived.where(F.col(name).isNotNull()).select(f"{name}.*")
            rows = rows.withColumn(silver.BUILD_ID, F.lit(self.build_id))
            table = self.tables[name]
            if is_full:
                table.replace(rows)
                continue
            if dates:
                table.delete_views(touched.select("view_id", "view_date"), dates)
            table.append(rows)
        groups = self.write_changes(derived, touched)
        if is_full or self.changed:
            self.write_metadata()
        return groups

    def write_changes(self, derived: DataFrame, touched: DataFrame | None) -> int:
        """Appends to `silver.changes` every group that the build touched, those that a view left included."""
        table = self.tables["changes"]
        groups = derived.where("view_spans is not null").select(*(f"view_spans.{name}" for name in GROUP))
        if touched is not None:
            groups = groups.union(touched.select(*GROUP))
        elif table.base >= 0:
            groups = groups.union(table.rows().select(*GROUP))
        rows = groups.distinct().select(F.lit(self.build_id).alias(silver.BUILD_ID), *GROUP).persist()
        table.append(rows)
        return rows.count()

    def write_metadata(self) -> None:
        """Keeps the metadata that the build used, to see next time what has changed."""
        for name, rows in (("video_metadata", self.videos), ("user_metadata", self.users)):
            self.tables[name].replace(rows.withColumn(silver.BUILD_ID, F.lit(self.build_id)))

    def publish(self, summary: dict[str, Any]) -> None:
        versions = dict(self.base["versions"]) if self.base else {}
        for name, table in self.tables.items():
            if table.log.version() >= 0:
                versions[f"silver.{name}"] = table.check_alone(self.build_id)
        versions["bronze.events"] = self.bronze_version
        self.check_lease()
        self.builds.publish(
            {
                "build_id": self.build_id,
                "versions": versions,
                "bronze_version": self.bronze_version,
                "offsets": self.offsets,
                "counts": {**summary, "definition": self.definition},
            }
        )


def silver_schemas(events: T.StructType) -> dict[str, pa.Schema]:
    """The columns of the five tables for events of these columns, as the kernel gives them."""
    nothing = to_arrow_schema(events).empty_table()
    rows = streamreel.silver_schemas(nothing)
    return {name: pa.schema(getattr(rows, name)) for name in silver.VIEW_TABLES}


def deriver(settings: dict[str, Any]):
    """What a worker does with the batches of a partition, which are sorted by view; a view may span batches."""
    tables = silver.VIEW_TABLES

    def rows_of(output: streamreel.Silver) -> Iterator[pa.RecordBatch]:
        batches = [pa.record_batch(getattr(output, table)) for table in tables]
        for table, batch in zip(tables, batches, strict=True):
            if batch.num_rows:
                columns = [
                    batch.to_struct_array() if table == other else pa.nulls(batch.num_rows, pa.struct(list(of.schema)))
                    for other, of in zip(tables, batches, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, names=list(tables))

    def derive(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        kernel = streamreel.Sessioniser(**settings)
        for batch in batches:
            for output in kernel.push(batch):
                yield from rows_of(output)
        for output in kernel.finish():
            yield from rows_of(output)

    return derive


def view_settings(config: Path | None) -> dict[str, Any]:
    """The thresholds of `[view]` in a streamreel.toml, in the kernel's names and in seconds."""
    if config is None:
        return {}
    import tomllib

    given = tomllib.loads(config.read_text()).get("view", {})
    names = {
        "gap": "view_gap_s",
        "max_unproven": "max_unproven_s",
        "engaged_seconds": "engaged_s",
        "engaged_ratio": "engaged_ratio",
        "completion_ratio": "completed_ratio",
        "open_play": "open_play",
    }
    unknown = sorted(set(given) - set(names))
    if unknown:
        sys.exit(f"enrich: {config}: [view] has no setting `{unknown[0]}`; there are: {', '.join(names)}")
    settings = {names[key]: seconds(value) if key in ("gap", "max_unproven") else value for key, value in given.items()}
    if "engaged_s" in settings:
        settings["short_video_s"] = 2.0 * settings["engaged_s"]
    return settings


def seconds(duration: str) -> float:
    """`1h 30m`, `90s`, `500ms` in seconds."""
    units = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hr": 3600.0, "d": 86400.0}
    parts = re.findall(r"\s*(\d+)\s*([a-z]+)", duration)
    if (
        not parts
        or "".join(f"{n}{u}" for n, u in parts) != re.sub(r"\s", "", duration)
        or any(u not in units for _, u in parts)
    ):
        sys.exit(f"enrich: `{duration}` is no duration; write one as 30m or 1h 30m")
    return sum(int(number) * units[unit] for number, unit in parts)


def uuid7() -> str:
    """An id that sorts by time, as those of the program's builds."""
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


if __name__ == "__main__":
    main()
