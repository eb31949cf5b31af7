//! What the project does to itself: checks, measurements.

mod bench;
mod ci;
mod conformance;
mod crash;
mod fetch;
mod full;
mod kafka;
mod measure;
mod report;
mod s3;
mod server;
mod tidy;
mod tools;

use std::process::ExitCode;

const HELP: &str = "cargo xtask VERB

  ci      everything that a change must pass: fmt, clippy, tidy, tests, the demo, Kafka, other readers of the lake
  tidy    module docs, allowed edges between crates
  bench   measures what is required and the parts; writes docs/performance.md
          (process|duckdb|builds|demo|serving|kafka|engines|parts: only that section, --quick: small sizes, writes nothing)
  crash   rounds of killing, stopping and breaking the platform under load; a failed one is repeated by its seed
          (embedded|kafka|store: only that, --rounds N of each, --seed S of the first,
          --write: adds them to docs/reliability.md; a clock that jumps needs libfaketime, which is installed)
  conformance   Spark, Flink, dbt Core, Airflow and the Python package give the rows that the program gives; the engines are fetched
          the first time (PyPI, Maven Central; a JDK 17 and Maven are needed)
          (--engine package|dbt-duckdb|spark|dbt-spark|kafka|flink|airflow|all: only that, --quick: few events)
  kafka   what needs a real Kafka; starts one (the first time it is fetched: Java 17 and Maven are needed)
  s3      what needs an S3-compatible server; starts one, and a Kafka (the first time it is built: Go or pip is needed)
  full    what takes too long for ci: larger sizes, kills, lost events, soak, every engine; writes docs/full.md, docs/conformance.md
          and a part of docs/metrics.md (exact|loss|soak|conformance: only that, soak --log NAME,
          conformance --engine NAME: only with that, --quick: small sizes, writes nothing)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(2).collect();
    let verb = std::env::args().nth(1).unwrap_or_default();
    let done = match verb.as_str() {
        "bench" => bench::run(&args),
        "ci" => ci::run(),
        "conformance" => conformance::run(&args),
        "crash" => crash::run(&args),
        "full" => full::run(&args),
        "kafka" => kafka::run(),
        "s3" => s3::run(),
        "tidy" => tidy::run(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {verb}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
