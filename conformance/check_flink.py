"""The Flink job against `streamreel process`, on a real Kafka: the two cleaned topics record by record, then bronze."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from engines import ROOT, environment, run, with_package
from lakes import DIRT, Comparison, Home, scan, step

JOB = ROOT / "flink/stream_processor.py"
TOPICS = ROOT / "conformance/kafka_topics.py"
SOURCE, CLEANED = "video-events", ("clean-events", "video-events.dlq")
PARTITIONS = 4
SEED = 20260106
#: How long a job may take to start, or to reach its next checkpoint.
PATIENCE_S = 300


class Kafka:
    """A broker of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.address = f"127.0.0.1:{two_free_ports()}"
        self.python = environment("kafka/requirements.txt")

    def __enter__(self) -> Kafka:
        run(ROOT / "kafka/broker.sh", "start", self.folder, self.address.split(":")[1])
        return self

    def __exit__(self, *_: object) -> None:
        run(ROOT / "kafka/broker.sh", "kill", self.folder)

    def ask(self, verb: str, *arguments: object) -> str:
        return run(self.python, TOPICS, self.address, verb, *arguments, stdout=subprocess.PIPE, text=True).stdout

    def make(self, *topics: str) -> None:
        for topic in topics:
            self.ask("make", topic, PARTITIONS)

    def dump(self, folder: Path) -> Path:
        folder.mkdir()
        for topic in CLEANED:
            self.ask("dump", topic, folder / f"{topic}.parquet")
        return folder


class Flink:
    """The job on this machine."""

    def __init__(self, kafka: Kafka, checkpoints: Path):
        self.kafka = kafka
        self.checkpoints = checkpoints
        self.python = with_package(environment("flink/requirements.txt"))
        self.log = checkpoints.parent / "flink.log"
        run(self.python, ROOT / "flink/connector.py", stdout=subprocess.DEVNULL)

    def command(self, *arguments: object, python: Path | None = None) -> list[str]:
        where = ["--brokers", self.kafka.address, "--checkpoints", self.checkpoints]
        return [str(part) for part in (python or self.python, JOB, *where, *arguments)]

    def start(self, *arguments: object, **surroundings: str) -> subprocess.Popen:
        with open(self.log, "a") as log:
            return subprocess.Popen(
                self.command("--checkpoint-interval", "2s", *arguments),
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **surroundings},
            )

    def finish(self, *arguments: object) -> None:
        job = self.start(*arguments)
        if job.wait():
            raise SystemExit(f"the Flink job ended with {job.returncode}\n{self.log.read_text()[-6000:]}")

    def refuse(self, says: str, *arguments: object, python: Path | None = None, **surroundings: str) -> None:
        """Runs the job, which must fail and say this."""
        done = subprocess.run(
            self.command(*arguments, python=python),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **surroundings},
        )
        if done.returncode == 0 or says not in done.stderr or "Traceback" in done.stderr:
            raise SystemExit(
                f"the Flink job should have failed with {says!r}; it ended with {done.returncode}\n"
                f"{done.stderr[-3000:]}"
            )

    def kill(self, job: subprocess.Popen) -> None:
        """SIGKILL, to its JVM too."""
        if job.poll() is not None:
            raise SystemExit(f"the Flink job ended before it could be killed\n{self.log.read_text()[-6000:]}")
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()

    def until(self, job: subprocess.Popen, what: str, holds) -> None:
        until = time.monotonic() + PATIENCE_S
        while not holds():
            if job.poll() is not None or time.monotonic() > until:
                self.kill(job)
                raise SystemExit(f"the Flink job did not get to where {what}\n{self.log.read_text()[-6000:]}")
            time.sleep(0.2)


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    """Everything, in the order in which it can be afforded: what a run of the job costs most is its start."""
    with Kafka(scratch / "kafka") as kafka:
        flink = Flink(kafka, scratch / "checkpoints")
        source = Home(program, scratch / "source")
        refused_at_once(flink, scratch)
        what_is_forgotten(flink)
        step("what is missing is said")
        kafka.make(SOURCE)
        flink.refuse("has no topic clean-events and no topic video-events.dlq")
        kafka.make(*CLEANED)
        clean_with_flink(kafka, flink, source, 20_000 if is_quick else 300_000, is_quick)
        step("the records of the Flink job, and bronze from them")
        theirs = kafka.dump(scratch / "of-flink")
        landed = Home(program, scratch / "landed")
        land(landed, kafka)
        step("the same records by the program")
        kafka.make(*CLEANED)
        embedded = Home(program, scratch / "embedded")
        embedded.run("--log", f"kafka://{kafka.address}", "process", stdout=subprocess.DEVNULL)
        ours = kafka.dump(scratch / "of-the-program")
    comparison = Comparison()
    for topic in CLEANED:
        comparison.tables(
            topic, f"read_parquet('{ours}/{topic}.parquet')", f"read_parquet('{theirs}/{topic}.parquet')", without=()
        )
    # A source offset is there once in all of the log.
    comparison.tables(
        "bronze.events", *(scan(home.lake, "bronze", "events") for home in (embedded, landed)), without=()
    )
    comparison.finish()


