//! Progress on stderr: a bar or a count, on a terminal only, for anything that takes longer than a second.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
        Progress {
            bar: ProgressBar::hidden(),
            shown: self.shown,
            started: Instant::now(),
            total,
            unit,
            what: what.to_owned(),
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
        let template = match self.total {
            Some(_) => format!(
                "{{prefix:16}} [{{bar:24}}] {{human_pos}}/{{human_len}} {} {{per_sec}} {{eta}} {{wide_msg}}",
                self.unit
            ),
            None => {
                format!("{{prefix:16}} {{spinner}} {{human_pos}} {} {{per_sec}} {{elapsed}} {{wide_msg}}", self.unit)
            }
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(self.total, ProgressDrawTarget::stderr_with_hz(REDRAW_HZ));
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(self.what.clone());
        self.bar = bar;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
