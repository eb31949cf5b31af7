//! Made-up viewers: the simulator as an iterator over batches.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use streamreel_simulate::{Batch, Catalogue, DEFAULT_START_MS, Pace, Players, Settings, Simulator};

use crate::batch::PyRecordBatch;

/// Made-up records in the order of their arrival. Columns: `key` (binary, null where the record has no user to read), `payload`
/// (binary), `received_at` (int64, milliseconds of the epoch).
#[pyclass(name = "Simulation", module = "streamreel")]
pub struct Simulation {
    simulator: Simulator,
    batch: Batch,
}

/// Begins a simulation; the same arguments give the same bytes, those of `streamreel simulate`.
///
/// Either `events` records over `days` days, or `rate` records a second of simulated time for `for_s` seconds (or without end).
/// `start_ms`: milliseconds of the epoch (2026-01-05). `dirt`: share of records that are rejects and copies; `loss`: share of
/// events that never arrive; both 0..0.9. `batch_size`: records a batch.
#[pyfunction]
#[pyo3(signature = (*, events=None, rate=None, for_s=None, days=7, seed=1, start_ms=None, users=None, videos=None,
                    dirt=0.05, loss=0.0, batch_size=8192))]
#[allow(clippy::too_many_arguments)] // they are keywords in Python
pub fn simulate(
    py: Python<'_>,
    events: Option<u64>,
    rate: Option<f64>,
    for_s: Option<f64>,
    days: u32,
    seed: u64,
    start_ms: Option<i64>,
    users: Option<u64>,
    videos: Option<u32>,
    dirt: f64,
    loss: f64,
    batch_size: usize,
) -> PyResult<Simulation> {
    let settings = Settings {
        pace: pace(events, rate, for_s, days)?,
        start_ms: start_ms.unwrap_or(DEFAULT_START_MS),
        seed,
        users,
        videos,
        dirt_ratio: dirt,
        loss_ratio: loss,
        players: Players::All,
    };
    if !(1..=1 << 20).contains(&batch_size) {
        return Err(PyValueError::new_err(format!("batch_size is {batch_size}; give a number from 1 to 1048576")));
    }
    let simulator = py.detach(|| Catalogue::sample().and_then(|catalogue| Simulator::new(&settings, &catalogue)));
    let simulator = simulator.map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(Simulation { simulator, batch: Batch::with_capacity(batch_size) })
}

fn pace(events: Option<u64>, rate: Option<f64>, for_s: Option<f64>, days: u32) -> PyResult<Pace> {
    let wrong = |what: &str| Err(PyValueError::new_err(what.to_owned()));
    match (events, rate, for_s) {
        (Some(records), None, None) => Ok(Pace::Records { records, days }),
        (None, Some(_), Some(s)) if !(s.is_finite() && s > 0.0) => wrong("for_s must be a number of seconds above 0"),
        (None, Some(per_s), for_s) => Ok(Pace::Rate { per_s, for_ms: for_s.map(|s| (s * 1000.0) as i64) }),
        (Some(_), None, Some(_)) => wrong("for_s goes with rate; with events, give days"),
        _ => wrong("give either events (how many) or rate (how many a second)"),
    }
}

#[pymethods]
impl Simulation {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<PyRecordBatch>> {
        let Self { simulator, batch } = self;
        let next = py.detach(|| simulator.next_batch(batch).then(|| columns(batch)).transpose());
        Ok(next.map_err(|e| PyValueError::new_err(e.to_string()))?.map(PyRecordBatch))
    }

    /// The videos as CSV.
    fn titles(&self) -> String {
        self.simulator.titles()
    }
}

fn columns(batch: &Batch) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let mut keys = BinaryBuilder::with_capacity(batch.len(), batch.len() * 16);
    let mut payloads = BinaryBuilder::with_capacity(batch.len(), batch.payload_bytes());
    for row in 0..batch.len() {
        keys.append_option(batch.key(row));
        payloads.append_value(batch.payload(row));
    }
    let arrivals = Int64Array::from_iter_values((0..batch.len()).map(|row| batch.arrival_ms(row)));
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("key", Arc::new(keys.finish()), true),
        ("payload", Arc::new(payloads.finish()), false),
        ("received_at", Arc::new(arrivals), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
}
