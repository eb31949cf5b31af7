"""A server over the simulated lake, and ways to reach it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

FOLDER = Path(os.environ["SQL_TESTS_FOLDER"])
HOME = Path(os.environ["SQL_TESTS_HOME"])
PROGRAM = Path(os.environ["SQL_TESTS_PROGRAM"])
DRIVER = Path(os.environ["SQL_TESTS_DRIVER"])


class Server:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen, port: int):
        self.process = process
        self.port = port

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def dsn(self, **options) -> str:
        """How clients of libpq connect to it."""
        options = {"host": "127.0.0.1", "port": self.port, "user": "ann", "dbname": "streamreel"} | options
        return " ".join(f"{name}='{value}'" for name, value in options.items())

    def connect(self, **options) -> psycopg.Connection:
        """A connection whose statements are each their own transaction."""
        return psycopg.connect(self.dsn(**options), autocommit=True)

    def memory(self) -> int:
        """Resident memory, in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """CPU used so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(home: Path = HOME, **settings) -> Iterator[Server]:
    """A server over a home, with these settings."""
    command = [os.environ["SQL_TESTS_SERVER"], str(home / "data_lake")]
    command += [f"{name}={value}" for name, value in settings.items()]
    with open(FOLDER / f"server-{os.getpid()}.log", "w+b") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        said = process.stdout.readline()
        if not said.startswith("listening on "):
            process.wait(timeout=20)
            log.seek(0)
            raise RuntimeError(f"the server did not start: {log.read().decode()}")
        try:
            yield Server(process, int(said.rsplit(":", 1)[1]))
            assert process.poll() is None, f"the server died: {process.returncode}; see {log.name}"
        finally:
            process.stdin.close()
            try:
                assert process.wait(timeout=20) == 0, f"exit status {process.returncode}; see {log.name}"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with the settings that it has by default."""
    with serving() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own, which a test may build anew."""
    own = tmp_path / "home"
    shutil.copytree(HOME, own)
    return own


@pytest.fixture
def session(server: Server) -> Iterator[psycopg.Connection]:
    """A connection to it."""
    with server.connect() as connection:
        yield connection


def psql(server: Server, *commands: str, status: int = 0, **options) -> str:
    """What psql prints for these commands; without alignment, so that it is easy to read."""
    arguments = [part for command in commands for part in ("-c", command)]
    command = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-A", "-F", "|", *arguments, server.dsn(**options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, f"{commands}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def query(statement: str, home: Path = HOME) -> list[list[str]]:
    """What the program itself answers: header and rows."""
    command = [PROGRAM, "--home", str(home), "query", "--format", "csv", statement]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split(",") for line in done.stdout.splitlines()]
