#!/usr/bin/env python3
"""The Spark or the Flink job, the same work in the engine's SQL, and the program, turn by turn on the same records.

    python3 benches/engines/run.py spark|flink --events N --rounds N [--program PATH]

Prints a JSON object: runs by contender, and where what they gave differs. CPU time is that of all processes of a
contender: JVM, Python workers and those of them that have ended. Engines are warm: started, and over their first
`events` of work. `cargo xtask bench engines` runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "conformance"))
import cpu  # noqa: E402
import engines  # noqa: E402
from engines import say  # noqa: E402

HERE = ROOT / "benches/engines"
DIRT = 0.05
PATIENCE_S = 300
INSIDE = "REEL_BENCH"
SQL_TOPICS = ("sql-clean-events", "sql-dead-letters")
#: The groups of consumers by which the Flink jobs say how far they have committed.
GROUPS = {"job": "streamreel-flink", "sql": "flink-sql"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=["spark", "flink"])
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    parser.add_argument("--program", type=Path, default=target / "release/streamreel")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        # Comparing needs packages.
        python = engines.environment("conformance/requirements.txt")
        os.execve(python, [str(python), *sys.argv], {**os.environ, INSIDE: "1", "PYTHONDONTWRITEBYTECODE": "1"})
    program = arguments.program.resolve()
    if not program.is_file():
        sys.exit(f"{program} is not there: run `cargo build --release`, or say where it is with --program")
    # An end that is wanted ends the engines as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    # What installs and starts things prints, too.
    result = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    scratch = Path(tempfile.mkdtemp(prefix=f"streamreel-bench-{arguments.engine}-"))
    try:
        found = {"spark": spark, "flink": flink}[arguments.engine](program, scratch, arguments.events, arguments.rounds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(found), file=result)


class Measured:
    """A program in a session of its own."""

    def __init__(self, name: str, scratch: Path, command: list[object], **options):
        self.name = name
        self.log = scratch / f"{name}.log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stderr=log, text=True, start_new_session=True,
                **{"stdout": log, **options},
            )

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is left of it goes; what it has written is of no use any more."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def check(self) -> None:
        if self.process.poll() is not None:
            raise self.failure(f"ended with {self.process.returncode}")

    def failure(self, what: str) -> SystemExit:
        return SystemExit(f"{self.name} {what}\n{self.log.read_text(errors='replace')[-6000:]}")

    def cost(self, work) -> dict:
        """CPU and wall seconds of the time in which `work` is done, and what it says."""
        cpu_s, begun = cpu.of_session(self.process.pid), time.monotonic()
        said = work()
        cost = {"cpu_s": cpu.of_session(self.process.pid) - cpu_s, "wall_s": time.monotonic() - begun}
        say(f"    {self.name}: {cost['wall_s']:.1f} s, {cost['cpu_s']:.1f} s of CPU")
        return {**cost, **(said or {})}


def alone(name: str, scratch: Path, home, *arguments: object) -> dict:
    """A run of the program, from its start to its end."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("STREAMREEL_")}
    command = [home.program, "--quiet", "--json", "--home", home.folder, *arguments]
    with Measured(name, scratch, command, stdout=subprocess.PIPE, env=surroundings) as program:
        begun = time.monotonic()
        summary = program.process.stdout.read()
        _, status, usage = os.wait4(program.process.pid, 0)
        program.process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise program.failure(f"ended with {program.process.returncode}")
    cost = {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": time.monotonic() - begun}
    say(f"    {name}: {cost['wall_s']:.1f} s, {cost['cpu_s']:.1f} s of CPU")
    return {**cost, "summary": json.loads(summary)}


def spark(program: Path, scratch: Path, events: int, rounds: int) -> dict:
    """Bronze to silver, everything anew each time."""
    from lakes import Home

    home = Home(program, scratch / "home")
    home.run("simulate", "--events", events, "--dirt", DIRT, stdout=subprocess.DEVNULL)
    home.run("process", stdout=subprocess.DEVNULL)
    for name in ("job", "sql"):
        home.copy_bronze(Home(program, scratch / name))
    runs = {"job": [], "sql": [], "embedded": []}
    with session("job", scratch, home) as job, session("sql", scratch, home) as sql:
        for contender in (job, sql):
            answer(contender)
        for contender in (job, sql):
            contender.cost(lambda contender=contender: ask(contender))
        for _ in range(rounds):
            for contender in (job, sql):
                runs[contender.name].append(contender.cost(lambda contender=contender: ask(contender)))
            built = alone("embedded", scratch, home, "build", "--layer", "silver", "--full-refresh")
            silver = built.pop("summary")["silver"]
            runs["embedded"].append({**built, "new_events": silver["new_events"], "views": silver["views"]})
    return {"runs": runs, "differences": compare_silver(scratch)}


def session(which: str, scratch: Path, home) -> Measured:
    """A Spark session that waits for work."""
    python = engines.environment("spark/requirements.txt")
    settings = {
        "spark.jars": engines.delta_jars(),
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    given = (part for name, value in settings.items() for part in ("--conf", f"{name}={value}"))
    submit = " ".join(["--master", "local[2]", *given, "pyspark-shell"])
    surroundings = {**os.environ, "PYSPARK_PYTHON": str(python), "PYSPARK_SUBMIT_ARGS": submit}
    engines.with_package(python)
    command = [python, HERE / "spark_session.py", which, scratch / which / "data_lake", home.metadata]
    return Measured(which, scratch, command,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings, cwd=scratch)


def answer(contender: Measured) -> dict:
    """The next line of JSON that it prints."""
    for line in contender.process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    contender.process.wait()
    raise contender.failure(f"ended with {contender.process.returncode}")


def ask(contender: Measured) -> dict:
    """Has the work done once."""
    contender.process.stdin.write("go\n")
    contender.process.stdin.flush()
    return answer(contender)


def compare_silver(scratch: Path) -> dict:
    """Views and segments of the job and of SQL. Ids of views differ: views are told by what they are of."""
    from lakes import Comparison, scan

    database = Comparison().duckdb
    tables = {(name, layer, table): scan(scratch / name / "data_lake", layer, table)
              for name, layer in (("job", "silver"), ("sql", "silver_sql")) for table in ("views", "watched_segments")}
    found = {}
    for name, layer in (("job", "silver"), ("sql", "silver_sql")):
        query = f"select count(*), sum(watch_time_s), sum(unique_s) from {tables[name, layer, 'views']}"
        views, watched_s, unique_s = database.execute(query).fetchone()
        segments, = database.execute(f"select count(*) from {tables[name, layer, 'watched_segments']}").fetchone()
        found[name] = {"views": views, "segments": segments, "watched_s": watched_s, "unique_s": unique_s}
    rows = database.execute(f"""
        select count(*) filter (o.video_id is null or t.video_id is null),
          count(*) filter (abs(o.watch_time_s - t.watch_time_s) > 1 or abs(o.unique_s - t.unique_s) > 1)
        from {tables["job", "silver", "views"]} o full join {tables["sql", "silver_sql", "views"]} t
          on o.user_id = t.user_id and o.video_id = t.video_id and o.session_id is not distinct from t.session_id
          and o.started_at = t.started_at""").fetchone()
    return {**found, "views_only_in_one": rows[0], "views_with_other_watch_time": rows[1]}


def flink(program: Path, scratch: Path, events: int, rounds: int) -> dict:
    """video-events to the cleaned topics on Kafka. The job and SQL have a broker each."""
    from check_flink import CLEANED, SOURCE, Flink, Kafka
    from lakes import Home

    home = Home(program, scratch / "home")
    # The embedded processor works on the broker of SQL.
    topics = {"job": (SOURCE, *CLEANED), "sql": (SOURCE, *CLEANED, *SQL_TOPICS)}
    runs = {"job": [], "sql": [], "embedded": []}
    with Kafka(scratch / "kafka-job") as job_kafka, Kafka(scratch / "kafka-sql") as sql_kafka:
        brokers = {"job": job_kafka, "sql": sql_kafka}
        for name, kafka in brokers.items():
            kafka.make(*topics[name])

        def simulate(kafka: Kafka, seed: int) -> None:
            simulate = ("simulate", "--events", events, "--seed", seed, "--dirt", DIRT)
            home.run("--log", f"kafka://{kafka.address}", *simulate, stdout=subprocess.DEVNULL)

        def until_written(contender: Measured, kafka: Kafka) -> None:
            until = time.monotonic() + PATIENCE_S
            while int(kafka.ask("behind", SOURCE, GROUPS[contender.name])):
                contender.check()
                if time.monotonic() > until:
                    raise contender.failure("did not get to the end of its topic")
                time.sleep(0.5)

        python = Flink(job_kafka, scratch / "checkpoints").python
        job_command = [python, ROOT / "flink/stream_processor.py", "--brokers", job_kafka.address, "--checkpoints",
                       scratch / "checkpoints", "--checkpoint-interval", "2s", "--follow"]
        sql_command = [python, HERE / "flink_sql.py", sql_kafka.address, scratch / "sql-checkpoints", 4]
        with Measured("job", scratch, job_command) as job, Measured("sql", scratch, sql_command) as sql:
            for number in range(rounds + 1):
                for contender in (job, sql):
                    kafka = brokers[contender.name]
                    simulate(kafka, number + 1)
                    cost = contender.cost(lambda c=contender, k=kafka: until_written(c, k))
                    # The first time is the start, and warms up.
                    if number:
                        runs[contender.name].append({**cost, "new_events": events})
                log = ("--log", f"kafka://{sql_kafka.address}")
                cost = alone("embedded", scratch, home, *log, "process")
                received = cost.pop("summary")["received"]
                if number:
                    runs["embedded"].append({**cost, "new_events": received})
        return {"runs": runs, "differences": compare_topics(scratch, sql_kafka)}


def compare_topics(scratch: Path, kafka) -> dict:
    """What SQL and the program, whose records are those of the job, have made of the same: dead letters, and
    clean events, told by what they are of, since ids that are made up differ."""
    import duckdb
    from check_flink import CLEANED

    read = {}
    for topic in (*CLEANED, *SQL_TOPICS):
        file = scratch / f"{topic}.parquet"
        kafka.ask("dump", topic, file)
        read[topic] = f"read_parquet('{file}')"

    def events(topic: str, kind: str, at_ms: str) -> str:
        return f"""(select distinct event->>'user_id' as user_id, event->>'video_id' as video_id,
            event->>'{kind}' as kind, {at_ms} as at_ms, (event->>'position_s')::double as position_s
            from (select decode(value)::json as event from {read[topic]}))"""

    found = {topic: duckdb.sql(f"select count(*) from {rows}").fetchone()[0] for topic, rows in read.items()}
    ours = events("clean-events", "event_type", "epoch_ms((event->>'timestamp')::timestamp)")
    theirs = events("sql-clean-events", "kind", "(event->>'event_ms')::bigint")
    for name, one, other in (("clean_only_in_job", ours, theirs), ("clean_only_in_sql", theirs, ours)):
        found[name], = duckdb.sql(f"select count(*) from (from {one} except from {other})").fetchone()
    return found


if __name__ == "__main__":
    main()
