"""The tables of silver as Delta tables on Spark: how they are laid out, how rows get in, which versions belong
together.

Layouts are those of the program (crates/lake/src/tables.rs), so that it goes on with what Spark wrote and Spark with
what it wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

BUILD_ID = "build_id"

#: The tables that hold views, in the order in which they are committed: `streamreel.Silver` has a batch for each.
VIEW_TABLES = ("enriched_events", "watched_segments", "seeks", "views", "view_spans")

#: Columns without nulls, beside `build_id`.
_NEVER_NULL = {
    "enriched_events": (
        "view_id",
        "view_date",
        "source_log",
        "source_topic",
        "source_partition",
        "source_offset",
        "received_at",
        "received_date",
    ),
    "watched_segments": ("view_id", "view_date", "segment_index", "start_s", "end_s", "started_at", "ended_at"),
    "seeks": ("view_id", "view_date", "seek_index", "seeked_at"),
    "views": ("view_id", "view_date", "started_at", "ended_at"),
    "view_spans": ("view_id", "view_date", "first_event_at", "last_event_at", "events", "has_play"),
    "changes": ("view_date",),
    "video_metadata": ("video_id",),
    "user_metadata": ("user_id",),
    "builds": ("finished_at", "versions", "bronze_version", "offsets", "counts"),
}

#: The time by which the program puts rows of six hours into files of their own.
_CLUSTERED_BY = {
    "enriched_events": "event_ts",
    "watched_segments": "started_at",
    "seeks": "seeked_at",
    "views": "started_at",
    "view_spans": "first_event_at",
}

#: Columns whose least and greatest values are kept for each file.
_STATS = {
    "enriched_events": "view_id,user_id,video_id,event_ts,region,received_at,source_offset,build_id",
    "watched_segments": "view_id,user_id,video_id,region,started_at,ended_at,build_id",
    "seeks": "view_id,user_id,video_id,region,seeked_at,build_id",
    "views": "view_id,user_id,video_id,region,creator,genre,started_at,ended_at,watch_time_s,watch_time_percentage,"
    "build_id",
    "view_spans": "view_id,user_id,video_id,region,first_event_at,last_event_at,build_id",
}

#: Operations of Delta that change no rows.
_UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES")

_SLOT_S = 6 * 3600

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"\d{20}\.checkpoint(\..+)?\.(parquet|json)")

#: What all readers and writers of a lake know, and no feature beyond: Delta's protocol for readers and for writers.
_PROTOCOL = (1, 2)

_REMEDY = "Take a newer job and program that know them, or move that folder away and land or derive the table again"

BUILDS = T.StructType(
    [
        T.StructField("build_id", T.StringType(), False),
        T.StructField("finished_at", T.TimestampType(), False),
        T.StructField("versions", T.StringType(), False),
        T.StructField("bronze_version", T.LongType(), False),
        T.StructField("offsets", T.StringType(), False),
        T.StructField("counts", T.StringType(), False),
    ]
)


class Conflict(Exception):
    """Another build worked on the same silver."""


class Unsupported(Exception):
    """A table asks its readers or writers for more than this job knows."""


class Log:
    """The commits of a Delta table, read from its files: that costs no job, unlike Delta's own history."""

    def __init__(self, spark: SparkSession, path: str):
        self._jvm = spark._jvm
        self._folder = self._jvm.org.apache.hadoop.fs.Path(f"{path}/_delta_log")
        self._files = self._folder.getFileSystem(spark._jsc.hadoopConfiguration())

    def version(self) -> int:
        """The newest version; -1 without a table."""
        return max((int(found[1]) for found in map(_COMMIT.fullmatch, self._names()) if found), default=-1)

    def protocol(self) -> dict[str, Any] | None:
        """What the table asks of readers and writers, as the newest commit says that does; None where only a checkpoint
        has it, or there is no table."""
        names = list(self._names())
        checkpoint = max((name[:20] for name in names if _CHECKPOINT.fullmatch(name)), default="")
        for name in sorted(filter(_COMMIT.fullmatch, names), reverse=True):
            if name[:20] < checkpoint:
                break
            for action in self._actions(int(name[:20])):
                if "protocol" in action:
                    return action["protocol"]
        return None

    def commits(self, after: int, to: int) -> list[dict[str, Any]]:
        """What commits that changed rows say of themselves, each with its `version`; upkeep changes none."""
        found = [{**self._info(version), "version": version} for version in range(after + 1, to + 1)]
        return [info for info in found if info.get("operation") not in _UPKEEP]

    def _names(self) -> Iterator[str]:
        if self._files.exists(self._folder):
            for status in self._files.listStatus(self._folder):
                yield status.getPath().getName()

    def _info(self, version: int) -> dict[str, Any]:
        return next((action["commitInfo"] for action in self._actions(version) if "commitInfo" in action), {})

    def _actions(self, version: int) -> list[dict[str, Any]]:
        stream = self._files.open(self._jvm.org.apache.hadoop.fs.Path(self._folder, f"{version:020d}.json"))
        try:
            lines = self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8").splitlines()
        finally:
            stream.close()
        return [json.loads(line) for line in lines if line]


