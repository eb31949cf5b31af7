//! `completions`: a script for the user's shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Outcome;

/// Prints the script.
pub fn run(shell: Shell) -> Outcome {
    clap_complete::generate(shell, &mut Cli::command(), "streamreel", &mut std::io::stdout());
    Ok(())
}
