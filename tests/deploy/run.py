#!/usr/bin/env python3
"""Checks deploy/: each file against its format's schema, each environment against the program, and that SIGTERM ends `up` cleanly.

    python3 tests/deploy/run.py [--program PATH]

Needs Python 3.10 with venv, systemd-analyze (Debian's systemd), and PyPI the first time. Exit status 0 if all is right.
No container is started: that takes a daemon and a registry.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools

HERE = Path(__file__).resolve().parent
DEPLOY = tools.ROOT / "deploy"
KUBERNETES = "1.34"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program (default: cargo's release build)")
    args = parser.parse_args()
    program = tools.program(args.program)
    python = tools.environment("tests/deploy/requirements.txt")
    binaries = python.parent
    tools.say("compose.yaml")
    tools.run(binaries / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    tools.say("kubernetes.yaml")
    tools.run(binaries / "kubernetes-validate", "--strict", "--kubernetes-version", KUBERNETES, DEPLOY / "kubernetes.yaml")
    tools.say("what they set, and how the program stops")
    analyze = tools.need("systemd-analyze", "systemd")
    tools.run(python, "-m", "unittest", "discover", "--start-directory", HERE, "--pattern", "test_*.py",
              env={"PATH": "/usr/bin:/bin", "STREAMREEL_PROGRAM": str(program), "SYSTEMD_ANALYZE": analyze})
    tools.say("all is right")


if __name__ == "__main__":
    main()
