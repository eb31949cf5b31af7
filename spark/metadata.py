"""Video and user metadata on Spark: read from CSV or Parquet, checked, compared with what the last build used.

The rules are those of the program: `video_metadata.{csv,parquet}` has video_id, title, creator, genre, duration_s,
published_at (may be left out) and any further columns; `user_metadata.{csv,parquet}`, if there, user_id and any
columns, named `user_<column>` in silver. An empty field is null; ids and column names are trimmed.
"""

from __future__ import annotations

import sys

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

_VIDEO = {
    "video_id": "string",
    "title": "string",
    "creator": "string",
    "genre": "string",
    "duration_s": "double",
    "published_at": "timestamp",
}

# The longest title, as in events.
_MAX_DURATION_S = 1_000_000


class Invalid(Exception):
    """A file that can't be used; says which, why and what to do."""


def videos(spark: SparkSession, folder: str | None, reserved: set[str]) -> DataFrame:
    """A row a video: the six known columns, then further ones. Without a file no rows."""
    if folder is not None and not _exists(spark, folder):
        # No error: a home need not have metadata. But it may be a name that was mistyped.
        print(f"enrich: {folder} is not there, so no video has a title or a duration", file=sys.stderr)
    path, rows = _read(spark, folder, "video_metadata")
    if rows is None:
        return spark.createDataFrame([], ", ".join(f"{name} {kind}" for name, kind in _VIDEO.items()))
    missing = [name for name in _VIDEO if name not in rows.columns and name != "published_at"]
    if missing:
        raise Invalid(f"{path} lacks the column {', '.join(missing)}; it has {', '.join(rows.columns)}")
    if "published_at" not in rows.columns:
        rows = rows.withColumn("published_at", F.lit(None).cast("timestamp"))
    rows = _with_ids(path, rows, "video_id")
    for name, kind in _VIDEO.items():
        rows = _converted(path, rows, "video_id", name, kind)
    _refuse(
        path,
        rows,
        "video_id",
        "duration_s",
        ~((F.col("duration_s") > 0) & (F.col("duration_s") <= _MAX_DURATION_S)),
        f"it must be above 0 and at most {_MAX_DURATION_S}, in seconds (or empty)",
    )
    further = [name for name in rows.columns if name not in _VIDEO]
    _check_names(path, further, reserved | set(_VIDEO))
    return rows.select(*_VIDEO, *further)


def users(spark: SparkSession, folder: str | None, reserved: set[str]) -> DataFrame:
    """A row a user: `user_id`, then the others as `user_<column>`. Without a file no rows."""
    path, rows = _read(spark, folder, "user_metadata")
    if rows is None:
        return spark.createDataFrame([], "user_id string")
    if "user_id" not in rows.columns:
        raise Invalid(f"{path} lacks the column user_id; it has {', '.join(rows.columns)}")
    rows = _with_ids(path, rows, "user_id")
    further = [name for name in rows.columns if name != "user_id"]
    _check_names(path, [f"user_{name}" for name in further], reserved)
    return rows.select("user_id", *(F.col(f"`{name}`").alias(f"user_{name}") for name in further))


def changed_ids(now: DataFrame, kept: DataFrame, key: str) -> DataFrame | None:
    """Ids whose row is another than before, or is in only one of the two; None where the columns differ: every row
    does."""
    if [(f.name, f.dataType) for f in now.schema] != [(f.name, f.dataType) for f in kept.schema]:
        return None
    return now.exceptAll(kept).select(key).union(kept.exceptAll(now).select(key)).distinct()


def _read(spark: SparkSession, folder: str | None, name: str) -> tuple[str, DataFrame | None]:
    if folder is None:
        return "", None
    csv, parquet = f"{folder}/{name}.csv", f"{folder}/{name}.parquet"
    there = [path for path in (csv, parquet) if _exists(spark, path)]
    if len(there) == 2:
        raise Invalid(f"{csv} stands beside {name}.parquet; keep one of them")
    if not there:
        return csv, None
    path = there[0]
    if path == parquet:
        rows = spark.read.parquet(path)
        # A time without a zone is UTC, as the session's is; Delta would need a feature for it that not every reader
        # has.
        for field in rows.schema:
            if field.dataType == T.TimestampNTZType():
                rows = rows.withColumn(field.name, F.col(field.name).cast("timestamp"))
    else:
        options = {"header": True, "mode": "FAILFAST", "escape": '"', "multiLine": True, "enforceSchema": False}
        rows = spark.read.options(**options).csv(path)
        rows = rows.toDF(*(column.lstrip("\ufeff").strip() for column in rows.columns))
        repeated = [column for column in rows.columns if rows.columns.count(column) > 1]
        if repeated:
            raise Invalid(f"{path} has the column {repeated[0]} more than once")
        rows = rows.select(*(F.nullif(F.col(f"`{column}`"), F.lit("")).alias(column) for column in rows.columns))
    return path, rows


def _exists(spark: SparkSession, path: str) -> bool:
    hadoop = spark._jvm.org.apache.hadoop.fs.Path(path)
    return hadoop.getFileSystem(spark._jsc.hadoopConfiguration()).exists(hadoop)


def _with_ids(path: str, rows: DataFrame, key: str) -> DataFrame:
    # What Unicode calls white space, as ids of events are trimmed.
    trimmed = F.regexp_replace(F.col(key).cast("string"), r"(?U)^\s+|\s+$", "")
    rows = rows.withColumn(key, F.nullif(trimmed, F.lit("")))
    if not rows.where(F.col(key).isNull()).isEmpty():
        raise Invalid(f"{path} has a row without {key}")
    twice = rows.groupBy(key).count().where("count > 1").first()
    if twice:
        raise Invalid(f"{path} repeats the id `{twice[0]}`; keep one of its rows")
    return rows


def _converted(path: str, rows: DataFrame, key: str, name: str, kind: str) -> DataFrame:
    converted = F.col(name).try_cast(kind)
    _refuse(path, rows, key, name, F.col(name).isNotNull() & converted.isNull(), f"which is no {kind}")
    return rows.withColumn(name, converted)


def _refuse(path: str, rows: DataFrame, key: str, name: str, wrong: Column, why: str) -> None:
    found = rows.where(wrong).select(key, F.col(name).cast("string")).first()
    if found:
        raise Invalid(f"{path}: `{found[0]}` has the {name} `{found[1]}`, {why}")


def _check_names(path: str, further: list[str], reserved: set[str]) -> None:
    # Delta does not tell names apart by case alone.
    taken = set(reserved)
    for name in further:
        if not name.strip():
            raise Invalid(f"{path} has a column without a name; name it, or take it out")
        if name.lower() in taken:
            raise Invalid(f"{path} has a column that would become `{name}`, which silver has already; rename it")
        taken.add(name.lower())
