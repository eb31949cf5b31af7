//! One build of silver, from what is new in bronze to a row in `silver.builds`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use streamreel_lake::{Base, Lake, Layer, SilverBuild, Table, TableId, rows_tell};
use streamreel_viewing::{Output, Settings as ViewSettings, Totals, event_schema};
use tokio::sync::mpsc;

use crate::derive::{Deriver, reserved_names};
use crate::error::{lake as lake_failed, query as query_failed};
use crate::metadata::Metadata;
use crate::silver::{self, Replace, Versions, ViewTables};
use crate::spool::{Spool, Spooled};
use crate::standing::Standing;
use crate::touched::{EarlierViews, Group, Touched};
use crate::{Error, sources};

/// Outputs on their way from the deriving threads to the writers.
const OUTPUTS_AHEAD: usize = 4;
/// Earlier events up to which it is remembered what they were, at about 100 bytes each.
const STANDING_EVENTS: u64 = 1 << 20;
/// Files with earlier events up to which they are left as they are. Of more, those that have any are joined by rewriting them.
const STANDING_FILES: usize = 64;

/// What to build, and with what.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder with `video_metadata.csv` and `user_metadata.csv`; either may be missing.
    pub metadata: PathBuf,
    /// Thresholds of the kernel.
    pub views: ViewSettings,
    /// Derive everything again, whatever was there.
    pub full_refresh: bool,
    /// Bytes of events held in memory while they are sorted into views; more of them go to [`Lake::scratch`].
    pub spool_bytes: usize,
    /// Threads that derive.
    pub threads: usize,
    /// The time, in microseconds since 1970: when the build is finished.
    pub clock: fn() -> i64,
    /// Set to stop; nothing is published then.
    pub cancel: Arc<AtomicBool>,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Events read so far, of about so many.
    Reading(u64, u64),
    /// Events put into views so far, of so many.
    Deriving(u64, u64),
}

/// What a build did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Summary {
    /// The build, or `None` when there was nothing to do.
    pub build_id: Option<String>,
    /// Whether everything was derived again.
    pub full: bool,
    /// Clean events that were new.
    pub new_events: u64,
    /// Events of touched views that were derived again.
    pub earlier_events: u64,
    /// Views before that were replaced.
    pub replaced_views: u64,
    /// Views derived.
    pub views: i64,
    /// Groups of events without a play.
    pub sessions_without_play: i64,
    /// Of the views derived those of videos that the metadata lacks.
    pub views_without_metadata: i64,
    /// Groups of video, region and date that changed.
    pub changed_groups: u64,
    /// Videos of the last build's metadata, where this one has metadata of none. No part of what is kept of the build.
    #[serde(skip)]
    pub lost_metadata: u64,
}

/// Brings silver up to date with bronze and with the metadata.
///
/// Starts from the last row of `silver.builds`; what a crash left beyond it is rolled back. Only views that new events or
/// changed metadata touch are derived again. The caller holds the lake's lease for builds.
///
/// # Errors
/// Any [`Error`]: then silver stays as the last row of `silver.builds` says.
///
/// Boxed, so that the compiler makes the code of a build here, and not anew in each program that builds.
#[inline(never)]
pub fn build<'a>(
    lake: &'a Lake,
    request: &'a Request,
    progress: &'a (dyn Fn(Progress) + Sync),
) -> BoxFuture<'a, Result<Summary, Error>> {
    bring_up_to_date(lake, request, progress).boxed()
}

