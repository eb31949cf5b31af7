//! StreamReel's command line: parse, resolve the settings, run one verb, print its result.
//!
//! Each verb is one file below [`commands`], wiring only: the work is in the other crates.

mod answers;
mod cli;
mod clock;
mod commands;
mod config;
mod draw;
mod failure;
mod feed;
mod home;
mod hyper;
mod lines;
mod logging;
mod output;
mod progress;
mod stop;
mod surfaces;
mod titles;
mod upkeep;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line. Exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted before it was done.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::of(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are printed to stdout and are no failure; clap knows which is which.
            let status = u8::try_from(error.exit_code()).unwrap_or(2);
            return error.print().map_or(ExitCode::from(1), |()| ExitCode::from(status));
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.status())
        }
    }
}
