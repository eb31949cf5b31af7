//! Rows of bronze together with the source offsets that they cover.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use deltalake::{
    kernel::{Action, Transaction},
    protocol::{DeltaOperation, SaveMode},
};
use serde::{Deserialize, Serialize};

use crate::{
    commit::{Change, Guard},
    error::{Error, Result},
    table::{Table, check_layout},
};

/// A run of a partition's offsets that a commit covers: every record in `from..next` is in its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Identity of the log.
    pub log: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// First offset not covered.
    pub next: i64,
    /// Records found in the run, one row each; fewer than `next - from` where the log has gaps.
    pub records: i64,
}

impl OffsetRange {
    /// Id of the application transaction that keeps how far the partition is landed.
    pub fn transaction_id(&self) -> String {
        format!("{}/{}/{}", self.log, self.topic, self.partition)
    }
}

/// Takes the id of an application transaction, `<log>/<topic>/<partition>`, apart into log, topic and partition; `None` for
/// an id that [`OffsetRange::transaction_id`] did not write. Only a log's identity may hold a `/`.
pub fn parse_transaction_id(id: &str) -> Option<(&str, &str, i32)> {
    let mut parts = id.rsplitn(3, '/');
    let partition = parts.next()?.parse().ok()?;
    let topic = parts.next()?;
    Some((parts.next()?, topic, partition))
}

/// The topic of received records: the only one whose offsets rows of bronze name, whichever way they came.
pub const SOURCE_TOPIC: &str = "video-events";

/// Whether rows of bronze tell by their source whether offsets cover them. Those that were landed from the cleaned topics
/// don't: what is covered are offsets of those, and the rows name the ones of the topic before.
pub fn rows_tell(offsets: &BTreeMap<String, i64>) -> bool {
    offsets.keys().all(|id| parse_transaction_id(id).is_some_and(|(_, topic, _)| topic == SOURCE_TOPIC))
}

/// The condition, in SQL, of rows that name their source (`source_log`, `source_topic`, `source_partition`,
/// `source_offset`) and lie beyond the offsets `covered`, for tables that hold those up to `offsets`. Both are as in
/// [`Build::offsets`](crate::Build). Statistics of data files by these columns skip what is wholly covered. `None` where
/// something is new and rows don't tell what, see [`rows_tell`].
pub fn beyond(covered: &BTreeMap<String, i64>, offsets: &BTreeMap<String, i64>) -> Option<String> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let ranges: Vec<String> = offsets
        .iter()
        .filter_map(|(transaction, &next)| {
            let from = covered.get(transaction).copied().unwrap_or(0);
            let (log, topic, partition) = parse_transaction_id(transaction)?;
            (next > from).then(|| {
                let (log, topic) = (quoted(log), quoted(topic));
                format!(
                    "(source_log = {log} and source_topic = {topic} and source_partition = {partition} and source_offset >= {from})"
                )
            })
        })
        .collect();
    if ranges.is_empty() {
        return Some("false".to_owned());
    }
    rows_tell(offsets).then(|| format!("({})", ranges.join(" or ")))
}

impl Table {
    /// Commits rows and the offsets that they cover in one step and returns the new version. Ranges may have no
    /// rows (a run of transaction markers).
    ///
    /// # Errors
    /// [`Error::Fenced`] when the table does not stand at `from` of a range, whoever moved it: nothing is written.
    /// [`Error::OtherLog`] when it has offsets of another log for a topic. [`Error::Offsets`] when the rows are not
    /// as many as the records of the ranges, or a range is empty or given twice.
    pub async fn append_offsets(&mut self, rows: Vec<RecordBatch>, ranges: &[OffsetRange]) -> Result<i64> {
        self.append_offsets_while(rows, ranges, &BTreeMap::new()).await
    }

