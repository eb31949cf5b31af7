//! The query engine behind the API: a runtime of its own, few queries at once, and limits that say what they are.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use streamreel_lake::plan;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::problem::{Kind, Problem};

/// Queries that may wait for one that runs.
const WAITING: usize = 256;
/// When to come again if too many wait.
const RETRY_AFTER_S: u32 = 2;

/// Values of a query's placeholders, `$1` first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Vec<ScalarValue>);

impl Values {
    /// Adds a value and gives its placeholder.
    pub(crate) fn bind(&mut self, value: ScalarValue) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    #[cfg(test)]
    pub(crate) fn into_inner(self) -> Vec<ScalarValue> {
        self.0
    }
}

/// SQL of ours, and what clients gave as values of its placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The text; nothing in it comes from a client.
    pub(crate) sql: String,
    /// The values.
    pub(crate) values: Values,
}

impl Query {
    /// A query without values.
    pub(crate) fn plain(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Values::default() }
    }
}

/// What a query may use, besides the memory of the lake's sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Wall time, waiting included.
    pub(crate) time: Duration,
    /// Rows of the result.
    pub(crate) rows: usize,
}

/// Why a query gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Too many wait already.
    #[error("{WAITING} queries are waiting already")]
    Busy,
    /// It took too long.
    #[error("the query was stopped after {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The result has too many rows.
    #[error("the result has more than {0} rows")]
    Rows(usize),
    /// It needs more memory.
    #[error("the query needs more memory: {0}")]
    Memory(String),
    /// The lake.
    #[error("{0}")]
    Lake(#[from] streamreel_lake::Error),
    /// The engine.
    #[error("the query failed: {0}")]
    Engine(Box<DataFusionError>),
    /// The result is not as expected.
    #[error("{0}")]
    Shape(String),
    /// The query's task is gone.
    #[error("the query ended without an answer: {0}")]
    Gone(String),
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(what) => Trouble::Memory(what.clone()),
            _ => Trouble::Engine(Box::new(error)),
        }
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let detail = trouble.to_string();
        match trouble {
            Trouble::Busy => Problem::new(Kind::Busy, detail).retry_after(RETRY_AFTER_S),
            Trouble::Timeout(_) => Problem::new(Kind::Timeout, format!("{detail}; narrow the dates or filters")),
            Trouble::Rows(_) => Problem::new(Kind::OverLimit, format!("{detail}; narrow the dates or filters")),
            Trouble::Memory(_) => {
                tracing::warn!(%detail, "a query was stopped");
                Problem::new(
                    Kind::OverLimit,
                    "the query needs more memory than it may use; narrow the dates or filters",
                )
            }
            Trouble::Lake(_) => {
                tracing::error!(%detail, "the lake can't be read");
                Problem::new(
                    Kind::Unreadable,
                    "a table of the published build can't be read; the server's log says which",
                )
            }
            Trouble::Engine(_) | Trouble::Shape(_) | Trouble::Gone(_) => {
                tracing::error!(%detail, "a query failed");
                Problem::new(Kind::Internal, "a query of the server failed; its log says why")
            }
        }
    }
}

/// Runs queries apart from the threads that answer HTTP.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Taken out when the engine is dropped, as a runtime must not be waited for inside of another.
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Engine {
    /// An engine that runs so many queries at once, on as many threads.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub(crate) fn new(at_once: usize) -> std::io::Result<Self> {
        let at_once = at_once.max(1);
        let runtime =
            Builder::new_multi_thread().worker_threads(at_once).thread_name("streamreel-query").enable_all().build()?;
        Ok(Self {
            runtime: Some(runtime),
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(at_once + WAITING)),
        })
    }

    /// Starts work on the engine's threads that goes on by itself.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// Does work that only computes on the engine's threads.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        self.spawn(async { Ok(work()) }).result().await
    }

    /// Starts work on the engine's threads; it ends when the handle is dropped.
    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        match &self.runtime {
            Some(runtime) => Task(Some(runtime.spawn(work))),
            None => Task(None),
        }
    }
}

/// Reads the tables of a session.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// What runs the queries.
    pub(crate) engine: &'a Engine,
    /// What they see.
    pub(crate) session: &'a SessionContext,
    /// What each may use.
    pub(crate) limits: Limits,
}

impl Reader<'_> {
    /// Runs a query and takes in its batches, one by one, as they come.
    pub(crate) async fn fold<A, F>(&self, query: Query, init: A, step: F) -> Result<A, Trouble>
    where
        A: Send + 'static,
        F: FnMut(&mut A, RecordBatch) -> Result<(), Trouble> + Send + 'static,
    {
        let Self { engine, session, limits } = *self;
        let admitted = Arc::clone(&engine.admitted).try_acquire_owned().map_err(|_| Trouble::Busy)?;
        let late = |_| Trouble::Timeout(limits.time);
        let deadline = Instant::now() + limits.time;
        let running = timeout_at(deadline, Arc::clone(&engine.running).acquire_owned()).await.map_err(late)?;
        let running = running.map_err(|closed| Trouble::Gone(closed.to_string()))?;
        let permits = [admitted, running];
        let task = engine.spawn(run(session.clone(), query, limits.rows, permits, init, step));
        timeout_at(deadline, task.result()).await.map_err(late)?
    }

    /// All batches of a query.
    pub(crate) async fn collect(&self, query: Query) -> Result<Vec<RecordBatch>, Trouble> {
        let keep = |batches: &mut Vec<RecordBatch>, batch| {
            batches.push(batch);
            Ok(())
        };
        self.fold(query, Vec::new(), keep).await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work under way; stopped when dropped.
struct Task<T>(Option<JoinHandle<T>>);

impl<T> Task<Result<T, Trouble>> {
    async fn result(mut self) -> Result<T, Trouble> {
        let Some(handle) = &mut self.0 else { return Err(Trouble::Gone("the server is stopping".to_owned())) };
        handle.await.map_err(|error| Trouble::Gone(error.to_string()))?
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

async fn run<A, F>(
    session: SessionContext,
    query: Query,
    most_rows: usize,
    permits: [OwnedSemaphorePermit; 2],
    init: A,
    mut step: F,
) -> Result<A, Trouble>
where
    F: FnMut(&mut A, RecordBatch) -> Result<(), Trouble>,
{
    let mut frame = plan::sql(&session, &query.sql).await?;
    if !query.values.0.is_empty() {
        frame = frame.with_param_values(query.values.0)?;
    }
    let mut batches = frame.execute_stream().await?;
    let (mut state, mut rows) = (init, 0);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        if rows > most_rows {
            return Err(Trouble::Rows(most_rows));
        }
        step(&mut state, batch)?;
    }
    drop(permits);
    Ok(state)
}
