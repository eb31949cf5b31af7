//! Events to views: the sessioniser over batches.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use streamreel_viewing::{Output, Sessioniser, input_columns};

use crate::batch::PyRecordBatch;
use crate::capsule;
use crate::settings;

/// Without these columns there is nothing to sessionise; the kernel's others may be left out.
const NEEDED: [&str; 4] = ["user_id", "video_id", "event_type", "event_ts"];

/// Rows of the tables of silver that follow from some events, without their `build_id`.
#[pyclass(frozen, name = "Silver", module = "streamreel")]
pub struct Silver {
    output: Output,
}

#[pymethods]
impl Silver {
    /// A row an event: the input's columns, then `view_id`, `view_date` (date32), `watch_time_percentage` (0..100). Second
    /// copies of an event in a view are left out and counted in `late_duplicates` of the one that stays.
    #[getter]
    fn enriched_events(&self) -> PyRecordBatch {
        PyRecordBatch(self.output.enriched.clone())
    }

    /// A row an interval of content that was really played: `view_id`, `user_id`, `video_id`, `region`, `view_date`,
    /// `segment_index` (int32, from 0), `start_s`, `end_s` (content seconds, half open), `started_at`, `ended_at` (wall clock),
    /// `playing_time_s` (wall seconds), `ended_by` (text).
    #[getter]
    fn watched_segments(&self) -> PyRecordBatch {
        PyRecordBatch(self.output.segments.clone())
    }

    /// A row a reported seek: `view_id`, `user_id`, `video_id`, `region`, `view_date`, `seek_index` (int32), `seeked_at`,
    /// `from_s`, `to_s` (content seconds, null where unknown), `is_after_half` (bool).
    #[getter]
    fn seeks(&self) -> PyRecordBatch {
        PyRecordBatch(self.output.seeks.clone())
    }

    /// A row a view: who, what and when; `watch_time_s`, `unique_s`, `playing_time_s`, `furthest_s`, `exit_s`,
    /// `video_duration_s` (seconds), `watch_time_percentage` (0..100, null without a duration), `is_completed`, `is_engaged`,
    /// `pauses`, `seeks`, `seeks_after_half` (int32), `has_unreported_seek`; an int64 column a correction by name;
    /// `unplaced_s`; then the input's further columns.
    #[getter]
    fn views(&self) -> PyRecordBatch {
        PyRecordBatch(self.output.views.clone())
    }

    /// A row a view or group of events without a play: `first_event_at`, `last_event_at`, `events` (int64), `has_play`.
    #[getter]
    fn view_spans(&self) -> PyRecordBatch {
        PyRecordBatch(self.output.spans.clone())
    }

    fn __repr__(&self) -> String {
        let Output { enriched, segments, seeks, views, spans } = &self.output;
        format!(
            "<streamreel.Silver: {} enriched_events, {} watched_segments, {} seeks, {} views, {} view_spans>",
            enriched.num_rows(),
            segments.num_rows(),
            seeks.num_rows(),
            views.num_rows(),
            spans.num_rows()
        )
    }
}

/// Reduces the events of whole views.
///
/// Input: clean events, sorted by `user_id`, `video_id`, `session_id` (bytewise, nulls first; for pyarrow that is
/// `"at_start"` in a sort key), inside a group in any order. Columns `user_id`, `video_id`, `event_type`, `event_ts` must be there and
/// without nulls. Those that may be left out, and are null then: `event_id`, `session_id`, `position_s`, `seek_from_s`, `seek_to_s`,
/// `rate`, `duration_s`, `region`, `device`, `sequence`, where the record came from (`source_log`, `source_topic`, `source_partition`,
/// `source_offset`), `late_duplicates`, and of the metadata `title`, `creator`, `genre`, `video_duration_s`. Any further column
/// goes through to views and enriched events.
#[pyfunction]
#[pyo3(signature = (events, **settings))]
pub fn watched_segments(
    py: Python<'_>,
    events: &Bound<'_, PyAny>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Silver> {
    let settings = settings::of(settings)?;
    let (schema, batches) = capsule::batches(events)?;
    let derive = || {
        let mut kernel = Sessioniser::new(settings, &whole_schema(&schema)?).map_err(text)?;
        for batch in &batches {
            kernel.push(&whole(batch)?).map_err(text)?;
        }
        kernel.finish().map_err(text)?;
        joined(&mut kernel)
    };
    py.detach(derive).map(|output| Silver { output }).map_err(PyValueError::new_err)
}

/// The columns of an event on its way into views, with their types: those that bronze has of it, then `late_duplicates` (int64), the
/// number of its copies that were dropped before. An empty batch.
#[pyfunction]
pub fn event_schema() -> PyRecordBatch {
    PyRecordBatch(RecordBatch::new_empty(streamreel_viewing::event_schema()))
}

