#!/usr/bin/env python3
"""The cleaning job on Apache Flink: video-events -> clean-events + video-events.dlq, each record exactly once.

    python flink/connector.py                      # once: fetches the Kafka connector
    python flink/stream_processor.py --brokers 127.0.0.1:9092 --checkpoints DIR [--follow]

Without --follow it ends when everything that is in video-events at the start has been cleaned. Run again with the same
--checkpoints, after whatever end, it goes on where it was. `streamreel --log kafka://... process --from clean` lands
bronze from what it writes.
"""

import argparse
import re
import sys
from importlib.metadata import PackageNotFoundError, version

FLINK = "2.3.0"
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def main() -> None:
    """Checks what must be there, then runs the job."""
    settings = parser().parse_args()
    check_packages()
    # They need the packages.
    from brokers import BrokerError
    from connector import ConnectorError
    from job import JobError, run

    try:
        run(settings)
    except (BrokerError, ConnectorError, JobError) as error:
        sys.exit(f"stream_processor: {error}")


def check_packages() -> None:
    """Ends with what to install where a package is missing, or is of a version that the job does not work with."""
    for package, wanted in (("apache-flink", FLINK), ("streamreel", None)):
        install = (
            "`pip install -r flink/requirements.txt`"
            if wanted
            else "the wheel that `maturin build --release` makes in python/"
        )
        try:
            found = version(package)
        except PackageNotFoundError:
            sys.exit(f"stream_processor: {sys.executable} has no package {package}; install {install}")
        if wanted and found != wanted:
            sys.exit(
                f"stream_processor: {package} is {found}; this job, its connector and its checkpoints are for "
                f"{wanted}: {install}"
            )


def parser() -> argparse.ArgumentParser:
    """The flags. Those that decide about records are the embedded processor's settings, with its defaults."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--brokers", required=True, metavar="HOST:PORT,...")
    flags.add_argument(
        "--property",
        action="append",
        default=[],
        type=pair,
        metavar="NAME=VALUE",
        help="a property of Kafka's Java clients, as for logging in; may be repeated",
    )
    flags.add_argument(
        "--checkpoints", required=True, metavar="DIR", help="a folder, or a URI of a file system that Flink knows"
    )
    flags.add_argument(
        "--restore",
        metavar="PATH",
        help="a checkpoint or savepoint to go on from; without it the newest in DIR, where DIR is a folder on this "
        "machine",
    )
    flags.add_argument(
        "--checkpoint-interval",
        default="10s",
        type=milliseconds,
        metavar="TIME",
        help="how often results become visible (%(default)s)",
    )
    flags.add_argument("--follow", action="store_true", help="go on for ever")
    flags.add_argument(
        "--dedupe-window", default="10m", type=milliseconds, metavar="TIME", help="process.dedupe_window (%(default)s)"
    )
    flags.add_argument(
        "--dedupe-max-entries",
        default=8_000_000,
        type=int,
        metavar="N",
        help="process.dedupe_max_entries, all partitions together (%(default)s)",
    )
    flags.add_argument(
        "--keep-payload", default="rejected", choices=["rejected", "all"], help="bronze.keep_payload (%(default)s)"
    )
    flags.add_argument("--jar", metavar="FILE", help="the Kafka connector, if not the one that connector.py fetches")
    return flags


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def milliseconds(text: str) -> int:
    """A length of time as the program's settings write it: `10m`, `1h 30m`, `500ms`."""
    parts = re.findall(r"(\d+)\s*(ms|[smhd])", text)
    if not parts or re.sub(r"(\d+)\s*(ms|[smhd])|\s", "", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; give one as 500ms, 10s, 10m or 1h")
    return sum(int(number) * UNITS_MS[unit] for number, unit in parts)


if __name__ == "__main__":
    main()
