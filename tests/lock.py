#!/usr/bin/env python3
"""Writes the lock file beside each `requirements*.in`: every package and what it asks for, at one version, with hashes.

    python3 tests/lock.py [FOLDER ...]

What is locked already stays where it is unless its .in asks for another version; delete a lock to move all of it. What stands
below the line `# without dependencies` is locked without what it asks for.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import tools

#: The oldest Python that the tests run on.
PYTHON = "3.11"
ALONE = "# without dependencies"


def lock(source: Path) -> None:
    """Writes one lock file."""
    target = source.with_suffix(".txt")
    tools.say(f"locking {target.relative_to(tools.ROOT)}")
    whole, _, alone = source.read_text().partition(ALONE)
    locked = resolved(source, whole, target)
    if alone:
        locked += resolved(source, alone, target, "--no-deps")
    target.write_text(locked)


def resolved(source: Path, requirements: str, known: Path, *flags: str) -> str:
    """What these requirements come to, for any system."""
    with tempfile.TemporaryDirectory(prefix="streamreel-lock-") as scratch:
        # The same path below the scratch folder, for it is named in the lock.
        asked = Path(scratch, source.relative_to(tools.ROOT))
        asked.parent.mkdir(parents=True)
        asked.write_text(requirements)
        result = asked.with_suffix(".txt")
        if known.is_file():
            result.write_bytes(known.read_bytes())
        tools.run(tools.uv(), "pip", "compile", "--quiet", "--system-certs", "--universal", "--python-version", PYTHON,
                  "--generate-hashes", "--no-header", *flags, "--output-file", result.relative_to(scratch),
                  asked.relative_to(scratch), cwd=scratch, env=tools.uv_settings(), stdout=subprocess.DEVNULL)
        return result.read_text()


def main() -> None:
    folders = [Path(name).resolve() for name in sys.argv[1:]] or [tools.ROOT]
    for folder in folders:
        found = sorted(path for path in folder.rglob("requirements*.in") if "node_modules" not in path.parts)
        if not found:
            sys.exit(f"{folder}: no requirements*.in there")
        for source in found:
            lock(source)


if __name__ == "__main__":
    main()
