//! The cleaning pipeline: one list of named steps over columnar batches.
//!
//! A step is a function of the batch and of the deduplication window; it reads no clock and does no I/O. A step that rejects
//! records names its reasons: each record ends as exactly one [`Outcome`], and every outcome other than `clean` has a reason.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_array::builder::BinaryBuilder;
use streamreel_dedupe::{self as dedupe, Deduplicator, Key};
use streamreel_event::{Decoder, EventColumns, decoded_schema, write_clean_json};
use streamreel_topic::{Offsets, Records, RecordsBuilder};

use crate::bronze::{BronzeRows, Landing, Outcome, received_at_us};
use crate::decimal::Decimal;
use crate::error::{Result, columns};
use crate::names;
use crate::report::{Counts, add_to};
use crate::settings::KeepPayload;

/// The pipeline, in order.
pub const STEPS: &[Step] = &[
    // Rejects by every reason of `streamreel_event::Reject`.
    Step { name: "decode", run: decode },
    // Rejects by the reason `duplicate`.
    Step { name: "deduplicate", run: deduplicate },
    Step { name: "count", run: count },
    Step { name: "clean_events", run: clean_events },
    Step { name: "dead_letters", run: dead_letters },
    Step { name: "bronze_rows", run: bronze_rows },
];

/// Keys whose places in the window are brought into the processor's cache together.
const TOUCHED_AT_ONCE: usize = 32;

/// The part of the pipeline that decides; enough to rebuild the deduplication window.
const DECIDING: usize = 2;

/// A step of the pipeline.
pub struct Step {
    /// Its name, as it stands in errors.
    pub name: &'static str,
    run: fn(&mut Cleaner, &Stretch<'_>, &mut Cleaned) -> Result<()>,
}

/// Records of one partition, in offset order.
pub struct Stretch<'a> {
    /// A batch of records ...
    pub records: &'a Records,
    /// ... with their offsets ...
    pub offsets: &'a Offsets,
    /// ... of which these are meant.
    pub rows: Range<usize>,
}

impl Stretch<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn timestamps_ms(&self) -> &[i64] {
        &self.records.timestamps_ms()[self.rows.clone()]
    }

    fn offset(&self, row: usize) -> i64 {
        self.offsets.get(self.rows.start + row)
    }

    fn value(&self, row: usize) -> &[u8] {
        self.records.value(self.rows.start + row)
    }
}

/// Which results are needed; a sink that already has a stretch needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Records for the cleaned topics.
    pub topics: bool,
    /// Rows for bronze.
    pub bronze: bool,
}

/// What the steps make of a stretch.
pub struct Cleaned {
    /// Columns of [`decoded_schema`], one row a record.
    pub decoded: RecordBatch,
    /// One a record.
    pub outcomes: Vec<Outcome>,
    /// How many of each.
    pub counts: Counts,
    /// Records for `clean-events`.
    pub clean: Records,
    /// Records for `video-events.dlq`.
    pub dead: Records,
    /// Rows for bronze.
    pub bronze: Option<RecordBatch>,
    wanted: Wanted,
}

/// Where the records of a cleaner come from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Identity of the log.
    pub log: String,
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
}

/// Cleans the records of one partition; owns its window and every buffer that the steps reuse.
pub struct Cleaner {
    origin: Origin,
    keep_payload: KeepPayload,
    decoder: Decoder,
    window: Deduplicator,
    bronze: BronzeRows,
    scratch: Vec<u8>,
    keys: Vec<(usize, Key)>,
}

