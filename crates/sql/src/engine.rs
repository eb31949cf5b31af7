//! The query engine: on threads of its own, with a bound on memory, and nothing of a query left when nobody waits for it.
//!
//! Sessions have threads of their own, too, beside those of queries: they answer while queries compute. Both have large stacks,
//! for statements and plans are trees that are walked, copied and freed by recursion.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow_array::RecordBatch;
use datafusion::{
    execution::{
        FunctionRegistry, SessionState, SessionStateBuilder, TaskContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::LogicalPlan,
    physical_plan::execute_stream,
    prelude::SessionContext,
};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{context::EmptyContextProvider, setup_pg_catalog};
use futures::StreamExt;
use streamreel_lake::Lake;
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    amplify,
    error::{Error, Result},
    failure::{Failure, Outcome, code},
    functions,
    memory::Shared,
    settings::Settings,
    snapshot::CATALOG,
    yields,
};

/// Stack of a thread, in bytes. It costs no memory before it is used.
const STACK: usize = 64 << 20;
/// Threads that sessions are served on.
const SESSION_THREADS: usize = 2;

/// Threads that end without anybody waiting for them.
struct Threads(Option<Runtime>);

impl Threads {
    fn new(name: &str, count: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name(name)
            .thread_stack_size(STACK)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|source| Error::Start { operation: "start threads", source })?;
        Ok(Self(Some(runtime)))
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.as_ref().expect("it is only taken when this is dropped").spawn(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs queries.
pub(crate) struct Engine {
    queries: Threads,
    sessions: Threads,
    base: SessionState,
    environment: Arc<RuntimeEnv>,
    memory: Arc<Shared>,
    query_memory: usize,
}

impl Engine {
    /// An engine that reads files as the lake's session does.
    pub(crate) fn new(lake: &Lake, session: &SessionContext, settings: &Settings) -> Result<Self> {
        let environment = environment(lake, session, settings)?;
        let base = base(session, &environment)?;
        Ok(Self {
            queries: Threads::new("sql-query", settings.query_threads())?,
            sessions: Threads::new("sql-session", SESSION_THREADS)?,
            base,
            environment,
            memory: Shared::new(settings.memory_bytes),
            query_memory: settings.query_memory_bytes,
        })
    }

    /// The state that sessions start from: functions, types and rules, without tables.
    pub(crate) fn base(&self) -> SessionState {
        self.base.clone()
    }

    /// Does work on the queries' threads; it is given up when its caller no longer waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Outcome<T>> + Send + 'static,
    ) -> Outcome<T> {
        let task = self.queries.spawn(work);
        let _guard = Aborts(task.abort_handle());
        task.await.unwrap_or_else(|error| Err(lost(&error.to_string())))
    }

    /// Starts a plan; its rows come through what this gives.
    pub(crate) fn start(&self, state: SessionState, plan: LogicalPlan) -> Running {
        let (sender, batches) = mpsc::channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let pool = self.memory.query(self.query_memory, &stop);
        let environment = Arc::new(RuntimeEnv { memory_pool: pool, ..RuntimeEnv::clone(&self.environment) });
        let stopped = Arc::clone(&stop);
        let task = self.queries.spawn(async move {
            let last = match execute(state, plan, environment, stopped, &sender).await {
                Ok(()) => Ok(None),
                Err(failure) => Err(failure),
            };
            // Nobody waits for it: then there is nobody to tell.
            let _ = sender.send(last).await;
        });
        Running { batches, stop, _task: Aborts(task.abort_handle()) }
    }

    /// Serves on the threads of sessions.
    pub(crate) fn serve(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.sessions.spawn(work)
    }
}

/// Runs a plan, batch by batch as they are taken.
async fn execute(
    state: SessionState,
    plan: LogicalPlan,
    environment: Arc<RuntimeEnv>,
    stop: Arc<AtomicBool>,
    sender: &mpsc::Sender<Outcome<Option<RecordBatch>>>,
) -> Outcome {
    let plan = state.create_physical_plan(&plan).await?;
    let plan = yields::interruptible(plan, &stop)?;
    let task = TaskContext::from(&state).with_runtime(environment);
    let mut batches = execute_stream(plan, Arc::new(task))?;
    while let Some(batch) = batches.next().await {
        if sender.send(Ok(Some(batch?))).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Aborts a task when it is dropped.
struct Aborts(AbortHandle);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A query under way. Dropped, it stops.
pub(crate) struct Running {
    batches: mpsc::Receiver<Outcome<Option<RecordBatch>>>,
    stop: Arc<AtomicBool>,
    _task: Aborts,
}

impl Running {
    /// The next rows; `None`: there are no more.
    pub(crate) async fn next(&mut self) -> Outcome<Option<RecordBatch>> {
        self.batches.recv().await.unwrap_or_else(|| Err(lost("its task ended")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lost(why: &str) -> Failure {
    tracing::error!(why, "a query was lost");
    Failure::new(code::INTERNAL, "the query engine failed; the server's log says more")
}

fn environment(lake: &Lake, session: &SessionContext, settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let mode = match lake.scratch().map_err(Error::Lake)? {
        Some(folder) => DiskManagerMode::Directories(vec![folder]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(settings.spill_bytes);
    RuntimeEnvBuilder::from_runtime_env(&session.runtime_env())
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(Error::Engine)
}

/// The lake's own session settings, with PostgreSQL's functions, types and dialect.
fn base(session: &SessionContext, environment: &Arc<RuntimeEnv>) -> Result<SessionState> {
    let config = session.state().config().clone();
    let config = config
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema(CATALOG, "public")
        .set_str("datafusion.sql_parser.dialect", "PostgreSQL");
    let context = SessionContext::new_with_config_rt(config, Arc::clone(environment));
    setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| Error::Engine(*error))?;
    let mut state = SessionStateBuilder::new_from_existing(context.state())
        .with_physical_optimizer_rule(Arc::new(yields::JoinsYield))
        .build();
    functions::register(&mut state, functions::of_server()).map_err(Error::Engine)?;
    amplify::measure(&mut state).map_err(Error::Engine)?;
    state.register_expr_planner(Arc::new(functions::TextAsBoolean)).map_err(Error::Engine)?;
    Ok(state)
}
