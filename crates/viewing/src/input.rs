//! The rows that the sessioniser takes: their columns by name and type, and typed access to a batch's.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use streamreel_event::EventType;

use crate::error::Error;
use crate::view_event::ViewEvent;

/// Timestamps are microseconds of the epoch, UTC, in every table.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns of an event on its way into views: as in bronze, and how many copies of it were dropped already.
pub fn event_schema() -> SchemaRef {
    let fields = EVENT.map(|(name, kind)| Field::new(name, kind(), true));
    Arc::new(Schema::new(fields.to_vec()))
}

type Kind = fn() -> DataType;
const TEXT: Kind = || DataType::Utf8;
const NUMBER: Kind = || DataType::Float64;
const WHOLE: Kind = || DataType::Int64;

const EVENT: [(&str, Kind); 23] = [
    ("event_id", TEXT),
    ("user_id", TEXT),
    ("video_id", TEXT),
    ("session_id", TEXT),
    ("event_type", TEXT),
    ("event_ts", timestamp),
    ("position_s", NUMBER),
    ("seek_from_s", NUMBER),
    ("seek_to_s", NUMBER),
    ("rate", NUMBER),
    ("duration_s", NUMBER),
    ("region", TEXT),
    ("device", TEXT),
    ("sequence", WHOLE),
    ("extra", TEXT),
    ("corrections", TEXT),
    ("source_log", TEXT),
    ("source_topic", TEXT),
    ("source_partition", || DataType::Int32),
    ("source_offset", WHOLE),
    ("received_at", timestamp),
    ("received_date", || DataType::Date32),
    ("late_duplicates", WHOLE),
];

/// What is known of an event's video.
const VIDEO: [(&str, Kind); 4] = [("title", TEXT), ("creator", TEXT), ("genre", TEXT), ("video_duration_s", NUMBER)];

/// Columns of an event that go to enriched events only, where they are there. The kernel reads all the others.
const OPTIONAL: [&str; 4] = ["extra", "corrections", "received_at", "received_date"];

/// The columns that a [`crate::Sessioniser`] must be given, with the types that it reads them as. Which of their values may be missing: all but
/// those of `user_id`, `video_id`, `event_type` and `event_ts`.
pub fn input_columns() -> impl Iterator<Item = (&'static str, DataType)> {
    known().filter(|(name, _)| !OPTIONAL.contains(name)).map(|(name, kind)| (name, kind()))
}

fn known() -> impl Iterator<Item = (&'static str, Kind)> {
    EVENT.into_iter().chain(VIDEO)
}

fn known_type(name: &str) -> Option<DataType> {
    known().find(|(known, _)| *known == name).map(|(_, kind)| kind())
}

/// One type for text, so that a reader's choice of encoding does not reach the tables.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => plain_type(value),
        other => other.clone(),
    }
}

/// The input's schema as given and as the kernel works with it.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    given: SchemaRef,
    /// Every column nullable, text as Utf8, known columns in their type.
    pub(crate) schema: SchemaRef,
    /// Indices of further columns: they go through to views.
    pub(crate) further: Vec<usize>,
}

impl Input {
    pub(crate) fn new(given: &SchemaRef) -> Result<Self, Error> {
        for (column, _) in input_columns() {
            given.index_of(column).map_err(|_| Error::MissingColumn { column })?;
        }
        let mut fields = Vec::with_capacity(given.fields().len());
        let mut further = Vec::new();
        for (index, field) in given.fields().iter().enumerate() {
            let known = known_type(field.name());
            if known.is_none() {
                further.push(index);
            }
            let wanted = known.unwrap_or_else(|| plain_type(field.data_type()));
            if !arrow_cast::can_cast_types(field.data_type(), &wanted) {
                let (column, found) = (field.name().clone(), field.data_type().clone());
                return Err(Error::ColumnType { column, found, wanted });
            }
            fields.push(Field::new(field.name(), wanted, true));
        }
        Ok(Self { given: Arc::clone(given), schema: Arc::new(Schema::new(fields)), further })
    }

    /// The batch with the kernel's column types; columns that have them already are not copied.
    pub(crate) fn normalise(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let is_same = batch.num_columns() == self.given.fields().len()
            && batch.schema_ref().fields().iter().zip(self.given.fields()).all(|(a, b)| a.name() == b.name());
        if !is_same {
            let names =
                |schema: &Schema| schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::SchemaChanged { found: names(batch.schema_ref()), wanted: names(&self.given) });
        }
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                as_type(column, field.data_type()).map_err(Error::arrow("cast an input column"))
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(Error::arrow("normalise a batch"))
    }
}

/// A time is an instant whatever its zone is called, and one without a zone is UTC.
fn as_type(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(_, zone) if *wanted == timestamp() => {
            let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(micros.with_timezone("UTC")))
        }
        _ => cast(column, wanted),
    }
}

