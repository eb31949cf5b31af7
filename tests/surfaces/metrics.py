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
# What is counted once a second, and what a running processor alone would tell.
SETTLES_S = 3


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


def exercise(server: Served, scratch: Path) -> None:
    """Makes the server count everything once: a counter that nobody has raised is not served."""
    event = b'{"user_id":"metrics","video_id":"v","event_type":"play","timestamp":"2026-01-05T20:00:00Z"}'
    exchange(server.http_port, post(event))
    server.get("/api/v1/nothing")
    script = scratch / "metrics.sql"
    script.write_text("select 1;\n")
    sql.psql(server.sql_port, script)
    time.sleep(SETTLES_S)


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    server = Served(where)
    exercise(server, Path(where["scratch"]))
    there, wanted = served(server.get("/metrics").body.decode()), named(json.loads(DASHBOARD.read_text()))
    problems = [f"{metric} is not served" for metric in wanted if metric not in there]
    problems += [
        f"{metric} has the labels {sorted(there[metric])}, not {sorted(labels - there[metric])}"
        for metric, labels in wanted.items() if metric in there and not labels <= there[metric]
    ]
    for problem in problems:
        print(f"WRONG {DASHBOARD.name}: {problem}")
    print(f"metrics: {len(wanted)} named, {len(there)} served, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