/// What `watched_segments` returns for an input of these columns, without rows; the input's rows are not looked at.
#[pyfunction]
pub fn silver_schemas(py: Python<'_>, events: &Bound<'_, PyAny>) -> PyResult<Silver> {
    let (schema, _) = capsule::batches(events)?;
    let none = || {
        let mut kernel =
            Sessioniser::new(streamreel_viewing::Settings::default(), &whole_schema(&schema)?).map_err(text)?;
        joined(&mut kernel)
    };
    py.detach(none).map(|output| Silver { output }).map_err(PyValueError::new_err)
}

/// `watched_segments` for events that come batch by batch; a group may span batches.
///
/// After an exception it takes no more events.
#[pyclass(name = "Sessioniser", module = "streamreel")]
pub struct PySessioniser {
    settings: streamreel_viewing::Settings,
    state: State,
}

enum State {
    /// No batch yet, so no schema.
    New,
    Open(Box<Sessioniser>),
    /// Finished, or failed: why.
    Closed(&'static str),
}

#[pymethods]
impl PySessioniser {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self { settings: settings::of(settings)?, state: State::New })
    }

    /// Takes the next events and returns what is complete.
    fn push(&mut self, py: Python<'_>, events: &Bound<'_, PyAny>) -> PyResult<Vec<Silver>> {
        let (schema, batches) = capsule::batches(events)?;
        py.detach(|| self.take(&schema, &batches)).map_err(PyValueError::new_err)
    }

    /// No more events come: returns the rest.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Vec<Silver>> {
        let finish = || match std::mem::replace(&mut self.state, State::Closed("it is finished")) {
            State::New => Ok(Vec::new()),
            State::Closed(why) => Err(closed(why)),
            State::Open(mut kernel) => {
                kernel.finish().map_err(text)?;
                Ok(ready(&mut kernel))
            }
        };
        py.detach(finish).map_err(PyValueError::new_err)
    }
}

impl PySessioniser {
    fn take(&mut self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<Silver>, String> {
        // Put back where nothing fails, so that half of a batch is never taken for all of it.
        let state = std::mem::replace(&mut self.state, State::Closed("an earlier batch was refused"));
        let mut kernel = match state {
            State::New => Box::new(Sessioniser::new(self.settings.clone(), &whole_schema(schema)?).map_err(text)?),
            State::Open(kernel) => kernel,
            State::Closed(why) => {
                self.state = State::Closed(why);
                return Err(closed(why));
            }
        };
        for batch in batches {
            kernel.push(&whole(batch)?).map_err(text)?;
        }
        let ready = ready(&mut kernel);
        self.state = State::Open(kernel);
        Ok(ready)
    }
}

fn closed(why: &str) -> String {
    format!("this Sessioniser takes no more events: {why}; make another")
}

fn text(error: streamreel_viewing::Error) -> String {
    error.to_string()
}

fn ready(kernel: &mut Sessioniser) -> Vec<Silver> {
    std::iter::from_fn(|| kernel.take_output()).map(|output| Silver { output }).collect()
}

/// All outputs as one.
fn joined(kernel: &mut Sessioniser) -> Result<Output, String> {
    let outputs: Vec<Output> = std::iter::from_fn(|| kernel.take_output()).collect();
    let schemas = kernel.schemas();
    let join = |schema: &SchemaRef, table: fn(&Output) -> &RecordBatch| {
        concat_batches(schema, outputs.iter().map(table)).map_err(|e| format!("join outputs: {e}"))
    };
    Ok(Output {
        enriched: join(&schemas.enriched, |o| &o.enriched)?,
        segments: join(&schemas.segments, |o| &o.segments)?,
        seeks: join(&schemas.seeks, |o| &o.seeks)?,
        views: join(&schemas.views, |o| &o.views)?,
        spans: join(&schemas.spans, |o| &o.spans)?,
    })
}

/// The columns of the kernel that are not there.
fn absent(schema: &Schema) -> Result<Vec<(&'static str, DataType)>, String> {
    if let Some(needed) = NEEDED.into_iter().find(|name| schema.index_of(name).is_err()) {
        let there: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!("sessionise: the input has no column `{needed}`; it has: {}", there.join(", ")));
    }
    Ok(input_columns().filter(|(name, _)| schema.index_of(name).is_err()).collect())
}

fn whole_schema(schema: &Schema) -> Result<SchemaRef, String> {
    let given = schema.fields().iter().map(|field| field.as_ref().clone());
    let added = absent(schema)?.into_iter().map(|(name, kind)| Field::new(name, kind, true));
    Ok(Arc::new(Schema::new(given.chain(added).collect::<Vec<_>>())))
}

/// The batch with nulls in the columns that were left out.
fn whole(batch: &RecordBatch) -> Result<RecordBatch, String> {
    let schema = whole_schema(batch.schema_ref())?;
    let added = schema.fields().iter().skip(batch.num_columns());
    let added = added.map(|field| new_null_array(field.data_type(), batch.num_rows()));
    let columns = batch.columns().iter().cloned().chain(added).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|e| format!("sessionise: {e}"))
}
