"""The Spark job on a lake in a bucket: silver as the program derives it, and one build at a time, whoever builds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from check_flink import two_free_ports
from engines import ROOT, run, s3a_jars, say
from lakes import Comparison, Home, step
from spark_job import Spark, expect

BUCKET, PREFIX = "lake", "streamreel"
PATIENCE_S = 300


class Store:
    """A server for buckets with one of them; its objects are files below `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = two_free_ports()

    def __enter__(self) -> Store:
        run(ROOT / "s3/server.sh", "start", self.folder, self.port, BUCKET)
        said = run(ROOT / "s3/server.sh", "env", self.folder, capture_output=True, text=True).stdout
        self.clients = dict(line.removeprefix("export ").split("=", 1) for line in said.splitlines())
        return self

    def __exit__(self, *_: object) -> None:
        run(ROOT / "s3/server.sh", "kill", self.folder)

    def lake(self) -> Path:
        """The lake's objects as files."""
        return self.folder / "data" / BUCKET / PREFIX

    def hadoop(self) -> dict[str, str]:
        """What Spark needs to find it."""
        settings = {
            "endpoint": self.clients["AWS_ENDPOINT_URL"],
            "endpoint.region": self.clients["AWS_REGION"],
            "access.key": self.clients["AWS_ACCESS_KEY_ID"],
            "secret.key": self.clients["AWS_SECRET_ACCESS_KEY"],
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
        }
        return {f"spark.hadoop.fs.s3a.{name}": value for name, value in settings.items()}


class InBucket(Home):
    """A home whose lake is in the bucket."""

    def __init__(self, program: Path, folder: Path, store: Store):
        super().__init__(program, folder)
        self.store = store
        self.lake = store.lake()

    def command(self, *command: object) -> list[object]:
        return super().command("--lake", f"s3://{BUCKET}/{PREFIX}", *command)

    def holder(self) -> dict | None:
        """Who has the lease of builds, as its object says."""
        lease = self.lake / "_leases/build.json"
        return json.loads(lease.read_text())["holder"] if lease.is_file() else None


def check(program: Path, scratch: Path, lines: list[bytes], spark: Spark) -> None:
    """`lines`: events for it; `spark`: with its packages."""
    with Store(scratch / "store") as store:
        # As one who works with this store has them.
        os.environ.update(store.clients)
        embedded, home = Home(program, scratch / "in-a-folder"), InBucket(program, scratch / "in-a-bucket", store)
        embedded.ingest(lines)
        shutil.copytree(embedded.folder / "log", home.folder / "log")
        for one in (embedded, home):
            one.process()
        embedded.build("--layer", "silver")
        home.metadata = embedded.metadata
        jars = f"{spark.jars},{s3a_jars()}"
        spark = Spark(home, f"s3a://{BUCKET}/{PREFIX}", **store.hadoop(), **{"spark.jars": jars})
        exclude_each_other(home, spark)
        step("silver in a bucket")
        say(json.dumps(spark.enrich()))
        comparison = Comparison()
        comparison.silver(embedded.lake, home.lake)
        expect(home.build()["silver"]["new_events"] == 0, "the program has nothing to add", home.lake)
        comparison.finish()


def exclude_each_other(home: InBucket, spark: Spark) -> None:
    step("a bucket: another build is at work")
    with leased(home):
        spark.refuse("has the build lease")
    spark.refuse("say where it is with --program", "--program", "/nowhere/streamreel")
    step("a bucket: the job is at work")
    with stopped_with_lease(home, spark) as job:
        build = [str(part) for part in home.command("build", "--layer", "silver")]
        refused = subprocess.run(build, capture_output=True, text=True, check=False)
        said = refused.stdout + refused.stderr
        is_refused = refused.returncode == 1 and "has the build lease" in said
        expect(is_refused, "the program builds only when the job has ended", said)
        os.killpg(job.pid, signal.SIGKILL)
    # The end of the job is the end of its lease, however it ends: it need not run out first.
    expect(ends_with(lambda: home.holder() is None), "a job that was killed has no lease", home.holder())
    step("a bucket: the lease is lost on the way")
    with stopped_with_lease(home, spark) as job:
        os.kill(home.holder()["pid"], signal.SIGKILL)
    out, err = job.communicate()
    is_refused = job.returncode != 0 and "there is no lease of this lake" in out
    expect(is_refused, "nothing is published without a lease", out + err[-3000:])
    expect(not (home.lake / "silver/builds").exists(), "nothing is published without a lease", home.lake)


@contextmanager
def leased(home: Home) -> Iterator[None]:
    """Another has the lease of builds."""
    command = [str(part) for part in home.command("lake", "lease")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        expect(other.stdout.readline(), "a lease that nobody has can be had", home.lake)
        yield


@contextmanager
def stopped_with_lease(home: InBucket, spark: Spark) -> Iterator[subprocess.Popen]:
    """A job that stands still, with the lease, until the end."""
    job = spark.start()
    if not ends_with(lambda: job.poll() is not None or home.holder() is not None) or job.poll() is not None:
        job.kill()
        raise SystemExit(f"the job has not taken a lease\n{job.communicate()[0][-3000:]}")
    os.killpg(job.pid, signal.SIGSTOP)
    try:
        yield job
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGCONT)


def ends_with(holds) -> bool:
    """Whether something holds in the end."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