def clean_with_flink(kafka: Kafka, flink: Flink, source: Home, events: int, is_quick: bool) -> None:
    """Brings events in, in portions, and the job through a kill, a restart, and, unless it is quick, a second life from
    a savepoint and one without any checkpoint."""
    simulate(source, kafka, events, SEED)
    step("killed with work in hand")
    job = flink.start("--follow")
    flink.until(
        job,
        "it has a checkpoint with results",
        lambda: any(flink.checkpoints.glob("*/chk-*/_metadata")) and has_results(kafka),
    )
    # Again the first viewers: copies whose originals only the job's state remembers.
    simulate(source, kafka, events, SEED)
    kafka.ask("odd", SOURCE)
    time.sleep(1)
    flink.kill(job)
    step("and started again")
    flink.finish()
    if is_quick:
        return
    step("more, from its savepoint")
    simulate(source, kafka, events // 4, SEED + 1)
    kafka.ask("odd", SOURCE)
    flink.finish()
    step("more, without any checkpoint: nothing is written twice")
    for folder in flink.checkpoints.iterdir():
        folder.rename(flink.checkpoints.parent / f"lost-{folder.name}")
    simulate(source, kafka, events // 4, SEED + 1)
    flink.finish()


def refused_at_once(flink: Flink, scratch: Path) -> None:
    """What the job says where something is missing, or is not what it should be."""
    step("a bad environment is said")
    other = scratch / "other/apache_flink-2.2.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: apache-flink\nVersion: 2.2.0\n")
    flink.refuse(
        "apache-flink is 2.2.0; this job, its connector and its checkpoints are for 2.3.0", PYTHONPATH=str(other.parent)
    )
    flink.refuse("has no package apache-flink; install", python=Path(sys.executable))
    flink.refuse("is not there; `python flink/connector.py` fetches", "--jar", scratch / "no.jar")
    broken = scratch / "broken" / "flink-sql-connector-kafka-5.0.0-2.2.jar"
    broken.parent.mkdir()
    broken.write_bytes(b"half")
    flink.refuse("as it was published", "--jar", broken)
    flink.refuse("can't get an answer from Kafka at 127.0.0.1:1", "--brokers", "127.0.0.1:1")


def what_is_forgotten(flink: Flink) -> None:
    """The counter, for which a partition would need some hundred thousand records: so without a Kafka."""
    step("what the window forgets is counted")
    said = run(flink.python, ROOT / "conformance/flink_forgotten.py", stdout=subprocess.PIPE, text=True).stdout
    expected = {
        "two blocks are remembered": [4, 0],
        "what no longer fits is counted": [8, 4],
        "in one batch": [8, 4],
        "from a checkpoint": [1, 2],
        "again, what is written": [2, 2],
        "again, in one batch": [1, 0],
    }
    found = json.loads(said)
    if found != expected:
        raise SystemExit(f"records written and counted as forgotten: expected {expected}, found {found}")


def simulate(home: Home, kafka: Kafka, events: int, seed: int) -> None:
    home.run(
        "--log",
        f"kafka://{kafka.address}",
        "simulate",
        "--events",
        events,
        "--seed",
        seed,
        "--dirt",
        DIRT,
        "--loss",
        "0.02",
        stdout=subprocess.DEVNULL,
    )


def land(home: Home, kafka: Kafka) -> None:
    """Bronze from the cleaned topics; the audit holds over them."""
    log = ("--log", f"kafka://{kafka.address}")
    home.run(*log, "process", "--from", "clean", stdout=subprocess.DEVNULL)
    home.run(*log, "audit", stdout=subprocess.DEVNULL)


def has_results(kafka: Kafka) -> bool:
    return int(kafka.ask("count", CLEANED[0])) > 0


def two_free_ports() -> int:
    """A port for clients with a free one after it, for the controller; below those that the system gives to clients."""
    for port in range(31_000 + os.getpid() % 400 * 2, 32_600, 2):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue
    raise SystemExit("no two free ports beside one another")
