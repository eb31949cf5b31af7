"""What the files of deploy/ tell the program, tried on the program."""

import configparser
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROGRAM = os.environ["STREAMREEL_PROGRAM"]
STOP_LIMIT_S = 60


def kubernetes() -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def unit() -> str:
    return (DEPLOY / "streamreel.service").read_text()


def environments() -> dict[str, dict[str, str]]:
    """The settings that each way of deployment gives by the environment."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["streamreel"]["environment"]
    config_map = next(item for item in kubernetes() if item["kind"] == "ConfigMap")["data"]
    lines = re.findall(r"^Environment=(\w+)=(.*)$", unit(), re.M)
    return {"compose": compose, "kubernetes": config_map, "systemd": dict(lines)}


class Settings(unittest.TestCase):
    def test_the_program_knows_each_setting(self) -> None:
        for where, given in environments().items():
            with self.subTest(where), tempfile.TemporaryDirectory() as home:
                self.assertTrue(given)
                env = {"PATH": os.environ["PATH"], **given, "STREAMREEL_HOME": home}
                done = subprocess.run([PROGRAM, "config"], env=env, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_wrong_setting_would_be_seen(self) -> None:
        env = {"PATH": os.environ["PATH"], "STREAMREEL_SERVE_HTPP": "0.0.0.0:8080"}
        done = subprocess.run([PROGRAM, "config"], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done.stdout)


class Limits(unittest.TestCase):
    def test_each_has_limits_health_checks_and_time_to_stop(self) -> None:
        service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["streamreel"]
        self.assertEqual(set(service["deploy"]["resources"]["limits"]), {"cpus", "memory"})
        self.assertIn("/readyz", service["healthcheck"]["test"][-1])
        self.assertEqual(service["stop_grace_period"], f"{STOP_LIMIT_S}s")
        pod = next(item for item in kubernetes() if item["kind"] == "StatefulSet")["spec"]["template"]["spec"]
        self.assertEqual(pod["terminationGracePeriodSeconds"], STOP_LIMIT_S)
        (container,) = pod["containers"]
        self.assertEqual(set(container["resources"]["limits"]), {"cpu", "memory"})
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertIn(container[probe]["httpGet"]["path"], ("/healthz", "/readyz"))
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read_string(unit())
        self.assertEqual(parser["Service"]["TimeoutStopSec"], f"{STOP_LIMIT_S}s")
        self.assertTrue(parser["Service"]["MemoryMax"] and parser["Service"]["CPUQuota"])

    def test_systemd_understands_the_unit(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            # It looks for the program where the unit says, which is not where a build leaves it.
            copy = Path(folder, "streamreel.service")
            copy.write_text(unit().replace("/usr/local/bin/streamreel", PROGRAM))
            done = subprocess.run([os.environ["SYSTEMD_ANALYZE"], "verify", "--man=no", copy],
                                  capture_output=True, text=True, check=False)
            own = [line for line in done.stderr.splitlines() if "streamreel" in line]
            self.assertEqual((done.returncode, own), (0, []), done.stderr)


class Stop(unittest.TestCase):
    def test_sigterm_ends_up_within_its_time(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            env = {"PATH": os.environ["PATH"], **environments()["compose"], "STREAMREEL_HOME": home}
            env |= {"STREAMREEL_SERVE_HTTP": "127.0.0.1:18089", "STREAMREEL_SQL_ADDR": "127.0.0.1:0"}
            up = subprocess.Popen([PROGRAM, "up"], env=env, stderr=subprocess.PIPE, text=True)
            try:
                self.wait_until_ready(up, "http://127.0.0.1:18089/readyz")
                began = time.monotonic()
                up.send_signal(signal.SIGTERM)
                self.assertEqual(up.wait(STOP_LIMIT_S), 0, up.stderr.read())
                self.assertLess(time.monotonic() - began, STOP_LIMIT_S)
            finally:
                up.kill()
                up.communicate()

    def wait_until_ready(self, up: subprocess.Popen, url: str) -> None:
        for _ in range(300):
            self.assertIsNone(up.poll(), "it ended by itself")
            try:
                with urllib.request.urlopen(url, timeout=1) as answer:
                    self.assertEqual(answer.status, 200)
                    return
            except OSError:
                time.sleep(0.1)
        self.fail(f"{url} did not answer within 30 s")


if __name__ == "__main__":
    unittest.main()
