"""The engines, each installed by its lock file into a cache outside of the repository; a missing one is a failure.

An environment is named by its lock file's hash: a changed lock makes a new one, a half-made one is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
        run(
            folder / "bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
            "--requirement",
            ROOT / lock,
        )

    return cached(name, text, make) / "bin/python"


def delta_jars() -> str:
    """The jars of Delta for Spark, comma-separated."""
    pom = ROOT / "spark/pom.xml"

    def make(folder: Path) -> None:
        say("fetching Delta for Spark")
        run(
            need("mvn"),
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
        run(
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--force-reinstall",
            built,
        )
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


def need(tool: str) -> str:
    """The path of a system tool."""
    found = shutil.which(tool)
    if not found:
        raise SystemExit(f"`{tool}` is needed and not here")
    return found


def run(*command: object, **options) -> subprocess.CompletedProcess:
    """Runs a program that must succeed."""
    text = [str(part) for part in command]
    done = subprocess.run(text, check=False, **options)
    if done.returncode:
        said = "".join(
            part if isinstance(part, str) else part.decode(errors="replace")
            for part in (done.stdout, done.stderr)
            if part
        )
        raise SystemExit(f"{' '.join(text[:8])} ended with {done.returncode}\n{said[-8000:]}")
    return done


def say(text: str) -> None:
    """A line on stderr, with the time since the start."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


_BEGAN = time.monotonic()
