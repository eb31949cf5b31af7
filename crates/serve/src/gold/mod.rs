//! The published gold, held in memory as it is asked for most: immutable, loaded once a build, and replaced as a whole.
//!
//! A table that would not fit into what is left of the budget ([`crate::Settings::gold_memory`]) stays where it is; each
//! question is then one query for the rows of its video or day, and the arithmetic on them is the same.

mod counts;
mod ranking;
mod rows;
mod shape;
mod videos;

pub(crate) use counts::{Actions, Bucket, Change, Counts, GroupViews, SeekCounts};
pub(crate) use ranking::{Ranking, RankingKind};
pub(crate) use rows::{ByVideo, Groups, Tables};
pub(crate) use shape::{cliffs, clock, peaks};
pub(crate) use videos::{Regions, Video, Videos};

use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use serde::Serialize;
use streamreel_lake::{Build, Lake, Layer, Reading, TableId};
use utoipa::ToSchema;

use crate::api::time::Dates;
use crate::silver::{Engine, Limits, Reader, Trouble};

/// A table of the lake as it is read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TableState {
    /// `layer.table`.
    #[schema(example = "gold.top_content")]
    pub(crate) name: String,
    /// Rows.
    pub(crate) rows: u64,
    /// Version of the Delta table.
    pub(crate) version: i64,
}

/// A published build, ready to answer.
pub(crate) struct Snapshot {
    /// The build.
    pub(crate) build: Build,
    /// Reads every table at the versions of the build.
    pub(crate) session: SessionContext,
    /// First and last date with a view; `None` when there is no view.
    pub(crate) dates: Option<Dates>,
    /// The videos with a view.
    pub(crate) videos: Videos,
    /// The regions of views.
    pub(crate) regions: Regions,
    /// `gold.retention_changes`.
    pub(crate) changes: ByVideo<Change>,
    /// `gold.drop_off`.
    pub(crate) drop_off: ByVideo<Bucket>,
    /// `gold.seeks_after_half`, which has the views of every group.
    pub(crate) groups: ByVideo<GroupViews>,
    rankings: [Ranking; 3],
    /// Columns of the user metadata, without `user_`.
    pub(crate) user_columns: Vec<String>,
    /// The tables of the build.
    pub(crate) tables: Vec<TableState>,
    /// Bytes of gold that are held.
    pub(crate) held_bytes: usize,
}

impl Snapshot {
    /// Reads a build. `budget` are the bytes that tables of gold may take.
    ///
    /// # Errors
    /// [`Trouble`] when a table can't be read.
    pub(crate) async fn load(
        lake: &Lake,
        engine: &Engine,
        limits: Limits,
        budget: usize,
        build: Build,
    ) -> Result<Self, Trouble> {
        let session = lake.session(&Reading::At(build.versions.clone())).await?;
        let tables = states(lake, &build).await?;
        let rows = |name: &str| tables.iter().find(|table| table.name == name).map_or(0, |table| table.rows);
        let reader = Reader { engine, session: &session, limits };
        let videos = Videos::load(reader).await?;
        let regions = Regions::load(reader).await?;
        let mut left = budget;
        let reading = Tables { reader, videos: &videos, regions: &regions };
        // What is asked for most, first.
        let groups = reading.load(rows("gold.seeks_after_half"), &mut left).await?;
        let mut rankings = Vec::new();
        for kind in RankingKind::ALL {
            let count = rows(&format!("gold.{}", kind.table()));
            rankings.push(Ranking::load(kind, reader, count, &mut left).await?);
        }
        let changes = reading.load(rows("gold.retention_changes"), &mut left).await?;
        let drop_off = reading.load(rows("gold.drop_off"), &mut left).await?;
        let rankings = rankings.try_into().map_err(|_| Trouble::Shape("there are three rankings".to_owned()))?;
        let user_columns = user_columns(&session).await?;
        let (dates, held_bytes) = (videos.dates(), budget - left);
        Ok(Self {
            build,
            session,
            dates,
            videos,
            regions,
            changes,
            drop_off,
            groups,
            rankings,
            user_columns,
            tables,
            held_bytes,
        })
    }

    /// A ranking.
    pub(crate) fn ranking(&self, kind: RankingKind) -> &Ranking {
        &self.rankings[kind as usize]
    }

    /// Reads any table of the build.
    pub(crate) fn reader<'a>(&'a self, engine: &'a Engine, limits: Limits) -> Reader<'a> {
        Reader { engine, session: &self.session, limits }
    }

    /// Reads the tables by video that are not held.
    pub(crate) fn tables<'a>(&'a self, engine: &'a Engine, limits: Limits) -> Tables<'a> {
        Tables { reader: self.reader(engine, limits), videos: &self.videos, regions: &self.regions }
    }

    /// A video by its id.
    pub(crate) fn video(&self, video_id: &str) -> Option<(usize, &Video)> {
        self.videos.find(video_id)
    }

    /// The title of a video.
    pub(crate) fn title(&self, video_id: &str) -> Option<Arc<str>> {
        self.video(video_id).and_then(|(_, video)| video.title.clone())
    }
}

/// The build's tables, with their rows.
async fn states(lake: &Lake, build: &Build) -> Result<Vec<TableState>, Trouble> {
    let bronze = TableId::bronze("events");
    let of_bronze = (!build.versions.contains_key(&bronze) && build.bronze_version >= 0)
        .then_some((&bronze, &build.bronze_version));
    let mut states = Vec::new();
    for (id, &version) in of_bronze.into_iter().chain(&build.versions) {
        let table = lake.open_table_at(id, version).await?;
        states.push(TableState { name: id.to_string(), rows: table.rows(), version });
    }
    Ok(states)
}

/// Every table at its newest version: what there is before the first build.
pub(crate) async fn newest_states(lake: &Lake) -> Result<Vec<TableState>, Trouble> {
    let mut states = Vec::new();
    for id in lake.tables().await?.into_iter().filter(|id| id.layer != Layer::Gold || id.name == "builds") {
        if let Some(table) = lake.open_table(&id).await? {
            states.push(TableState { name: id.to_string(), rows: table.rows(), version: table.version() });
        }
    }
    Ok(states)
}

/// Names of silver.views' `user_<column>`, without the prefix. The id is no column to choose by.
async fn user_columns(session: &SessionContext) -> Result<Vec<String>, Trouble> {
    let views = session.table("silver.views").await?;
    let fields = views.schema().fields();
    let names = fields.iter().filter_map(|field| field.name().strip_prefix("user_"));
    Ok(names.filter(|name| *name != "id").map(str::to_owned).collect())
}
