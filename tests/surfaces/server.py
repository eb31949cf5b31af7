"""A running server for the tests: `streamreel serve` or `up` on free ports of the loopback, and what is asked of it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_WITHIN_S = 120
STOPS_WITHIN_S = 30


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Served:
    """A server that runs, and where it listens; `where` is what its starter wrote down of it."""

    def __init__(self, where: dict):
        self.http_port, self.sql_port, self.pid = where["http_port"], where["sql_port"], where["pid"]
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.log = Path(where["log"])

    def get(self, path: str, headers: dict | None = None, timeout: float = 30):
        """GET; the answer whatever its status."""
        return fetch(self.url + path, headers, timeout)

    def json(self, path: str):
        """GET of JSON that must succeed."""
        answer = self.get(path)
        if answer.status != 200:
            raise SystemExit(f"GET {path}: {answer.status} {answer.body[:500]}")
        return json.loads(answer.body)

    def alive(self) -> bool:
        """Whether the process runs."""
        return Path(f"/proc/{self.pid}/stat").exists() and ") Z " not in Path(f"/proc/{self.pid}/stat").read_text()

    def memory_bytes(self) -> int:
        """What the process holds of the machine's memory (RSS)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_memory_bytes(self) -> int:
        """The most it has held so far."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the kernel does not say how much memory the server has held (VmHWM)")

    def open_files(self) -> int:
        """File descriptors that it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Server(Served):
    """One that is started here, and stopped at the end of `with`."""

    def __init__(self, program: Path, home: Path, log: Path, verb: tuple[str, ...] = ("serve", "--collect")):
        http, sql = free_port(), free_port()
        addresses = ["--http", f"127.0.0.1:{http}", "--sql", f"127.0.0.1:{sql}"]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [program, "--home", home, *verb, *addresses], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.where = {"http_port": http, "sql_port": sql, "pid": self.process.pid, "log": str(log)}
        super().__init__(self.where)

    def __enter__(self):
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            try:
                if self.get("/readyz").status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.2)
        self.stop()
        raise SystemExit(f"the server was not ready within {READY_WITHIN_S} s:\n{self.tail()}")

    def __exit__(self, *_):
        if self.stop() != 0:
            raise SystemExit(f"the server ended with {self.process.returncode}:\n{self.tail()}")

    def stop(self) -> int:
        """Stops it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise SystemExit(f"the server did not stop within {STOPS_WITHIN_S} s of SIGTERM:\n{self.tail()}") from None


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body


def fetch(url: str, headers: dict | None = None, timeout: float = 30, data: bytes | None = None) -> Answer:
    """One request; errors of HTTP are answers, too."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())
