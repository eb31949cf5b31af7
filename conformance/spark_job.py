"""The Spark job, run as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

from engines import ROOT, delta_jars, environment, with_package
from lakes import Home

JOB = ROOT / "spark/enrich_job.py"


class Spark:
    """`spark-submit` of the engine's environment, on this machine."""

    def __init__(self, home: Home, lake: str | None = None, **settings: str):
        self.home = home
        self.lake = lake or home.lake
        self.settings = settings
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
            **self.settings,
        }
        submit = [self.python.parent / "spark-submit", "--master", "local[2]"]
        submit += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        return [str(part) for part in submit]

    def command(self, *arguments: str) -> list[str]:
        submit = [*self.submit(), "--py-files", f"{ROOT}/spark/silver.py,{ROOT}/spark/metadata.py", JOB]
        job = ["--lake", self.lake, "--metadata", self.home.metadata, "--program", self.home.program, *arguments]
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

    def refused(self, *arguments: str) -> str:
        """Runs the job, which must fail, and returns what it says."""
        job = self.start(*arguments)
        out, err = job.communicate()
        if job.returncode == 0 or "Traceback" in out + err:
            raise SystemExit(
                f"the Spark job should have failed with a message; it ended with {job.returncode}\n{out}\n{err[-3000:]}"
            )
        # What the job says on stderr, spark-submit says on stdout.
        return out

    def refuse(self, says: str, *arguments: str) -> None:
        """Runs the job, which must fail and say this."""
        out = self.refused(*arguments)
        if says not in out:
            raise SystemExit(f"the Spark job should have failed with {says!r}; it said\n{out}")

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


def expect(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise SystemExit(f"expected that {what}; found {found}")
