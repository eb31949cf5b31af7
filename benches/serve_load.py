#!/usr/bin/env python3
"""Requests at a steady rate against `streamreel up` while events come in: times by route, memory, the page's first paint.

    python3 benches/serve_load.py [--program PATH] [--requests 500] [--events 100000] [--seconds 30] [--out FILE]

Makes a demo lake, starts the whole platform on it, and sends simulated events to its collector from another process (feed.py).
Requests begin when they are due, whether or not earlier ones have been answered, and are timed from then on; so a server that
stalls can't hide it. Measures and writes JSON; asserts nothing. Needs Chromium and PyPI as tests/surfaces does.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
sys.path[:0] = [str(HERE), str(TESTS), str(TESTS / "surfaces")]
import tools
from http_client import Client
from server import Served, Server

SEED = 1
CONNECTIONS = 64
WARM_UP_S = 5
# So many seconds' events more than are needed, so that they don't run out.
SPARE_S = 5
PAINTS = 7


def mix(server: Served) -> list[tuple[str, str]]:
    """Requests (route, path): half curves of videos as popular as they are, half top lists; some with a filter."""
    videos = server.json("/api/v1/videos?limit=1000&sort=views")["items"]
    regions = [r["value"] for r in server.json("/api/v1/facets")["regions"] if r["value"]][:5]
    dates = server.json("/api/v1/status")["dates"]
    curves = [f"/api/v1/videos/{quote(video['video_id'], safe='')}/curve" for video in videos]
    filters = ["", "", "", *(f"?region={region}" for region in regions), f"?from={dates['first']}&to={dates['first']}"]
    tops = [f"/api/v1/top/{what}?{query}" for what in ("content", "creators", "genres")
            for query in ("limit=50", "sort=views&order=desc", "sort=completion_rate", f"period=day&date={dates['last']}")]
    chance, requests = random.Random(SEED), []
    for _ in range(10_000):
        path = chance.choices(curves, [video["views"] for video in videos])[0] + chance.choice(filters)
        requests += [("curve", path), ("top", chance.choice(tops))]
    return requests


async def load(server: Served, requests: list[tuple[str, str]], rate: int, seconds: float) -> dict:
    """Sends them as they are due; how long each took, by route."""
    client, took, failed = Client(server.http_port, CONNECTIONS), {}, {}

    async def one(route: str, path: str, due: float) -> None:
        status = await client.get(path)
        took.setdefault(route, []).append(time.perf_counter() - due)
        if status != 200:
            failed.setdefault(route, []).append(status)

    began, running, number = time.perf_counter(), set(), 0
    while (due := began + number / rate) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(*requests[number % len(requests)], due))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
    await asyncio.gather(*running)
    ended = time.perf_counter()
    return {"requests_per_s": round(number / (ended - began), 1), "routes": {
        route: {"requests": len(times), "failed": failed.get(route, []), **percentiles(times)} for route, times in took.items()
    }}


def percentiles(times: list[float]) -> dict:
    """p50, p99 and the longest, in ms."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49] * 1e3, 2), "p99_ms": round(cuts[98] * 1e3, 2), "max_ms": round(max(times) * 1e3, 2)}


def counters(server: Served) -> dict[str, float]:
    """Records received and decided on so far."""
    totals = {"received": 0.0, "decided": 0.0}
    for line in server.get("/metrics").body.decode().splitlines():
        for name, metric in (("received", "streamreel_received_records_total"), ("decided", "streamreel_records_total")):
            if line.startswith((metric + " ", metric + "{")):
                totals[name] += float(line.rsplit(" ", 1)[1])
    return totals


def first_paints(server: Served) -> list[float]:
    """The page's first contentful paint in ms, each time in a browser that has nothing of it."""
    from playwright.sync_api import sync_playwright

    paints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tools.need("chromium", "chromium"), args=["--no-sandbox"])
        for _ in range(PAINTS):
            context = browser.new_context()
            page = context.new_page()
            page.goto(server.url, wait_until="load")
            page.locator("main").first.wait_for()
            entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
            page.wait_for_function(f"{entry} !== null")
            paints.append(round(page.evaluate(entry), 1))
            context.close()
        browser.close()
    return paints


def measure(program: Path, scratch: Path, args) -> dict:
    """All of it."""
    home, events = scratch / "home", scratch / "events.ndjson"
    tools.say(f"a demo of {args.demo:,} events")
    tools.run(program, "--quiet", "--home", home, "demo", "--events", str(args.demo), capture_output=True)
    wanted = int(args.events * (args.seconds + WARM_UP_S + SPARE_S))
    tools.say(f"{wanted:,} more to send")
    # Of a home of its own: what is simulated is written down in its metadata.
    tools.run(program, "--quiet", "--home", scratch / "players", "simulate", "--events", str(wanted), "--seed", "2",
              "--to", events, capture_output=True)
    with Server(program, home, scratch / "up.log", ("up",)) as server:
        paints = first_paints(server)
        requests = mix(server)
        tools.say(f"{args.requests} requests a second")
        quiet = asyncio.run(load(server, requests, args.requests, args.seconds / 2))
        tools.say(f"and {args.events:,} events a second")
        feed = subprocess.Popen([sys.executable, HERE / "feed.py", str(server.http_port), events, str(args.events)],
                                stdout=subprocess.PIPE, text=True)
        time.sleep(WARM_UP_S)
        before, began = counters(server), time.monotonic()
        loaded = asyncio.run(load(server, requests, args.requests, args.seconds))
        after, lasted = counters(server), time.monotonic() - began
        feed.terminate()
        sent = json.loads(feed.communicate()[0])
        rates = {f"{name}_records_per_s": round((after[name] - before[name]) / lasted) for name in after}
        return {
            "processors": os.cpu_count(), "demo_events": args.demo, "quiet": quiet,
            "under_load": {**loaded, **rates, "collector": sent},
            "memory_mib": {"peak": server.peak_memory_bytes() >> 20, "at_the_end": server.memory_bytes() >> 20},
            "first_paint_ms": {"first": paints[0], "median": statistics.median(paints), "all": paints},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program (default: cargo's release build)")
    parser.add_argument("--demo", type=int, default=1_000_000, help="events of the demo lake")
    parser.add_argument("--events", type=int, default=100_000, help="events a second that come in")
    parser.add_argument("--requests", type=int, default=500, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30, help="how long under load")
    parser.add_argument("--out", type=Path, help="where to write the JSON (default: stdout)")
    args = parser.parse_args()
    python = tools.environment("tests/surfaces/requirements.txt")
    if Path(sys.prefix) != python.parent.parent:
        os.execv(python, [str(python), *sys.argv])
    with tempfile.TemporaryDirectory(prefix="streamreel-load-") as scratch:
        result = json.dumps(measure(tools.program(args.program), Path(scratch), args), indent=2)
    if args.out:
        args.out.write_text(result + "\n")
    print(result)


if __name__ == "__main__":
    main()
