//! The machine's clock: the one place that reads it. Everything else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, UTC; 0 on a machine that believes to be before it.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970, UTC.
pub fn now_ms() -> i64 {
    now_us() / 1000
}
