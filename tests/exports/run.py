#!/usr/bin/env python3
"""Exports a demo lake in all three formats and compares them row for row; checks the Tableau workbook against them.

    python3 tests/exports/run.py [--program PATH] [--home HOME]

Without --home it makes a lake of 100,000 simulated events. Needs Python 3.10 with venv, and PyPI the first time.
Exit status 0 if all agrees.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program (default: cargo's release build)")
    parser.add_argument("--home", help="a home with a published build (default: a demo)")
    args = parser.parse_args()
    program = tools.program(args.program)
    python = tools.environment("tests/exports/requirements.txt")
    with tempfile.TemporaryDirectory(prefix="streamreel-exports-") as scratch:
        home = args.home or Path(scratch, "home")
        if not args.home:
            tools.say("a demo of 100,000 events")
            tools.run(program, "--quiet", "--home", home, "demo", "--events", "100000", capture_output=True)
        # A cache of its own, and no Python that has Tableau's library: the program has to install it, once for all runs.
        surroundings = {**os.environ, "XDG_CACHE_HOME": str(tools.target() / "exports-cache"), "PYTHONNOUSERSITE": "1"}
        out = Path(scratch, "out")
        for form in ("csv", "parquet", "hyper"):
            tools.say(f"export --format {form}")
            tools.run(program, "--home", home, "export", "--format", form, "--to", out, env=surroundings,
                      stdout=subprocess.DEVNULL)
        tools.say("rows")
        tools.run(python, HERE / "rows.py", program, home, out)
        tools.say("workbook")
        tools.run(python, HERE / "workbook.py", out)
    tools.say("all agrees")


if __name__ == "__main__":
    main()
