"""The Grafana dashboard names only metrics, and labels of them, that a running server serves.

    metrics.py WHERE.json          (as run.py writes it)
"""

import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import sql
import tools
from raw import exchange, post
from server import Served

DASHBOARD = tools.ROOT / "dashboards/grafana_streamreel.json"
# What is looked at in the background, the audit last, has been looked at by then.
SETTLES_WITHIN_S = 60


def named(dashboard: dict) -> dict[str, set[str]]:
    """Metrics of all panels, with the labels that they are grouped or chosen by."""
    found: dict[str, set[str]] = {}
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    for expression in expressions:
        labels = {label.strip() for group in re.findall(r"by \((.*?)\)", expression) for label in group.split(",")}
        labels |= set(re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", expression))
        for metric in re.findall(r"streamreel_\w+", expression):
            # Prometheus itself adds the instance.
            found.setdefault(metric, set()).update(labels - {"instance"})
    return found


def served(text: str) -> dict[str, set[str]]:
    """Metrics of an exposition, with their labels."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? \S+$", line)
        if match:
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return found


def exercise(server: Served, where: dict) -> None:
    """Makes the server count everything once, for a counter that nobody has raised is not served."""
    event = b'{"user_id":"metrics","video_id":"v","event_type":"play","timestamp":"2026-01-05T20:00:00Z"}'
    exchange(server.http_port, post(event))
    server.get("/api/v1/nothing")
    script = Path(where["scratch"], "metrics.sql")
    script.write_text("select 1;\n")
    sql.psql(server.sql_port, script)
    # How long records take into the lake is known when some have come there.
    tools.run(where["program"], "--quiet", "--home", where["home"], "process", capture_output=True)


def problems(wanted: dict[str, set[str]], there: dict[str, set[str]]) -> list[str]:
    """What of the named is not there."""
    missing = [f"{metric} is not served" for metric in wanted if metric not in there]
    return missing + [
        f"{metric} has the labels {sorted(there[metric])}, not {sorted(labels - there[metric])}"
        for metric, labels in wanted.items() if metric in there and not labels <= there[metric]
    ]


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    server, wanted = Served(where), named(json.loads(DASHBOARD.read_text()))
    exercise(server, where)
    until = time.monotonic() + SETTLES_WITHIN_S
    while (found := problems(wanted, served(server.get("/metrics").body.decode()))) and time.monotonic() < until:
        time.sleep(1)
    for problem in found:
        print(f"WRONG {DASHBOARD.name}: {problem}")
    print(f"metrics: {len(wanted)} named, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