async fn bring_up_to_date(
    lake: &Lake,
    request: &Request,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary, Error> {
    let metadata = Metadata::load(&request.metadata, &reserved_names()?)?;
    let Some(bronze) = lake.open_table(&TableId::bronze("events")).await.map_err(lake_failed("opening bronze"))? else {
        return Err(Error::NoBronze);
    };
    let last = lake.staged().await.map_err(lake_failed("reading silver.builds"))?;
    let base = roll_back(lake, last.as_ref()).await?;
    let lost_metadata = match &last {
        Some(last) if metadata.videos.batch().num_rows() == 0 => {
            sources::rows_kept(lake, &last.versions, "video_metadata").await
        }
        _ => 0,
    };
    let Some(plan) = Plan::new(lake, bronze, last, &metadata, request).await? else { return Ok(Summary::default()) };
    let build = Build { lake, base, request, progress, id: uuid::Uuid::now_v7().to_string(), plan };
    Ok(Summary { lost_metadata, ..build.run(metadata).await? })
}

/// What a crash left beyond the last build goes.
async fn roll_back(lake: &Lake, last: Option<&SilverBuild>) -> Result<Base, Error> {
    let mut versions = last.map(|last| last.versions.clone()).unwrap_or_default();
    versions.retain(|id, _| id.layer == Layer::Silver);
    lake.roll_back(&versions).await.map_err(lake_failed("rolling back what an interrupted build left"))
}

/// What a build has to do.
struct Plan {
    bronze: Table,
    /// Next offset a source partition, as bronze's transactions name it.
    offsets: BTreeMap<String, i64>,
    /// The last silver, to go on from; `None`: everything is derived.
    base: Option<SilverBuild>,
    changed_videos: HashSet<String>,
    changed_users: HashSet<String>,
    definition: String,
}

impl Plan {
    /// `None` when silver is up to date.
    async fn new(
        lake: &Lake,
        mut bronze: Table,
        last: Option<SilverBuild>,
        metadata: &Metadata,
        request: &Request,
    ) -> Result<Option<Self>, Error> {
        let offsets = bronze.transactions().await.map_err(lake_failed("reading bronze's offsets"))?;
        // Silver of another generation or of other thresholds is derived anew.
        let definition = request.views.definition();
        let mut plan = Self {
            bronze,
            offsets,
            base: None,
            changed_videos: HashSet::new(),
            changed_users: HashSet::new(),
            definition,
        };
        let Some(last) = last else { return Ok(Some(plan)) };
        let same_definition = last.counts.get("definition").and_then(|d| d.as_str()) == Some(&plan.definition);
        if request.full_refresh || !same_definition {
            return Ok(Some(plan));
        }
        let session = sources::session(lake, last.versions.clone()).await?;
        let videos = sources::kept(&session, &last.versions, "video_metadata").await?;
        let users = sources::kept(&session, &last.versions, "user_metadata").await?;
        let changed_videos = silver::changed_ids(&metadata.videos, videos.as_ref())?;
        let changed_users = silver::changed_ids(&metadata.users, users.as_ref())?;
        let (Some(changed_videos), Some(changed_users)) = (changed_videos, changed_users) else {
            return Ok(Some(plan));
        };
        if changed_videos.is_empty() && changed_users.is_empty() && last.offsets == plan.offsets {
            return Ok(None);
        }
        // Which rows are new can't be told, so all are derived.
        if last.offsets != plan.offsets && !rows_tell(&plan.offsets) {
            return Ok(Some(plan));
        }
        (plan.changed_videos, plan.changed_users) = (changed_videos, changed_users);
        plan.base = Some(last);
        Ok(Some(plan))
    }

    fn has_other_metadata(&self) -> bool {
        !self.changed_videos.is_empty() || !self.changed_users.is_empty()
    }
}

/// A build under way.
struct Build<'a> {
    lake: &'a Lake,
    /// The tables of the last silver, to commit to.
    base: Base,
    request: &'a Request,
    progress: &'a (dyn Fn(Progress) + Sync),
    id: String,
    plan: Plan,
}

