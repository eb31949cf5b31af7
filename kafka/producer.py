#!/usr/bin/env python3
"""Made-up viewers into a Kafka, from Python: a thin producer over confluent-kafka that calls StreamReel's simulator.

    python kafka/producer.py --brokers localhost:9092 --events 100000
    python kafka/producer.py --brokers localhost:9092 --rate 200 --for 60        # in real time
    python kafka/producer.py --brokers localhost:9092 --file events.ndjson       # events of your own; - is stdin

Needs kafka/requirements.txt and the package in python/. The topic must be there (`streamreel topics --apply
kafka/topics/streamreel.toml`). Records are keyed by user_id, so that all copies of an event share a partition; the same
arguments give the same records as `streamreel simulate`. Exit status 0 when the brokers have acknowledged every record.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import streamreel
from confluent_kafka import KafkaError, KafkaException, Message, Producer

TOPIC = "video-events"

#: Longer records are cut on their way into the topic, and a header says so.
MAX_RECORD_BYTES = 32 * 1024

#: Lines of a file that are taken together.
BATCH = 1000

#: Key, bytes and timestamp (milliseconds) of a record.
Record = tuple[bytes | None, bytes, int]


def main() -> None:
    arguments = parse()
    properties = dict(pair.split("=", 1) for pair in arguments.property)
    problems: list[str] = []

    def acknowledged(error: KafkaError | None, message: Message) -> None:
        if error:
            problems.append(f"partition {message.partition()}: {error}")

    # Idempotent: what is sent again after a lost answer is stored once, and in order. The hash of the key decides the
    # partition as in Java's clients.
    producer = Producer(
        {
            "bootstrap.servers": arguments.brokers,
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            **properties,
        }
    )
    check_topic(producer, arguments.topic)
    sent = 0
    for record in records(arguments):
        send(producer, arguments.topic, record, acknowledged)
        sent += 1
        if problems:
            break
    left = producer.flush(arguments.timeout)
    if problems or left:
        sys.exit(
            f"producer: {len(problems)} records were refused, {left} not acknowledged within {arguments.timeout} s: "
            f"{'; '.join(problems[:3]) or 'is the broker there?'}"
        )
    print(f"{sent} records acknowledged", file=sys.stderr)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--brokers", required=True, help="HOST:PORT[,HOST:PORT]")
    parser.add_argument("--topic", default=TOPIC)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--events", type=int, help="so many made-up records, as fast as it goes")
    what.add_argument("--rate", type=float, help="so many a second, in real time")
    what.add_argument("--file", help="NDJSON, a record a line; - is stdin")
    parser.add_argument("--for", dest="for_s", type=float, help="seconds, with --rate (default: until Ctrl-C)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dirt", type=float, default=0.05, help="share of rejects and copies, 0 to 0.9")
    parser.add_argument("--loss", type=float, default=0.0, help="share of events that get lost, 0 to 0.9")
    parser.add_argument("--titles", type=Path, help="where to write the videos, as a video_metadata.csv")
    parser.add_argument(
        "--property", action="append", default=[], metavar="KEY=VALUE", help="any property of librdkafka"
    )
    parser.add_argument("--timeout", type=float, default=60, help="seconds to wait for brokers")
    return parser.parse_args()


def check_topic(producer: Producer, topic: str) -> None:
    try:
        found = producer.list_topics(topic, timeout=20).topics[topic]
    except KafkaException as problem:
        sys.exit(f"producer: no broker answers: {problem}")
    if found.error:
        sys.exit(
            f"producer: the topic {topic}: {found.error}; make it with `streamreel topics --apply kafka/topics/streamreel.toml`"
        )


def records(arguments: argparse.Namespace) -> Iterator[Record]:
    if arguments.file:
        yield from lines(arguments.file)
        return
    is_live = arguments.rate is not None
    start_ms = int(time.time() * 1000) if is_live else None
    try:
        simulation = streamreel.simulate(
            events=arguments.events,
            rate=arguments.rate,
            for_s=arguments.for_s,
            seed=arguments.seed,
            dirt=arguments.dirt,
            loss=arguments.loss,
            start_ms=start_ms,
            batch_size=256 if is_live else 8192,
        )
    except ValueError as problem:
        sys.exit(f"producer: {problem}")
    if arguments.titles:
        arguments.titles.write_text(simulation.titles())
    for batch in map(pa.record_batch, simulation):
        for key, payload, at_ms in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if is_live:
                time.sleep(max(0.0, at_ms / 1000 - time.time()))
            yield key, payload, at_ms


def lines(path: str) -> Iterator[Record]:
    """A record a line that is not blank, keyed by the user that decoding finds in it."""
    with sys.stdin.buffer if path == "-" else open(path, "rb") as file:
        payloads = (line.rstrip(b"\r\n") for line in file)
        payloads = (payload for payload in payloads if payload.strip())
        while some := list(islice(payloads, BATCH)):
            keys = streamreel.producer_keys(pa.record_batch({"payload": pa.array(some, pa.binary())}))
            for key, payload in zip(pa.record_batch(keys).column("key").to_pylist(), some, strict=True):
                yield key, payload, int(time.time() * 1000)


def send(producer: Producer, topic: str, record: Record, acknowledged) -> None:
    key, payload, at_ms = record
    headers = [("cut", str(len(payload)).encode())] if len(payload) > MAX_RECORD_BYTES else None
    while True:
        try:
            producer.produce(
                topic, payload[:MAX_RECORD_BYTES], key, timestamp=at_ms, headers=headers, on_delivery=acknowledged
            )
            producer.poll(0)
            return
        except BufferError:
            # The queue is full: brokers are slower than this. Nothing is dropped.
            producer.poll(0.5)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
