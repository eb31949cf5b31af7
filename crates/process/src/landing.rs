//! Bronze rows from the two cleaned topics, whoever wrote them: the same rows that cleaning would have landed.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use streamreel_event::{Decoder, EventColumns, Reject};

use crate::bronze::{BronzeRows, Landing, Outcome, received_at_us};
use crate::cleaning::Stretch;
use crate::error::{Error, Result, columns};
use crate::names;
use crate::report::{Counts, add_to};

/// Which of the cleaned topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CleanedTopic {
    CleanEvents,
    DeadLetters,
}

impl CleanedTopic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            CleanedTopic::CleanEvents => names::CLEAN_EVENTS,
            CleanedTopic::DeadLetters => names::DEAD_LETTERS,
        }
    }
}

/// Lands one partition of a cleaned topic.
pub(crate) struct Lander {
    topic: CleanedTopic,
    partition: u32,
    schema: SchemaRef,
    decoder: Decoder,
    /// The source of the last records: nearly always that of the next ones.
    rows: Option<(String, String, u32, BronzeRows)>,
}

/// Columns that the headers give.
#[derive(Default)]
struct FromHeaders {
    outcomes: Vec<Outcome>,
    offsets: Vec<i64>,
    timestamps_ms: Vec<i64>,
    reason: StringBuilder,
    detail: StringBuilder,
    corrections: StringBuilder,
    payload: BinaryBuilder,
}

/// Headers of one record, with its place for errors.
struct Record<'a> {
    stretch: &'a Stretch<'a>,
    row: usize,
    topic: &'static str,
    partition: u32,
}

