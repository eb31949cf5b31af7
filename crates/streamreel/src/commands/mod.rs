//! One file a verb: wiring only.

mod audit;
mod build;
mod completions;
mod config;
mod demo;
mod export;
mod ingest;
mod lake;
mod process;
mod query;
mod serve;
mod simulate;
mod topics;
mod up;

use crate::cli::{Cli, Command};
use crate::failure::Outcome;
use crate::home::Home;
use crate::logging;

/// Runs the verb.
pub fn run(cli: Cli) -> Outcome {
    let flags = match &cli.command {
        Command::Process(args) => process::flags(args),
        Command::Serve(args) => serve::flags(&args.surfaces),
        Command::Up(args) => serve::flags(&args.surfaces),
        Command::Demo(args) => serve::flags(&args.surfaces),
        _ => Vec::new(),
    };
    if let Command::Completions { shell } = cli.command {
        return completions::run(shell);
    }
    let home = Home::new(&cli.global, flags)?;
    logging::start(&home);
    match cli.command {
        Command::Demo(args) => demo::run(&home, &args),
        Command::Up(args) => up::run(&home, &args),
        Command::Serve(args) => serve::run(&home, &args),
        Command::Simulate(args) => simulate::run(&home, &args),
        Command::Ingest(args) => ingest::run(&home, &args),
        Command::Process(args) => process::run(&home, &args),
        Command::Build(args) => build::run(&home, &args),
        Command::Query(args) => query::run(&home, &args),
        Command::Audit => audit::run(&home),
        Command::Export(args) => export::run(&home, &args),
        Command::Lake(command) => lake::run(&home, &command),
        Command::Topics(args) => topics::run(&home, &args),
        Command::Config(args) => config::run(&home, &args),
        Command::Completions { shell } => completions::run(shell),
    }
}
