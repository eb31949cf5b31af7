"""Bad input over HTTP: bounded, refused in words, and everybody else is still served.

    hostile.py WHERE.json          (as run.py writes it)
"""

import gzip
import json
import sys
import time
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools
from raw import connect, exchange, get, post, read_all, status
from server import Served

# After each attack a normal request is answered within this time, and during those that hold connections, too.
SERVES_WITHIN_S = 2.0
MEMORY_BYTES = 1 << 30
IDLE = 1000
SLOW_READERS = 100
# Descriptors may be more than before: connections of caches and of the lake.
MORE_FILES = 100
SECRETS = (b"root:x:", b"[workspace]", b"-----BEGIN")

PROBLEMS: list[str] = []


def expect(holds: bool, problem: str) -> None:
    """Notes what does not hold."""
    if not holds:
        PROBLEMS.append(problem)


def still_serves(server: Served, after: str) -> None:
    """The server answers others."""
    began = time.monotonic()
    try:
        answer = server.get("/api/v1/status", timeout=SERVES_WITHIN_S)
        took = time.monotonic() - began
        expect(answer.status == 200, f"{after}: /api/v1/status answers {answer.status}")
        expect(took < SERVES_WITHIN_S, f"{after}: a normal request takes {took:.1f} s")
    except OSError as error:
        expect(False, f"{after}: a normal request fails: {error}")


def refused(name: str, answer: bytes, allowed: tuple[int, ...]) -> None:
    """An answer with one of these statuses; none at all is 0."""
    got = status(answer) or 0
    expect(got in allowed, f"{name}: answered {got or 'nothing'}, not one of {allowed}: {answer[:200]!r}")
    for secret in SECRETS:
        expect(secret not in answer, f"{name}: gives away {secret!r}")