impl<'a> Record<'a> {
    fn find(&self, header: &str) -> Option<&'a [u8]> {
        self.stretch.records.header(self.row, header)
    }

    fn foreign(&self, header: &'static str) -> Error {
        Error::ForeignRecord {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.stretch.offsets.get(self.row),
            header,
            found: self
                .find(header)
                .map_or_else(|| "absent".to_owned(), |v| format!("{:?}", String::from_utf8_lossy(v))),
        }
    }

    fn optional(&self, header: &'static str) -> Result<Option<&'a str>> {
        self.find(header).map(|value| std::str::from_utf8(value).map_err(|_| self.foreign(header))).transpose()
    }

    fn text(&self, header: &'static str) -> Result<&'a str> {
        self.optional(header)?.ok_or_else(|| self.foreign(header))
    }

    fn number<T: std::str::FromStr>(&self, header: &'static str) -> Result<T> {
        self.text(header)?.parse().map_err(|_| self.foreign(header))
    }
}

impl Lander {
    pub(crate) fn new(topic: CleanedTopic, partition: u32, schema: SchemaRef) -> Self {
        Self { topic, partition, schema, decoder: Decoder::new(), rows: None }
    }

    /// Rows of bronze, one a record. Records of one stretch come from one source partition, or it is an error.
    pub(crate) fn land(&mut self, stretch: &Stretch<'_>) -> Result<(RecordBatch, Counts)> {
        let mut found = FromHeaders::default();
        for row in stretch.rows.clone() {
            let record = Record { stretch, row, topic: self.topic.name(), partition: self.partition };
            self.check_source(&record)?;
            self.read_headers(&record, &mut found)?;
        }
        let decoded = self.decoder.finish();
        let Some((.., rows)) = self.rows.as_mut() else {
            return Ok((RecordBatch::new_empty(self.schema.clone()), Counts::default()));
        };
        if self.topic == CleanedTopic::CleanEvents {
            check_valid(&decoded, stretch, self.partition)?;
        }
        let decoded = replace(decoded, self.topic, &mut found)?;
        let counts = count(&decoded, &found.outcomes)?;
        let landing = Landing {
            outcomes: &found.outcomes,
            payload: found.payload.finish(),
            offsets: std::mem::take(&mut found.offsets),
            timestamps_ms: &found.timestamps_ms,
        };
        Ok((rows.rows(&decoded, landing)?, counts))
    }

    /// A cleaned topic holds one source: partition p of it what was partition p of the source.
    fn check_source(&mut self, record: &Record<'_>) -> Result<()> {
        let (log, topic) = (record.text(names::SOURCE_LOG)?, record.text(names::SOURCE_TOPIC)?);
        let partition: u32 = record.number(names::SOURCE_PARTITION)?;
        match &self.rows {
            None => {
                let rows = BronzeRows::new(self.schema.clone(), log, topic, partition);
                self.rows = Some((log.to_owned(), topic.to_owned(), partition, rows));
                Ok(())
            }
            Some((known, ..)) if known != log => Err(record.foreign(names::SOURCE_LOG)),
            Some((_, known, ..)) if known != topic => Err(record.foreign(names::SOURCE_TOPIC)),
            Some((_, _, known, _)) if *known != partition => Err(record.foreign(names::SOURCE_PARTITION)),
            Some(_) => Ok(()),
        }
    }

    fn read_headers(&mut self, record: &Record<'_>, found: &mut FromHeaders) -> Result<()> {
        let value = record.stretch.records.value(record.row);
        let timestamp_ms: i64 = record.number(names::SOURCE_TIMESTAMP)?;
        found.offsets.push(record.number(names::SOURCE_OFFSET)?);
        found.timestamps_ms.push(timestamp_ms);
        let received_at_us = received_at_us(timestamp_ms);
        if self.topic == CleanedTopic::CleanEvents {
            self.decoder.push(value, received_at_us, false);
            found.outcomes.push(Outcome::Clean);
            found.reason.append_null();
            found.detail.append_null();
            found.corrections.append_option(record.optional(names::CORRECTIONS)?);
            found.payload.append_option(record.find(names::PAYLOAD));
            return Ok(());
        }
        found.payload.append_value(value);
        match record.text(names::REASON)? {
            names::DUPLICATE => {
                self.decoder.push(value, received_at_us, record.find(names::CUT).is_some());
                found.outcomes.push(Outcome::Duplicate);
                found.reason.append_null();
                found.detail.append_null();
            }
            reason if Reject::parse(reason).is_some() => {
                // Who cleaned has decided: an empty record decodes to the same nulls, whatever this version would say.
                self.decoder.push(b"", received_at_us, false);
                found.outcomes.push(Outcome::Rejected);
                found.reason.append_value(reason);
                found.detail.append_option(record.optional(names::DETAIL)?);
            }
            _ => return Err(record.foreign(names::REASON)),
        }
        Ok(())
    }
}

/// What a cleaner wrote to `clean-events` must decode.
fn check_valid(decoded: &RecordBatch, stretch: &Stretch<'_>, partition: u32) -> Result<()> {
    let events = EventColumns::new(decoded).map_err(columns("land"))?;
    match (0..events.len()).find(|row| !events.is_valid(*row)) {
        None => Ok(()),
        Some(row) => Err(Error::ForeignRecord {
            topic: names::CLEAN_EVENTS.to_owned(),
            partition,
            offset: stretch.offsets.get(stretch.rows.start + row),
            header: "(value)",
            found: format!("no clean event: {}", events.reason(row).unwrap_or_default()),
        }),
    }
}

fn count(decoded: &RecordBatch, outcomes: &[Outcome]) -> Result<Counts> {
    let events = EventColumns::new(decoded).map_err(columns("land"))?;
    let mut counts = Counts { received: outcomes.len() as u64, ..Counts::default() };
    for (row, outcome) in outcomes.iter().enumerate() {
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
    Ok(counts)
}

/// Puts what the headers say in the place of what decoding says. Only clean events have their corrections in a header: the
/// original bytes of a duplicate give them again.
fn replace(decoded: RecordBatch, topic: CleanedTopic, found: &mut FromHeaders) -> Result<RecordBatch> {
    let mut replaced: Vec<(&str, StringArray)> =
        vec![("reason", found.reason.finish()), ("detail", found.detail.finish())];
    if topic == CleanedTopic::CleanEvents {
        replaced.push(("corrections", found.corrections.finish()));
    }
    let schema = decoded.schema();
    let mut all: Vec<ArrayRef> = decoded.columns().to_vec();
    for (name, column) in replaced {
        let index = schema.index_of(name).map_err(columns("land"))?;
        all[index] = Arc::new(column);
    }
    RecordBatch::try_new(schema, all).map_err(columns("land"))
}
