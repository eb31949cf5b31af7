"""The dbt project under dbt Core, unchanged, over the lake that the program built: the same gold, the same tests
passed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from engines import ROOT, delta_jars, environment, run, say
from lakes import GOLD, Comparison, Home, portions, refuse_newer, step, write_metadata

#: What must not be there in a run's results.
GOOD = ("success", "pass")


def duckdb(program: Path, scratch: Path, is_quick: bool) -> None:
    home = built(program, scratch, 20_000 if is_quick else 400_000)
    warehouse = scratch / "warehouse.duckdb"
    dbt = Dbt(python_with_duckdb(), home, scratch, "duckdb", STREAMREEL_WAREHOUSE=str(warehouse))
    dbt.refuse_newer(is_quick)
    dbt.build()
    dbt.document()
    comparison = Comparison()
    comparison.attach(warehouse, "warehouse")
    comparison.gold(home.lake, lambda table: f"warehouse.gold.{table}")
    comparison.finish()


def spark(program: Path, scratch: Path, is_quick: bool) -> None:
    home = built(program, scratch, 5_000 if is_quick else 100_000)
    python = environment("dbt/requirements-spark.txt")
    warehouse = scratch / "warehouse"
    settings = {"STREAMREEL_WAREHOUSE": str(warehouse), "DELTA_JARS": delta_jars(), "PYSPARK_PYTHON": str(python)}
    dbt = Dbt(python, home, scratch, "spark", **settings)
    dbt.refuse_newer(is_quick)
    # On Spark every test is a job of its own, of which there are 80: few events leave them to the whole run.
    dbt.build(only_models=is_quick)
    if not is_quick:
        dbt.document()
    comparison = Comparison()
    comparison.gold(home.lake, lambda table: f"delta_scan('{warehouse}/gold.db/{table}')")
    comparison.finish()


def python_with_duckdb() -> Path:
    """The Python of dbt-duckdb's environment; the extensions that the project needs are where DuckDB looks for them."""
    python = environment("dbt/requirements.txt")
    run(python, "-c", "from duckdb_extensions import import_extension as i; i('delta'); i('icu')")
    return python


def built(program: Path, scratch: Path, events: int) -> Home:
    """A home with gold that was built in two steps, so that its tables are not of one piece."""
    home = Home(program, scratch / "embedded")
    parts, titles = portions(program, scratch, events, 2)
    write_metadata(home.metadata, titles)
    for lines in parts:
        home.land(lines)
        home.build()
    return home


class Dbt:
    """dbt Core with the project of this repository, over a home's lake."""

    def __init__(self, python: Path, home: Home, scratch: Path, target: str, **settings: str):
        self.dbt = python.parent / "dbt"
        self.home = home
        self.scratch = scratch
        self.target = target
        self.results = scratch / "target"
        self.surroundings = {
            **os.environ,
            **settings,
            "STREAMREEL_LAKE": str(home.lake),
            "DBT_TARGET_PATH": str(self.results),
            "DBT_LOG_PATH": str(scratch / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def command(self, *verb: str) -> list[str]:
        project = ["--project-dir", ROOT / "dbt", "--profiles-dir", ROOT / "dbt", "--target", self.target]
        return [str(part) for part in (self.dbt, "--quiet", "--no-use-colors", *verb, *project)]

    def build(self, only_models: bool = False) -> None:
        """`dbt build`; every model, data test and unit test must have run well."""
        tests = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"] if only_models else []
        step(f"dbt build --target {self.target} {' '.join(tests)}")
        run(*self.command("build", *tests), env=self.surroundings, cwd=self.scratch)
        done = json.loads((self.results / "run_results.json").read_text())["results"]
        bad = [result["unique_id"] for result in done if result["status"] not in GOOD]
        kinds = {
            kind: sum(result["unique_id"].startswith(f"{kind}.") for result in done)
            for kind in ("model", "test", "unit_test")
        }
        say(json.dumps(kinds))
        expected = ("model",) if only_models else tuple(kinds)
        if bad or not all(kinds[kind] for kind in expected) or kinds["model"] < len(GOLD):
            raise SystemExit(f"dbt build: {len(bad)} of {len(done)} are not good: {bad}; ran {kinds}")

    def refuse_newer(self, is_quick: bool) -> None:
        """Tables that it must not take for what it knows: models over them fail, and nothing else is touched."""
        step("tables of a newer protocol")
        models = ("--select", "bronze__events", "silver__views")

        def refused() -> str:
            done = subprocess.run(
                self.command("run", *models),
                env=self.surroundings,
                cwd=self.scratch,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                raise SystemExit(f"dbt run should have failed\n{done.stdout[-3000:]}")
            return done.stdout

        refuse_newer(self.home.lake, ("bronze/events", "silver/views"), refused, each=not is_quick)

    def document(self) -> None:
        """`dbt docs generate`."""
        step("dbt docs generate")
        run(*self.command("docs", "generate"), env=self.surroundings, cwd=self.scratch)
        documented = json.loads((self.results / "catalog.json").read_text())["nodes"]
        # Of Delta tables dbt-spark 1.10 finds no columns, and leaves them out of the catalogue; the manifest describes
        # them.
        on_duckdb = [f"gold__{table}" for table in GOLD]
        expected = on_duckdb if self.target == "duckdb" else ["silver__views", "bronze__events"]
        missing = [model for model in expected if f"model.streamreel.{model}" not in documented]
        if missing:
            raise SystemExit(f"dbt docs generate: its catalogue lacks {missing}")