    /// As [`Table::append_offsets`], and only while other transactions have not moved either: id -> where the table should
    /// stand, 0 for one that it does not have.
    ///
    /// # Errors
    /// As there; [`Error::Fenced`] with the id of the transaction that moved.
    pub async fn append_offsets_while(
        &mut self,
        rows: Vec<RecordBatch>,
        ranges: &[OffsetRange],
        unmoved: &BTreeMap<String, i64>,
    ) -> Result<i64> {
        check_layout(self)?;
        self.check_consistent(&rows, ranges)?;
        self.catch_up().await?;
        if self.check_stands_at(ranges, unmoved).is_err() {
            // Others may have moved it to where these ranges begin.
            self.refresh().await?;
            self.catch_up().await?;
            self.check_stands_at(ranges, unmoved)?;
        }
        let mut writer = self.writer();
        for batch in rows {
            writer.write(batch).await?;
        }
        let written = writer.finish().await?;
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(self.placing.partition_by.clone()),
            predicate: None,
        };
        let adds = written.adds.into_iter().map(Action::Add).collect();
        let guard = Guard::Offsets { ranges: ranges.to_vec(), unmoved: unmoved.clone() };
        let mut change = Change::new("land", operation, adds, guard);
        change.metadata.push(("streamreel.offsets".to_owned(), serde_json::json!(ranges)));
        change.transactions = ranges.iter().map(|r| Transaction::new(r.transaction_id(), r.next)).collect();
        self.apply(change).await
    }

    /// How far a topic is landed at the version that this value stands at: (log, partition) -> next offset.
    pub async fn offsets(&mut self, topic: &str) -> Result<BTreeMap<(String, i32), i64>> {
        self.catch_up().await?;
        let by_id = self.transactions.iter().flat_map(|t| &t.by_id);
        Ok(by_id
            .filter_map(|(id, next)| {
                let (log, of, partition) = parse_transaction_id(id)?;
                (of == topic).then(|| ((log.to_owned(), partition), *next))
            })
            .collect())
    }

    fn check_consistent(&self, rows: &[RecordBatch], ranges: &[OffsetRange]) -> Result<()> {
        let wrong = |what: String| Err(Error::Offsets { table: self.id.clone(), what });
        let mut seen = std::collections::BTreeSet::new();
        for range in ranges {
            if range.from < 0
                || range.next <= range.from
                || range.records > range.next - range.from
                || range.records < 0
            {
                return wrong(format!("{range:?} is no run of offsets"));
            }
            if range.log.is_empty() || range.topic.contains('/') || range.topic.is_empty() {
                return wrong(format!("{range:?} names no log and topic"));
            }
            if !seen.insert(range.transaction_id()) {
                return wrong(format!("{} comes twice", range.transaction_id()));
            }
        }
        let rows: i64 = rows.iter().map(|batch| i64::try_from(batch.num_rows()).unwrap_or(i64::MAX)).sum();
        let records: i64 = ranges.iter().map(|range| range.records).sum();
        if ranges.is_empty() || rows != records {
            return wrong(format!("{rows} rows for {records} records of {} ranges", ranges.len()));
        }
        Ok(())
    }

    /// Compares with the transactions of the very snapshot that is committed from.
    pub(crate) fn check_stands_at(&self, ranges: &[OffsetRange], unmoved: &BTreeMap<String, i64>) -> Result<()> {
        let Some(state) = &self.transactions else { return Ok(()) };
        let fenced = |source_id: String, from: i64, stands: Option<i64>| Error::Fenced {
            table: self.id.clone(),
            source_id,
            from,
            stands,
        };
        for range in ranges {
            let other = state
                .by_id
                .keys()
                .filter_map(|id| parse_transaction_id(id))
                .find(|(log, topic, _)| *topic == range.topic && *log != range.log);
            if let Some((has, topic, _)) = other {
                return Err(Error::OtherLog {
                    table: self.id.clone(),
                    topic: topic.to_owned(),
                    has: has.to_owned(),
                    given: range.log.clone(),
                });
            }
            let stands = state.by_id.get(&range.transaction_id()).copied();
            if stands.is_some_and(|stands| stands != range.from) {
                return Err(fenced(range.transaction_id(), range.from, stands));
            }
        }
        let moved = unmoved.iter().find(|(id, at)| state.by_id.get(*id).copied().unwrap_or(0) != **at);
        moved.map_or(Ok(()), |(id, at)| Err(fenced(id.clone(), *at, state.by_id.get(id).copied())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart_as_they_were_put_together() {
        let range = |log: &str, topic: &str, partition| OffsetRange {
            log: log.to_owned(),
            topic: topic.to_owned(),
            partition,
            from: 0,
            next: 1,
            records: 1,
        };
        for (log, topic, partition) in [("l", "video-events", 0), ("cluster/topic-id", "video-events.dlq", 12)] {
            let id = range(log, topic, partition).transaction_id();
            assert_eq!(parse_transaction_id(&id), Some((log, topic, partition)));
        }
        let offsets = |id: &str| BTreeMap::from([(id.to_owned(), 3)]);
        assert_eq!(beyond(&BTreeMap::new(), &offsets("l/clean-events/0")), None, "rows name another topic");
        assert_eq!(beyond(&offsets("l/video-events/0"), &offsets("l/video-events/0")).as_deref(), Some("false"));
        for id in ["", "video-events", "video-events/0", "l/video-events/x", "l/video-events/"] {
            assert_eq!(parse_transaction_id(id), None, "{id}");
        }
    }
}
