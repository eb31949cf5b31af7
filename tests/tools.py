"""What the tests in Python share: where the program is, environments made on demand, tools that must be there."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def target() -> Path:
    """Where builds, environments and downloads go: cargo's target folder, or one in the cache."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache/streamreel/target")


def program(given: str | None = None) -> Path:
    """The program to test: the one given, else what `cargo build --release` left."""
    found = Path(given).resolve() if given else target() / "release/streamreel"
    if not found.is_file():
        sys.exit(f"{found} is not there: run `cargo build --release`, or say where it is with --program")
    return found


def environment(requirements: Path) -> Path:
    """The Python of a virtual environment with these requirements, made the first time; changed ones make a new one.

    A requirement under the line `# without dependencies` is installed without what it asks for.
    """
    text = requirements.read_text()
    name = f"{requirements.parent.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder = target() / "venvs" / name
    python = folder / "bin/python"
    complete = folder / "complete"
    if complete.is_file():
        return python
    say(f"making a Python environment for {requirements.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", folder)
    whole, _, alone = text.partition("# without dependencies")
    for flags, wanted in (([], whole), (["--no-deps"], alone)):
        packages = [line.strip() for line in wanted.splitlines() if line.strip() and not line.startswith("#")]
        if packages:
            run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *flags, *packages)
    complete.touch()
    return python


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
