//! The columns of a batch while it is built.

use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};

use crate::schema;
use crate::validate::Event;
use crate::vocabulary::Reject;

/// A builder that counts nulls and appends them together when a value comes: most columns are null most of the time.
#[derive(Debug)]
struct Column<B> {
    builder: B,
    nulls: usize,
}

/// What the builders of our column types have in common.
trait Build: ArrayBuilder + Sized {
    type Value<'a>;

    /// Room for as much as `full` holds, and some more.
    fn like(full: &Self) -> Self;
    fn push(&mut self, value: Self::Value<'_>);
    fn push_nulls(&mut self, count: usize);
    fn take(&mut self) -> ArrayRef;
}

/// A batch is mostly as large as the one before; an eighth more saves it from growing.
fn room(used: usize) -> usize {
    used + used / 8
}

impl Build for StringBuilder {
    type Value<'a> = &'a str;

    fn like(full: &Self) -> Self {
        Self::with_capacity(room(full.len()), room(full.values_slice().len()))
    }

    #[inline(always)]
    fn push(&mut self, value: &str) {
        self.append_value(value);
    }

    fn push_nulls(&mut self, count: usize) {
        self.append_nulls(count);
    }

    fn take(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

macro_rules! build_numbers {
    ($($builder:ident: $value:ty $(, $zone:ident)?;)+) => { $(
        impl Build for $builder {
            type Value<'a> = $value;

            fn like(full: &Self) -> Self {
                Self::with_capacity(room(full.len()))
            }

            #[inline(always)]
            fn push(&mut self, value: $value) {
                self.append_value(value);
            }

            fn push_nulls(&mut self, count: usize) {
                self.append_nulls(count);
            }

            fn take(&mut self) -> ArrayRef {
                Arc::new(self.finish()$(.$zone("UTC"))?)
            }
        }
    )+ };
}

build_numbers!(Float64Builder: f64; Int64Builder: i64; TimestampMicrosecondBuilder: i64, with_timezone;);

impl<B: Build> Column<B> {
    fn new(builder: B) -> Self {
        Self { builder, nulls: 0 }
    }

    #[inline(always)]
    fn value(&mut self, value: B::Value<'_>) {
        if self.nulls > 0 {
            self.flush();
        }
        self.builder.push(value);
    }

    #[inline(always)]
    fn option(&mut self, value: Option<B::Value<'_>>) {
        match value {
            Some(value) => self.value(value),
            None => self.nulls += 1,
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        self.builder.push_nulls(self.nulls);
        self.nulls = 0;
    }

    fn finish(&mut self) -> ArrayRef {
        self.flush();
        let next = B::like(&self.builder);
        std::mem::replace(&mut self.builder, next).take()
    }
}

/// One builder a column, in the schema's order.
#[derive(Debug)]
pub struct Columns {
    rows: usize,
    reason: Column<StringBuilder>,
    detail: Column<StringBuilder>,
    event_id: Column<StringBuilder>,
    user_id: Column<StringBuilder>,
    video_id: Column<StringBuilder>,
    session_id: Column<StringBuilder>,
    event_type: Column<StringBuilder>,
    event_ts: Column<TimestampMicrosecondBuilder>,
    position_s: Column<Float64Builder>,
    seek_from_s: Column<Float64Builder>,
    seek_to_s: Column<Float64Builder>,
    rate: Column<Float64Builder>,
    duration_s: Column<Float64Builder>,
    region: Column<StringBuilder>,
    device: Column<StringBuilder>,
    sequence: Column<Int64Builder>,
    extra: Column<StringBuilder>,
    corrections: Column<StringBuilder>,
}

impl Columns {
    pub fn new() -> Self {
        Self {
            rows: 0,
            reason: Column::new(StringBuilder::new()),
            detail: Column::new(StringBuilder::new()),
            event_id: Column::new(StringBuilder::new()),
            user_id: Column::new(StringBuilder::new()),
            video_id: Column::new(StringBuilder::new()),
            session_id: Column::new(StringBuilder::new()),
            event_type: Column::new(StringBuilder::new()),
            event_ts: Column::new(TimestampMicrosecondBuilder::new()),
            position_s: Column::new(Float64Builder::new()),
            seek_from_s: Column::new(Float64Builder::new()),
            seek_to_s: Column::new(Float64Builder::new()),
            rate: Column::new(Float64Builder::new()),
            duration_s: Column::new(Float64Builder::new()),
            region: Column::new(StringBuilder::new()),
            device: Column::new(StringBuilder::new()),
            sequence: Column::new(Int64Builder::new()),
            extra: Column::new(StringBuilder::new()),
            corrections: Column::new(StringBuilder::new()),
        }
    }

    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    pub fn append_event(&mut self, event: &Event<'_>, event_id: &str, extra: Option<&str>, corrections: Option<&str>) {
        self.rows += 1;
        self.reason.option(None);
        self.detail.option(None);
        self.event_id.value(event_id);
        self.user_id.value(event.user_id);
        self.video_id.value(event.video_id);
        self.session_id.option(event.session_id);
        self.event_type.value(event.event_type.as_str());
        self.event_ts.value(event.event_ts_us);
        self.position_s.option(event.position_s);
        self.seek_from_s.option(event.seek_from_s);
        self.seek_to_s.option(event.seek_to_s);
        self.rate.option(event.rate);
        self.duration_s.option(event.duration_s);
        self.region.option(event.region.as_ref().map(|region| region.as_str()));
        self.device.option(event.device);
        self.sequence.option(event.sequence);
        self.extra.option(extra);
        self.corrections.option(corrections);
    }

    pub fn append_rejected(&mut self, reason: Reject, detail: &str) {
        self.rows += 1;
        self.reason.value(reason.as_str());
        self.detail.value(detail);
        self.event_id.option(None);
        self.user_id.option(None);
        self.video_id.option(None);
        self.session_id.option(None);
        self.event_type.option(None);
        self.event_ts.option(None);
        self.position_s.option(None);
        self.seek_from_s.option(None);
        self.seek_to_s.option(None);
        self.rate.option(None);
        self.duration_s.option(None);
        self.region.option(None);
        self.device.option(None);
        self.sequence.option(None);
        self.extra.option(None);
        self.corrections.option(None);
    }

    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = vec![
            self.reason.finish(),
            self.detail.finish(),
            self.event_id.finish(),
            self.user_id.finish(),
            self.video_id.finish(),
            self.session_id.finish(),
            self.event_type.finish(),
            self.event_ts.finish(),
            self.position_s.finish(),
            self.seek_from_s.finish(),
            self.seek_to_s.finish(),
            self.rate.finish(),
            self.duration_s.finish(),
            self.region.finish(),
            self.device.finish(),
            self.sequence.finish(),
            self.extra.finish(),
            self.corrections.finish(),
        ];
        RecordBatch::try_new(schema::decoded_schema(), columns)
            .expect("every append adds one row to each column of the schema")
    }
}
