#!/usr/bin/env python3
"""Sends the lines of an NDJSON file to a collector at a steady rate, 500 a request, until it ends or SIGTERM comes.

    python3 benches/feed.py PORT FILE EVENTS_A_SECOND

Prints as JSON what was answered.
"""

import asyncio
import itertools
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from http_client import Client

BATCH = 500
CONNECTIONS = 16


async def feed(port: int, file: Path, rate: int) -> dict:
    """Sends each batch when it is due; one that comes too late is sent at once."""
    client, answers, running = Client(port, CONNECTIONS), {}, set()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def send(body: bytes) -> None:
        status = await client.post("/v1/events", body)
        answers[status] = answers.get(status, 0) + BATCH

    began = time.perf_counter()
    with file.open("rb") as lines:
        for number in itertools.count():
            body = b"".join(itertools.islice(lines, BATCH))
            if not body or stop.is_set():
                break
            await asyncio.sleep(max(0.0, began + number * BATCH / rate - time.perf_counter()))
            task = asyncio.create_task(send(body))
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return {"seconds": round(time.perf_counter() - began, 1), "records_by_status": answers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(feed(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))))
