//! `completions`: a script for the user's shell.

use clap_complete::Shell;

use crate::cli;
use crate::failure::Outcome;

/// Prints the script.
pub fn run(shell: Shell) -> Outcome {
    clap_complete::generate(shell, &mut cli::command(), "streamreel", &mut std::io::stdout());
    Ok(())
}
