"""What a check needs of a Kafka beside the program: run by the Python of `kafka/requirements.txt`.

kafka_topics.py BROKERS make TOPIC PARTITIONS    ... anew, if it is there
kafka_topics.py BROKERS odd TOPIC                appends records that only other producers would make
kafka_topics.py BROKERS dump TOPIC FILE          the committed records as Parquet
kafka_topics.py BROKERS count TOPIC              how many committed records there are
kafka_topics.py BROKERS behind TOPIC GROUP       1 if there are records that a group has not committed, else 0
"""

import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

#: As the program makes topics: nothing is removed by time, timestamps are the producer's.
SETTINGS = {
    "retention.ms": "-1",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
DONE_S = 30
HOUR_MS = 3_600_000
STARTING = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)


def make(brokers: str, topic: str, partitions: str) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    if topic in admin.list_topics(timeout=DONE_S).topics:
        admin.delete_topics([topic])[topic].result(DONE_S)
    until = time.monotonic() + DONE_S
    while True:
        try:
            return admin.create_topics([NewTopic(topic, int(partitions), 1, config=SETTINGS)])[topic].result(DONE_S)
        except KafkaException as problem:
            # Deleting takes a moment.
            if problem.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > until:
                raise
            time.sleep(0.2)


def odd(brokers: str, topic: str) -> None:
    """To the first partition, in this order. Times: long after all others, then an hour and more back and forth."""

    def event(**fields: object) -> bytes:
        every = {"user_id": "odd", "video_id": "v", "event_type": "play", "timestamp": 1767571200, **fields}
        text = {name: f'"{value}"' if isinstance(value, str) else str(value) for name, value in every.items()}
        return ("{" + ", ".join(f'"{name}": {value}' for name, value in text.items()) + "}").encode()

    now = 1_800_000_000_000
    records = [
        (now, None, None, []),
        (now, None, b"", []),
        (now, None, b"no json", []),
        (now, b"", event(event_id="empty key"), []),
        (now, b"odd", event(event_id="a", position_s=1), []),
        (now - HOUR_MS, b"odd", event(event_id="a", position_s=2), []),
        (now + 1, None, event(event_id="a", position_s=3), []),
        (now + HOUR_MS, b"odd", event(event_id="a", position_s=4), []),
        (now, b"odd", event(event_id="a", position_s=5), []),
        (now, b"odd", event(event_id="b", duration_s=-1, sequence=-1, region="Atlantis", Übrig="ü\\u0000"), []),
        (now, b"odd", event(event_id="b", duration_s=-1), []),
        (1, b"odd", event(event_id="1970"), []),
        (now, b"cut", event(event_id="cut"), [("cut", b"40000")]),
        (now, b"odd", event(event_id="other headers"), [("trace", b"\xff"), ("empty", None)]),
        (now, b"odd", event(user_id="  spaces\\t ", event_id="trimmed"), []),
        (now, b"\xff\xfe", b"\xff\xfe{}", []),
        (now, b"odd", event(event_id="big") + b" " * 40_000, []),
    ]
    producer = Producer({"bootstrap.servers": brokers})
    for timestamp, key, value, headers in records:
        producer.produce(topic, value, key, partition=0, timestamp=timestamp, headers=headers)
    producer.flush(DONE_S)


def read(brokers: str, topic: str):
    """All committed records, in batches."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "conformance",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(topic, DONE_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    # One whose end moves is told of again.
    ended = set()
    while len(ended) < len(partitions):
        messages = consumer.consume(10_000, 1.0)
        failed = [message for message in messages if message.error()]
        for message in failed:
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            ended.add(message.partition())
        yield [message for message in messages if not message.error()]
    consumer.close()


def dump(brokers: str, topic: str, file: str) -> None:
    schema = pa.schema(
        [
            ("partition", pa.int32()),
            ("place", pa.int64()),
            ("timestamp_ms", pa.int64()),
            ("key", pa.binary()),
            ("value", pa.binary()),
            ("headers", pa.list_(pa.struct([("name", pa.utf8()), ("value", pa.binary())]))),
        ]
    )
    seen = dict.fromkeys(range(1_000), 0)
    with pq.ParquetWriter(file, schema) as writer:
        for messages in read(brokers, topic):
            rows = []
            for message in messages:
                partition = message.partition()
                # Offsets depend on how records were divided into transactions, their order does not.
                place, seen[partition] = seen[partition], seen[partition] + 1
                headers = sorted((message.headers() or []), key=lambda header: header[0])
                rows.append(
                    {
                        "partition": partition,
                        "place": place,
                        "timestamp_ms": message.timestamp()[1],
                        "key": message.key(),
                        "value": message.value(),
                        "headers": [{"name": name, "value": value} for name, value in headers],
                    }
                )
            writer.write_table(pa.Table.from_pylist(rows, schema))


def count(brokers: str, topic: str) -> None:
    print(sum(len(messages) for messages in read(brokers, topic)))


def behind(brokers: str, topic: str, group: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(topic, DONE_S).topics[topic].partitions
    places = [TopicPartition(topic, partition) for partition in partitions]
    until = time.monotonic() + DONE_S
    while True:
        try:
            committed = consumer.committed(places, DONE_S)
            break
        except KafkaException as problem:
            # A broker that has just begun looks for its groups; the first member finds out where they are.
            if not problem.args[0].retriable() and problem.args[0].code() not in STARTING or time.monotonic() > until:
                raise
            time.sleep(0.2)
    # Nothing committed is a negative offset.
    consumer.assign([TopicPartition(topic, at.partition, max(at.offset, 0)) for at in committed])
    ended = set()
    # Offsets alone don't tell: markers of transactions take some after the last record.
    while len(ended) < len(partitions):
        message = consumer.poll(DONE_S)
        if message is None or message.error() is None:
            break
        if message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
        ended.add(message.partition())
    print(int(len(ended) < len(partitions)))
    consumer.close()


if __name__ == "__main__":
    _, brokers, verb, *arguments = sys.argv
    {"make": make, "odd": odd, "dump": dump, "count": count, "behind": behind}[verb](brokers, *arguments)