class Table:
    """A table of silver at a path; remembers the version from which this build starts (-1: there is none)."""

    def __init__(self, spark: SparkSession, lake: str, name: str):
        self.spark = spark
        self.name = name
        self.path = f"{lake}/silver/{name}"
        self.log = Log(spark, self.path)
        self.base = self.log.version()

    def rows(self) -> DataFrame:
        """The rows from which this build starts, whatever it commits meanwhile."""
        return self.spark.read.format("delta").option("versionAsOf", self.base).load(self.path)

    def restore(self, version: int) -> None:
        """Undoes what an interrupted build committed beyond a version; upkeep, which changes no rows, stays."""
        if self.base > version and self.log.commits(version, self.base):
            self._delta().restoreToVersion(version)
            self.base = self.log.version()

    def make(self, schema: T.StructType) -> None:
        """Makes the table if it is not there."""
        if self.base >= 0:
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path)
        for field in schema.fields:
            nullable = field.name != BUILD_ID and field.name not in _NEVER_NULL[self.name]
            builder = builder.addColumn(field.name, field.dataType, nullable=nullable)
        if "view_date" in schema.names:
            builder = builder.partitionedBy("view_date")
        for key, value in self._properties().items():
            builder = builder.property(key, value)
        builder.execute()

    def replace(self, rows: DataFrame) -> None:
        """Puts these rows, with their columns, in the place of all that were there, in one commit."""
        self.make(rows.schema)
        kinds = [
            {field.name: field.dataType for field in schema} for schema in (rows.schema, self._delta().toDF().schema)
        ]
        writer = together(rows).write.format("delta").mode("overwrite")
        if kinds[0] != kinds[1]:
            writer = writer.option("overwriteSchema", True)
        if "view_date" in rows.columns:
            writer = writer.partitionBy("view_date")
        writer.save(self.path)

    def delete_views(self, views: DataFrame, dates: list[str]) -> None:
        """Deletes the rows of these views (`view_id`, `view_date`), which lie on these dates."""
        on_dates = ", ".join(f"date '{date}'" for date in dates)
        condition = f"t.view_date in ({on_dates}) and t.view_date = v.view_date and t.view_id = v.view_id"
        self._delta().alias("t").merge(views.alias("v"), condition).whenMatchedDelete().execute()

    def append(self, rows: DataFrame) -> None:
        """Adds rows, by the names of their columns."""
        self.make(rows.schema)
        together(rows).write.format("delta").mode("append").save(self.path)

    def check_alone(self, build_id: str) -> int:
        """The newest version, if all commits since the base are this build's."""
        newest = self.log.version()
        for commit in self.log.commits(self.base, newest):
            if commit.get("userMetadata") != build_id:
                raise Conflict(
                    f"another writer committed version {commit['version']} ({commit.get('operation')}) of "
                    f"silver.{self.name} meanwhile; nothing is published. Let one build run at a time, then run this "
                    "again: it repairs what is there"
                )
        return newest

    def _delta(self) -> DeltaTable:
        return DeltaTable.forPath(self.spark, self.path)

    def _properties(self) -> dict[str, str]:
        properties = {"streamreel.layout": "1", "delta.enableExpiredLogCleanup": "false"}
        if self.name in _CLUSTERED_BY:
            properties["streamreel.clusterBy"] = f"{_CLUSTERED_BY[self.name]}:{_SLOT_S}"
            properties["delta.dataSkippingStatsColumns"] = _STATS[self.name]
        return properties


