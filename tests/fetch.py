#!/usr/bin/env python3
"""Gets what the tests in Python need and would otherwise get when they come to it: Debian's packages, environments, npm's packages.

    python3 tests/fetch.py
"""

import tools

PACKAGES = {
    "java": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "psql": "postgresql-client",
    "chromium": "chromium",
    "curl": "curl",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    # Not for these tests: two installers at once are one too many, so all of Debian's packages are got here.
    "faketime": "faketime",
}


def main() -> None:
    for tool, package in PACKAGES.items():
        tools.need(tool, package)
    for lock in sorted(tools.ROOT.glob("tests/*/requirements.txt")):
        tools.environment(str(lock.relative_to(tools.ROOT)))
    tools.npm()


if __name__ == "__main__":
    main()