def paths(server: Served) -> None:
    """Nothing but the page's own files is to be had, however it is spelled."""
    up = ("../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "%2e%2e%2f" * 12, "..%5c" * 12, "..%252f" * 12, "....//" * 12, "..;/" * 12)
    targets = [f"{base}{dots}{file}" for base in ("/", "/assets/", "/api/v1/", "/api/v1/videos/") for dots in up
               for file in ("etc/passwd", "root/wt/Cargo.toml")]
    targets += ["//etc/passwd", "///etc/passwd", "/%00", "/assets/%00.js", "/assets/", "/assets//etc/passwd", "/\\etc\\passwd",
                "/%c0%ae%c0%ae/etc/passwd", "/%ff%fe", "/%", "/%zz", "/assets/%2fetc%2fpasswd", "/api/v1/videos/%00",
                "/api/v1/videos/" + quote("../" * 12 + "etc/passwd", safe=""), "http://169.254.169.254/latest/", "*"]
    for target in targets:
        refused(f"GET {target[:60]}", exchange(server.http_port, get(target)), (200, 301, 304, 400, 403, 404, 405))
    for target in ("/" + "a" * 1_000_000, "/?" + "a" * 1_000_000, "/api/v1/videos?region=" + "a" * 60_000):
        refused(f"a target of {len(target)} bytes", exchange(server.http_port, get(target)), (200, 400, 404, 413, 414, 431, 0))


def headers(server: Served) -> None:
    """Headers that are too large, too many, or none."""
    port = server.http_port
    large = {
        "a header of 1 MB": b"x-large: " + b"a" * 1_000_000 + b"\r\n",
        "10,000 headers": b"".join(b"x-%d: 1\r\n" % n for n in range(10_000)),
        "a cookie of 10 MB": b"cookie: " + b"a" * 10_000_000 + b"\r\n",
    }
    for name, lines in large.items():
        refused(name, exchange(port, get("/", lines)), (400, 431, 0))
    odd = {
        "a header without a colon": b"nothing\r\n",
        "a header with a NUL": b"x: a\0b\r\n",
        "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n",
        "a negative length": b"content-length: -1\r\n",
        "a length beyond all": b"content-length: 99999999999999999999999\r\n",
        "a length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "an unknown encoding": b"transfer-encoding: chunked, made-up\r\n",
        "a folded header": b"x: a\r\n b\r\n",
        "an etag beyond all": b"if-none-match: " + b'"a",' * 10_000 + b"\r\n",
        "a made-up accept": b"accept: text/csv;q=abc, \xff\xfe\r\n",
    }
    for name, lines in odd.items():
        answer = exchange(port, get("/api/v1/status", lines) + b"12345")
        refused(name, answer, (200, 400, 408, 411, 413, 431, 501, 0))
    garbage = {
        "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 4,
        "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "a made-up method": get("/", method=b"BREW"),
        "TRACE": get("/api/v1/status", method=b"TRACE"),
        "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n",
        "no host": b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "empty lines": b"\r\n" * 1000 + get("/healthz"),
    }
    for name, request in garbage.items():
        refused(name, exchange(port, request), (200, 400, 403, 404, 405, 501, 505, 0))


def parameters(server: Served) -> None:
    """Bad parameters are refused by name, never with a server's error."""
    video = next(iter(server.json("/api/v1/videos?limit=1")["items"]))["video_id"]
    one = f"/api/v1/videos/{quote(video, safe='')}"
    named = {
        "from": ["/api/v1/overview?from=yesterday", "/api/v1/regions?from=2026-02-30", f"{one}/curve?from=1e9"],
        "to": ["/api/v1/overview?to=9999-99-99"],
        "limit": [f"/api/v1/videos?limit={bad}" for bad in ("0", "-1", "1001", "99999999999999999999", "ten", "")],
        "cursor": ["/api/v1/videos?cursor=AAAA", "/api/v1/videos?cursor=%00", "/api/v1/top/content?cursor=" + "a" * 10_000],
        "sort": ["/api/v1/videos?sort=drop%20table", "/api/v1/top/genres?sort=password"],
        "order": ["/api/v1/videos?order=sideways"],
        "period": ["/api/v1/top/content?period=century"],
        "date": ["/api/v1/top/content?period=day&date=2026-13-01"],
        "regoin": ["/api/v1/overview?regoin=DE"],
    }
    for parameter, targets in named.items():
        for target in targets:
            answer = server.get(target)
            body = json.loads(answer.body) if answer.headers.get_content_type() == "application/problem+json" else {}
            good = answer.status == 400 and body.get("parameter") == parameter and body.get("status") == 400
            expect(good, f"GET {target[:80]}: {answer.status} {answer.body[:200]!r}, not 400 with the parameter {parameter}")
    many = "&".join(f"region=X{n}" for n in range(5_000))
    strange = ["'; drop table gold.builds; --", "\u202e\u0000", "😀" * 1000, "%", "\\", "null", "NaN", "{}"]
    targets = [f"/api/v1/overview?{many}", "/api/v1/videos?search=" + quote("%_\\'\"" * 1000), "/api/v1/overview?user.nobody=1"]
    targets += [f"/api/v1/{place}{quote(text, safe='')}" for text in strange
                for place in ("overview?region=", "videos?search=", "videos/", "overview?user.", "top/content?date=")]
    for target in targets:
        answer = exchange(server.http_port, get(target))
        refused(f"GET {target[:80]}", answer, (200, 400, 404, 413, 414, 431, 0))


def bodies(server: Served) -> None:
    """What no player sends to the collector."""
    port = server.http_port
    event = b'{"user_id":"hostile","video_id":"v","event_type":"play","timestamp":"2026-01-05T20:00:00Z"}'
    too_large = post(b"[" + b",".join([event] * 10_000) + b"]")
    zipped = gzip.compress(b"\0" * 200_000_000)
    cases = {
        "a body over the limit": (too_large, (413,)),
        "a bomb": (post(zipped, b"content-encoding: gzip\r\n"), (413,)),
        "a broken gzip": (post(b"\x1f\x8b\x08\0" + b"\xff" * 100, b"content-encoding: gzip\r\n"), (400,)),
        "an unknown encoding": (post(event, b"content-encoding: br\r\n"), (415,)),
        "a made-up type": (get("/v1/events", b"content-type: image/png\r\ncontent-length: 1\r\n", b"POST") + b"x", (415,)),
        "100,000 brackets": (post(b"[" * 100_000), (200, 400)),
        "100,000 braces": (post(b'{"a":' * 100_000), (200, 400)),
        "an array without an end": (post(b"[" + event), (200, 400)),
        "bytes": (post(bytes(range(256)) * 100), (200, 400)),
        "nothing": (post(b""), (200, 400)),
        "a GET of the collector": (get("/v1/events"), (405,)),
        "a body to a page": (post(event, target=b"/videos"), (400, 404, 405)),
    }
    for name, (request, allowed) in cases.items():
        refused(name, exchange(port, request), allowed)
    # A body that ends before its length does.
    with connect(port) as opened:
        opened.sendall(get("/v1/events", b"content-length: 1000\r\n", b"POST") + event)
        opened.shutdown(1)
        refused("a body cut off", read_all(opened), (400, 408, 0))
    refused("a good event", exchange(port, post(event)), (200,))


def idle(server: Served) -> None:
    """Many clients that say nothing, or a byte now and then, keep nobody out."""
    opened = [connect(server.http_port) for _ in range(IDLE)]
    try:
        still_serves(server, f"{IDLE} idle connections")
        for connection in opened[:200]:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\nx-slow: ")
            except OSError:
                pass  # the server may have ended it to make room
        for _ in range(20):
            for connection in opened[:200]:
                try:
                    connection.send(b"a")
                except OSError:
                    pass
            time.sleep(0.1)
        still_serves(server, "200 clients that send a byte at a time")
    finally:
        for connection in opened:
            connection.close()


def slow_readers(server: Served) -> None:
    """Clients that ask for much and read nothing hold no memory and no worker."""
    before = server.memory_bytes()
    opened = []
    for number in range(SLOW_READERS):
        connection = connect(server.http_port, receive_buffer=1024)
        target = ("/api/v1/openapi.json", "/api/v1/videos?limit=1000", "/api/v1/live", "/metrics")[number % 4]
        request = f"GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        connection.sendall(request * (20 if number % 4 != 2 else 1))
        opened.append(connection)
    try:
        time.sleep(2)
        still_serves(server, f"{SLOW_READERS} clients that do not read")
        grown = server.memory_bytes() - before
        expect(grown < 256 << 20, f"{SLOW_READERS} clients that do not read cost {grown >> 20} MiB")
    finally:
        for connection in opened:
            connection.close()


def after_all(server: Served, files: int) -> str:
    """Bounds that hold for all of it; what to print of them."""
    time.sleep(2)
    peak, now = server.peak_memory_bytes(), server.open_files()
    expect(peak < MEMORY_BYTES, f"the server held {peak >> 20} MiB at its peak")
    expect(now < files + MORE_FILES, f"{now} files are open where {files} were")
    expect("panicked" not in server.log.read_text(errors="replace"), f"the server's log has a panic:\n{server.tail()}")
    return f"peak of memory {peak >> 20} MiB, {now} files open"


def main() -> int:
    server = Served(json.loads(Path(sys.argv[1]).read_text()))
    still_serves(server, "before")
    files, bounds = server.open_files(), "the server has ended"
    for attack in (paths, headers, parameters, bodies, idle, slow_readers):
        tools.say(f"hostile: {attack.__name__.replace('_', ' ')}")
        try:
            attack(server)
        except OSError as error:
            expect(False, f"{attack.__name__}: {error}")
        if not server.alive():
            expect(False, f"{attack.__name__}: the server has ended:\n{server.tail()}")
            break
        still_serves(server, attack.__name__)
    else:
        bounds = after_all(server, files)
    for problem in PROBLEMS:
        print(f"WRONG {problem}")
    print(f"hostile: {len(PROBLEMS)} problems; {bounds}")
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
