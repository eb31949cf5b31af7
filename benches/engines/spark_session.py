"""One Spark session that works as often as it is told to: a line on stdin is a run, a line of JSON answers it.

    spark_session.py job|sql LAKE METADATA

`job` is spark/enrich_job.py, told to derive everything; `sql` is spark_sql.py. PYSPARK_SUBMIT_ARGS configures Spark.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "spark"))
import enrich_job  # noqa: E402
import spark_sql  # noqa: E402


def main() -> None:
    which, lake, metadata = sys.argv[1:]
    spark = enrich_job.session()
    for file in ("silver.py", "metadata.py", "enrich_job.py"):
        spark.sparkContext.addPyFile(str(ROOT / "spark" / file))
    run = {"job": job, "sql": spark_sql.build}[which]
    serve(lambda: run(spark, lake, metadata))
    spark.stop()


def job(spark, lake: str, metadata: str) -> dict[str, int]:
    arguments = argparse.Namespace(lake=lake, metadata=metadata, config=None, full_refresh=True)
    summary = enrich_job.Enrich(spark, arguments, lambda: None).run()
    # As after a run of its own, for which a session is made.
    spark.catalog.clearCache()
    return {name: summary[name] for name in ("new_events", "views")}


def serve(run: Callable[[], dict[str, int]]) -> None:
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)


if __name__ == "__main__":
    main()
