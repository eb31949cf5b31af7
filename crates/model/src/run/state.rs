//! What is published, what is being built, and the session that reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::prelude::SessionContext;
use serde::{Deserialize, Serialize};
use serde_json::json;
use streamreel_lake::{
    Base, Build, CommitNote, Delete, Lake, Layer, Reading, SilverBuild, Table, TableId, TableSpec, Written,
};

use super::changes::Groups;
use super::model::table_of;
use super::unseen::Unseen;
use crate::checks::{DataTest, Target, TestKind};
use crate::error::{Error, Result};
use crate::jinja::Relation;
use crate::project::{Model, Project};
use crate::report::TestReport;
use crate::{Materialized, Severity};

/// What a gold table was built from; kept in the row of `gold.builds` under `counts.models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Number of what the model's SQL and layout say.
    pub(super) definition: String,
    /// The silver build that its rows come from.
    pub(super) silver_build: String,
    /// Rows of the table.
    pub(super) rows: u64,
}

/// The state of a run. Steps that run at the same time share it.
pub(super) struct State<'a> {
    lake: &'a Lake,
    /// The tables of the published build, to commit to.
    base: Base,
    session: SessionContext,
    staged: SilverBuild,
    published: Option<Build>,
    /// Silver builds, oldest first.
    silver_builds: Vec<String>,
    published_records: BTreeMap<TableId, Record>,
    published_digest: String,
    progress: Mutex<Progress>,
    /// Changed groups by the silver build before them; locked while they are read, so that they are read once.
    changes: tokio::sync::Mutex<BTreeMap<String, Option<Arc<Groups>>>>,
    /// Held from putting a model's changed groups into the session until its query is planned.
    planning: tokio::sync::Mutex<()>,
    build_id: String,
}

/// How far a run has come.
struct Progress {
    /// Versions that the session reads.
    versions: BTreeMap<TableId, i64>,
    records: BTreeMap<TableId, Record>,
}

impl<'a> State<'a> {
    /// Reads what is there, and brings gold back to the published build where a run that did not end left it ahead.
    pub(super) async fn open(lake: &'a Lake, project: &Project) -> Result<Self> {
        let staged = lake.staged().await.map_err(Error::lake("reading silver.builds"))?;
        let bronze = TableId::bronze("events");
        let has_bronze = lake.open_table(&bronze).await.map_err(Error::lake("opening bronze.events"))?.is_some();
        let staged = staged.ok_or_else(|| {
            let missing = if has_bronze {
                "there is no silver yet: run `build`, or `build --layer silver`, before gold"
            } else {
                "there is no bronze yet: run `streamreel process` first"
            };
            Error::State(missing.to_owned())
        })?;
        let published = lake.published().await.map_err(Error::lake("reading gold.builds"))?;
        let (published_records, published_digest) = published.as_ref().map(remembered).unwrap_or_default();
        let mut versions = staged.versions.clone();
        versions.retain(|id, _| id.layer != Layer::Gold);
        if has_bronze {
            versions.entry(bronze).or_insert(staged.bronze_version);
        }
        let mut gold = BTreeMap::new();
        for model in stored(project) {
            let id = table_of(model)?;
            gold.extend(published.as_ref().and_then(|build| build.version_of(&id)).map(|version| (id, version)));
        }
        versions.extend(gold.clone());
        let base = lake.roll_back(&gold).await.map_err(Error::lake("bringing gold back to the published build"))?;
        let session = lake.session(&Reading::At(versions.clone())).await.map_err(Error::lake("opening a session"))?;
        let records = published_records
            .iter()
            .filter(|(id, _)| versions.contains_key(*id))
            .map(|(id, r)| (id.clone(), r.clone()))
            .collect();
        let mut state = Self {
            lake,
            base,
            session,
            staged,
            published,
            silver_builds: Vec::new(),
            published_records,
            published_digest,
            progress: Mutex::new(Progress { versions, records }),
            changes: tokio::sync::Mutex::default(),
            planning: tokio::sync::Mutex::default(),
            build_id: uuid::Uuid::now_v7().to_string(),
        };
        state.silver_builds = state.read_silver_builds().await?;
        Ok(state)
    }