impl Build<'_> {
    async fn run(self, metadata: Metadata) -> Result<Summary, Error> {
        let mut summary = Summary { full: self.plan.base.is_none(), ..Summary::default() };
        let new = sources::new_events(self.lake, &self.plan.bronze, &self.plan.offsets, self.covered()).await?;
        let expected = match &self.plan.base {
            None => self.plan.bronze.rows(),
            Some(base) => sources::between(&base.offsets, &self.plan.offsets),
        };
        let scratch = self.lake.scratch().map_err(lake_failed("make a temporary folder"))?;
        let scratch = scratch.unwrap_or_else(std::env::temp_dir);
        let mut spool = Spool::new(event_schema(), expected, self.request.spool_bytes, &scratch);
        let gap_us = (self.request.views.view_gap_s * 1e6) as i64;
        let mut touched = Touched::new(gap_us, self.plan.changed_videos.clone(), self.plan.changed_users.clone());
        let remember = self.plan.base.is_some();
        let note = |batch: &RecordBatch| {
            if remember {
                touched.add_events(batch);
            }
        };
        self.fill(&mut spool, new, expected, note).await?;
        summary.new_events = spool.rows();
        let deriver = Arc::new(Deriver::new(self.request.views.clone(), metadata));
        let (earlier, standing) = self.earlier(&touched, &deriver, &mut spool).await?;
        summary.earlier_events = spool.rows() - summary.new_events;
        summary.replaced_views = earlier.view_ids.len() as u64;
        self.derive(spool, deriver, &earlier, standing.map(Arc::new), summary).await
    }

    fn covered(&self) -> Option<&BTreeMap<String, i64>> {
        self.plan.base.as_ref().map(|base| &base.offsets)
    }

    fn check_cancelled(&self) -> Result<(), Error> {
        if self.request.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Reads a stream of events into the spool.
    async fn fill(
        &self,
        spool: &mut Spool,
        mut events: SendableRecordBatchStream,
        expected: u64,
        mut note: impl FnMut(&RecordBatch) + Send,
    ) -> Result<(), Error> {
        let schema = event_schema();
        while let Some(batch) = events.next().await {
            self.check_cancelled()?;
            let batch = sources::conform(&batch.map_err(query_failed("reading events"))?, &schema)?;
            note(&batch);
            self.keep(spool, &batch, expected)?;
        }
        Ok(())
    }

    /// Puts events into the spool, and says how many there are.
    fn keep(&self, spool: &mut Spool, events: &RecordBatch, expected: u64) -> Result<(), Error> {
        spool.push(events)?;
        (self.progress)(Progress::Reading(spool.rows(), expected.max(spool.rows())));
        Ok(())
    }

    /// Finds the views of the last build that must be derived again and reads their events back; of not too many it
    /// remembers what they were.
    async fn earlier(
        &self,
        touched: &Touched,
        deriver: &Deriver,
        spool: &mut Spool,
    ) -> Result<(EarlierViews, Option<Standing>), Error> {
        let mut earlier = EarlierViews::default();
        let Some(base) = &self.plan.base else { return Ok((earlier, None)) };
        if touched.is_empty() {
            return Ok((earlier, None));
        }
        let session = sources::session(self.lake, base.versions.clone()).await?;
        let mut spans = sources::spans(&session).await?;
        while let Some(batch) = spans.next().await {
            touched.select(&sources::plain(&batch.map_err(query_failed("reading silver.view_spans"))?)?, &mut earlier);
        }
        if earlier.view_ids.is_empty() {
            return Ok((earlier, None));
        }
        let (enriched, schema) = (deriver.schemas()?.enriched, event_schema());
        let columns: Vec<String> = enriched.fields().iter().map(|field| field.name().clone()).collect();
        let mut events = sources::events_of(self.lake, &base.versions, &earlier, &columns).await?;
        // Where metadata changed, no row comes out as it was.
        let may_stand =
            earlier.events <= STANDING_EVENTS && events.files() <= STANDING_FILES && !self.plan.has_other_metadata();
        let mut standing = may_stand.then(|| Standing::new(enriched)).transpose()?;
        let expected = spool.rows() + earlier.events;
        while let Some(batch) = events.next().await.map_err(lake_failed("reading silver.enriched_events"))? {
            self.check_cancelled()?;
            if let Some(standing) = &mut standing {
                standing.add(&batch)?;
            }
            self.keep(spool, &sources::conform(&batch, &schema)?, expected)?;
        }
        Ok((earlier, standing))
    }

    /// Derives all buckets, commits the tables, and last the row that makes them the silver.
    async fn derive(
        &self,
        spool: Spool,
        deriver: Arc<Deriver>,
        earlier: &EarlierViews,
        standing: Option<Arc<Standing>>,
        mut summary: Summary,
    ) -> Result<Summary, Error> {
        let rows = spool.rows();
        let all = self.plan.base.is_none();
        let mut tables = ViewTables::open(&self.base, &deriver.schemas()?, &self.id, all).await?;
        let counts = self.derive_buckets(spool.finish()?, &deriver, standing.as_ref(), &mut tables, rows).await?;
        self.check_cancelled()?;
        let replace = if all {
            Replace::All
        } else {
            Replace::Views { views: earlier, events: standing.as_deref().map(Standing::gone).transpose()? }
        };
        let (mut versions, new_groups) = tables.commit(&replace).await?;
        let mut groups: BTreeSet<Group> = new_groups.into_iter().collect();
        groups.extend(earlier.groups.iter().cloned());
        if all {
            groups.extend(sources::earlier_groups(self.lake).await?);
        }
        let groups: Vec<Group> = groups.into_iter().collect();
        versions.extend([silver::append_changes(&self.base, &self.id, &groups).await?]);
        if all || self.plan.has_other_metadata() {
            versions.extend(silver::keep_metadata(&self.base, &self.id, deriver.metadata()).await?);
        }
        summary.build_id = Some(self.id.clone());
        summary.views = counts.views;
        summary.sessions_without_play = counts.sessions_without_play;
        summary.views_without_metadata = counts.views_without_metadata;
        summary.changed_groups = groups.len() as u64;
        self.publish(versions, &summary).await?;
        Ok(summary)
    }

    async fn derive_buckets(
        &self,
        spooled: Spooled,
        deriver: &Arc<Deriver>,
        standing: Option<&Arc<Standing>>,
        tables: &mut ViewTables,
        rows: u64,
    ) -> Result<Counts, Error> {
        let spooled = Arc::new(Mutex::new(spooled));
        let (sender, mut outputs) = mpsc::channel::<Derived>(OUTPUTS_AHEAD);
        let workers: Vec<_> = (0..self.request.threads.max(1))
            .map(|_| {
                let (spooled, deriver, sender) = (spooled.clone(), deriver.clone(), sender.clone());
                let (standing, cancel) = (standing.cloned(), self.request.cancel.clone());
                tokio::task::spawn_blocking(move || {
                    derive_some(&spooled, &deriver, standing.as_deref(), &sender, &cancel)
                })
            })
            .collect();
        drop(sender);
        let mut done = 0;
        while let Some(derived) = outputs.recv().await {
            done += derived.events;
            tables.write(derived.output).await?;
            (self.progress)(Progress::Deriving(done, rows));
        }
        let mut counts = Counts::default();
        for worker in workers {
            counts.add(&worker.await.map_err(|e| Error::Derive(format!("a deriving thread failed: {e}")))??);
        }
        Ok(counts)
    }

    async fn publish(&self, versions: Versions, summary: &Summary) -> Result<(), Error> {
        let mut all = self.plan.base.as_ref().map(|base| base.versions.clone()).unwrap_or_default();
        all.extend(versions);
        // Kept with the build, so that the audit can compare with what bronze was then.
        all.insert(self.plan.bronze.id().clone(), self.plan.bronze.version());
        let mut counts = serde_json::to_value(summary).unwrap_or_default();
        counts["definition"] = self.plan.definition.clone().into();
        let row = SilverBuild {
            build_id: self.id.clone(),
            finished_at: (self.request.clock)(),
            versions: all,
            bronze_version: self.plan.bronze.version(),
            offsets: self.plan.offsets.clone(),
            counts,
        };
        self.lake.stage(&row).await.map_err(lake_failed("appending to silver.builds"))?;
        Ok(())
    }
}

