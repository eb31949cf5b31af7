//! Rows of `bronze.events`: the decoded columns as they are, the outcome, and where each record came from.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::SchemaRef;

use crate::error::{Result, columns};

/// 0001-01-01 and 9999-12-31T23:59:59.999: a record timestamp outside of them is taken as the nearer one.
const YEARS_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
const DAY_MS: i64 = 86_400_000;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Valid and not seen before.
    Clean,
    /// Not valid.
    Rejected,
    /// Valid, but a copy.
    Duplicate,
}

impl Outcome {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Clean => "clean",
            Outcome::Rejected => "rejected",
            Outcome::Duplicate => "duplicate",
        }
    }
}

/// `received_at` of a record timestamp: microseconds.
pub(crate) fn received_at_us(timestamp_ms: i64) -> i64 {
    timestamp_ms.clamp(*YEARS_MS.start(), *YEARS_MS.end()) * 1000
}

fn received_date(timestamp_ms: i64) -> i32 {
    timestamp_ms.clamp(*YEARS_MS.start(), *YEARS_MS.end()).div_euclid(DAY_MS) as i32
}

/// The columns that decoding does not give, one entry a record.
pub(crate) struct Landing<'a> {
    pub(crate) outcomes: &'a [Outcome],
    pub(crate) payload: BinaryArray,
    pub(crate) offsets: Vec<i64>,
    pub(crate) timestamps_ms: &'a [i64],
}

/// Makes rows of the table's schema; the columns that are the same for every record are made once.
pub(crate) struct BronzeRows {
    schema: SchemaRef,
    partition: i32,
    log: Repeated,
    topic: Repeated,
}

impl BronzeRows {
    /// For records of one partition of one topic of one log.
    pub(crate) fn new(schema: SchemaRef, log: &str, topic: &str, partition: u32) -> Self {
        Self { schema, partition: partition as i32, log: Repeated::new(log), topic: Repeated::new(topic) }
    }

    /// One row a record of `decoded`, in the same order.
    pub(crate) fn rows(&mut self, decoded: &RecordBatch, landing: Landing<'_>) -> Result<RecordBatch> {
        const STEP: &str = "bronze_rows";
        let len = decoded.num_rows();
        let mut made = Vec::with_capacity(self.schema.fields().len());
        let received_at = || landing.timestamps_ms.iter().map(|ms| received_at_us(*ms));
        for field in self.schema.fields() {
            let column: ArrayRef = match field.name().as_str() {
                "outcome" => Arc::new(outcome_column(landing.outcomes)),
                "payload" => Arc::new(landing.payload.clone()),
                "source_log" => self.log.column(len),
                "source_topic" => self.topic.column(len),
                "source_partition" => Arc::new(Int32Array::from_value(self.partition, len)),
                "source_offset" => Arc::new(Int64Array::from(landing.offsets.clone())),
                "received_at" => {
                    Arc::new(TimestampMicrosecondArray::from_iter_values(received_at()).with_timezone("UTC"))
                }
                "received_date" => {
                    Arc::new(Date32Array::from_iter_values(landing.timestamps_ms.iter().map(|ms| received_date(*ms))))
                }
                name => {
                    decoded.column_by_name(name).cloned().ok_or_else(|| columns(STEP)(format!("no column {name}")))?
                }
            };
            made.push(column);
        }
        RecordBatch::try_new(self.schema.clone(), made).map_err(columns(STEP))
    }
}

fn outcome_column(outcomes: &[Outcome]) -> StringArray {
    let mut column = StringBuilder::with_capacity(outcomes.len(), outcomes.len() * Outcome::Clean.as_str().len());
    for outcome in outcomes {
        column.append_value(outcome.as_str());
    }
    column.finish()
}

/// A column of one value, cut from one that is long enough.
struct Repeated {
    value: String,
    longest: StringArray,
}

impl Repeated {
    fn new(value: &str) -> Self {
        Self { value: value.to_owned(), longest: StringArray::from_iter_values(std::iter::empty::<&str>()) }
    }

    fn column(&mut self, len: usize) -> ArrayRef {
        use arrow_array::Array;
        if self.longest.len() < len {
            self.longest =
                StringArray::from_iter_values(std::iter::repeat_n(self.value.as_str(), len.next_power_of_two()));
        }
        Arc::new(self.longest.slice(0, len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_record_timestamps() {
        let cases = [(0, 0), (-1, -1), (DAY_MS, 1), (DAY_MS - 1, 0), (i64::MAX, 2_932_896), (i64::MIN, -719_162)];
        for (timestamp_ms, date) in cases {
            assert_eq!(received_date(timestamp_ms), date, "{timestamp_ms}");
            assert_eq!(received_at_us(timestamp_ms).div_euclid(DAY_MS * 1000) as i32, date, "{timestamp_ms}");
        }
    }
}
