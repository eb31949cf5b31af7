//! What the project does to itself: checks, measurements.

mod ci;
mod tidy;
mod tools;

use std::process::ExitCode;

const HELP: &str = "cargo xtask VERB

  ci      everything that a change must pass: fmt, clippy, tidy, tests, the demo, other readers of the lake
  tidy    module docs, allowed edges between crates
";

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let done = match verb.as_str() {
        "ci" => ci::run(),
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
