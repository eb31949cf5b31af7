"""The job: what it reads, the steps, what it writes, and how it begins and ends.

    video-events -> pack -> by partition -> Clean -> clean-events + video-events.dlq
    a task a partition      Rust kernels, keyed state   one Kafka transaction a task and checkpoint

A partition of the cleaned topics holds what came from the same partition of video-events, in its order, as landing
bronze from them needs it. Therefore the job has as many tasks a step as the topics have partitions, and each partition
a task of its own.
"""

import itertools
import signal
import sys
import time
from argparse import Namespace

from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.expressions import col
from pyflink.table.udf import udf

import checkpoints
import connector
from brokers import Brokers, Topic, reason
from cleaning import CLEAN_EVENTS, CLEANED, DEAD_LETTERS, VIDEO_EVENTS, Clean, Rules, pack

GROUP = "streamreel-flink"
# Key groups of the state, and so the most partitions.
MAX_PARALLELISM = 128
# Records that go to Python together, at most ...
BATCH = 10_000
# ... and for how long they are waited for.
BATCH_MS = 100
# Brokers refuse more than their transaction.max.timeout.ms, 15 min unless changed.
TRANSACTION_MS = 600_000
POLL_S = 0.5
START_S = 120
# Tables on Kafka: keys and values are bytes.
TABLE = {
    "connector": "kafka",
    "key.format": "raw",
    "key.fields": "key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}
READING = {
    "topic": VIDEO_EVENTS,
    "scan.startup.mode": "earliest-offset",
    "properties.group.id": GROUP,
    "properties.isolation.level": "read_committed",
}
WRITING = {
    "topic": f"{CLEAN_EVENTS};{DEAD_LETTERS}",
    # Task n writes to partition n.
    "sink.partitioner": "fixed",
    "sink.delivery-guarantee": "exactly-once",
    "sink.transactional-id-prefix": GROUP,
    "properties.transaction.timeout.ms": str(TRANSACTION_MS),
    "properties.compression.type": "lz4",
    "properties.linger.ms": "5",
    "properties.batch.size": "262144",
}


class JobError(Exception):
    """The job can't run, or has failed."""


def run(settings: Namespace) -> None:
    """Runs the job until its end, or with `--follow` until it is told to stop."""
    jar = connector.find(settings.jar)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration(settings, jar))
    environment.add_jars(jar.as_uri())
    brokers = Brokers({**dict(settings.property), "bootstrap.servers": settings.brokers})
    cluster = brokers.cluster()
    source = topics(brokers)
    log = f"{cluster}.{source.id}"
    ends = {partition: end(brokers, partition) for partition in range(source.partitions)}
    written = written_to(brokers, log, source)
    if not settings.follow and all(written[partition] >= end for partition, end in ends.items()):
        say("everything is written: nothing to do")
        return
    rules = Rules(
        log, settings.dedupe_window, settings.dedupe_max_entries // source.partitions, settings.keep_payload == "all"
    )
    table_environment = graph(environment, brokers.properties, source, rules, written)
    started = table_environment.execute_sql(
        "INSERT INTO cleaned SELECT `key`, payload, topic, TO_TIMESTAMP_LTZ(timestamp_ms, 3), headers FROM records"
    )
    wait(started.get_job_client(), settings, lambda: written_to(brokers, log, source), ends)


def configuration(settings: Namespace, jar) -> Configuration:
    """Flink's settings."""
    restored = settings.restore and checkpoints.uri(settings.restore) or checkpoints.newest(settings.checkpoints)
    values = {
        "pipeline.name": "streamreel clean",
        "pipeline.max-parallelism": MAX_PARALLELISM,
        "execution.checkpointing.interval": f"{settings.checkpoint_interval} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        # In the memory of the JVM, the default, a checkpoint fails at 5 MiB of state.
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": checkpoints.uri(settings.checkpoints),
        "execution.checkpointing.savepoint-dir": f"{checkpoints.uri(settings.checkpoints)}/savepoints",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # The window is written once and then only grows and is cut: what is new of it is enough for a checkpoint.
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "restart-strategy.type": "none",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.size": BATCH,
        "python.fn-execution.arrow.batch.size": BATCH,
        "python.fn-execution.bundle.time": BATCH_MS,
        "table.local-time-zone": "UTC",
    }
    if settings.follow:
        # What fails for a moment is tried again from the last checkpoint; what always fails ends the job.
        values |= {
            "restart-strategy.type": "failure-rate",
            "restart-strategy.failure-rate.max-failures-per-interval": 5,
            "restart-strategy.failure-rate.failure-rate-interval": "10 min",
            "restart-strategy.failure-rate.delay": "5 s",
        }
    if restored:
        say(f"going on from {restored}")
        values["execution.state-recovery.path"] = restored
    made = Configuration()
    for name, value in values.items():
        made.set_string(name, str(value))
    return made


def topics(brokers: Brokers) -> Topic:
    """video-events, after a look at all three topics."""
    found = {name: brokers.topic(name) for name in (VIDEO_EVENTS, CLEAN_EVENTS, DEAD_LETTERS)}
    missing = [name for name, topic in found.items() if topic is None]
    if missing:
        raise JobError(
            f"Kafka at {brokers.servers} has no topic {' and no topic '.join(missing)}; "
            "`streamreel --log kafka://... topics --apply kafka/topics/streamreel.toml` makes all three"
        )
    source = found[VIDEO_EVENTS]
    for topic in found.values():
        if topic.partitions != source.partitions:
            raise JobError(
                f"{topic.name} has {topic.partitions} partitions and {source.name} {source.partitions}; a partition of "
                "the cleaned topics holds what came from the same one of video-events: make the topic anew with as many"
            )
    if source.partitions > MAX_PARALLELISM:
        raise JobError(f"{source.name} has {source.partitions} partitions; this job works on at most {MAX_PARALLELISM}")
    return source


