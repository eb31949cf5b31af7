"""Questions to the brokers, asked through the Kafka client that is inside the connector's jar: the same settings hold
for them and for the job, and nothing else has to be installed."""

from dataclasses import dataclass

from pyflink.java_gateway import get_gateway

SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka"
ANSWER_MS = 10_000
# How far before the end of a partition the last record is looked for: transaction markers and aborted records take
# offsets, too.
LOOK_BACK = (1, 16, 1_000, 100_000)


class BrokerError(Exception):
    """The brokers don't answer, or don't have what the job needs."""


@dataclass(frozen=True)
class Topic:
    """A topic as the brokers describe it."""

    name: str
    id: str
    partitions: int


class Brokers:
    """A Kafka, asked on behalf of the job. `properties`: the client's, `bootstrap.servers` among them."""

    def __init__(self, properties: dict[str, str]):
        self.servers = properties["bootstrap.servers"]
        self.properties = properties
        self._jvm = get_gateway().jvm
        self._admin = self._client("clients.admin.AdminClient.create", {})
        bytes_as_they_are = f"{SHADED}.common.serialization.ByteArrayDeserializer"
        self._consumer = self._client(
            "clients.consumer.KafkaConsumer",
            {
                "key.deserializer": bytes_as_they_are,
                "value.deserializer": bytes_as_they_are,
                "isolation.level": "read_committed",
                "enable.auto.commit": "false",
            },
        )
        self._places = {}

    def _class(self, name: str):
        found = self._jvm
        for part in f"{SHADED}.{name}".split("."):
            found = getattr(found, part)
        return found

    def _client(self, name: str, settings: dict[str, str]):
        properties = self._jvm.java.util.Properties()
        timeouts = {"request.timeout.ms": str(ANSWER_MS), "default.api.timeout.ms": str(ANSWER_MS)}
        for key, value in {**self.properties, **timeouts, **settings}.items():
            properties.setProperty(key, value)
        try:
            return self._class(name)(properties)
        except Exception as error:
            raise BrokerError(f"can't connect to Kafka at {self.servers}: {reason(error)}") from None

    def _ask(self, what: str, question):
        try:
            return question()
        except Exception as error:
            raise BrokerError(f"can't {what} Kafka at {self.servers}: {reason(error)}") from None

    def cluster(self) -> str:
        """The identity of the cluster."""
        return self._ask("get an answer from", lambda: self._admin.describeCluster().clusterId().get())

    def topic(self, name: str) -> Topic | None:
        """A topic, or None where there is none of this name."""
        names = self._jvm.java.util.ArrayList()
        names.add(name)
        described = self._ask(
            "ask for topics of", lambda: self._admin.describeTopics(names).topicNameValues().get(name)
        )
        try:
            topic = described.get()
        except Exception as error:
            if "UnknownTopicOrPartition" in reason(error):
                return None
            raise BrokerError(f"can't ask for the topic {name} of Kafka at {self.servers}: {reason(error)}") from None
        # librdkafka, and with it the embedded processor, writes the same bytes in the other alphabet of base64.
        id = topic.topicId().toString().replace("-", "+").replace("_", "/")
        found = Topic(name, id, topic.partitions().size())
        # Once the job runs, some threads of the JVM no longer find the connector's classes by their names.
        place = self._class("common.TopicPartition")
        self._places.update({(name, partition): place(name, partition) for partition in range(found.partitions)})
        return found

    def last_record(self, topic: str, partition: int) -> tuple[int, dict[str, bytes]] | None:
        """Offset and headers of the last committed record of a partition of a topic that was asked for; None where
        there is none."""
        return self._ask(f"read {topic} of", lambda: self._last_record(topic, partition))

    def _last_record(self, topic: str, partition: int):
        consumer, place = self._consumer, self._places[topic, partition]
        places = self._jvm.java.util.ArrayList()
        places.add(place)
        consumer.assign(places)
        end = consumer.endOffsets(places).get(place)
        start = consumer.beginningOffsets(places).get(place)
        for back in (*LOOK_BACK, end - start):
            if end <= start:
                return None
            consumer.seek(place, max(start, end - back))
            last = self._read_to(consumer, place, end)
            if last or end - back <= start:
                return last
        return None

    def _read_to(self, consumer, place, end: int):
        last = None
        while consumer.position(place) < end:
            records = consumer.poll(self._jvm.java.time.Duration.ofMillis(100)).records(place)
            if records.size():
                record = records.get(records.size() - 1)
                last = (
                    record.offset(),
                    {header.key(): bytes(header.value() or b"") for header in record.headers().toArray()},
                )
        return last


def reason(error: Exception) -> str:
    """What a Java exception says, without its stack trace."""
    java = getattr(error, "java_exception", None)
    if java is None:
        return str(error)
    while java.getCause() is not None:
        java = java.getCause()
    return f"{java.getClass().getSimpleName()}: {java.getMessage()}"
