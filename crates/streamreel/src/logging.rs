//! The program's log: lines on stderr, for people or, as JSON, for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;
use crate::home::Home;

/// What our own parts say at each level of talk; libraries only warn of what they can't do.
const QUIET: &str = "error";
const NORMAL: &str = "error,streamreel=warn,remark=info";
const VERBOSE: &str = "warn,streamreel=info,remark=info";

/// Begins the log. `RUST_LOG` says what is in it, else `-q` and `-v` do.
pub fn start(home: &Home) {
    let level = match (home.printer.is_quiet(), home.printer.is_verbose()) {
        (true, _) => QUIET,
        (false, false) => NORMAL,
        (false, true) => VERBOSE,
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only the first log of a program counts.
    let _ = match home.settings.serve.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
}
