//! The `streamreel` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    streamreel::run(std::env::args_os())
}
