//! `build`: silver from what is new in bronze, then gold, then its tests; published if they pass.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use streamreel_enrich as enrich;
use streamreel_lake::Lake;
use streamreel_model::{self as model, Project, Report};

use crate::cli::{Build, Layer};
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::home::{Home, build_lease, runtime};
use crate::progress::Progress;
use crate::stop::Stop;

/// How often a build begins while others get in its way.
const BEGINNINGS: usize = 3;

/// What a build did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Bronze to silver; `None` if it was not asked for.
    pub silver: Option<enrich::Summary>,
    /// Silver to gold; `None` if it was not asked for.
    pub gold: Option<Report>,
    /// Whether it was stopped before gold.
    pub interrupted: bool,
}

impl Summary {
    /// Whether every test of severity error passed.
    pub fn is_good(&self) -> bool {
        self.gold.as_ref().is_none_or(|gold| gold.failures().next().is_none())
    }
}

/// Builds.
pub fn run(home: &Home, args: &Build) -> Outcome {
    let stop = Stop::listen()?;
    if args.layer != Some(Layer::Gold) {
        // Wrong use is said before anything is made.
        home.metadata_to_read()?;
    }
    let lake = home.lake(home.settings.build.memory)?;
    let summary = runtime()?.block_on(once(home, &lake, args, &stop))?;
    home.printer.result(&summary, text)?;
    if summary.interrupted {
        return Err(Failure::Interrupted("interrupted: gold stays as it was, until the next build".to_owned()));
    }
    if summary.is_good() { Ok(()) } else { Err(Failure::Negative) }
}

/// One build, under the lease. In a bucket one that has lost it may be about to commit still; this one is refused where that
/// comes first, and begins anew.
pub async fn once(home: &Home, lake: &Lake, args: &Build, stop: &Stop) -> Outcome<Summary> {
    let project = load(args.project.as_deref())?;
    let _lease = build_lease(lake, args.wait).await?;
    for _ in 1..BEGINNINGS {
        match layers(home, lake, &project, args, stop).await {
            Err(failure) if failure.is_conflict() && !stop.wanted() => {
                let why = failure.message().unwrap_or_default();
                home.printer.remark(format!("the build begins anew: {why}"));
            }
            ended => return ended,
        }
    }
    layers(home, lake, &project, args, stop).await
}

async fn layers(home: &Home, lake: &Lake, project: &Project, args: &Build, stop: &Stop) -> Outcome<Summary> {
    let mut summary = Summary { silver: None, gold: None, interrupted: false };
    if args.layer != Some(Layer::Gold) {
        let silver = silver(home, lake, args.full_refresh, stop).await?;
        if silver.lost_metadata > 0 {
            home.printer.remark(format!(
                "the last build had metadata of {} videos, this one has none: {} has no video_metadata.csv with rows",
                thousands(silver.lost_metadata as i64),
                home.metadata.display()
            ));
        }
        summary.silver = Some(silver);
    }
    if args.layer != Some(Layer::Silver) {
        summary.interrupted = stop.wanted();
        if !summary.interrupted {
            summary.gold = Some(gold(home, lake, project, args).await?);
        }
    }
    Ok(summary)
}

fn load(folder: Option<&Path>) -> Outcome<Project> {
    Ok(match folder {
        Some(folder) => Project::load(folder)?,
        None => Project::embedded()?,
    })
}

async fn silver(home: &Home, lake: &Lake, full_refresh: bool, stop: &Stop) -> Outcome<enrich::Summary> {
    let reading = Mutex::new(home.display.start("silver: read", "events", Some(0)));
    let deriving = Mutex::new(None::<Progress>);
    let show = |progress: enrich::Progress| {
        // One thread reports at a time; a poisoned display is still a display.
        let lock = |m: &Mutex<Progress>, done, total| {
            let mut progress = m.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            progress.set_total(total);
            progress.set(done);
        };
        match progress {
            enrich::Progress::Reading(done, total) => lock(&reading, done, total),
            enrich::Progress::Deriving(done, total) => {
                let mut slot = deriving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let progress = slot.get_or_insert_with(|| home.display.start("silver: derive", "events", Some(total)));
                progress.set(done);
            }
        }
    };
    Ok(enrich::build(lake, &home.silver_request(full_refresh, stop)?, &show).await?)
}

async fn gold(home: &Home, lake: &Lake, project: &Project, args: &Build) -> Outcome<Report> {
    // Steps run beside one another and end in any order: those that have ended are counted.
    let progress = Arc::new(Mutex::new((home.display.start_uneven("gold", "steps", Some(0)), 0)));
    let shown = Arc::clone(&progress);
    let on_progress = move |step: &model::Progress| {
        let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (progress, ended) = &mut *shown;
        match step {
            model::Progress::Planned { steps } => progress.set_total(*steps as u64),
            model::Progress::Started { name, what, .. } => {
                progress.set(*ended);
                progress.say(format!("{what} {name}"));
            }
            model::Progress::Finished { .. } => {
                *ended += 1;
                progress.set(*ended);
            }
            _ => {}
        }
    };
    let options = model::Options {
        select: args.select.clone(),
        full_refresh: args.full_refresh,
        progress: Some(Arc::new(on_progress)),
        ..model::Options::default()
    };
    Ok(model::run(lake, project, &options).await?)
}

/// A build for people.
pub fn text(summary: &Summary) -> String {
    let mut text = String::new();
    match &summary.silver {
        Some(silver) if silver.build_id.is_none() => text.push_str("silver  up to date\n"),
        Some(silver) => {
            let _ = writeln!(
                text,
                "silver  {} new events, {} of earlier views again: {} views, {} groups changed{}",
                thousands(silver.new_events as i64),
                thousands(silver.earlier_events as i64),
                thousands(silver.views),
                thousands(silver.changed_groups as i64),
                if silver.full { " (all derived anew)" } else { "" }
            );
            if silver.views_without_metadata > 0 {
                let lacking = thousands(silver.views_without_metadata);
                let _ = writeln!(text, "        {lacking} views of titles that the metadata lacks");
            }
        }
        None => {}
    }
    if let Some(gold) = &summary.gold {
        let _ = write!(text, "{gold}");
    }
    text
}
