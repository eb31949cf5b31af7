//! The columns of a decoded batch.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The type of every timestamp column: microseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

static DECODED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let column = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        column("reason", DataType::Utf8),
        column("detail", DataType::Utf8),
        column("event_id", DataType::Utf8),
        column("user_id", DataType::Utf8),
        column("video_id", DataType::Utf8),
        column("session_id", DataType::Utf8),
        column("event_type", DataType::Utf8),
        column("event_ts", timestamp_type()),
        column("position_s", DataType::Float64),
        column("seek_from_s", DataType::Float64),
        column("seek_to_s", DataType::Float64),
        column("rate", DataType::Float64),
        column("duration_s", DataType::Float64),
        column("region", DataType::Utf8),
        column("device", DataType::Utf8),
        column("sequence", DataType::Int64),
        column("extra", DataType::Utf8),
        column("corrections", DataType::Utf8),
    ]))
});

/// One row a record, in input order. A row is a valid event iff `reason` is null; a rejected row has `reason` and
/// `detail` and nulls elsewhere. `extra` is the unknown fields as a compact JSON object with sorted keys, null if there are none;
/// `corrections` the names of [`crate::Correction`], separated by commas, null if there are none.
///
/// Columns hold what was sent: a `seek` without `seek_to_s` keeps its `position_s` where it is. That it means `to` is a
/// rule of viewing.
pub fn decoded_schema() -> SchemaRef {
    DECODED.clone()
}
