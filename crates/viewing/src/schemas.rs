//! The five tables that the sessioniser writes, column by column.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::counters::Counters;
use crate::error::Error;
use crate::input::{Input, timestamp};

/// The schemas of the output tables. All columns are nullable, so that no reader or table format tells them apart by it.
#[derive(Clone, Debug)]
pub struct OutputSchemas {
    /// One row an event: the input's columns, then `view_id`, `view_date`, `watch_time_percentage`.
    pub enriched: SchemaRef,
    /// One row a watched segment.
    pub segments: SchemaRef,
    /// One row a reported seek.
    pub seeks: SchemaRef,
    /// One row a view, one column a counter, then the input's further columns.
    pub views: SchemaRef,
    /// One row a `view_id`, whether it has a play or not.
    pub spans: SchemaRef,
}

impl OutputSchemas {
    /// The schemas for an input's.
    pub fn new(input: &SchemaRef) -> Result<Self, Error> {
        Self::of(&Input::new(input)?)
    }

    pub(crate) fn of(input: &Input) -> Result<Self, Error> {
        let given = input.schema.fields().iter().map(|f| f.as_ref().clone());
        let enriched = given.chain(fields(&ENRICHED)).collect();
        let further = input.further.iter().map(|&index| input.schema.field(index).clone());
        let counters = Counters::NAMES.iter().map(|name| Field::new(*name, DataType::Int64, true));
        let unplaced = Field::new("unplaced_s", DataType::Float64, true);
        let views = fields(&VIEWS).chain(counters).chain([unplaced]).chain(further).collect();
        Ok(Self {
            enriched: unique("enriched_events", enriched)?,
            segments: unique("watched_segments", fields(&SEGMENTS).collect())?,
            seeks: unique("seeks", fields(&SEEKS).collect())?,
            views: unique("views", views)?,
            spans: unique("view_spans", fields(&SPANS).collect())?,
        })
    }
}

/// Column types, short, so that a table reads as a list.
#[derive(Clone, Copy)]
enum T {
    Text,
    Time,
    Date,
    Double,
    Int,
    Long,
    Bool,
}

impl T {
    fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Time => timestamp(),
            Self::Date => DataType::Date32,
            Self::Double => DataType::Float64,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Bool => DataType::Boolean,
        }
    }
}

const ENRICHED: [(&str, T); 3] = [("view_id", T::Text), ("view_date", T::Date), ("watch_time_percentage", T::Double)];

const SEGMENTS: [(&str, T); 12] = [
    ("view_id", T::Text),
    ("user_id", T::Text),
    ("video_id", T::Text),
    ("region", T::Text),
    ("view_date", T::Date),
    ("segment_index", T::Int),
    ("start_s", T::Double),
    ("end_s", T::Double),
    ("started_at", T::Time),
    ("ended_at", T::Time),
    ("playing_time_s", T::Double),
    ("ended_by", T::Text),
];

const SEEKS: [(&str, T); 10] = [
    ("view_id", T::Text),
    ("user_id", T::Text),
    ("video_id", T::Text),
    ("region", T::Text),
    ("view_date", T::Date),
    ("seek_index", T::Int),
    ("seeked_at", T::Time),
    ("from_s", T::Double),
    ("to_s", T::Double),
    ("is_after_half", T::Bool),
];

const VIEWS: [(&str, T); 25] = [
    ("view_id", T::Text),
    ("user_id", T::Text),
    ("video_id", T::Text),
    ("session_id", T::Text),
    ("region", T::Text),
    ("device", T::Text),
    ("title", T::Text),
    ("creator", T::Text),
    ("genre", T::Text),
    ("view_date", T::Date),
    ("started_at", T::Time),
    ("ended_at", T::Time),
    ("video_duration_s", T::Double),
    ("watch_time_s", T::Double),
    ("unique_s", T::Double),
    ("playing_time_s", T::Double),
    ("watch_time_percentage", T::Double),
    ("furthest_s", T::Double),
    ("exit_s", T::Double),
    ("is_completed", T::Bool),
    ("is_engaged", T::Bool),
    ("pauses", T::Int),
    ("seeks", T::Int),
    ("seeks_after_half", T::Int),
    ("has_unreported_seek", T::Bool),
];

const SPANS: [(&str, T); 10] = [
    ("view_id", T::Text),
    ("user_id", T::Text),
    ("video_id", T::Text),
    ("session_id", T::Text),
    ("region", T::Text),
    ("view_date", T::Date),
    ("first_event_at", T::Time),
    ("last_event_at", T::Time),
    ("events", T::Long),
    ("has_play", T::Bool),
];

fn fields(columns: &'static [(&'static str, T)]) -> impl Iterator<Item = Field> {
    columns.iter().map(|(name, column_type)| Field::new(*name, column_type.arrow(), true))
}

/// A further column of the metadata may have the name of one of ours.
fn unique(table: &'static str, fields: Vec<Field>) -> Result<SchemaRef, Error> {
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name() == field.name()) {
            return Err(Error::ColumnCollision { column: field.name().clone(), table });
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