def together(rows: DataFrame) -> DataFrame:
    """The rows of a date in one place, so that a date gets few files."""
    return rows.repartition("view_date") if "view_date" in rows.columns else rows.coalesce(1)


class Builds:
    """`silver.builds`: its last row says what silver is."""

    def __init__(self, spark: SparkSession, lake: str):
        self.spark = spark
        self.table = Table(spark, lake, "builds")

    def last(self) -> dict[str, Any] | None:
        """The last row, its JSON columns read."""
        if self.table.base < 0:
            return None
        row = self.table.rows().orderBy(F.desc("finished_at"), F.desc("build_id")).first()
        if row is None:
            return None
        return {**row.asDict(), **{name: json.loads(row[name]) for name in ("versions", "offsets", "counts")}}

    def publish(self, build: dict[str, Any]) -> None:
        """Appends a row: the act that makes the versions it names the silver. Never before the last one in time."""
        last = self.last()
        finished_at = datetime.now(timezone.utc)
        if last and last["finished_at"].astimezone(timezone.utc) >= finished_at:
            finished_at = last["finished_at"].astimezone(timezone.utc) + timedelta(microseconds=1)
        row = {**build, "finished_at": finished_at}
        row.update({name: json.dumps(build[name]) for name in ("versions", "offsets", "counts")})
        rows = self.spark.createDataFrame([tuple(row[name] for name in BUILDS.names)], BUILDS)
        self.table.append(rows)


def check_protocols(spark: SparkSession, lake: str) -> None:
    """Refuses a lake of which this job can't read or write every table as it must be, before anything is done."""
    for table in ("bronze/events", *(f"silver/{name}" for name in _NEVER_NULL)):
        path = f"{lake}/{table}"
        log = Log(spark, path)
        if log.version() < 0:
            continue
        asked = log.protocol() or _protocol_of_snapshot(spark, table, path)
        versions = asked["minReaderVersion"], asked["minWriterVersion"]
        if all(found <= known for found, known in zip(versions, _PROTOCOL, strict=True)):
            continue
        features = ", ".join(sorted({*(asked.get("readerFeatures") or ()), *(asked.get("writerFeatures") or ())}))
        raise Unsupported(
            f"{_name(table)} at {path} uses reader protocol {versions[0]} and writer protocol {versions[1]} of Delta"
            f"{' with ' if features else ''}{features}; this job works with {_PROTOCOL[0]} and {_PROTOCOL[1]}, without "
            f"further features. {_REMEDY}"
        )


def _protocol_of_snapshot(spark: SparkSession, table: str, path: str) -> dict[str, Any]:
    """What Delta itself says, which reads checkpoints, as it has to for the work anyhow."""
    try:
        protocol = _snapshot(spark, path).protocol()
    except (CapturedException, Py4JJavaError) as problem:
        # What Spark says of a protocol that is too new for Delta is that it can't decode a row; why lies below.
        cause = problem._origin if isinstance(problem, CapturedException) else problem.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        raise Unsupported(f"{_name(table)} at {path} can't be read: {cause.getMessage()} {_REMEDY}") from None
    features = protocol.readerAndWriterFeatureNames().mkString(",").split(",")
    versions = {"minReaderVersion": protocol.minReaderVersion(), "minWriterVersion": protocol.minWriterVersion()}
    return {**versions, "writerFeatures": filter(None, features)}


def _snapshot(spark: SparkSession, path: str):
    """Delta's own idea of a table."""
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
    return log.unsafeVolatileSnapshot()


def _name(table: str) -> str:
    return table.replace("/", ".")


def bronze_offsets(spark: SparkSession, path: str) -> tuple[int, dict[str, int]]:
    """The version of bronze, and its application transactions: `log/topic/partition` -> first offset that it does not
    have.

    They are part of Delta's log that no query shows, so they are asked of Delta itself.
    """
    if not DeltaTable.isDeltaTable(spark, path):
        raise SystemExit(
            f"enrich: there is no bronze at {path}: run `streamreel process` first, or name another --lake"
        )
    snapshot = _snapshot(spark, path)
    transactions = snapshot.setTransactions()
    offsets = {}
    for index in range(transactions.size()):
        transaction = transactions.apply(index)
        offsets[transaction.appId()] = transaction.version()
    return snapshot.version(), offsets
