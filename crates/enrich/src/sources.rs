//! What a build reads: new events of bronze, and of the last silver its spans, the events of touched views, the metadata.

use std::collections::{BTreeMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat_batches;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use streamreel_lake::{KeyedRows, Lake, Reading, Table, TableId, beyond, plan};
use streamreel_viewing::event_schema;

use crate::Error;
use crate::error::{lake as lake_failed, query as query_failed};
use crate::silver::{Looked, Versions, looked_for};
use crate::touched::{EarlierViews, Group};

/// A session over tables at these versions.
pub(crate) async fn session(lake: &Lake, versions: Versions) -> Result<SessionContext, Error> {
    lake.session(&Reading::At(versions)).await.map_err(lake_failed("reading silver"))
}

async fn stream(
    session: &SessionContext,
    operation: &'static str,
    sql: &str,
) -> Result<SendableRecordBatchStream, Error> {
    let frame = plan::sql(session, sql).await.map_err(query_failed(operation))?;
    frame.execute_stream().await.map_err(query_failed(operation))
}

/// Clean events up to `offsets` that are not yet in `covered` (`None`: all), by source offset.
///
/// Bronze names the source in each row; its files' statistics skip those that are wholly covered.
pub(crate) fn new_events_sql(offsets: &BTreeMap<String, i64>, covered: Option<&BTreeMap<String, i64>>) -> String {
    let columns: Vec<String> = event_schema()
        .fields()
        .iter()
        .map(|f| {
            if f.name() == "late_duplicates" {
                "cast(0 as bigint) as late_duplicates".to_owned()
            } else {
                f.name().clone()
            }
        })
        .collect();
    let mut sql = format!("select {} from bronze.events where outcome = 'clean'", columns.join(", "));
    if let Some(beyond) = covered.and_then(|covered| beyond(covered, offsets)) {
        sql.push_str(" and ");
        sql.push_str(&beyond);
    }
    sql
}

/// Records between two states of the offsets: an upper bound of the new clean events.
pub(crate) fn between(covered: &BTreeMap<String, i64>, offsets: &BTreeMap<String, i64>) -> u64 {
    let new = offsets.iter().map(|(t, &next)| next - covered.get(t).copied().unwrap_or(0));
    new.map(|n| u64::try_from(n).unwrap_or(0)).sum()
}

/// Streams the new events of bronze at the version of `bronze`.
pub(crate) async fn new_events(
    lake: &Lake,
    bronze: &Table,
    offsets: &BTreeMap<String, i64>,
    covered: Option<&BTreeMap<String, i64>>,
) -> Result<SendableRecordBatchStream, Error> {
    let session = session(lake, Versions::from([(bronze.id().clone(), bronze.version())])).await?;
    stream(&session, "reading bronze", &new_events_sql(offsets, covered)).await
}

/// Streams `silver.view_spans`.
pub(crate) async fn spans(session: &SessionContext) -> Result<SendableRecordBatchStream, Error> {
    let sql = "select view_id, user_id, video_id, session_id, region, view_date, first_event_at, last_event_at, events \
               from silver.view_spans";
    stream(session, "reading silver.view_spans", sql).await
}

/// Reads these columns of the events of `views`.
pub(crate) async fn events_of(
    lake: &Lake,
    versions: &Versions,
    views: &EarlierViews,
    columns: &[String],
) -> Result<KeyedRows, Error> {
    let failed = || lake_failed("reading silver.enriched_events");
    let id = TableId::silver("enriched_events");
    let table = match versions.get(&id) {
        Some(version) => lake.open_table_at(&id, *version).await.map_err(failed())?,
        None => return Err(Error::Derive(format!("the last build names no version of {id}"))),
    };
    let Looked { keys, partitions, window } = looked_for(&id, views)?;
    table.rows_with(&keys, Some(&partitions), Some(&window), columns).await.map_err(failed())
}

/// The columns of `schema`, by name, in its types.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns: Result<Vec<ArrayRef>, Error> = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch.column_by_name(field.name());
            let column = column.ok_or_else(|| Error::Derive(format!("the column {} is missing", field.name())))?;
            if column.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            cast(column, field.data_type()).map_err(|e| Error::Derive(e.to_string()))
        })
        .collect();
    RecordBatch::try_new(schema.clone(), columns?).map_err(|e| Error::Derive(e.to_string()))
}

