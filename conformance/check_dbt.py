"""The dbt project under dbt Core, unchanged, over the lake that the program built: the same gold, the same tests passed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from engines import ROOT, delta_jars, environment, run, say
from lakes import GOLD, Comparison, Home, portions, step, write_metadata

#: What must not be there in a run's results.
GOOD = ("success", "pass")


def duckdb(program: Path, scratch: Path, is_quick: bool) -> None:
    home = built(program, scratch, 20_000 if is_quick else 400_000)
    dbt = environment("dbt/requirements.txt").parent / "dbt"
    extensions = "from duckdb_extensions import import_extension as i; i('delta'); i('icu')"
    run(dbt.parent / "python", "-c", extensions)
    warehouse = scratch / "warehouse.duckdb"
    build(dbt, home, scratch, "duckdb", {"STREAMREEL_WAREHOUSE": str(warehouse)})
    comparison = Comparison()
    comparison.attach(warehouse, "warehouse")
    comparison.gold(home.lake, lambda table: f"warehouse.gold.{table}")
    comparison.finish()


def spark(program: Path, scratch: Path, is_quick: bool) -> None:
    home = built(program, scratch, 5_000 if is_quick else 100_000)
    dbt = environment("dbt/requirements-spark.txt").parent / "dbt"
    warehouse = scratch / "warehouse"
    build(
        dbt,
        home,
        scratch,
        "spark",
        {
            "STREAMREEL_WAREHOUSE": str(warehouse),
            "DELTA_JARS": delta_jars(),
            "PYSPARK_PYTHON": str(dbt.parent / "python"),
        },
    )
    comparison = Comparison()
    comparison.gold(home.lake, lambda table: f"delta_scan('{warehouse}/gold.db/{table}')")
    comparison.finish()


def built(program: Path, scratch: Path, events: int) -> Home:
    """A home with gold that was built in two steps, so that its tables are not of one piece."""
    home = Home(program, scratch / "embedded")
    parts, titles = portions(program, scratch, events, 2)
    write_metadata(home.metadata, titles)
    for lines in parts:
        home.land(lines)
        home.build()
    return home


def build(dbt: Path, home: Home, scratch: Path, target: str, settings: dict[str, str]) -> None:
    """`dbt build` and `dbt docs generate`; every model, data test and unit test must have run well."""
    results = scratch / "target"
    surroundings = {
        **os.environ,
        **settings,
        "STREAMREEL_LAKE": str(home.lake),
        "DBT_TARGET_PATH": str(results),
        "DBT_LOG_PATH": str(scratch / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    arguments = ["--project-dir", ROOT / "dbt", "--profiles-dir", ROOT / "dbt", "--target", target]
    step(f"dbt build --target {target}")
    run(dbt, "--quiet", "build", *arguments, env=surroundings, cwd=scratch)
    done = json.loads((results / "run_results.json").read_text())["results"]
    bad = [result["unique_id"] for result in done if result["status"] not in GOOD]
    kinds = {
        kind: sum(result["unique_id"].startswith(f"{kind}.") for result in done)
        for kind in ("model", "test", "unit_test")
    }
    say(json.dumps(kinds))
    if bad or not all(kinds.values()) or kinds["model"] < len(GOLD):
        raise SystemExit(f"dbt build: {len(bad)} of {len(done)} are not good: {bad}; ran {kinds}")
    step("dbt docs generate")
    run(dbt, "--quiet", "docs", "generate", *arguments, env=surroundings, cwd=scratch)
    documented = json.loads((results / "catalog.json").read_text())["nodes"]
    # Of Delta tables dbt-spark 1.10 finds no columns and leaves them out of the catalogue; their descriptions are in the manifest.
    expected = [f"gold__{table}" for table in GOLD] if target == "duckdb" else ["silver__views", "bronze__events"]
    missing = [model for model in expected if f"model.streamreel.{model}" not in documented]
    if missing:
        raise SystemExit(f"dbt docs generate: its catalogue lacks {missing}")
