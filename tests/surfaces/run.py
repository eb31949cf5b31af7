#!/usr/bin/env python3
"""All surfaces of a running server: same numbers everywhere, an API as documented, bad input survived, metrics as named.

    python3 tests/surfaces/run.py [--program PATH] [--keep] [parity|tableau|conformance|hostile|metrics ...]

Makes a demo lake of 100,000 events, exports it, starts `streamreel serve` on free ports, runs the checks (all by default), and
stops everything. Needs Python 3.10 with venv, PyPI and Maven Central the first time, and psql, a JDK, Maven and Chromium, which
it installs by apt where it may. Exit status 0 if nothing is wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools
from server import Server

HERE = Path(__file__).resolve().parent
# Parity before the attacks, metrics after them: by then everything has been counted.
CHECKS = ("parity", "tableau", "conformance", "hostile", "metrics")
TOOLS = {"psql": "postgresql-client", "javac": "default-jdk-headless", "mvn": "maven", "chromium": "chromium"}


def prepare(program: Path, scratch: Path) -> tuple[Path, Path]:
    """A demo lake, and its exports in all formats."""
    home, exports = scratch / "home", scratch / "exports"
    tools.say("a demo of 100,000 events")
    tools.run(program, "--quiet", "--home", home, "demo", "--events", "100000", capture_output=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tools.target() / "exports-cache")}
    for form in ("csv", "parquet", "hyper"):
        tools.run(program, "--quiet", "--home", home, "export", "--format", form, "--to", exports, env=environment,
                  stdout=subprocess.DEVNULL)
    return home, exports


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program (default: cargo's release build)")
    parser.add_argument("--keep", action="store_true", help="leave the lake, the logs and the reports where they are")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"some of {', '.join(CHECKS)}")
    args = parser.parse_args()
    unknown = set(args.checks) - set(CHECKS)
    if unknown:
        parser.error(f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    program = tools.program(args.program)
    for tool, package in TOOLS.items():
        tools.need(tool, package)
    python = tools.environment("tests/surfaces/requirements.txt")
    scratch = Path(tempfile.mkdtemp(prefix="streamreel-surfaces-"))
    failed = []
    try:
        home, exports = prepare(program, scratch)
        with Server(program, home, scratch / "server.log") as server:
            folders = {"home": home, "exports": exports, "scratch": scratch, "program": program}
            where = {**server.where, **{name: str(path) for name, path in folders.items()}}
            (scratch / "where.json").write_text(json.dumps(where))
            for check in args.checks or CHECKS:
                tools.say(f"==> {check}")
                if subprocess.run([python, HERE / f"{check}.py", scratch / "where.json"], check=False).returncode:
                    failed.append(check)
    finally:
        if args.keep or failed:
            tools.say(f"left in {scratch}")
        else:
            shutil.rmtree(scratch)
    tools.say(f"failed: {', '.join(failed)}" if failed else "all surfaces agree and hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