/// Rows of silver, without the events that are there already, and how many events they are of.
struct Derived {
    output: Output,
    events: u64,
}

/// What was derived, in numbers.
#[derive(Default)]
struct Counts {
    views: i64,
    sessions_without_play: i64,
    views_without_metadata: i64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.views += other.views;
        self.sessions_without_play += other.sessions_without_play;
        self.views_without_metadata += other.views_without_metadata;
    }
}

/// What each deriving thread does until no bucket is left.
fn derive_some(
    spooled: &Mutex<Spooled>,
    deriver: &Deriver,
    standing: Option<&Standing>,
    sender: &mpsc::Sender<Derived>,
    cancel: &AtomicBool,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    loop {
        // A thread that panicked while it took a bucket fails the build where it is joined.
        let bucket = spooled.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let Some(bucket) = bucket else { return Ok(counts) };
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let mut views_without_metadata = 0;
        let Totals { views, sessions_without_play, .. } = deriver.bucket(&bucket.load()?, &mut |mut output| {
            views_without_metadata += deriver.views_without_metadata(&output.views);
            let events = output.enriched.num_rows() as u64;
            if let Some(standing) = standing {
                output.enriched = standing.new_among(&output.enriched)?;
            }
            // The receiver leaves only when writing failed, and that error is the one to report.
            sender.blocking_send(Derived { output, events }).map_err(|_| Error::Cancelled)
        })?;
        counts.add(&Counts { views, sessions_without_play, views_without_metadata });
    }
}