/// Text as plain `Utf8`, whatever the reader made of it.
pub(crate) fn plain(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let text = matches!(column.data_type(), DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..));
        let column = if text { cast(column, &DataType::Utf8) } else { Ok(column.clone()) };
        columns.push((field.name().clone(), column.map_err(|e| Error::Derive(e.to_string()))?, true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| Error::Derive(e.to_string()))
}

/// The metadata that the last build kept in a table, if it did.
pub(crate) async fn kept(
    session: &SessionContext,
    versions: &Versions,
    table: &str,
) -> Result<Option<RecordBatch>, Error> {
    if !versions.contains_key(&TableId::silver(table)) {
        return Ok(None);
    }
    let operation = "reading the kept metadata";
    let batches = stream(session, operation, &format!("select * from silver.{table}")).await?;
    let schema = batches.schema();
    let batches: Vec<_> = batches.collect().await;
    let batches: Result<Vec<_>, _> = batches.into_iter().collect();
    let all = concat_batches(&schema, &batches.map_err(query_failed(operation))?);
    plain(&all.map_err(|e| Error::Derive(e.to_string()))?).map(Some)
}

/// How many rows of metadata the last build kept in a table. No build fails for this: where they can't be counted, it has
/// none.
pub(crate) async fn rows_kept(lake: &Lake, versions: &Versions, table: &str) -> u64 {
    let id = TableId::silver(table);
    let Some(version) = versions.get(&id) else { return 0 };
    lake.open_table_at(&id, *version).await.map_or(0, |table| table.rows())
}

/// Every group that an earlier build put into `silver.changes`: a full refresh touches them all.
pub(crate) async fn earlier_groups(lake: &Lake) -> Result<HashSet<Group>, Error> {
    let mut groups = HashSet::new();
    let id = TableId::silver("changes");
    let Some(table) = lake.open_table(&id).await.map_err(lake_failed("opening silver.changes"))? else {
        return Ok(groups);
    };
    let session = session(lake, Versions::from([(id, table.version())])).await?;
    let operation = "reading silver.changes";
    let mut rows =
        stream(&session, operation, "select distinct video_id, region, view_date from silver.changes").await?;
    while let Some(batch) = rows.next().await {
        let batch = plain(&batch.map_err(query_failed(operation))?)?;
        let (videos, regions) = (batch["video_id"].as_string::<i32>(), batch["region"].as_string::<i32>());
        let dates = batch["view_date"].as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let region = regions.is_valid(row).then(|| regions.value(row).to_owned());
            groups.insert((videos.value(row).to_owned(), region, dates.value(row)));
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_events_by_offset() {
        let at = |pairs: &[(&str, i64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
        let offsets = at(&[("l/video-events/0", 10), ("l/video-events/1", 5)]);
        let cases = [
            (None, "outcome = 'clean'"),
            (
                Some(at(&[("l/video-events/0", 4), ("l/video-events/1", 5)])),
                "source_partition = 0 and source_offset >= 4))",
            ),
            (Some(at(&[("l/video-events/0", 10)])), "source_partition = 1 and source_offset >= 0))"),
            (Some(offsets.clone()), "and false"),
        ];
        for (covered, expected) in cases {
            let sql = new_events_sql(&offsets, covered.as_ref());
            assert!(sql.ends_with(expected), "{sql}");
        }
        assert_eq!(between(&at(&[("l/video-events/0", 4)]), &offsets), 11);
    }
}
