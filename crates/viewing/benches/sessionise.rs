//! Placeholder until the kernel is there.
fn main() {}
