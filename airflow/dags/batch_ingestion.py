"""The hourly batch: bronze to silver, silver to gold with its tests, then the audit.

Airflow variables:

* `streamreel_gear`: `embedded` (the program does both; the default) or `spark` (spark/enrich_job.py derives silver, dbt Core
  builds gold)
* `streamreel_home`: the home, with `data_lake/` and `metadata/`
* `streamreel_repository`: the clone with `spark/` and `dbt/`; only for the gear `spark`
* `streamreel_program`: the program (default: `streamreel` on the PATH)
* `streamreel_spark_submit`: how `spark-submit` is called, with its --master, --jars and the like; only for the gear `spark`
* `streamreel_dbt`: dbt of an environment with dbt-duckdb; only for the gear `spark`

Every run takes what has come until it runs. So a run can be repeated and changes nothing then, and hours that were missed
need no runs of their own: the next run makes good for them. Gold is published only after its tests have passed: with the
gear `embedded` by one row of `gold.builds`, with `spark` by renaming the warehouse that dbt has built whole to
`warehouse/streamreel.duckdb`.
"""

from __future__ import annotations

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import BranchPythonOperator
from airflow.sdk import DAG, Variable

HOME = "{{ var.value.streamreel_home }}"
PROGRAM = "{{ var.value.get('streamreel_program', 'streamreel') }}"
REPOSITORY = "{{ var.value.get('streamreel_repository', '') }}"

GEARS = {"embedded": "enrich_embedded", "spark": "enrich_spark"}

#: Variables of Airflow's own environment are no settings of the program.
CLEAN = "unset ${!STREAMREEL_@}; set -euo pipefail"

ENRICH_SPARK = f"""
{CLEAN}
{{{{ var.value.streamreel_spark_submit }}}} --py-files {REPOSITORY}/spark/silver.py,{REPOSITORY}/spark/metadata.py \\
    {REPOSITORY}/spark/enrich_job.py --lake {HOME}/data_lake --metadata {HOME}/metadata
"""

#: Into a file beside, which becomes the warehouse when everything in it has passed. Runs take turns, so one name will do.
DBT_BUILD = f"""
{CLEAN}
warehouse={HOME}/warehouse
new=$warehouse/building/streamreel.duckdb
rm -rf "$warehouse/building"
mkdir -p "$warehouse/building"
export STREAMREEL_LAKE={HOME}/data_lake STREAMREEL_WAREHOUSE=$new
export DBT_TARGET_PATH=$warehouse/target DBT_LOG_PATH=$warehouse/logs
if ! {{{{ var.value.streamreel_dbt }}}} build --project-dir {REPOSITORY}/dbt --profiles-dir {REPOSITORY}/dbt --target duckdb; then
    echo "dbt build failed: gold stays as it was published last" >&2
    exit 1
fi
mv "$new" "$warehouse/streamreel.duckdb"
"""


def gear() -> str:
    """The task that begins the chosen gear."""
    chosen = Variable.get("streamreel_gear", default="embedded")
    if chosen not in GEARS:
        raise ValueError(f"the variable streamreel_gear is {chosen!r}; it can be {' or '.join(GEARS)}")
    return GEARS[chosen]


with DAG(
    "batch_ingestion",
    description="bronze to silver to gold, every hour",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Builds take turns: the program has a lease for that, Spark does not everywhere.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10), "retry_exponential_backoff": True},
    tags=["streamreel"],
    doc_md=__doc__,
) as dag:
    choose = BranchPythonOperator(task_id="choose_gear", python_callable=gear)

    enrich_embedded = BashOperator(
        task_id="enrich_embedded", bash_command=f"{CLEAN}\n{PROGRAM} --home {HOME} build --layer silver --wait"
    )
    build_embedded = BashOperator(
        task_id="build_embedded", bash_command=f"{CLEAN}\n{PROGRAM} --home {HOME} build --layer gold --wait"
    )
    audit = BashOperator(
        task_id="audit",
        bash_command=f"{CLEAN}\n{PROGRAM} --home {HOME} audit",
        # Of the two ways to it one is skipped.
        trigger_rule="none_failed_min_one_success",
    )

    enrich_spark = BashOperator(task_id="enrich_spark", bash_command=ENRICH_SPARK)
    build_dbt = BashOperator(task_id="build_dbt", bash_command=DBT_BUILD)

    choose >> enrich_embedded >> build_embedded >> audit
    choose >> enrich_spark >> build_dbt >> audit