    async fn read_silver_builds(&self) -> Result<Vec<String>> {
        let at = crate::Place::new("silver.builds", 0);
        let origin = super::sql::Origin { node: "silver builds", at: &at };
        let batches =
            origin.collect(&self.session, "select build_id from silver.builds order by finished_at, build_id").await?;
        let texts =
            super::types::texts(&batches).map_err(|error| Error::State(format!("reading silver.builds: {error}")))?;
        Ok(texts.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Whether the published build was made from another silver than the one that is read, or there is none.
    pub(super) fn has_new_silver(&self) -> bool {
        let same =
            |build: &Build| self.staged.versions.iter().all(|(id, version)| build.version_of(id) == Some(*version));
        !self.published.as_ref().is_some_and(same)
    }

    /// Nothing is to be done: same project, same silver, every selected model is published from it.
    pub(super) fn is_up_to_date(&self, project: &Project, selected: &BTreeSet<String>) -> bool {
        let current = |model: &Model| {
            let record = table_of(model).ok().and_then(|id| self.published_records.get(&id));
            record.is_some_and(|record| record.silver_build == self.staged.build_id)
        };
        !self.has_new_silver()
            && self.published_digest == project.digest()
            && stored(project).filter(|model| selected.contains(&model.name)).all(current)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many steps run at the same time.
    pub(super) fn width(&self) -> usize {
        self.lake.partitions()
    }

    /// The right to put a model's changed groups into the session.
    pub(super) async fn planning(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.planning.lock().await
    }

    /// The session that reads what was built so far.
    pub(super) fn session(&self) -> &SessionContext {
        &self.session
    }

    /// The silver that is read.
    pub(super) fn silver_build(&self) -> &str {
        &self.staged.build_id
    }

    /// What the published table was built from.
    pub(super) fn published_record(&self, id: &TableId) -> Option<Record> {
        self.progress().versions.get(id).and_then(|_| self.published_records.get(id)).cloned()
    }

    /// Notes what a table was built from.
    pub(super) fn record(&self, id: &TableId, record: Record) {
        self.progress().records.insert(id.clone(), record);
    }

    /// Whether the published build passed this very project: its unit tests, which read nothing else, would pass again.
    pub(super) fn is_same_project(&self, project: &Project) -> bool {
        self.published.is_some() && self.published_digest == project.digest()
    }

    /// Whether everything that a data test reads is as it was when the published build passed it. One that only warns
    /// may have failed then.
    pub(super) fn is_unchanged(&self, project: &Project, test: &DataTest) -> bool {
        let same_tests = test.severity == Severity::Error && self.published_digest == project.digest();
        let Some(published) = self.published.as_ref().filter(|_| same_tests) else {
            return false;
        };
        let tables = self.tables_of(project, test);
        let same = |relation: &Relation| {
            let id: Option<TableId> = relation.to_string().parse().ok();
            id.is_some_and(|id| {
                self.progress().versions.get(&id).is_some_and(|version| published.version_of(&id) == Some(*version))
            })
        };
        !tables.is_empty() && tables.iter().all(same)
    }

    /// The stored tables that a data test reads.
    pub(super) fn tables_of(&self, project: &Project, test: &DataTest) -> BTreeSet<Relation> {
        let mut tables = BTreeSet::new();
        for model in &test.models {
            self.tables_below(project, model, &mut tables);
        }
        if let TestKind::Generic { target: Target::Source(source, table), .. } = &test.kind
            && let Some(relation) = project.relations.sources.get(&(source.clone(), table.clone()))
        {
            tables.insert(relation.clone());
        }
        tables
    }

    /// The stored tables that a query of a model reads.
    fn tables_below(&self, project: &Project, model: &str, tables: &mut BTreeSet<Relation>) {
        let Some(model) = project.models.get(model) else { return };
        if model.config.materialized != Materialized::Ephemeral {
            tables.insert(model.relation.clone());
            return;
        }
        tables.extend(model.sources.iter().filter_map(|key| project.relations.sources.get(key).cloned()));
        for inner in &model.refs {
            self.tables_below(project, inner, tables);
        }
    }

    /// The rows that came after the published build, if that one passed the tests of this very project; `None` when they
    /// are not known.
    pub(super) fn unseen(&self, project: &Project) -> Option<Unseen> {
        let published = self.published.as_ref().filter(|_| self.is_same_project(project))?;
        let silver_build = silver_build_of(published)?;
        let at = self.silver_builds.iter().position(|id| id == silver_build)?;
        Some(Unseen::new(&self.silver_builds[at + 1..], &published.offsets, &self.staged.offsets))
    }

    /// The dates of which silver has changed since the published build; `None` when they are not known.
    pub(super) async fn changed_dates(&self) -> Result<Option<Vec<String>>> {
        let Some(silver_build) = self.published.as_ref().and_then(silver_build_of) else { return Ok(None) };
        Ok(self.changed_since(silver_build).await?.map(|groups| groups.dates.clone()))
    }

    /// The groups that silver builds after `silver_build` touched; `None` when that build is not known any more.
    pub(super) async fn changed_since(&self, silver_build: &str) -> Result<Option<Arc<Groups>>> {
        let mut changes = self.changes.lock().await;
        if let Some(known) = changes.get(silver_build) {
            return Ok(known.clone());
        }
        let groups = match self.silver_builds.iter().position(|id| id == silver_build) {
            None => None,
            Some(at) => Some(Arc::new(Groups::read(&self.session, &self.silver_builds[at + 1..]).await?)),
        };
        changes.insert(silver_build.to_owned(), groups.clone());
        Ok(groups)
    }

    /// A gold table as the published build left it.
    pub(super) async fn table(&self, id: &TableId) -> Result<Option<Table>> {
        self.base.open_table(id).await.map_err(Error::lake(format!("opening {id}")))
    }

    /// A gold table, made if there is none; its columns may be others than those of `spec`.
    pub(super) async fn open_or_create(&self, spec: &TableSpec) -> Result<Table> {
        self.base.open_or_create(spec).await.map_err(Error::lake(format!("opening {}", spec.id)))
    }

    /// Commits, and lets the session read the new version.
    pub(super) async fn commit(
        &self,
        table: &mut Table,
        delete: Delete,
        written: Written,
        note: CommitNote,
    ) -> Result<()> {
        let id = table.id().clone();
        let note = note.of_build(&self.build_id);
        let version = table.commit(delete, written, note).await.map_err(Error::lake(format!("committing {id}")))?;
        self.lake.register(&self.session, &id, Some(version)).await.map_err(Error::lake(format!("reading {id}")))?;
        self.progress().versions.insert(id, version);
        Ok(())
    }

    /// Rows of a table at the version that the session reads.
    pub(super) async fn rows(&self, id: &TableId) -> Result<u64> {
        let Some(version) = self.progress().versions.get(id).copied() else { return Ok(0) };
        let table = self.lake.open_table_at(id, version).await.map_err(Error::lake(format!("opening {id}")))?;
        Ok(table.rows())
    }

    /// Appends the row of `gold.builds` that makes everything visible at once; gives its build id.
    /// Only a `complete` run, with all tests, lets the next one take over what has not changed since.
    pub(super) async fn publish(
        &self,
        project: &Project,
        complete: bool,
        tests: &[TestReport],
        finished_at: i64,
    ) -> Result<String> {
        let build = self.build(project, complete, tests, finished_at);
        self.lake.publish(&build).await.map_err(Error::lake("publishing the build"))?;
        Ok(build.build_id)
    }

    fn build(&self, project: &Project, complete: bool, tests: &[TestReport], finished_at: i64) -> Build {
        let Progress { versions, records } = &*self.progress();
        let models: BTreeMap<String, &Record> = records.iter().map(|(id, record)| (id.to_string(), record)).collect();
        let rows: BTreeMap<String, u64> = records.iter().map(|(id, record)| (id.to_string(), record.rows)).collect();
        Build {
            build_id: self.build_id.clone(),
            finished_at,
            versions: versions.clone(),
            bronze_version: self.staged.bronze_version,
            offsets: self.staged.offsets.clone(),
            counts: json!({
                "rows": rows,
                "silver": self.staged.counts,
                "silver_build": self.staged.build_id,
                "models": models,
                "project": complete.then(|| project.digest()),
                "tests": tests.iter().map(TestReport::record).collect::<Vec<_>>(),
            }),
        }
    }
}

/// The silver build that a published build was made from, if it says so.
fn silver_build_of(build: &Build) -> Option<&str> {
    build.counts.get("silver_build")?.as_str()
}

/// Models that have a table, each after those that it reads.
pub(super) fn stored(project: &Project) -> impl Iterator<Item = &Model> {
    project.models().filter(|model| model.config.materialized != Materialized::Ephemeral)
}

/// What the published build remembers of its models and project. Another writer's row has none of it, and then all
/// is built anew.
fn remembered(build: &Build) -> (BTreeMap<TableId, Record>, String) {
    let models = build.counts.get("models").and_then(|models| serde_json::from_value(models.clone()).ok());
    let digest = build.counts.get("project").and_then(|digest| digest.as_str()).unwrap_or_default();
    (models.unwrap_or_default(), digest.to_owned())
}
