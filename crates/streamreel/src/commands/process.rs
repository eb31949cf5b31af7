//! `process`: from `video-events` (or the two cleaned topics) to where it belongs, each record exactly once.

use std::cell::RefCell;
use std::fmt::Write;

use serde::Serialize;
use streamreel_process::{Processor, ReadFrom, Summary, Until};

use crate::cli::{From, Process};
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::stop::Stop;

/// What a run did.
#[derive(Serialize)]
struct Processed {
    #[serde(flatten)]
    summary: Summary,
    /// Whether it was stopped before the end of the topic, where it was to get there.
    interrupted: bool,
}

/// Flags of this command that are settings.
pub fn flags(args: &Process) -> Vec<(String, String, String)> {
    let interval = args.commit_interval.as_ref();
    let flag =
        |value: &String| (format!("--commit-interval {value}"), "process.commit_interval".to_owned(), value.clone());
    interval.map(flag).into_iter().collect()
}

/// Processes to the end of the topic, or on and on.
pub fn run(home: &Home, args: &Process) -> Outcome {
    let stop = Stop::listen()?;
    let from = match args.from {
        From::Raw => ReadFrom::VideoEvents,
        From::Clean => ReadFrom::Cleaned,
    };
    if !args.follow {
        // Nothing comes into a log that it would make: to look for one elsewhere helps more.
        drop(home.log_to_read()?);
    }
    let until = if args.follow { Until::Cancelled } else { Until::End };
    let summary = once(home, from, until, &stop)?;
    let processed = Processed { summary, interrupted: until == Until::End && stop.wanted() };
    home.printer.result(&processed, |processed| text(&processed.summary))?;
    if processed.interrupted {
        let part =
            "interrupted: the topic is not processed to its end; the next `streamreel process` goes on from there";
        return Err(Failure::Interrupted(part.to_owned()));
    }
    Ok(())
}

/// One run of a processor, with progress.
pub fn once(home: &Home, from: ReadFrom, until: Until, stop: &Stop) -> Outcome<Summary> {
    let log = home.log()?;
    let lake = home.lake(home.settings.build.memory)?;
    let mut processor = Processor::open(log, Some(&lake), home.process_settings(from))?;
    let progress = RefCell::new(home.display.start("process", "records", None));
    let summary = processor.run(until, stop.flag(), &|report| {
        let mut progress = progress.borrow_mut();
        if until == Until::End {
            let total: i64 = report.partitions.iter().map(|p| p.end - p.from).sum();
            progress.set_total(u64::try_from(total).unwrap_or(0));
        }
        progress.set(report.counts.received);
    })?;
    for rebuilt in &summary.rebuilt {
        home.printer.detail(format!(
            "partition {}: the deduplication window was rebuilt from {} records before offset {}",
            rebuilt.partition, rebuilt.records, rebuilt.next
        ));
    }
    home.printer.detail(format!(
        "{} commits to the cleaned topics and {} to bronze in {:.1} s",
        summary.topics_commits, summary.bronze_commits, summary.elapsed_s
    ));
    Ok(summary)
}

/// What became of the records, for people.
pub fn text(summary: &Summary) -> String {
    let counts = &summary.counts;
    let mut text = String::new();
    let mut line = |name: &str, count: u64| {
        let _ = writeln!(text, "{name:<26} {:>13}", thousands(count as i64));
    };
    line("received", counts.received);
    line("= clean", counts.clean);
    line("+ duplicates", counts.duplicates);
    line("+ rejected", counts.rejected_total());
    for (reason, count) in &counts.rejected {
        line(&format!("    {reason}"), *count);
    }
    if !counts.corrections.is_empty() {
        line("fields set to null", counts.corrections.values().sum());
        for (name, count) in &counts.corrections {
            line(&format!("    {name}"), *count);
        }
    }
    if counts.forgotten > 0 {
        line("forgotten by the window", counts.forgotten);
    }
    for rebuilt in summary.rebuilt.iter().filter(|r| !r.is_complete) {
        let _ = writeln!(
            text,
            "partition {}: retention has removed a part of the deduplication window; copies of what was in it pass here \
             and are dropped in silver",
            rebuilt.partition
        );
    }
    if summary.undecided > 0 {
        let _ = writeln!(
            text,
            "{} more offsets are held up by transactions that their producers have left open; brokers end those of one \
             that is gone after a minute, and the next `streamreel process` goes on from there",
            thousands(summary.undecided as i64)
        );
    }
    text
}
