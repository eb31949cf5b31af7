//! A few rejected records of each reason, the most recent ones, as they came.

use std::collections::{BTreeMap, HashSet};

use arrow_array::Array;
use datafusion::common::ScalarValue;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::Instant;
use crate::silver::{Columns, Query, Reader, Trouble, Values, text_at};

/// Records of a reason that are shown.
const MOST: usize = 3;
/// Characters of a payload that are shown.
const SHOWN: usize = 500;

/// A rejected record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// What was wrong, for people.
    detail: Option<String>,
    /// The record's bytes as text; what is not UTF-8 is replaced. At most 500 characters.
    payload: Option<String>,
    /// Whether the record is longer.
    payload_cut: bool,
    /// Partition of the topic that it was received in.
    partition: i64,
    /// Its offset there.
    offset: i64,
    /// When it was received.
    received_at: Instant,
}

/// The most recent records of each reason. First where they are, from narrow columns; then those few with their payloads.
pub(crate) async fn recent(reader: Reader<'_>) -> Result<BTreeMap<String, Vec<Sample>>, Trouble> {
    let sql = format!(
        "select source_partition, source_offset, received_at from ( \
             select e.source_partition, e.source_offset, e.received_at, row_number() over ( \
                 partition by e.reason order by e.received_at desc, e.source_offset desc, e.source_partition) as place \
             from bronze.events e where e.outcome = 'rejected') \
         where place <= {MOST}"
    );
    let mut places: HashSet<(i64, i64)> = HashSet::new();
    let mut times: HashSet<i64> = HashSet::new();
    for batch in reader.collect(Query::plain(sql)).await? {
        let columns = Columns(&batch);
        let (partitions, offsets) = (columns.integers("source_partition")?, columns.integers("source_offset")?);
        let received = columns.instants("received_at")?;
        for row in 0..batch.num_rows() {
            places.insert((partitions.value(row), offsets.value(row)));
            times.insert(received.value(row));
        }
    }
    if places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut values = Values::default();
    let times: Vec<String> = times.into_iter().map(|time| values.bind(timestamp(time))).collect();
    let sql = format!(
        "select e.reason, e.detail, e.payload, e.source_partition, e.source_offset, e.received_at from bronze.events e \
         where e.outcome = 'rejected' and e.received_at in ({})",
        times.join(", ")
    );
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for batch in reader.collect(Query { sql, values }).await? {
        let columns = Columns(&batch);
        let (partitions, offsets) = (columns.integers("source_partition")?, columns.integers("source_offset")?);
        let (reasons, details) = (columns.texts("reason")?, columns.texts("detail")?);
        let (payloads, received) = (columns.bytes("payload")?, columns.instants("received_at")?);
        for row in (0..batch.num_rows()).filter(|&row| places.contains(&(partitions.value(row), offsets.value(row)))) {
            let (payload, payload_cut) = match payloads.is_valid(row) {
                true => shown(payloads.value(row)),
                false => (None, false),
            };
            samples.entry(text_at(&reasons, row).unwrap_or("unknown").to_owned()).or_default().push(Sample {
                detail: text_at(&details, row).map(str::to_owned),
                payload,
                payload_cut,
                partition: partitions.value(row),
                offset: offsets.value(row),
                received_at: Instant(received.value(row)),
            });
        }
    }
    for of_reason in samples.values_mut() {
        of_reason.sort_by_key(|sample| std::cmp::Reverse((sample.received_at, sample.offset)));
        of_reason.truncate(MOST);
    }
    Ok(samples)
}

fn timestamp(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}

/// The beginning of a payload as text, and whether there is more.
fn shown(payload: &[u8]) -> (Option<String>, bool) {
    let text = String::from_utf8_lossy(payload);
    let cut = text.char_indices().nth(SHOWN).map(|(end, _)| text[..end].to_owned());
    let is_cut = cut.is_some();
    (Some(cut.unwrap_or_else(|| text.into_owned())), is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        assert_eq!(shown(b"{\"a\":1}"), (Some("{\"a\":1}".to_owned()), false));
        assert_eq!(shown(b"\xff{"), (Some("\u{fffd}{".to_owned()), false));
        let (text, cut) = shown("é".repeat(501).as_bytes());
        assert_eq!((text.map(|t| t.chars().count()), cut), (Some(500), true));
    }
}
