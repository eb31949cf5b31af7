"""The producer in Python on a real Kafka: the program reads from it what its own simulator would have sent."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from engines import ROOT, environment, run, with_package
from lakes import Comparison, Home, step
from spark_job import expect

SEED = 11
DIRT = 0.2


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    events = 5_000 if is_quick else 200_000
    python = with_package(environment("kafka/requirements.txt"))
    broker, folder = ROOT / "kafka/broker.sh", scratch / "broker"
    port = 33_000 + (time.time_ns() // 1_000_000) % 500 * 2
    run(broker, "start", folder, port, capture_output=True)
    try:
        through(program, scratch, python, f"127.0.0.1:{port}", events)
    finally:
        run(broker, "kill", folder, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def through(program: Path, scratch: Path, python: Path, brokers: str, count: int) -> None:
    produced, simulated = Home(program, scratch / "produced"), Home(program, scratch / "simulated")
    produce = [python, ROOT / "kafka/producer.py", "--brokers", brokers]
    step("no topic: the producer says so")
    refused = subprocess.run([*map(str, produce), "--events", "10"], capture_output=True, text=True)
    expect(
        refused.returncode == 1 and "topics --apply" in refused.stderr,
        "a missing topic is named with its remedy",
        refused.stderr,
    )
    kafka = ["--log", f"kafka://{brokers}"]
    definitions = ROOT / "kafka/topics/streamreel.toml"
    for _ in range(2):
        made = json.loads(produced.run(*kafka, "--json", "topics", "--apply", definitions, capture_output=True).stdout)
    expect(
        {topic["name"]: len(topic["partitions"]) for topic in made}
        == {"video-events": 4, "clean-events": 4, "video-events.dlq": 4},
        "the topics are as defined",
        made,
    )
    step(f"{count} records from the producer, and from the program")
    run(
        *produce,
        "--events",
        count,
        "--seed",
        SEED,
        "--dirt",
        DIRT,
        "--titles",
        scratch / "titles.csv",
        capture_output=True,
    )
    simulated.run("simulate", "--events", count, "--seed", SEED, "--dirt", DIRT, stdout=subprocess.DEVNULL)
    produced.run(*kafka, "process", stdout=subprocess.DEVNULL)
    simulated.run("process", stdout=subprocess.DEVNULL)
    expect(
        (scratch / "titles.csv").read_text() == (simulated.metadata / "video_metadata.csv").read_text(),
        "the titles are the same",
        "",
    )
    comparison = Comparison()
    # The producer cuts records that are too long, as `ingest` does; `simulate` leaves that to the processor.
    cut = "case when reason = 'too_large' then null else {0} end as {0}"
    events = (
        f"(select * replace ({cut.format('payload')}, {cut.format('detail')}) from delta_scan('{{}}/bronze/events'))"
    )
    elsewhere = ("source_log", "source_offset", "source_partition")
    both = (produced, simulated)
    comparison.tables("bronze.events", *(events.format(home.lake) for home in both), without=elsewhere)
    step("events of a file, keyed as the program keys them")
    examples = ROOT / "examples/full.ndjson"
    run(*produce, "--file", examples, capture_output=True)
    produced.run(*kafka, "process", stdout=subprocess.DEVNULL)
    simulated.run("ingest", examples, stdout=subprocess.DEVNULL)
    simulated.run("process", stdout=subprocess.DEVNULL)
    columns = "outcome, event_id, user_id, source_partition"
    partitions = f"(select {columns} from delta_scan('{{}}/bronze/events') where user_id is not null)"
    comparison.tables(
        "partition of each event", *(partitions.format(home.lake) for home in (produced, simulated)), without=()
    )
    comparison.finish()
