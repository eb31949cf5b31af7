#!/usr/bin/env python3
"""Drives the SQL endpoint with the clients that people use: psql, psycopg, the PostgreSQL JDBC driver.

    python tests/sql/run.py [pytest arguments]

Builds what it serves with, simulates a small lake, and keeps what it needs (a virtual environment, the JDBC driver) in the
build folder, `${CARGO_TARGET_DIR:-target}/sql-tests`. psql and a JDK are installed from Debian when they are missing. What can't be
had is an error, not a skipped test. Exit status: pytest's, or 1.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
FOLDER = TARGET / "sql-tests"
DRIVER = "https://repo1.maven.org/maven2/org/postgresql/postgresql/42.7.7/postgresql-42.7.7.jar"
DEBIAN = {"psql": "postgresql-client", "javac": "default-jdk-headless", "openssl": "openssl", "curl": "curl"}


def run(*command: object, **options) -> None:
    """Runs a command; a failure ends everything."""
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def driver() -> Path:
    """The JDBC driver."""
    jar = FOLDER / "postgresql.jar"
    if not jar.is_file():
        part = jar.with_suffix(".part")
        run("curl", "--fail", "--silent", "--show-error", "--location", "--output", part, DRIVER)
        part.rename(jar)
    return jar


def lake(program: Path) -> Path:
    """A home with a built lake."""
    home = FOLDER / "home"
    shutil.rmtree(home, ignore_errors=True)
    for command in (["simulate", "--events", "20000", "--seed", "7", "--dirt", "0.05"], ["process"], ["build"]):
        run(program, "--quiet", "--home", home, *command)
    return home


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for tool, package in DEBIAN.items():
        tools.need(tool, package)
    # The program and the example together, so that libraries get the same features as in every other build.
    run("cargo", "build", "--release", "--workspace", "--bins", "--examples", cwd=ROOT)
    program = TARGET / "release" / "streamreel"
    environment = os.environ | {
        "SQL_TESTS_FOLDER": str(FOLDER),
        "SQL_TESTS_PROGRAM": str(program),
        "SQL_TESTS_SERVER": str(TARGET / "release" / "examples" / "serve_lake"),
        "SQL_TESTS_DRIVER": str(driver()),
        "SQL_TESTS_HOME": str(lake(program)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    arguments = sys.argv[1:] or [str(HERE)]
    python = str(tools.environment("tests/sql/requirements.txt"))
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}")
