"""The package `streamreel`: built, its tests, its types."""

from __future__ import annotations

import os
from pathlib import Path

from engines import ROOT, environment, run, with_package
from lakes import step


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    python = with_package(environment("conformance/requirements.txt"))
    step("tests of the package")
    surroundings = {**os.environ, "REEL_PROGRAM": str(program), "PYTHONDONTWRITEBYTECODE": "1"}
    run(
        python,
        "-m",
        "pytest",
        "--quiet",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "tests",
        cwd=ROOT / "python",
        env=surroundings,
    )
    step("its types, against what is compiled")
    run(python, "-m", "mypy.stubtest", "streamreel", "--ignore-disjoint-bases", "--concise", cwd=scratch)
