"""What a job with many processes costs, from `/proc`. Linux only.
"""

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def of_session(leader: int) -> float:
    """User and system seconds of all processes of the session that `leader` began, and of those they waited for."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # After the second field, the name, which is in brackets and may hold anything.
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == leader:
            total += sum(map(int, fields[11:15]))
    return total / TICKS_PER_S