impl Cleaner {
    /// A cleaner with an empty window, whose bronze rows have this schema.
    pub fn new(
        origin: Origin,
        window: dedupe::Window,
        keep_payload: KeepPayload,
        bronze: arrow_schema::SchemaRef,
    ) -> Self {
        let bronze = BronzeRows::new(bronze, &origin.log, &origin.topic, origin.partition);
        Self {
            origin,
            keep_payload,
            decoder: Decoder::new(),
            window: Deduplicator::new(window),
            bronze,
            scratch: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Runs all steps over the next stretch of the partition.
    pub fn clean(&mut self, stretch: &Stretch<'_>, wanted: Wanted) -> Result<Cleaned> {
        self.run(STEPS, stretch, wanted)
    }

    /// Lets the window see a stretch that was processed before.
    pub fn remember(&mut self, stretch: &Stretch<'_>) -> Result<()> {
        self.run(&STEPS[..DECIDING], stretch, Wanted { topics: false, bronze: false })?;
        self.window.reset_forgotten();
        Ok(())
    }

    /// The deduplication window.
    pub fn window(&self) -> &Deduplicator {
        &self.window
    }

    fn run(&mut self, steps: &[Step], stretch: &Stretch<'_>, wanted: Wanted) -> Result<Cleaned> {
        let mut cleaned = Cleaned {
            decoded: RecordBatch::new_empty(decoded_schema()),
            outcomes: Vec::with_capacity(stretch.len()),
            counts: Counts::default(),
            clean: Records::default(),
            dead: Records::default(),
            bronze: None,
            wanted,
        };
        for step in steps {
            (step.run)(self, stretch, &mut cleaned)?;
        }
        Ok(cleaned)
    }
}

/// Bytes to columns; a record that is no valid event keeps its reason and nothing else.
fn decode(cleaner: &mut Cleaner, stretch: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    for (row, timestamp_ms) in stretch.rows.clone().zip(stretch.timestamps_ms()) {
        let cut = stretch.records.header(row, names::CUT).is_some();
        cleaner.decoder.push(stretch.records.value(row), received_at_us(*timestamp_ms), cut);
    }
    cleaned.decoded = cleaner.decoder.finish();
    let events = EventColumns::new(&cleaned.decoded).map_err(columns("decode"))?;
    let outcome = |row| if events.is_valid(row) { Outcome::Clean } else { Outcome::Rejected };
    cleaned.outcomes.extend((0..events.len()).map(outcome));
    Ok(())
}

/// A valid record with the user and event id of an earlier one within the window is a duplicate.
fn deduplicate(cleaner: &mut Cleaner, stretch: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    let events = EventColumns::new(&cleaned.decoded).map_err(columns("deduplicate"))?;
    cleaner.keys.clear();
    for (row, _) in cleaned.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == Outcome::Clean) {
        let key = dedupe::key(events.user_id(row), events.event_id(row), &mut cleaner.scratch);
        cleaner.keys.push((row, key));
    }
    for some in cleaner.keys.chunks(TOUCHED_AT_ONCE) {
        cleaner.window.touch(some.iter().map(|(_, key)| *key));
        for (row, key) in some {
            if cleaner.window.is_duplicate(stretch.offset(*row), stretch.timestamps_ms()[*row], *key) {
                cleaned.outcomes[*row] = Outcome::Duplicate;
            }
        }
    }
    Ok(())
}

/// Every record under the name of what became of it.
fn count(cleaner: &mut Cleaner, _: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    let events = EventColumns::new(&cleaned.decoded).map_err(columns("count"))?;
    let counts = &mut cleaned.counts;
    counts.received = cleaned.outcomes.len() as u64;
    for (row, outcome) in cleaned.outcomes.iter().enumerate() {
        match outcome {
            Outcome::Clean => {
                counts.clean += 1;
                if let Some(corrections) = events.corrections(row) {
                    corrections.split(',').for_each(|name| add_to(&mut counts.corrections, name, 1));
                }
            }
            Outcome::Duplicate => counts.duplicates += 1,
            Outcome::Rejected => add_to(&mut counts.rejected, events.reason(row).unwrap_or_default(), 1),
        }
    }
    counts.forgotten = cleaner.window.forgotten();
    cleaner.window.reset_forgotten();
    Ok(())
}

/// Normalised JSON of the clean records, keyed by user.
fn clean_events(cleaner: &mut Cleaner, stretch: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    if !cleaned.wanted.topics {
        return Ok(());
    }
    let events = EventColumns::new(&cleaned.decoded).map_err(columns("clean_events"))?;
    let mut records = RecordsBuilder::with_capacity(stretch.len(), stretch.len() * 320);
    let partition = Decimal::new(i64::from(cleaner.origin.partition));
    for (row, _) in cleaned.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == Outcome::Clean) {
        let timestamp_ms = stretch.timestamps_ms()[row];
        let (offset, timestamp) = (Decimal::new(stretch.offset(row)), Decimal::new(timestamp_ms));
        let source = source_headers(&cleaner.origin, &partition, &offset, &timestamp);
        let mut headers = [("", &b""[..]); 7];
        headers[..source.len()].copy_from_slice(&source);
        let mut len = source.len();
        if let Some(corrections) = events.corrections(row) {
            headers[len] = (names::CORRECTIONS, corrections.as_bytes());
            len += 1;
        }
        if cleaner.keep_payload == KeepPayload::All {
            headers[len] = (names::PAYLOAD, stretch.value(row));
            len += 1;
        }
        cleaner.scratch.clear();
        write_clean_json(&events, row, &mut cleaner.scratch);
        records.push(timestamp_ms, Some(events.user_id(row).as_bytes()), &cleaner.scratch, &headers[..len]);
    }
    cleaned.clean = records.finish();
    Ok(())
}