/// Typed access to the columns of a normalised batch.
pub(crate) struct Columns<'a> {
    pub(crate) event_id: &'a StringArray,
    pub(crate) user_id: &'a StringArray,
    pub(crate) video_id: &'a StringArray,
    pub(crate) session_id: &'a StringArray,
    event_type: &'a StringArray,
    pub(crate) event_ts: &'a TimestampMicrosecondArray,
    pub(crate) position_s: &'a Float64Array,
    seek_from_s: &'a Float64Array,
    seek_to_s: &'a Float64Array,
    rate: &'a Float64Array,
    duration_s: &'a Float64Array,
    pub(crate) region: &'a StringArray,
    pub(crate) device: &'a StringArray,
    sequence: &'a Int64Array,
    source_log: &'a StringArray,
    source_topic: &'a StringArray,
    source_partition: &'a Int32Array,
    source_offset: &'a Int64Array,
    late_duplicates: &'a Int64Array,
    video_duration_s: &'a Float64Array,
}

impl<'a> Columns<'a> {
    /// `batch` is normalised, so that names and types are there.
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, Error> {
        let column = |name: &'static str| batch.column_by_name(name).ok_or(Error::MissingColumn { column: name });
        let text = |name| column(name).map(|c| c.as_string::<i32>());
        let number = |name| column(name).map(|c| c.as_primitive::<Float64Type>());
        let integer = |name| column(name).map(|c| c.as_primitive::<Int64Type>());
        Ok(Self {
            event_id: text("event_id")?,
            user_id: text("user_id")?,
            video_id: text("video_id")?,
            session_id: text("session_id")?,
            event_type: text("event_type")?,
            event_ts: column("event_ts")?.as_primitive::<TimestampMicrosecondType>(),
            position_s: number("position_s")?,
            seek_from_s: number("seek_from_s")?,
            seek_to_s: number("seek_to_s")?,
            rate: number("rate")?,
            duration_s: number("duration_s")?,
            region: text("region")?,
            device: text("device")?,
            sequence: integer("sequence")?,
            source_log: text("source_log")?,
            source_topic: text("source_topic")?,
            source_partition: column("source_partition")?.as_primitive::<Int32Type>(),
            source_offset: integer("source_offset")?,
            late_duplicates: integer("late_duplicates")?,
            video_duration_s: number("video_duration_s")?,
        })
    }

    /// No null where a clean event cannot have one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let columns: [(&'static str, &dyn Array); 4] = [
            ("user_id", self.user_id),
            ("video_id", self.video_id),
            ("event_type", self.event_type),
            ("event_ts", self.event_ts),
        ];
        for (column, array) in columns {
            if array.null_count() > 0 {
                let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or_default();
                return Err(Error::MissingValue { column, row });
            }
        }
        Ok(())
    }

    /// How the key (user, video, session; nulls first) of a row compares to that of a row of another batch.
    pub(crate) fn compare_keys(&self, row: usize, other: &Columns<'_>, other_row: usize) -> Ordering {
        let session = |columns: &Columns<'_>, row: usize| columns.session_id.is_valid(row);
        (self.user_id.value(row).cmp(other.user_id.value(other_row)))
            .then_with(|| self.video_id.value(row).cmp(other.video_id.value(other_row)))
            .then_with(|| session(self, row).cmp(&session(other, other_row)))
            .then_with(|| {
                if session(self, row) {
                    self.session_id.value(row).cmp(other.session_id.value(other_row))
                } else {
                    Ordering::Equal
                }
            })
    }

    pub(crate) fn kind(&self, row: usize) -> Result<EventType, Error> {
        let value = self.event_type.value(row);
        EventType::parse(value).ok_or_else(|| Error::UnknownEventType { value: value.to_owned(), row })
    }

    pub(crate) fn sequence(&self, row: usize) -> Option<i64> {
        value(self.sequence, row)
    }

    pub(crate) fn late_duplicates(&self, row: usize) -> i64 {
        value(self.late_duplicates, row).unwrap_or(0)
    }

    pub(crate) fn position_s(&self, row: usize) -> Option<f64> {
        number(self.position_s, row)
    }

    pub(crate) fn video_duration_s(&self, row: usize) -> Option<f64> {
        number(self.video_duration_s, row)
    }

    /// Which of two events at the same time, sequence and kind comes first: by `event_id`; of two copies, the one
    /// whose record came first.
    pub(crate) fn compare_ids(&self, a: usize, b: usize) -> Ordering {
        (self.event_id.value(a).cmp(self.event_id.value(b)))
            .then_with(|| value(self.source_partition, a).cmp(&value(self.source_partition, b)))
            .then_with(|| value(self.source_offset, a).cmp(&value(self.source_offset, b)))
            .then_with(|| self.source_topic.value(a).cmp(self.source_topic.value(b)))
            .then_with(|| self.source_log.value(a).cmp(self.source_log.value(b)))
    }

    pub(crate) fn event(&self, row: usize, kind: EventType) -> ViewEvent {
        ViewEvent {
            ts_us: self.event_ts.value(row),
            kind,
            sequence: self.sequence(row),
            position_s: self.position_s(row),
            seek_from_s: number(self.seek_from_s, row),
            seek_to_s: number(self.seek_to_s, row),
            rate: number(self.rate, row),
            duration_s: number(self.duration_s, row),
        }
    }
}

fn number(array: &Float64Array, row: usize) -> Option<f64> {
    array.is_valid(row).then(|| array.value(row))
}

fn value<T: arrow_array::ArrowPrimitiveType>(array: &arrow_array::PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}
