"""What the JSON API says of a pair, as JSON and as CSV."""

import csv
import io
import json
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote, urlencode

from figures import DROP_OFF, trimmed
from pairs import Pair
from server import Served

# Name in the page's address and on its buttons -> name in the API.
CURVES = {"retention": "watched", "survival": "survived", "plays": "plays"}
ROWS_SHOWN = 30
TOTALS = {"views": int, "viewers": int, "watch_time_s": float, "avg_retention": float, "completion_rate": float}


def path(pair: Pair, part: str = "") -> str:
    """An endpoint of the pair's video, with its filter."""
    query = urlencode(pair.parameters())
    return f"/api/v1/videos/{quote(pair.video, safe='')}{part}" + (f"?{query}" if query else "")


def as_json(server: Served, pair: Pair) -> dict:
    """The video, its curve and its drop-off."""
    video, curve, drop = (server.json(path(pair, part)) for part in ("", "/curve", "/drop-off"))
    said = {name: video["totals"][name] for name in TOTALS}
    if curve["views"] != said["views"] or drop["views"] != said["views"]:
        raise SystemExit(f"{pair}: the API itself counts {said['views']}, {curve['views']} and {drop['views']} views")
    said["curve"] = trimmed(list(zip(curve["plays"], curve["watched"], curve["survived"])))
    if said["views"]:
        said |= shown(video["totals"], curve, pair)
    said |= {column: sum(bucket[column] for bucket in drop["buckets"]) for column in DROP_OFF}
    after = drop["seeks_after_half"]
    return said | {"views_with_seek": after["views_with_seek"], "seeks": after["seeks"]}


def shown(totals: dict, curve: dict, pair: Pair) -> dict:
    """What the page has to show of it: totals as people read them, and the first page of the curve's table."""
    kind = shown_curve(pair)
    return {
        "watch time as shown": duration(totals["watch_time_s"]),
        "retention as shown": percent(totals["avg_retention"]),
        "completion as shown": percent(totals["completion_rate"] and totals["completion_rate"] * 100),
        f"{kind} by second as shown": curve[CURVES[kind]][:ROWS_SHOWN],
    }


def shown_curve(pair: Pair) -> str:
    """Which of the three curves is looked at on the page: another one for each pair."""
    return list(CURVES)[sum(map(ord, str(pair))) % len(CURVES)]


def rounded(value: float, digits: int) -> str:
    """As browsers round: halves go up."""
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"


def percent(value: float | None) -> str:
    """A percentage as the page shows it."""
    return "–" if value is None else f"{rounded(value, 1)} %"


def duration(seconds: float) -> str:
    """A long time as the page shows it."""
    for unit, least, digits in (("h", 360_000, 0), ("h", 3600, 1), ("min", 60, 1)):
        if seconds >= least:
            return f"{rounded(seconds / (60 if unit == 'min' else 3600), digits)} {unit}"
    return f"{rounded(seconds, 0)} s"


def as_csv(server: Served, pair: Pair) -> dict:
    """The video's line in the list of videos."""
    parameters = [*pair.parameters(), ("video", pair.video)]
    url = f"/api/v1/videos?{urlencode(parameters)}"
    answer = server.get(url, {"Accept": "text/csv"})
    kind = answer.headers.get("Content-Type", "")
    if answer.status != 200 or not kind.startswith("text/csv"):
        raise SystemExit(f"GET {url} as CSV: {answer.status}, {kind}: {answer.body[:300]}")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    if not rows:
        return {"views": 0, "viewers": 0}
    listed = json.loads(server.get(url).body)["items"]
    if len(rows) != 1 or len(listed) != 1 or list(listed[0]) != list(rows[0]):
        raise SystemExit(f"GET {url}: {len(rows)} lines as CSV, {len(listed)} items as JSON, columns {list(rows[0])}")
    return {name: kind(rows[0][name]) if rows[0][name] else None for name, kind in TOTALS.items()}
