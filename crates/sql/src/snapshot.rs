//! The tables as one statement or transaction reads them, and the newest such state of the lake.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_schema::SchemaRef;
use datafusion::{catalog::TableProvider, prelude::SessionContext};
use streamreel_lake::{Lake, Layer, Reading, TableId};
use tokio::sync::Mutex;

use crate::error::{Error, Result};

/// Catalog that the layers are schemas of.
pub(crate) const CATALOG: &str = "streamreel";

/// Every table at one version.
pub(crate) struct Snapshot {
    /// No two snapshots of a server have the same.
    pub(crate) number: u64,
    tables: BTreeMap<TableId, Arc<dyn TableProvider>>,
    read: ReadAt,
}

/// What a snapshot was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReadAt {
    /// Versions of both tables of builds; -1: there is none.
    builds: (i64, i64),
    /// Version of `bronze.events`; -1: there is none.
    bronze: i64,
    /// Whether a build was published.
    published: bool,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("number", &self.number).field("read", &self.read).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A table of a layer.
    pub(crate) fn table(&self, layer: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
        let layer = Layer::ALL.into_iter().find(|known| known.as_str() == layer)?;
        self.tables.get(&TableId { layer, name: name.to_owned() }).cloned()
    }

    /// Names of a layer's tables, sorted.
    pub(crate) fn names(&self, layer: &str) -> Vec<String> {
        self.tables.keys().filter(|id| id.layer.as_str() == layer).map(|id| id.name.clone()).collect()
    }

    /// All tables: layer, name, columns.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str, SchemaRef)> {
        self.tables.iter().map(|(id, table)| (id.layer.as_str(), id.name.as_str(), table.schema()))
    }
}

/// The newest state of a lake, opened once for everybody who reads it.
pub(crate) struct Snapshots {
    lake: Lake,
    opening: Mutex<Option<SessionContext>>,
    newest: RwLock<Arc<Snapshot>>,
    numbers: AtomicU64,
}

impl Snapshots {
    /// Opens the newest state; also gives a session of the lake over it.
    pub(crate) async fn open(lake: Lake) -> Result<(Self, SessionContext)> {
        let empty = ReadAt { builds: (-1, -1), bronze: -1, published: false };
        let nothing = Arc::new(Snapshot { number: 0, tables: BTreeMap::new(), read: empty });
        let snapshots =
            Self { lake, opening: Mutex::default(), newest: RwLock::new(nothing), numbers: AtomicU64::new(1) };
        let session = snapshots.session(true).await.map_err(Error::Lake)?;
        *snapshots.opening.lock().await = Some(session.clone());
        let read = snapshots.read_at().await.map_err(Error::Lake)?;
        snapshots.keep(&session, read).await.map_err(Error::Lake)?;
        Ok((snapshots, session))
    }

    /// The newest state that was opened.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest state: that of the last published build, with the newest bronze. Before the first build, the newest of
    /// everything.
    pub(crate) async fn newest(&self) -> streamreel_lake::Result<Arc<Snapshot>> {
        // Whoever comes meanwhile waits for the one who opens it.
        let mut opening = self.opening.lock().await;
        let (read, current) = (self.read_at().await?, self.current());
        if read == current.read && read.published {
            return Ok(current);
        }
        let session = match &*opening {
            Some(session) if read.published && read.builds == current.read.builds => {
                self.lake.register(session, &TableId::bronze("events"), None).await?;
                session.clone()
            }
            _ => opening.insert(self.session(read.published).await?).clone(),
        };
        self.keep(&session, read).await
    }

    async fn session(&self, published: bool) -> streamreel_lake::Result<SessionContext> {
        if !published || self.lake.published().await?.is_none() {
            return self.lake.session(&Reading::Latest).await;
        }
        let session = self.lake.session(&Reading::Published).await?;
        let bronze = TableId::bronze("events");
        if self.lake.open_table(&bronze).await?.is_some() {
            self.lake.register(&session, &bronze, None).await?;
        }
        Ok(session)
    }

    async fn read_at(&self) -> streamreel_lake::Result<ReadAt> {
        let version = async |id: TableId| {
            let table = self.lake.open_table(&id).await?;
            Ok::<_, streamreel_lake::Error>(table.map_or(-1, |table| table.version()))
        };
        let builds = (version(TableId::silver("builds")).await?, version(TableId::gold("builds")).await?);
        let current = self.current();
        let known = current.read.published && current.read.builds == builds;
        let published = known || (builds.1 >= 0 && self.lake.published().await?.is_some());
        Ok(ReadAt { builds, bronze: version(TableId::bronze("events")).await?, published })
    }

    /// Takes the tables out of a session, as the newest state from now on.
    async fn keep(&self, session: &SessionContext, read: ReadAt) -> streamreel_lake::Result<Arc<Snapshot>> {
        let mut tables = BTreeMap::new();
        for layer in Layer::ALL {
            let schema = session.catalog(CATALOG).and_then(|catalog| catalog.schema(layer.as_str()));
            let Some(schema) = schema else { continue };
            for name in schema.table_names() {
                if let Ok(Some(table)) = schema.table(&name).await {
                    tables.insert(TableId { layer, name }, table);
                }
            }
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let snapshot = Arc::new(Snapshot { number, tables, read });
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&snapshot);
        tracing::debug!(?snapshot, "tables opened");
        Ok(snapshot)
    }
}
