"""The engines, each installed by its lock file into a cache outside of the repository; a missing one is a failure.

An environment is named by its lock file's hash: a changed lock makes a new one, a half-made one is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from tools import need, run, say  # noqa: E402

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamreel" / "engines"

#: Delta on Spark is five jars; what else Maven fetches for them Spark has itself.
DELTA_JARS = 5

MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"


def environment(lock: str) -> Path:
    """The Python of the environment for a lock file of this repository."""
    text = (ROOT / lock).read_bytes()
    name = f"{Path(lock).with_suffix('').as_posix().replace('/', '-')}-{sys.version_info[0]}.{sys.version_info[1]}"

    def make(folder: Path) -> None:
        say(f"installing {lock}")
        run(sys.executable, "-m", "venv", folder)
        # A lock names everything, so nothing is left to resolve.
        install(folder / "bin/python", "--require-hashes", "--requirement", ROOT / lock)

    return cached(name, text, make) / "bin/python"


def install(python: Path, *what: str | Path) -> None:
    """Installs into the environment of this Python, without what it would bring along."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *what)


def delta_jars() -> str:
    """The jars of Delta for Spark, comma-separated; and a Java for it."""
    need("java", "default-jdk-headless")
    pom = ROOT / "spark/pom.xml"

    def make(folder: Path) -> None:
        say("fetching Delta for Spark")
        run(
            need("mvn", "maven"),
            "--batch-mode",
            "--quiet",
            "--file",
            pom,
            f"{MAVEN_PLUGIN}:copy-dependencies",
            f"-DoutputDirectory={folder}",
        )

    jars = sorted(cached("delta-jars", pom.read_bytes(), make).glob("delta-*.jar"))
    if len(jars) != DELTA_JARS:
        raise SystemExit(f"Delta for Spark should be {DELTA_JARS} jars, there are {len(jars)}: {jars}")
    return ",".join(map(str, jars))


def wheel() -> Path:
    """The package `streamreel` of this tree, built."""
    maturin = environment("conformance/requirements.txt").parent / "maturin"
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "python"
    surroundings = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    wheels = target / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
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
        wheels,
        env=surroundings,
    )
    (built,) = wheels.glob("streamreel-*.whl")
    return built


def with_package(python: Path) -> Path:
    """The environment with the package of this tree in it; only what changed is installed."""
    built = wheel()
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    note = python.parent.parent / "streamreel-wheel"
    if not note.is_file() or note.read_text() != digest:
        install(python, "--force-reinstall", built)
        note.write_text(digest)
    return python


def cached(name: str, content: bytes, make: Callable[[Path], None]) -> Path:
    """A folder of the cache for some content, made the first time; whoever comes meanwhile waits."""
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    complete = folder / "complete"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not complete.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder


@contextmanager
def locked(path: Path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
