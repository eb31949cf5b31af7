//! Results: rows in the four formats, values as JSON, remarks for people.

use std::io::{self, BufWriter, Write};

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::pretty::pretty_format_batches_with_options;
use serde::Serialize;

use crate::cli::{Format, Global};
use crate::config::LogFormat;
use crate::failure::{Failure, Outcome};

const DATE: &str = "%Y-%m-%d";
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// How values look: dates and times as ISO 8601, nulls as nothing.
fn options<'a>() -> FormatOptions<'a> {
    FormatOptions::default()
        .with_date_format(Some(DATE))
        .with_timestamp_tz_format(Some(TIME))
        .with_timestamp_format(Some(TIME))
}

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// Whether the result is wanted as JSON.
    pub json: bool,
    quiet: bool,
    verbose: bool,
    log: LogFormat,
}

impl Printer {
    /// As the global flags say.
    pub fn new(global: &Global, log: LogFormat) -> Self {
        Self { json: global.json, quiet: global.quiet, verbose: global.verbose, log }
    }

    /// Whether only results and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether more is wanted.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Prints a result: as JSON, or as the text that `human` makes of it.
    pub fn result<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(human(value).as_bytes())?;
        }
        out.flush()?;
        Ok(())
    }

    /// A remark on stderr, for people; a line of the log where that is for programs.
    pub fn remark(&self, text: impl std::fmt::Display) {
        match self.log {
            _ if self.quiet => {}
            LogFormat::Text => eprintln!("{text}"),
            LogFormat::Json => tracing::info!(target: "remark", "{text}"),
        }
    }

    /// Something that failed while the program goes on.
    pub fn trouble(&self, failure: &Failure) {
        match (self.log, failure.message()) {
            (LogFormat::Json, Some(message)) => tracing::error!("{message}"),
            _ => failure.report(),
        }
    }

    /// A remark that only `-v` shows.
    pub fn detail(&self, text: impl std::fmt::Display) {
        if self.verbose {
            eprintln!("{text}");
        }
    }
}

/// Writes batches to stdout, one after another as they come.
pub struct RowWriter {
    format: Format,
    out: Sink,
    held: Vec<RecordBatch>,
}

type Out = BufWriter<io::Stdout>;

enum Sink {
    Held,
    Csv(Box<arrow_csv::Writer<Out>>),
    Json(Box<arrow_json::ArrayWriter<Out>>),
    Ndjson(Box<arrow_json::LineDelimitedWriter<Out>>),
}

impl RowWriter {
    /// A writer to stdout.
    pub fn new(format: Format) -> Self {
        let stdout = BufWriter::new(io::stdout());
        let json = || arrow_json::WriterBuilder::new().with_explicit_nulls(true);
        let out = match format {
            Format::Table => Sink::Held,
            Format::Csv => Sink::Csv(Box::new(csv(stdout))),
            Format::Json => Sink::Json(Box::new(json().build(stdout))),
            Format::Ndjson => Sink::Ndjson(Box::new(json().build(stdout))),
        };
        Self { format, out, held: Vec::new() }
    }

    /// Writes a batch. A table waits for all of them, to know how wide its columns are.
    pub fn write(&mut self, batch: &RecordBatch) -> Outcome {
        match &mut self.out {
            Sink::Held => self.held.push(batch.clone()),
            Sink::Csv(writer) => writer.write(batch).map_err(unwrapped)?,
            Sink::Json(writer) => writer.write(batch).map_err(unwrapped)?,
            Sink::Ndjson(writer) => writer.write(batch).map_err(unwrapped)?,
        }
        Ok(())
    }

    /// Ends the output. `empty` is a batch without rows: the header of a result without any.
    pub fn finish(mut self, empty: &RecordBatch) -> Outcome {
        if matches!(self.format, Format::Csv | Format::Table) {
            self.write(empty)?;
        }
        match self.out {
            Sink::Held => {
                let text = pretty_format_batches_with_options(&self.held, &options())?;
                writeln!(io::stdout(), "{text}")?;
            }
            Sink::Csv(writer) => writer.into_inner().flush()?,
            Sink::Json(mut writer) => {
                writer.finish().map_err(unwrapped)?;
                let mut out = writer.into_inner();
                out.write_all(b"\n")?;
                out.flush()?;
            }
            Sink::Ndjson(mut writer) => {
                writer.finish().map_err(unwrapped)?;
                writer.into_inner().flush()?;
            }
        }
        Ok(())
    }
}

/// A CSV writer with ISO dates and times.
pub fn csv<W: Write>(out: W) -> arrow_csv::Writer<W> {
    arrow_csv::WriterBuilder::new()
        .with_header(true)
        .with_date_format(DATE.to_owned())
        .with_timestamp_format(TIME.to_owned())
        .with_timestamp_tz_format(TIME.to_owned())
        .build(out)
}

/// The error of the stream below, where that is what failed, so that a closed pipe is known as one.
fn unwrapped(error: arrow_schema::ArrowError) -> anyhow::Error {
    match error {
        arrow_schema::ArrowError::IoError(_, source) => source.into(),
        arrow_schema::ArrowError::CsvError(text) if text.contains("Broken pipe") => {
            io::Error::new(io::ErrorKind::BrokenPipe, text).into()
        }
        other => other.into(),
    }
}

/// One value of a batch as text.
pub fn cell(batch: &RecordBatch, column: &str, row: usize) -> String {
    let options = options();
    let array = batch.column_by_name(column);
    let formatter = array.and_then(|a| ArrayFormatter::try_new(a.as_ref(), &options).ok());
    formatter.map_or_else(String::new, |f| f.value(row).to_string())
}
