//! Sessions of the query engine over the lake's tables.

use std::{collections::BTreeMap, error::Error as StdError, fs::File, io, num::NonZeroUsize, sync::Arc};

use arrow_schema::ArrowError;
use datafusion::{
    catalog::{MemorySchemaProvider, SchemaProvider},
    error::DataFusionError,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{FairSpillPool, TrackConsumersPool},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    prelude::{SessionConfig, SessionContext},
};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use parquet::errors::ParquetError;

use crate::{
    error::{Error, Result},
    lake::Lake,
    place::Place,
    spec::{Layer, TableId},
    table::Table,
};

/// Catalog that the layers are schemas of.
const CATALOG: &str = "streamreel";
/// Tables that a session opens at once: in a bucket each waits for answers.
const OPENED_AT_ONCE: usize = 8;
/// Consumers that an out-of-memory error names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not 0");

/// The versions that a session reads.
#[derive(Debug, Clone)]
pub enum Reading {
    /// The newest of each table.
    Latest,
    /// Those of the last published build; tables that it does not name are not there. Both tables of builds
    /// are read at their newest version. Nothing is there before the first build, they apart.
    Published,
    /// These; the other tables at their newest version.
    At(BTreeMap<TableId, i64>),
}

impl Lake {
    /// A session in which every table is `layer.name`. Text columns come as `Utf8` (those that a table
    /// is partitioned by as a dictionary of it), time stamps in UTC.
    ///
    /// Sessions of a lake share one memory pool ([`crate::Settings::memory_bytes`]) and spill to disk.
    pub async fn session(&self, reading: &Reading) -> Result<SessionContext> {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, "public")
            .with_target_partitions(self.partitions())
            .set_str("datafusion.execution.time_zone", "UTC")
            // One text type for everybody who takes batches.
            .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
            .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
        let session = SessionContext::new_with_config_rt(config, self.runtime()?);
        let catalog = session.catalog(CATALOG).ok_or_else(|| no_schema(CATALOG))?;
        for layer in Layer::ALL {
            let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
            catalog.register_schema(layer.as_str(), schema).map_err(query("open a session"))?;
        }
        let versions = self.read_versions(reading).await?;
        let open = |(id, version): (TableId, _)| async move { self.table_at(&id, version).await }.boxed();
        let opening: Vec<BoxFuture<'_, Result<Table>>> = versions.into_iter().map(open).collect();
        let mut tables = stream::iter(opening).buffered(OPENED_AT_ONCE);
        while let Some(table) = tables.try_next().await? {
            table.register(&session).await?;
        }
        Ok(session)
    }

    /// Puts a table into a session at a version, or at its newest; replaces what was there under its name.
    pub async fn register(&self, session: &SessionContext, id: &TableId, version: Option<i64>) -> Result<()> {
        self.table_at(id, version).await?.register(session).await
    }

    async fn table_at(&self, id: &TableId, version: Option<i64>) -> Result<Table> {
        let table = match version {
            Some(version) => Some(self.open_table_at(id, version).await?),
            None => self.open_table(id).await?,
        };
        table.ok_or_else(|| Error::NoTable { table: id.clone(), path: self.table_place(id) })
    }

    async fn read_versions(&self, reading: &Reading) -> Result<Vec<(TableId, Option<i64>)>> {
        let all = self.tables().await?;
        Ok(match reading {
            Reading::Latest => all.into_iter().map(|id| (id, None)).collect(),
            Reading::At(versions) => all.into_iter().map(|id| (id.clone(), versions.get(&id).copied())).collect(),
            Reading::Published => {
                let build = self.published().await?;
                let version_of = |id: &TableId| build.as_ref().and_then(|build| build.version_of(id));
                let of_builds = |id: &TableId| id.name == "builds" && id.layer != Layer::Bronze;
                all.into_iter()
                    .filter_map(|id| match version_of(&id) {
                        _ if of_builds(&id) => Some((id, None)),
                        Some(version) => Some((id, Some(version))),
                        None => None,
                    })
                    .collect()
            }
        })
    }

    /// What the error of a session's query says of the lake's files: one is gone or damaged, or disk or store refused it. `None` for
    /// an error of the query itself. Blocks for a moment.
    pub fn unreadable(&self, error: &DataFusionError) -> Option<Error> {
        if !is_of_a_file(error) {
            return None;
        }
        let said = error.strip_backtrace();
        let Some((table, path)) = self.file_in(&said) else {
            return Some(Error::SomeDataFile { what: damage(&said) });
        };
        Some(match problem(&path, &said) {
            Ok(what) => Error::DataFile { table, path, what },
            Err(refused) => refused,
        })
    }

    /// The data file of this lake that the engine's words name: whose it is, and where.
    fn file_in(&self, said: &str) -> Option<(TableId, Place)> {
        const END: &str = ".parquet";
        let key = self.place().key().to_string();
        let root = if key.is_empty() { key } else { format!("{key}/") };
        Layer::ALL.into_iter().find_map(|layer| {
            let begin = said.find(&format!("{root}{layer}/"))? + root.len();
            let rest = said.get(begin..)?;
            let file = rest.get(..rest.find(END)? + END.len())?;
            let id: TableId = format!("{layer}.{}", file.split('/').nth(1)?).parse().ok()?;
            Some((id, self.place().join(file)))
        })
    }

    /// Into how many parts a session splits its work: the cores, unless the settings say otherwise.
    pub fn partitions(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.settings().partitions.unwrap_or_else(cores).max(1)
    }

    fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        if let Some(runtime) = self.inner.runtime.get() {
            return Ok(Arc::clone(runtime));
        }
        let settings = self.settings();
        let mode = match self.scratch()? {
            Some(folder) => DiskManagerMode::Directories(vec![folder]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let pool = TrackConsumersPool::new(FairSpillPool::new(settings.memory_bytes), NAMED_CONSUMERS);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
            .build_arc()
            .map_err(query("open a session"))?;
        Ok(Arc::clone(self.inner.runtime.get_or_init(|| runtime)))
    }
}

