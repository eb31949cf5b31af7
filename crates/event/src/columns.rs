//! A typed, borrowed view of a decoded batch's columns.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;

use crate::vocabulary::EventType;
use crate::{Error, schema};

/// The columns of [`crate::decoded_schema`], found by name in a batch that may have more columns, in any order.
///
/// `reason` and `detail` may be absent (a batch of clean events); they then read as null.
/// Rows are indices below [`EventColumns::len`]; others panic.
#[derive(Clone, Copy, Debug)]
pub struct EventColumns<'a> {
    rows: usize,
    reason: Option<&'a StringArray>,
    detail: Option<&'a StringArray>,
    event_id: &'a StringArray,
    user_id: &'a StringArray,
    video_id: &'a StringArray,
    session_id: &'a StringArray,
    event_type: &'a StringArray,
    event_ts: &'a TimestampMicrosecondArray,
    position_s: &'a Float64Array,
    seek_from_s: &'a Float64Array,
    seek_to_s: &'a Float64Array,
    rate: &'a Float64Array,
    duration_s: &'a Float64Array,
    region: &'a StringArray,
    device: &'a StringArray,
    sequence: &'a Int64Array,
    extra: &'a StringArray,
    corrections: &'a StringArray,
}

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident),+) => { $(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self, row: usize) -> Option<&'a str> {
            self.$name.is_valid(row).then(|| self.$name.value(row))
        }
    )+ };
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident -> $type:ty),+) => { $(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self, row: usize) -> Option<$type> {
            self.$name.is_valid(row).then(|| self.$name.value(row))
        }
    )+ };
}

impl<'a> EventColumns<'a> {
    /// Finds the columns. Strings must be Utf8, numbers Float64 and Int64, `event_ts` Timestamp(us, UTC).
    pub fn new(batch: &'a RecordBatch) -> Result<Self, Error> {
        Ok(Self {
            rows: batch.num_rows(),
            reason: if batch.column_by_name("reason").is_some() { Some(strings(batch, "reason")?) } else { None },
            detail: if batch.column_by_name("detail").is_some() { Some(strings(batch, "detail")?) } else { None },
            event_id: strings(batch, "event_id")?,
            user_id: strings(batch, "user_id")?,
            video_id: strings(batch, "video_id")?,
            session_id: strings(batch, "session_id")?,
            event_type: strings(batch, "event_type")?,
            event_ts: typed(batch, "event_ts", schema::timestamp_type())?.as_primitive::<TimestampMicrosecondType>(),
            position_s: doubles(batch, "position_s")?,
            seek_from_s: doubles(batch, "seek_from_s")?,
            seek_to_s: doubles(batch, "seek_to_s")?,
            rate: doubles(batch, "rate")?,
            duration_s: doubles(batch, "duration_s")?,
            region: strings(batch, "region")?,
            device: strings(batch, "device")?,
            sequence: typed(batch, "sequence", DataType::Int64)?.as_primitive::<Int64Type>(),
            extra: strings(batch, "extra")?,
            corrections: strings(batch, "corrections")?,
        })
    }

    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether the row is a valid event: it has no reason.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.reason.is_none_or(|reason| reason.is_null(row))
    }

    /// The name of the [`crate::Reject`], null on a valid row.
    #[inline]
    pub fn reason(&self, row: usize) -> Option<&'a str> {
        self.reason.and_then(|reason| reason.is_valid(row).then(|| reason.value(row)))
    }

    /// What was wrong, null on a valid row.
    #[inline]
    pub fn detail(&self, row: usize) -> Option<&'a str> {
        self.detail.and_then(|detail| detail.is_valid(row).then(|| detail.value(row)))
    }

    /// The event's id, sent or derived; empty on a rejected row.
    #[inline]
    pub fn event_id(&self, row: usize) -> &'a str {
        self.event_id.value(row)
    }

    /// The viewer; empty on a rejected row.
    #[inline]
    pub fn user_id(&self, row: usize) -> &'a str {
        self.user_id.value(row)
    }

    /// The video; empty on a rejected row.
    #[inline]
    pub fn video_id(&self, row: usize) -> &'a str {
        self.video_id.value(row)
    }

    /// The kind of event; `None` on a rejected row.
    #[inline]
    pub fn event_type(&self, row: usize) -> Option<EventType> {
        EventType::parse(self.event_type.value(row))
    }

    /// The event's time in microseconds since 1970-01-01 UTC; 0 on a rejected row.
    #[inline]
    pub fn event_ts_us(&self, row: usize) -> i64 {
        self.event_ts.value(row)
    }

    text! {
        /// The playback session, where the player sent one.
        session_id,
        /// ISO 3166-1 alpha-2 or ISO 3166-2, in upper case.
        region,
        /// The device, as sent.
        device,
        /// The unknown fields as a compact JSON object with sorted keys.
        extra,
        /// Names of [`crate::Correction`], separated by commas.
        corrections
    }

    number! {
        /// The playhead, content seconds.
        position_s -> f64,
        /// Where a seek left, content seconds.
        seek_from_s -> f64,
        /// Where a seek landed, content seconds.
        seek_to_s -> f64,
        /// The playback rate.
        rate -> f64,
        /// The video's duration as the player knows it, seconds.
        duration_s -> f64,
        /// The player's own count of its events.
        sequence -> i64
    }
}

fn typed<'a>(batch: &'a RecordBatch, name: &'static str, expected: DataType) -> Result<&'a dyn Array, Error> {
    let column = batch.column_by_name(name).ok_or(Error::MissingColumn { name })?;
    if *column.data_type() != expected {
        return Err(Error::ColumnType { name, actual: column.data_type().clone(), expected });
    }
    Ok(column.as_ref())
}

fn strings<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringArray, Error> {
    Ok(typed(batch, name, DataType::Utf8)?.as_string::<i32>())
}

fn doubles<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a Float64Array, Error> {
    Ok(typed(batch, name, DataType::Float64)?.as_primitive::<Float64Type>())
}
