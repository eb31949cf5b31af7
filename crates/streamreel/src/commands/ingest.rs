//! `ingest`: lines of files into `video-events`. Every line that is not blank is a record; what it is worth, `process` says.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use streamreel_event::{KeyScratch, MAX_RECORD_BYTES, producer_key};

use crate::cli::Ingest;
use crate::clock;
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::feed::Feed;
use crate::home::Home;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::stop::Stop;

/// Lines between two looks at the clock and at the progress.
const LINES_A_LOOK: u64 = 1024;

#[derive(Serialize)]
struct Summary {
    files: usize,
    records: u64,
    cut: u64,
    interrupted: bool,
}

/// Ingests the files one after another.
pub fn run(home: &Home, args: &Ingest) -> Outcome {
    let stop = Stop::listen()?;
    check_files(&args.files)?;
    home.keep();
    let mut feed = Feed::new(&*home.log()?, home.settings.log.partitions)?;
    let mut summary = Summary { files: 0, records: 0, cut: 0, interrupted: false };
    for path in &args.files {
        if stop.wanted() {
            break;
        }
        let before = feed.committed();
        let read = file(home, path, &mut feed, &stop, &mut summary.cut);
        // Whole lines before an error are records like any other; their copies are known when the file comes again.
        feed.commit()?;
        if let Err((line, error)) = read {
            let records = thousands((feed.committed() - before) as i64);
            return Err(Failure::Failed(anyhow::Error::new(error).context(format!(
                "{} can't be read beyond line {line}. The {records} records before are in the topic; ingest the whole file \
                 when it is mended: copies are recognised",
                path.display()
            ))));
        }
        summary.files += 1;
    }
    summary.records = feed.committed();
    summary.interrupted = stop.wanted();
    home.printer.result(&summary, |s| {
        let cut =
            if s.cut > 0 { format!(", {} of them too large and cut", thousands(s.cut as i64)) } else { String::new() };
        let early = if s.interrupted { " before it was interrupted" } else { "" };
        format!("{} records into video-events{cut}{early}\n", thousands(s.records as i64))
    })?;
    if summary.interrupted {
        let part =
            "interrupted: the files are not in the topic to their end; ingest them again whole: copies are recognised";
        return Err(Failure::Interrupted(part.to_owned()));
    }
    Ok(())
}

/// All files are looked at before the first is read, so that a wrong name, or a file without lines, ingests nothing.
fn check_files(files: &[std::path::PathBuf]) -> Outcome {
    for path in files.iter().filter(|p| p.as_path() != Path::new("-")) {
        let metadata = std::fs::metadata(path).with_context(|| format!("can't open {}", path.display()))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a folder; name the files in it", path.display())));
        }
        // What is read of a pipe is gone.
        if metadata.is_file() {
            Lines::open(path, MAX_RECORD_BYTES).with_context(|| format!("can't ingest {}", path.display()))?;
        }
    }
    Ok(())
}

fn file(home: &Home, path: &Path, feed: &mut Feed, stop: &Stop, cut: &mut u64) -> Result<(), (u64, ReadError)> {
    let size = std::fs::metadata(path).ok().map(|m| m.len());
    let name = path.file_name().map_or_else(|| "stdin".into(), |n| n.to_string_lossy());
    let mut progress = home.display.start(&format!("ingest {name}"), "bytes", size);
    let mut lines = Lines::open(path, MAX_RECORD_BYTES).map_err(|e| (0, ReadError::Input(e)))?;
    read_lines(&mut lines, feed, stop, cut, &mut progress).map_err(|error| (lines.number(), error))
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Input(#[from] std::io::Error),
    #[error("the log refused it: {0}")]
    Log(String),
}

fn read_lines(
    lines: &mut Lines,
    feed: &mut Feed,
    stop: &Stop,
    cut: &mut u64,
    progress: &mut Progress,
) -> Result<(), ReadError> {
    let mut scratch = KeyScratch::default();
    let mut now_ms = clock::now_ms();
    loop {
        if lines.number().is_multiple_of(LINES_A_LOOK) {
            now_ms = clock::now_ms();
            progress.set(lines.bytes_read());
            if stop.wanted() {
                return Ok(());
            }
        }
        let Some(line) = lines.next_line()? else { return Ok(()) };
        if line.is_blank() {
            continue;
        }
        *cut += u64::from(line.cut_from.is_some());
        let key = producer_key(line.bytes, &mut scratch).map(str::as_bytes);
        feed.push(now_ms, key, line.bytes, line.cut_from).map_err(|failure| match failure {
            Failure::Failed(error) => ReadError::Log(format!("{error:#}")),
            other => ReadError::Log(format!("{other:?}")),
        })?;
    }
}