def end(brokers: Brokers, partition: int) -> int:
    """The offset after the last record of a partition of video-events."""
    last = brokers.last_record(VIDEO_EVENTS, partition)
    return 0 if last is None else last[0] + 1


def written_to(brokers: Brokers, log: str, source: Topic) -> dict[int, int]:
    """For each partition the offset of video-events up to which the cleaned topics have it, whoever wrote them."""
    written = dict.fromkeys(range(source.partitions), 0)
    for partition, topic in itertools.product(written, (CLEAN_EVENTS, DEAD_LETTERS)):
        last = brokers.last_record(topic, partition)
        if last is None:
            continue
        headers = last[1]
        if headers.get("source_log") != log.encode() or headers.get("source_partition") != b"%d" % partition:
            found = headers.get("source_log", b"(no header)").decode(errors="replace")
            raise JobError(
                f"partition {partition} of {topic} holds records of another log, {found}, than {log}, which "
                f"{VIDEO_EVENTS} is now; make the cleaned topics anew"
            )
        written[partition] = max(written[partition], int(headers["source_offset"]) + 1)
    return written


def graph(
    environment, properties: dict[str, str], source: Topic, rules: Rules, written: dict[int, int]
) -> StreamTableEnvironment:
    """All steps, ending in the view `records` and the table `cleaned` that it goes into."""
    environment.set_parallelism(source.partitions)
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE video_events (
            `key` BYTES, payload BYTES, `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
            received_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, headers MAP<STRING, BYTES> METADATA VIRTUAL
        ) WITH ({options(properties, READING)})""")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE cleaned (
            `key` BYTES, payload BYTES, topic STRING METADATA, received_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
            headers MAP<STRING, BYTES> METADATA
        ) WITH ({options(properties, WRITING)})""")
    read = tables.sql_query("""
        SELECT `partition`, `offset`,
               EXTRACT(EPOCH FROM received_at) * 1000 + MOD(EXTRACT(MILLISECOND FROM received_at), 1000),
               `key`, payload, headers['cut']
        FROM video_events""")
    columns = [DataTypes.FIELD("partition", DataTypes.INT()), DataTypes.FIELD("records", DataTypes.BYTES())]
    packed = read.map(udf(pack, result_type=DataTypes.ROW(columns), func_type="pandas")).alias("partition", "records")
    lane = lanes(source.partitions)
    cleaned = (
        tables.to_data_stream(packed.where(col("records").is_not_null))
        .key_by(lambda row: lane[row[0]], key_type=Types.INT())
        .process(Clean(rules, written), output_type=CLEANED)
        .name("clean")
        .uid(f"clean {rules.source_log} {source.partitions}")
    )
    tables.create_temporary_view("records", tables.from_data_stream(cleaned))
    return tables


def options(properties: dict[str, str], table: dict[str, str]) -> str:
    """A table's settings: those of all, those of the clients, its own."""
    clients = {f"properties.{name}": value for name, value in properties.items()}
    return ", ".join(f"{literal(name)} = {literal(value)}" for name, value in {**TABLE, **clients, **table}.items())


def literal(text: str) -> str:
    """Text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def lanes(partitions: int) -> dict[int, int]:
    """For each partition the key with which Flink gives its records to the task of the same number."""
    gateway = get_gateway()
    assign = gateway.jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignKeyToParallelOperator
    found = {}
    for key in itertools.count():
        fields = gateway.new_array(gateway.jvm.Object, 1)
        fields[0] = key
        found.setdefault(assign(gateway.jvm.org.apache.flink.types.Row.of(fields), MAX_PARALLELISM, partitions), key)
        if len(found) == partitions:
            return found


def wait(job, settings: Namespace, written, ends: dict[int, int]) -> None:
    """Until everything is written, or somebody wants an end; then stops the job at a savepoint, from which the next run
    goes on."""
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    while not stop:
        status = job.get_job_status().result().name
        if status in ("FAILED", "CANCELED", "FINISHED"):
            raise JobError(f"the job has ended as {status}: {failure(job)}")
        if not settings.follow:
            at = written()
            if all(at[partition] >= end for partition, end in ends.items()):
                break
        time.sleep(POLL_S)
    say(f"stopped at {stop_at_savepoint(job, f'{checkpoints.uri(settings.checkpoints)}/savepoints')}")


def stop_at_savepoint(job, folder: str) -> str:
    """Ends the job; what it has written is committed, and the savepoint says where it was."""
    # PyFlink's own call is for an older Flink: there this method had two arguments.
    kind = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.CANONICAL
    until = time.monotonic() + START_S
    while True:
        try:
            return job._j_job_client.stopWithSavepoint(False, folder, kind).get()
        except Exception as error:
            # A job that is told so at once is not yet running everywhere.
            if "Not all required tasks are currently running" not in reason(error) or time.monotonic() > until:
                raise JobError(f"the job could not be stopped at a savepoint: {reason(error)}") from None
        time.sleep(POLL_S)


def failure(job) -> str:
    """Why a job has failed."""
    try:
        job.get_job_execution_result().result()
    except Exception as error:
        return reason(error)
    return "no reason is known"


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)
