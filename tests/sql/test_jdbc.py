"""The PostgreSQL JDBC driver: a Java program that uses it as DBeaver, Tableau and other programs do."""

import subprocess
from pathlib import Path

from conftest import DRIVER, FOLDER, Server


def test_jdbc(server: Server):
    """Metadata, values, parameters, fetch sizes, transactions, time-outs, in five ways to talk."""
    classes = FOLDER / "classes"
    source = Path(__file__).with_name("Jdbc.java")
    subprocess.run(["javac", "-cp", DRIVER, "-d", classes, source], check=True)
    command = ["java", "-cp", f"{classes}:{DRIVER}", "Jdbc", f"jdbc:postgresql://127.0.0.1:{server.port}/streamreel"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.endswith("all well\n"), done.stdout + done.stderr
