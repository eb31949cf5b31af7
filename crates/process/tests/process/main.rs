//! Everything that the processor promises, in one program, as the engine below takes long to link into each.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bronze;
mod kills;
mod support;
mod topics;
