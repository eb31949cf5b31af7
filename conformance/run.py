#!/usr/bin/env python3
"""Other engines against the program: seeded events with every kind of dirt through both, compared table by table, row
by row.

    python3 conformance/run.py [--engine NAME ...] [--quick] [--program PATH] [--keep]

Engines are installed by their lock files into ~/.cache/streamreel the first time (PyPI, Maven Central); needed are
Python 3.11 with venv, Rust, and for some of them a JDK 17 and Maven. Rows that differ are shown; exit status 0 if there
are none.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import engines

#: Engine -> module and function that checks it, the lighter ones first.
CHECKS = {
    "package": ("check_package", "check"),
    "dbt-duckdb": ("check_dbt", "duckdb"),
    "spark": ("check_spark", "check"),
    "dbt-spark": ("check_dbt", "spark"),
    "kafka": ("check_kafka", "check"),
    "flink": ("check_flink", "check"),
    "airflow": ("check_airflow", "check"),
}

#: Set in the process that has the packages which the checks themselves need.
INSIDE = "REEL_CONFORMANCE"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", action="append", choices=[*CHECKS, "all"], help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="few events, fewer cases")
    parser.add_argument("--program", type=Path, help="the program (default: cargo's release build)")
    parser.add_argument("--keep", action="store_true", help="leave lakes and logs where they are")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        python = engines.environment("conformance/requirements.txt")
        os.execve(python, [str(python), *sys.argv], {**os.environ, INSIDE: "1", "PYTHONDONTWRITEBYTECODE": "1"})
    target = Path(os.environ.get("CARGO_TARGET_DIR") or engines.ROOT / "target")
    program = (arguments.program or target / "release/streamreel").resolve()
    if not program.is_file():
        sys.exit(f"{program} is not there: run `cargo build --release`, or say where it is with --program")
    wanted = arguments.engine or ["all"]
    for name, (module, function) in CHECKS.items():
        if name in wanted or "all" in wanted:
            check(name, getattr(importlib.import_module(module), function), program, arguments)


def check(name: str, function, program: Path, arguments: argparse.Namespace) -> None:
    engines.say(f"== {name}")
    scratch = Path(tempfile.mkdtemp(prefix=f"streamreel-{name}-"))
    try:
        function(program, scratch, arguments.quick)
    except (Exception, SystemExit) as problem:
        arguments.keep = True
        engines.say(f"what was made is in {scratch}")
        sys.exit(f"{name}: {type(problem).__name__}: {problem}")
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    engines.say(f"== {name}: all agrees")


if __name__ == "__main__":
    main()
