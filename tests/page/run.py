#!/usr/bin/env python3
"""The page: its types and units, whether the committed one is what its sources give, and the built one in a browser over a demo lake.

    python3 tests/page/run.py [--program PATH] [--shots FOLDER]

Needs Node 20.19, npm and Chromium, which it installs by apt where it may, and the npm registry. Exit status 0 if all is well.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "surfaces"))
import tools
from server import Server

WEB = tools.ROOT / "web"
TOOLS = {"node": "nodejs", "npm": "npm"}


def tell_plans(program: Path, home: Path) -> None:
    """Writes user metadata with a column `plan` that three of four viewers have, and takes it into the tables."""
    asked = tools.run(program, "--quiet", "--home", home, "query", "--format", "csv",
                      "select distinct user_id from silver.views order by user_id", capture_output=True, text=True)
    users = asked.stdout.split()[1:]
    plans = ("free", "premium", "", "free")
    rows = [f"{user},{plans[number % len(plans)]}\n" for number, user in enumerate(users)]
    (home / "metadata" / "user_metadata.csv").write_text("".join(["user_id,plan\n", *rows]))
    tools.run(program, "--quiet", "--home", home, "build", capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program (default: cargo's release build)")
    parser.add_argument("--shots", help="folder that takes a picture of every view")
    args = parser.parse_args()
    program = tools.program(args.program)
    for tool, package in TOOLS.items():
        tools.need(tool, package)
    chromium = tools.need("chromium", "chromium")
    tools.npm()
    for script in ("check", "test", "same"):
        tools.say(f"npm run {script}")
        tools.run("npm", "run", "--silent", script, cwd=WEB)
    with tempfile.TemporaryDirectory(prefix="streamreel-page-") as scratch:
        home = Path(scratch) / "home"
        tools.say("a demo of 100,000 events")
        tools.run(program, "--quiet", "--home", home, "demo", "--events", "100000", capture_output=True)
        tools.say("a column of the viewers'")
        tell_plans(program, home)
        with Server(program, home, Path(scratch) / "server.log") as server:
            environment = {**os.environ, "STREAMREEL_URL": server.url, "CHROMIUM": chromium}
            if args.shots:
                environment["STREAMREEL_SHOTS"] = str(Path(args.shots).resolve())
            tools.say("npm run e2e")
            tools.run("npm", "run", "--silent", "e2e", cwd=WEB, env=environment)


if __name__ == "__main__":
    main()
