//! The `streamreel` binary.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::set_up();
    streamreel::run(std::env::args_os())
}
