//! The `streamreel` binary.

use std::process::ExitCode;

/// Batches are made and dropped by several threads: the system's allocator spends a seventh of a build on that, and keeps
/// more memory than is in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    streamreel::run(std::env::args_os())
}
