#!/usr/bin/env python3
"""Reads a lake with other readers, in an environment that has them.

    python3 tests/interop/run.py HOME
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tools  # noqa: E402


def main() -> None:
    python = tools.environment("tests/interop/requirements.txt")
    os.execv(python, [str(python), str(HERE / "read_lake.py"), *sys.argv[1:]])


if __name__ == "__main__":
    main()
