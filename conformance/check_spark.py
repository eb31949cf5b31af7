"""The Spark job against `streamreel build`: silver row by row, then gold on top of either silver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from engines import ROOT, delta_jars, environment, say, with_package
from lakes import Comparison, Home, portions, step, write_metadata

JOB = ROOT / "spark/enrich_job.py"


class Spark:
    """`spark-submit` of the engine's environment, on this machine."""

    def __init__(self, home: Home):
        self.home = home
        self.python = with_package(environment("spark/requirements.txt"))
        self.jars = delta_jars()

    def submit(self) -> list[str]:
        """`spark-submit` with what this machine needs."""
        settings = {
            "spark.jars": self.jars,
            "spark.log.level": "WARN",
            "spark.driver.memory": "2g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "4",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "spark.databricks.delta.snapshotPartitions": "2",
        }
        submit = [self.python.parent / "spark-submit", "--master", "local[2]"]
        submit += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        return [str(part) for part in submit]

    def command(self, *arguments: str) -> list[str]:
        submit = [*self.submit(), "--py-files", f"{ROOT}/spark/silver.py,{ROOT}/spark/metadata.py", JOB]
        job = ["--lake", self.home.lake, "--metadata", self.home.metadata, *arguments]
        return [str(part) for part in submit + job]

    def start(self, *arguments: str) -> subprocess.Popen:
        # spark-submit runs the first python3 of the PATH.
        surroundings = {
            **os.environ,
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "PYSPARK_PYTHON": str(self.python),
        }
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=surroundings,
            start_new_session=True,
        )

    def enrich(self, *arguments: str) -> dict:
        """Runs the job and returns what it says of itself."""
        job = self.start(*arguments)
        out, err = job.communicate()
        if job.returncode:
            raise SystemExit(f"the Spark job ended with {job.returncode}\n{out[-2000:]}\n{err[-6000:]}")
        return json.loads(out.strip().split("\n")[-1])

    def refuse(self, says: str, *arguments: str) -> None:
        """Runs the job, which must fail and say this."""
        job = self.start(*arguments)
        out, err = job.communicate()
        # What the job says on stderr, spark-submit says on stdout.
        if job.returncode == 0 or says not in out:
            raise SystemExit(
                f"the Spark job should have failed with {says!r}; it ended with {job.returncode}\n{out}\n{err[-3000:]}"
            )

    def kill_half_way(self) -> None:
        """Starts the job and kills it, workers and all, when it has committed a table."""
        seen = self._commits()
        job = self.start()
        while self._commits() == seen:
            if job.poll() is not None:
                raise SystemExit(f"the Spark job ended before it could be killed\n{job.stderr.read()[-3000:]}")
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGKILL)
        job.communicate()

    def _commits(self) -> int:
        return len(list((self.home.lake / "silver").glob("watched_segments/_delta_log/*.json")))


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    comparison = Comparison()
    embedded, other = Home(program, scratch / "embedded"), Home(program, scratch / "other")
    spark = Spark(other)
    parts, titles = portions(program, scratch, 20_000 if is_quick else 400_000, 2 if is_quick else 3)
    write_metadata(embedded.metadata, titles)

    def compare(what: str, *arguments: str) -> dict:
        step(what)
        embedded.copy_bronze(other)
        summary = spark.enrich(*arguments)
        say(json.dumps(summary))
        embedded.build("--layer", "silver", *arguments)
        comparison.silver(embedded.lake, other.lake)
        return summary

    for number, lines in enumerate(parts):
        embedded.land(lines)
        if number == len(parts) - 1 and is_quick:
            write_metadata(embedded.metadata, titles, changed=True)
        if number == 1 and not is_quick:
            step("killed half way")
            embedded.copy_bronze(other)
            spark.kill_half_way()
        summary = compare(f"portion {number + 1} of {len(parts)}")
        expect(summary["full"] == (number == 0), "only the first run derives everything", summary)
    expect(summary["replaced_views"] > 0, "late events touch views of before", summary)

    step("again, with nothing new")
    before = versions(other.lake)
    summary = spark.enrich()
    expect(
        summary["build_id"] is None and versions(other.lake) == before,
        "a run with nothing new changes nothing",
        summary,
    )

    if not is_quick:
        write_metadata(embedded.metadata, titles, changed=True)
        summary = compare("changed metadata")
        expect(summary["new_events"] == 0 and summary["replaced_views"] > 0, "changed metadata touches views", summary)
        compare("everything again", "--full-refresh")
        step("bad metadata")
        good = (other.metadata / "video_metadata.csv").read_text()
        for text, says in bad_metadata():
            (other.metadata / "video_metadata.csv").write_text(text)
            spark.refuse(says)
        (other.metadata / "video_metadata.csv").write_text(good)

    step("the program goes on with what Spark derived: late events, gold")
    embedded.land(parts[0][:500] + [line for line in parts[-1][:500]])
    embedded.copy_bronze(other)
    for home in (embedded, other):
        home.build()
    comparison.silver(embedded.lake, other.lake)
    comparison.gold(embedded.lake, lambda table: f"delta_scan('{other.lake}/gold/{table}')")
    comparison.finish()


def bad_metadata() -> list[tuple[str, str]]:
    header = "video_id,title,creator,genre,duration_s\n"
    return [
        (
            "video_id,title,creator,genre\nv1,T,C,G\n",
            "lacks the column duration_s; it has video_id, title, creator, genre",
        ),
        (f"{header}v1,T,C,G,10\nv1,T,C,G,11\n", "repeats the id `v1`"),
        (f"{header}v1,T,C,G,long\n", "`v1` has the duration_s `long`, which is no double"),
        (f"{header}v1,T,C,G,-5\n", "`v1` has the duration_s `-5.0`, it must be above 0"),
        (
            "video_id,title,creator,genre,duration_s,region\nv1,T,C,G,10,DE\n",
            "would become `region`, which silver has already",
        ),
    ]


def versions(lake: Path) -> dict[str, int]:
    """How many commits each table of silver has."""
    return {log.parent.name: len(list(log.glob("*.json"))) for log in (lake / "silver").glob("*/_delta_log")}


def expect(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise SystemExit(f"expected that {what}; found {found}")
