//! Progress on stderr: a bar or a count, on a terminal only, for anything that takes longer than a second.

use std::borrow::Cow;
use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

const APPEARS_AFTER: Duration = Duration::from_secs(1);
const REDRAW_HZ: u8 = 5;

/// Makes progress displays that fit where stderr goes.
#[derive(Debug, Clone, Copy)]
pub struct Display {
    shown: bool,
}

impl Display {
    /// Nothing is shown if `quiet`, or where stderr is no terminal.
    pub fn new(quiet: bool) -> Self {
        Self { shown: !quiet && std::io::stderr().is_terminal() }
    }

    /// Progress towards `total` units (`None`: unknown).
    pub fn start(self, what: &str, unit: &'static str, total: Option<u64>) -> Progress {
        self.begin(what, unit, total, true)
    }

    /// The same for units of which one may take much longer than another, so that there is no rate, and no time that is left.
    pub fn start_uneven(self, what: &str, unit: &'static str, total: Option<u64>) -> Progress {
        self.begin(what, unit, total, false)
    }

    fn begin(self, what: &str, unit: &'static str, total: Option<u64>, has_rate: bool) -> Progress {
        Progress {
            bar: ProgressBar::hidden(),
            shown: self.shown,
            started: Instant::now(),
            total,
            unit,
            what: what.to_owned(),
            has_rate,
        }
    }
}

/// One piece of work that is under way.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    shown: bool,
    started: Instant,
    total: Option<u64>,
    unit: &'static str,
    what: String,
    has_rate: bool,
}

impl Progress {
    /// How far it is.
    pub fn set(&mut self, done: u64) {
        self.appear();
        self.bar.set_position(done);
    }

    /// How much there is in all, where that becomes known or grows.
    pub fn set_total(&mut self, total: u64) {
        self.total = Some(total);
        self.bar.set_length(total);
    }

    /// What it is at now.
    pub fn say(&mut self, message: impl Into<Cow<'static, str>>) {
        self.appear();
        self.bar.set_message(message);
    }

    fn appear(&mut self) {
        if !self.shown || !self.bar.is_hidden() || self.started.elapsed() < APPEARS_AFTER {
            return;
        }
        let template = template(self.unit, self.total.is_some(), self.has_rate);
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(self.total, ProgressDrawTarget::stderr_with_hz(REDRAW_HZ));
        bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        bar.set_prefix(self.what.clone());
        self.bar = bar;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn template(unit: &str, has_total: bool, has_rate: bool) -> String {
    let (done, left) = match has_total {
        true => ("[{bar:24}] {human_pos}/{human_len}", "{eta}"),
        false => ("{spinner} {human_pos}", "{elapsed}"),
    };
    let pace = if has_rate { format!(" {{rate}} {left}") } else { String::new() };
    format!("{{prefix:16}} {done} {unit}{pace} {{wide_msg}}")
}

/// Units a second, as a whole number.
fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    // A display that can't be written to is not worth a failure.
    let _ = write!(out, "{}/s", HumanCount(state.per_sec().round() as u64));
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn what_is_shown() {
        let cases = [
            (true, true, "{prefix:16} [{bar:24}] {human_pos}/{human_len} steps {rate} {eta} {wide_msg}"),
            (true, false, "{prefix:16} [{bar:24}] {human_pos}/{human_len} steps {wide_msg}"),
            (false, true, "{prefix:16} {spinner} {human_pos} steps {rate} {elapsed} {wide_msg}"),
            (false, false, "{prefix:16} {spinner} {human_pos} steps {wide_msg}"),
        ];
        for (has_total, has_rate, expected) in cases {
            assert_eq!(template("steps", has_total, has_rate), expected);
        }
    }
}
