"""What the tests in Python share: where the program is, environments made on demand, tools that must be there."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamreel"

#: Installs in seconds what takes pip a minute.
UV = "uv==0.13.9"


def target() -> Path:
    """Where builds, environments and downloads go: cargo's target folder, or one in the cache."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache/streamreel/target")


def program(given: str | None = None) -> Path:
    """The program to test: the one given, else what `cargo build --release` left."""
    found = Path(given).resolve() if given else target() / "release/streamreel"
    if not found.is_file():
        sys.exit(f"{found} is not there: run `cargo build --release`, or say where it is with --program")
    return found


def environment(lock: str) -> Path:
    """The Python of a virtual environment for a lock file of this repository, made the first time; `tests/lock.py` writes locks.

    It is named by the lock file's hash: a changed lock makes a new one, a half-made one is made again.
    """
    name = f"{Path(lock).with_suffix('').as_posix().replace('/', '-')}-{sys.version_info[0]}.{sys.version_info[1]}"

    def make(folder: Path) -> None:
        say(f"installing {lock}")
        run(uv(), "venv", "--quiet", "--clear", "--python", sys.executable, folder, env=uv_settings())
        # A lock names everything, so nothing is left to resolve.
        install(folder, "--no-deps", "--require-hashes", "--requirement", ROOT / lock)

    return cached(CACHE / "environments", name, (ROOT / lock).read_bytes(), make) / "bin/python"


def install(folder: Path, *arguments: object) -> None:
    """Installs into a virtual environment; arguments are those of pip."""
    python = folder / "bin/python"
    run(uv(), "pip", "install", "--quiet", "--system-certs", "--python", python, *arguments, env=uv_settings())


def uv_settings() -> dict[str, str]:
    """The environment for uv, which does not read where pip is told to get packages from."""
    ask = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    asked = subprocess.run(ask, check=False, capture_output=True, text=True)
    index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    return {**({"UV_DEFAULT_INDEX": index} if index else {}), **os.environ}


def uv() -> Path:
    """uv, in an environment of its own."""

    def make(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)

    return cached(CACHE, "uv", UV.encode(), make) / "bin/uv"


def cached(where: Path, name: str, content: bytes, make: Callable[[Path], None]) -> Path:
    """A folder for some content, made the first time; whoever comes meanwhile waits."""
    folder = where / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    complete = folder / "complete"
    where.mkdir(parents=True, exist_ok=True)
    with locked(Path(f"{folder}.lock")):
        if not complete.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While this is held, nobody else holds it."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def need(tool: str, package: str) -> str:
    """The path of a system tool; installs Debian's package where it may, else says what to do."""
    found = shutil.which(tool)
    if found:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing Debian's {package} for `{tool}`")
        run("apt-get", "update", "--quiet", capture_output=True)
        run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package)
        found = shutil.which(tool)
    if not found:
        sys.exit(f"`{tool}` is needed: apt install {package}")
    return found


def npm() -> None:
    """The page's packages, as its lock file says; only where they are others."""
    web = ROOT / "web"
    digest = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    note = web / "node_modules/.streamreel-lock"
    if not note.is_file() or note.read_text() != digest:
        run("npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error", cwd=web)
        note.write_text(digest)


def run(*command, **options) -> subprocess.CompletedProcess:
    """Runs a program that must succeed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, check=False, **options)
    if done.returncode:
        said = "".join(str(part) for part in (done.stdout, done.stderr) if part)
        sys.exit(f"{' '.join(command[:6])} ended with {done.returncode}\n{said}")
    return done


def say(text: str) -> None:
    """A line on stderr, with the time since the start."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


_BEGAN = time.monotonic()
