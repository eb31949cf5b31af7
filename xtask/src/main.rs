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

use clap::{Parser, Subcommand};

/// What the project does to itself: checks, measurements.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Everything that a change must pass: fmt, clippy, tidy, tests, the demo, Kafka, S3, the page, other readers of the lake
    Ci,
    /// Module docs, allowed edges between crates
    Tidy,
    /// Measures what is required and the parts; writes docs/performance.md
    Bench(bench::Args),
    /// Rounds of killing, stopping and breaking the platform under load; a failed one is repeated by its seed
    Crash(crash::Args),
    /// Spark, Flink, dbt Core, Airflow and the Python package give the rows that the program gives
    ///
    /// The engines are fetched the first time (PyPI, Maven Central); a JDK 17 and Maven are needed.
    Conformance(conformance::Args),
    /// What needs a real Kafka; starts one
    ///
    /// The first time it is fetched: Java 17 and Maven are needed.
    Kafka,
    /// What needs an S3-compatible server; starts one, and a Kafka
    ///
    /// The first time it is built: Go or pip is needed.
    S3,
    /// What takes too long for ci: larger sizes, kills, lost events, soak, every engine
    ///
    /// Writes docs/full.md, docs/conformance.md and a part of docs/metrics.md.
    Full(full::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Bench(args) => bench::run(&args),
        Verb::Ci => ci::run(),
        Verb::Conformance(args) => conformance::run(&args),
        Verb::Crash(args) => crash::run(&args),
        Verb::Full(args) => full::run(&args),
        Verb::Kafka => kafka::run(),
        Verb::S3 => s3::run(),
        Verb::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let verb = std::env::args().nth(1).unwrap_or_default();
            eprintln!("xtask {verb}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string());
        for bad in [
            "xtask full soak --log kafka --log pulsar",
            "xtask full soak --log",
            "xtask full all",
            "xtask crash --rounds many",
            "xtask ci x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for good in [
            "xtask full soak --log all",
            "xtask full soak --log kafka",
            "xtask crash store kafka --rounds 4 --seed 9 --write",
            "xtask bench",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }
}
