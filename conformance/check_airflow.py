"""The hourly DAG under a real Airflow: scheduler, DAG processor, API server, local executor."""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from check_dbt import python_with_duckdb
from engines import ROOT, environment, run, say
from lakes import Comparison, Home, portions, step, write_metadata
from spark_job import Spark, expect

DAG = "batch_ingestion"

#: Seconds that a run may take until it has ended, on a busy machine.
PATIENCE_S = 400


class Airflow:
    """An Airflow of its own folder, with the configuration of this repository; ended with its `with`."""

    def __init__(self, folder: Path, variables: dict[str, str]):
        self.folder = folder
        self.database = folder / "airflow.db"
        self.airflow = environment("airflow/requirements.txt").parent / "airflow"
        folder.mkdir()
        shutil.copy(ROOT / "airflow/config/airflow.cfg", folder)
        port = 28_000 + os.getpid() % 2_000
        settings = {
            "CORE__DAGS_FOLDER": ROOT / "airflow/dags",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "LOGGING__BASE_LOG_FOLDER": folder / "logs",
            "API__PORT": port,
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "API__WORKERS": "1",
        }
        self.surroundings = {
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "PATH": f"{self.airflow.parent}:{os.environ['PATH']}",
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in variables.items()},
        }
        self.log = open(folder / "standalone.log", "wb")

    def __enter__(self) -> Airflow:
        self.process = subprocess.Popen(
            [self.airflow, "standalone"],
            env=self.surroundings,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.log.close()

    def command(self, *arguments: str) -> None:
        run(self.airflow, *arguments, env=self.surroundings, capture_output=True)

    def trigger(self, run_id: str) -> None:
        self.command("dags", "trigger", DAG, "--run-id", run_id)

    def ended(self, run_type: str, number: int = 1) -> str:
        """Waits until so many runs of a kind have ended; the state of the last one."""
        query = f"select state from dag_run where dag_id = '{DAG}' and run_type = '{run_type}' order by id"
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            states = [row[0] for row in self.query(query)]
            if len(states) >= number and states[number - 1] in ("success", "failed"):
                return states[number - 1]
            if self.process.poll() is not None:
                break
            time.sleep(1)
        log = (self.folder / "standalone.log").read_text(errors="replace")
        raise SystemExit(
            f"airflow: no {run_type} run {number} ended in {PATIENCE_S} s; runs: {self.query(query)}\n{log[-4000:]}"
        )

    def expect_success(self, run_type: str, number: int = 1) -> None:
        """Waits for a run, which must succeed; shows what its failed tasks said."""
        if self.ended(run_type, number) == "success":
            return
        failed = [task for task, state in self.tasks().items() if state == "failed"]
        logs = [log for task in failed for log in self.folder.glob(f"logs/**/task_id={task}/attempt=1.log")]
        said = "\n".join(log.read_text(errors="replace")[-4000:] for log in logs)
        raise SystemExit(f"airflow: {run_type} run {number} failed: {self.tasks()}\n{said}")

    def tasks(self) -> dict[str, str]:
        """State of each task of the last run."""
        last = f"select run_id from dag_run where dag_id = '{DAG}' order by id desc limit 1"
        return dict(self.query(f"select task_id, state from task_instance where run_id = ({last})"))

    def query(self, sql: str) -> list[tuple]:
        try:
            with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10) as database:
                return database.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # not made yet


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    comparison = Comparison()
    parts, titles = portions(program, scratch, 20_000, 2)
    by_hand, scheduled = Home(program, scratch / "by_hand"), Home(program, scratch / "scheduled")
    for home in (by_hand, scheduled):
        write_metadata(home.metadata, titles)
    repository = scratch / "repository"
    shutil.copytree(ROOT / "dbt", repository / "dbt")
    shutil.copytree(ROOT / "spark", repository / "spark")
    variables = {
        "streamreel_home": str(scheduled.folder),
        "streamreel_program": str(program),
        "streamreel_repository": str(repository),
    }
    if not is_quick:
        spark = Spark(scheduled)
        variables["streamreel_spark_submit"] = f"env PATH={spark.python.parent}:$PATH {shlex.join(spark.submit())}"
        variables["streamreel_dbt"] = str(python_with_duckdb().parent / "dbt")

    def land(lines: list[bytes]) -> None:
        scheduled.land(lines)
        shutil.copytree(scheduled.folder / "log", by_hand.folder / "log", dirs_exist_ok=True)
        scheduled.copy_bronze(by_hand)

    land(parts[0])
    with Airflow(scratch / "airflow", variables) as airflow:
        step("the run that the scheduler makes for the last hour")
        airflow.expect_success("scheduled")
        by_hand.build()
        comparison.gold(by_hand.lake, lambda table: f"delta_scan('{scheduled.lake}/gold/{table}')")
        step("another run after more events" + ("" if is_quick else ", and one with nothing new"))
        land(parts[1])
        for number in (1,) if is_quick else (1, 2):
            airflow.trigger(f"again-{number}")
            airflow.expect_success("manual", number)
        by_hand.build()
        comparison.silver(by_hand.lake, scheduled.lake)
        comparison.gold(by_hand.lake, lambda table: f"delta_scan('{scheduled.lake}/gold/{table}')")
        if not is_quick:
            land(parts[0][:1000])
            by_hand.build()
            other_gear(airflow, comparison, by_hand, scheduled, repository)
    comparison.finish()


def other_gear(airflow: Airflow, comparison: Comparison, by_hand: Home, scheduled: Home, repository: Path) -> None:
    warehouse = scheduled.folder / "warehouse/streamreel.duckdb"
    step("the gear of Spark and dbt Core")
    airflow.command("variables", "set", "streamreel_gear", "spark")
    airflow.trigger("spark")
    airflow.expect_success("manual", 3)
    comparison.attach(warehouse, "warehouse")
    comparison.gold(by_hand.lake, lambda table: f"warehouse.gold.{table}")
    step("a check that fails")
    before = hashlib.sha256(warehouse.read_bytes()).hexdigest()
    (repository / "dbt/tests/nothing_is_good.sql").write_text("select 1 as bad\n")
    airflow.trigger("failing")
    state, tasks = airflow.ended("manual", 4), airflow.tasks()
    say(f"{state}: {tasks}")
    expect(
        state == "failed" and tasks["build_dbt"] == "failed" and tasks["audit"] == "upstream_failed",
        "a failed check stops the run",
        tasks,
    )
    expect(hashlib.sha256(warehouse.read_bytes()).hexdigest() == before, "what was published stays", warehouse)
