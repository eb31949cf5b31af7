"""The Kafka connector for Flink: one jar from Maven Central, pinned by its checksum, kept outside of the repository."""

import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path

# Built for Flink 2.2; the newest there is, and it works on 2.3.
VERSION = "5.0.0-2.2"
NAME = f"flink-sql-connector-kafka-{VERSION}.jar"
URL = f"https://repo1.maven.org/maven2/org/apache/flink/flink-sql-connector-kafka/{VERSION}/{NAME}"
SHA256 = "5605c691d11a501382c383fecba37a7a552467da5ab7ba904ef5d6f3d62c5616"
CACHE = Path(os.environ.get("STREAMREEL_FLINK_JARS") or Path.home() / ".cache/streamreel/flink")


class ConnectorError(Exception):
    """There is no connector, or it is another one than it should be."""


def find(jar: str | None) -> Path:
    """The jar that is given, else that in the cache."""
    path = Path(jar) if jar else CACHE / NAME
    if not path.is_file():
        raise ConnectorError(f"the Kafka connector {path} is not there; `python flink/connector.py` fetches {NAME}")
    if path.name == NAME:
        check(path)
    return path.resolve()


def check(path: Path) -> None:
    """Refuses a jar that is not the pinned one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ConnectorError(
            f"{path} is not {NAME} as it was published (sha256 {found}, expected {SHA256}); "
            "remove it and fetch it again"
        )


def fetch() -> Path:
    """The jar in the cache, fetched the first time."""
    path = CACHE / NAME
    if path.is_file():
        check(path)
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with (
        urllib.request.urlopen(URL, timeout=60) as answer,
        tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as part,
    ):
        part.write(answer.read())
    try:
        check(Path(part.name))
        # Complete or not there, whoever else fetches it meanwhile.
        os.replace(part.name, path)
    finally:
        Path(part.name).unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    print(fetch())
