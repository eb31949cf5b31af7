#!/usr/bin/env python3
"""The engines, each installed by its lock file into a cache outside of the repository; a missing one is a failure.

    python3 conformance/engines.py        (installs all of them, which the checks do as well when they need one)
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import tools  # noqa: E402
from tools import cached, environment, locked, need, run, say  # noqa: E402

CACHE = tools.CACHE / "engines"

#: Lock files of all environments that checks use.
LOCKS = (
    "conformance/requirements.txt",
    "dbt/requirements.txt",
    "dbt/requirements-spark.txt",
    "spark/requirements.txt",
    "kafka/requirements.txt",
    "flink/requirements.txt",
    "airflow/requirements.txt",
)

#: Delta on Spark is five jars; what else Maven fetches for them Spark has itself.
DELTA_JARS = 5

MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"


def delta_jars() -> str:
    """The jars of Delta for Spark, comma-separated; and a Java for it."""
    need("java", "default-jdk-headless")
    jars = sorted(maven("delta-jars", "spark/pom.xml").glob("delta-*.jar"))
    if len(jars) != DELTA_JARS:
        raise SystemExit(f"Delta for Spark should be {DELTA_JARS} jars, there are {len(jars)}: {jars}")
    return ",".join(map(str, jars))


def s3a_jars() -> str:
    """The jars with which Spark reads and writes buckets, comma-separated: 640 MB."""
    return ",".join(map(str, sorted(maven("s3a-jars", "conformance/s3a.xml").glob("*.jar"))))


def maven(name: str, pom: str) -> Path:
    """A folder with the jars that a pom of this repository names."""

    def make(folder: Path) -> None:
        say(f"fetching the jars of {pom}")
        copy = [f"{MAVEN_PLUGIN}:copy-dependencies", f"-DoutputDirectory={folder}"]
        run(need("mvn", "maven"), "--batch-mode", "--quiet", "--file", ROOT / pom, *copy)

    return cached(CACHE, name, (ROOT / pom).read_bytes(), make)


def wheel() -> Path:
    """The package `streamreel` of this tree: a wheel for every Python from 3.10 (abi3), beside cargo's other builds."""
    maturin = environment("conformance/requirements.txt").parent / "maturin"
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "python"
    surroundings = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    wheels = target / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels) as made:
        run(
            maturin,
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--manifest-path",
            ROOT / "python/Cargo.toml",
            "--interpreter",
            sys.executable,
            "--out",
            made,
            env=surroundings,
        )
        (built,) = Path(made).glob("streamreel-*-abi3-*.whl")
        # In one act: others may be installing the one that is there.
        return built.replace(wheels / built.name)


def with_package(python: Path) -> Path:
    """The environment with the package of this tree in it; only what changed is installed."""
    folder = python.parent.parent
    note = folder / "streamreel-wheel"
    with locked(Path(f"{note}.lock")):
        built = wheel()
        digest = hashlib.sha256(built.read_bytes()).hexdigest()
        if not note.is_file() or note.read_text() != digest:
            note.unlink(missing_ok=True)
            tools.install(folder, "--no-deps", "--reinstall", built)
            note.write_text(digest)
    return python


def fetch() -> None:
    """Installs all engines, but for what is large and only a whole comparison needs."""
    delta_jars()
    for lock in LOCKS:
        environment(lock)
    run(sys.executable, ROOT / "flink/connector.py", stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    fetch()