impl Table {
    /// Puts the table, at the version that it stands at, into a session.
    pub async fn register(&self, session: &SessionContext) -> Result<()> {
        let named = query(format!("register {}", self.id));
        let mut table = self.clone();
        table.bring_up().await?;
        let builder = table.delta().table_provider().with_session(Arc::new(session.state()));
        let provider = builder.await.map_err(&named)?;
        let catalog = session.catalog(CATALOG).ok_or_else(|| no_schema(CATALOG))?;
        let layer = self.id.layer.as_str();
        let schema = catalog.schema(layer).ok_or_else(|| no_schema(layer))?;
        schema.deregister_table(&self.id.name).map_err(&named)?;
        schema.register_table(self.id.name.clone(), provider).map_err(&named)?;
        Ok(())
    }
}

/// Whether an error of the engine comes from a file that it read.
fn is_of_a_file(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        let is_engines = matches!(
            current.downcast_ref::<DataFusionError>(),
            Some(DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_))
        );
        let is_arrows = matches!(current.downcast_ref::<ArrowError>(), Some(ArrowError::ParquetError(_)));
        if is_engines || is_arrows || current.is::<ParquetError>() || current.is::<object_store::Error>() {
            return true;
        }
        next = current.source();
    }
    false
}

/// What is wrong with a data file, or the refusal of disk or store. Of their errors the engine passes on no more than the words.
fn problem(path: &Place, said: &str) -> Result<String> {
    let gone = || Ok("it is gone".to_owned());
    if let Some(file) = path.folder() {
        return match File::open(file) {
            Ok(_) => Ok(damage(said)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => gone(),
            Err(source) => Err(Error::Io { operation: "read", path: path.clone(), source }),
        };
    }
    if said.contains("Object at location") && said.contains("not found") {
        return gone();
    }
    match said.split_once("Generic S3 error: ") {
        // Where the footer should be: the object is shorter than it was.
        Some((_, refused)) if !refused.to_ascii_lowercase().contains("range") => {
            Err(Error::Store { operation: "read", path: path.clone(), problem: refused.to_owned() })
        }
        _ => Ok(damage(said)),
    }
}

/// Damage, with the innermost of the engine's words.
fn damage(said: &str) -> String {
    format!("it is damaged ({})", said.rsplit("error: ").next().unwrap_or(said))
}

fn no_schema(name: &str) -> Error {
    query("open a session")(DataFusionError::Plan(format!("the session has no {name}")))
}

/// Names the operation of a query error.
pub(crate) fn query(operation: impl Into<String>) -> impl Fn(DataFusionError) -> Error {
    let operation = operation.into();
    move |source| Error::Query { operation: operation.clone(), source: Box::new(source) }
}