/// The original bytes of every other record, and why.
fn dead_letters(cleaner: &mut Cleaner, stretch: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    const SEEN_BEFORE: &str = "same user_id and event_id as an earlier record within the window";
    if !cleaned.wanted.topics {
        return Ok(());
    }
    let events = EventColumns::new(&cleaned.decoded).map_err(columns("dead_letters"))?;
    let mut records = RecordsBuilder::new();
    let partition = Decimal::new(i64::from(cleaner.origin.partition));
    for (row, outcome) in cleaned.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome != Outcome::Clean) {
        let timestamp_ms = stretch.timestamps_ms()[row];
        let (offset, timestamp) = (Decimal::new(stretch.offset(row)), Decimal::new(timestamp_ms));
        let source = source_headers(&cleaner.origin, &partition, &offset, &timestamp);
        let (reason, detail) = match outcome {
            Outcome::Duplicate => (names::DUPLICATE, Some(SEEN_BEFORE)),
            _ => (events.reason(row).unwrap_or_default(), events.detail(row)),
        };
        let mut headers = [("", &b""[..]); 8];
        headers[0] = (names::REASON, reason.as_bytes());
        headers[1..=source.len()].copy_from_slice(&source);
        let mut len = 1 + source.len();
        if let Some(detail) = detail {
            headers[len] = (names::DETAIL, detail.as_bytes());
            len += 1;
        }
        let row = stretch.rows.start + row;
        if let Some(cut) = stretch.records.header(row, names::CUT) {
            headers[len] = (names::CUT, cut);
            len += 1;
        }
        records.push(timestamp_ms, stretch.records.key(row), stretch.records.value(row), &headers[..len]);
    }
    cleaned.dead = records.finish();
    Ok(())
}

fn source_headers<'a>(
    origin: &'a Origin,
    partition: &'a Decimal,
    offset: &'a Decimal,
    timestamp: &'a Decimal,
) -> [(&'static str, &'a [u8]); 5] {
    [
        (names::SOURCE_LOG, origin.log.as_bytes()),
        (names::SOURCE_TOPIC, origin.topic.as_bytes()),
        (names::SOURCE_PARTITION, partition.as_bytes()),
        (names::SOURCE_OFFSET, offset.as_bytes()),
        (names::SOURCE_TIMESTAMP, timestamp.as_bytes()),
    ]
}

/// A row for every record, whatever became of it.
fn bronze_rows(cleaner: &mut Cleaner, stretch: &Stretch<'_>, cleaned: &mut Cleaned) -> Result<()> {
    if !cleaned.wanted.bronze {
        return Ok(());
    }
    let mut payload = BinaryBuilder::with_capacity(stretch.len(), 0);
    for (row, outcome) in cleaned.outcomes.iter().enumerate() {
        let keep = *outcome != Outcome::Clean || cleaner.keep_payload == KeepPayload::All;
        payload.append_option(keep.then(|| stretch.value(row)));
    }
    let landing = Landing {
        outcomes: &cleaned.outcomes,
        payload: payload.finish(),
        offsets: (0..stretch.len()).map(|row| stretch.offset(row)).collect(),
        timestamps_ms: stretch.timestamps_ms(),
    };
    cleaned.bronze = Some(cleaner.bronze.rows(&cleaned.decoded, landing)?);
    Ok(())
}
