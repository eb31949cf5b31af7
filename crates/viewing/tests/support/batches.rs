//! Batches of the sessioniser's input from rows, and its output back as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_cast::display::array_value_to_string;
use arrow_select::concat::concat_batches;
use streamreel_event::EventType;
use streamreel_viewing::{Output, Sessioniser, Settings, Totals, ViewEvent};

/// One input row.
#[derive(Clone, Debug)]
pub struct Row {
    pub user_id: String,
    pub video_id: String,
    pub session_id: Option<String>,
    pub event_id: String,
    pub event: ViewEvent,
    pub region: Option<String>,
    pub device: Option<String>,
    pub carried: Option<i64>,
    pub offset: i64,
    pub title: Option<String>,
    pub metadata_s: Option<f64>,
}

impl Row {
    pub fn new(user_id: &str, video_id: &str, session_id: Option<&str>, event_id: &str, event: ViewEvent) -> Self {
        Self {
            user_id: user_id.to_owned(),
            video_id: video_id.to_owned(),
            session_id: session_id.map(str::to_owned),
            event_id: event_id.to_owned(),
            event,
            region: None,
            device: None,
            carried: None,
            offset: 0,
            title: None,
            metadata_s: None,
        }
    }

    pub fn at(ts_us: i64, kind: EventType) -> ViewEvent {
        ViewEvent::new(ts_us, kind)
    }

    fn key(&self) -> (&str, &str, Option<&str>) {
        (&self.user_id, &self.video_id, self.session_id.as_deref())
    }
}

/// Groups in order; inside a group the order stays.
pub fn grouped(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    rows
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let text = |f: fn(&Row) -> Option<&str>| Arc::new(rows.iter().map(f).collect::<StringArray>()) as ArrayRef;
    let number = |f: fn(&Row) -> Option<f64>| Arc::new(rows.iter().map(f).collect::<Float64Array>()) as ArrayRef;
    let long = |f: fn(&Row) -> Option<i64>| Arc::new(rows.iter().map(f).collect::<Int64Array>()) as ArrayRef;
    let time = |f: fn(&Row) -> i64| {
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(f)).with_timezone("UTC")) as ArrayRef
    };
    let columns = vec![
        ("event_id", text(|r| Some(&r.event_id))),
        ("user_id", text(|r| Some(&r.user_id))),
        ("video_id", text(|r| Some(&r.video_id))),
        ("session_id", text(|r| r.session_id.as_deref())),
        ("event_type", text(|r| Some(r.event.kind.as_str()))),
        ("event_ts", time(|r| r.event.ts_us)),
        ("position_s", number(|r| r.event.position_s)),
        ("seek_from_s", number(|r| r.event.seek_from_s)),
        ("seek_to_s", number(|r| r.event.seek_to_s)),
        ("rate", number(|r| r.event.rate)),
        ("duration_s", number(|r| r.event.duration_s)),
        ("region", text(|r| r.region.as_deref())),
        ("device", text(|r| r.device.as_deref())),
        ("sequence", long(|r| r.event.sequence)),
        ("extra", text(|_| None)),
        ("corrections", text(|_| None)),
        ("source_log", text(|_| Some("log"))),
        ("source_topic", text(|_| Some("video-events"))),
        ("source_partition", Arc::new(Int32Array::from(vec![0; rows.len()])) as ArrayRef),
        ("source_offset", long(|r| Some(r.offset))),
        ("received_at", time(|r| r.event.ts_us)),
        ("received_date", Arc::new(Date32Array::from(vec![0; rows.len()])) as ArrayRef),
        ("late_duplicates", long(|r| r.carried)),
        ("title", text(|r| r.title.as_deref())),
        ("creator", text(|_| Some("studio"))),
        ("genre", text(|_| None)),
        ("video_duration_s", number(|r| r.metadata_s)),
        ("published_at", text(|_| Some("2026-01-01"))),
        ("user_plan", text(|r| Some(if r.user_id.len() > 2 { "pro" } else { "free" }))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// Everything through one sessioniser, pushed in pieces of so many rows.
pub fn sessionise(rows: &[Row], piece: usize, settings: &Settings) -> (Output, Totals) {
    let schema = batch(&rows[..0]).schema();
    let mut sessioniser = Sessioniser::new(settings.clone(), &schema).unwrap();
    let mut outputs = Vec::new();
    for piece in rows.chunks(piece.max(1)) {
        sessioniser.push(&batch(piece)).unwrap();
        outputs.extend(std::iter::from_fn(|| sessioniser.take_output()));
    }
    sessioniser.finish().unwrap();
    outputs.extend(std::iter::from_fn(|| sessioniser.take_output()));
    let join = |schema, table: fn(&Output) -> &RecordBatch| concat_batches(schema, outputs.iter().map(table)).unwrap();
    let schemas = sessioniser.schemas();
    let output = Output {
        enriched: join(&schemas.enriched, |o| &o.enriched),
        segments: join(&schemas.segments, |o| &o.segments),
        seeks: join(&schemas.seeks, |o| &o.seeks),
        views: join(&schemas.views, |o| &o.views),
        spans: join(&schemas.spans, |o| &o.spans),
    };
    (output, sessioniser.totals().clone())
}

/// A cell as text: `-` for null, a time in milliseconds.
pub fn cell(batch: &RecordBatch, row: usize, column: &str) -> String {
    let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    if array.is_null(row) {
        return "-".to_owned();
    }
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => (times.value(row) / 1000).to_string(),
        None => array_value_to_string(array, row).unwrap(),
    }
}

/// Columns of all rows as text.
pub fn cells(batch: &RecordBatch, columns: &str) -> Vec<String> {
    let line = |row| columns.split(' ').map(|column| cell(batch, row, column)).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(line).collect()
}

/// Every table as text, but for some columns.
pub fn everything(output: &Output, except: &[&str]) -> BTreeMap<&'static str, Vec<String>> {
    let table = |batch: &RecordBatch| {
        let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !except.contains(name)).collect();
        cells(batch, &names.join(" "))
    };
    BTreeMap::from([
        ("enriched", table(&output.enriched)),
        ("segments", table(&output.segments)),
        ("seeks", table(&output.seeks)),
        ("views", table(&output.views)),
        ("spans", table(&output.spans)),
    ])
}
