//! `up`: processor, builds, upkeep and what people look at together, until Ctrl-C.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use streamreel_lake::{Error as LakeError, Lake, Lease};
use streamreel_process::{Processor, ReadFrom, Until};
use streamreel_serve::observe;
use streamreel_simulate::{Catalogue, Pace, Settings, Simulator};
use tokio::runtime::Runtime;

use crate::cli::{Build, Up};
use crate::clock;
use crate::commands::{build, process, simulate};
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::feed::Feed;
use crate::home::{Home, runtime};
use crate::stop::Stop;
use crate::surfaces::Surfaces;
use crate::{titles, upkeep};

/// Share of the simulated records that is dirt.
const DIRT: f64 = 0.05;
/// How long after the start the first build comes, so that it has something to build.
const FIRST_BUILD_AFTER: Duration = Duration::from_secs(10);
/// How often an instance looks whether the one that builds has gone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Runs the platform. What fails for good ends all of it; a failed build is said, and tried again at its next time.
pub fn run(home: &Home, args: &Up) -> Outcome {
    let stop = Stop::listen()?;
    if args.simulate.is_none() {
        home.metadata_to_read()?;
    }
    home.keep();
    // Opened here, so that a home in use or damaged is said before anything runs.
    let log = home.log()?;
    let lake = home.lake(home.settings.build.memory)?;
    let settings = home.process_settings(ReadFrom::VideoEvents);
    let mut processor = Processor::open(Arc::clone(&log), Some(&lake), settings)?;
    let surfaces = Surfaces::open(home, Some(log), home.settings.collector.enabled)?;
    let urls = surfaces.urls().text();
    home.printer.remark(format!("running in {}; Ctrl-C stops\n{}", home.folder.display(), urls.trim_end()));
    let drain = AtomicBool::new(false);
    let (processed, others) = thread::scope(|scope| {
        let serving = scope.spawn(|| {
            surfaces.run(&stop);
            Ok(())
        });
        let builds = scope.spawn(|| or_stop(&stop, builds(home, &lake, &stop)));
        let tidying = scope.spawn(|| or_stop(&stop, upkeeps(home, &lake, &stop)));
        let feeding =
            scope.spawn(|| or_stop(&stop, args.simulate.map_or(Ok(()), |rate| feed(home, rate, args.seed, &stop))));
        let others = scope.spawn(|| {
            let others = [serving, builds, tidying, feeding].map(|thread| thread.join());
            // Whatever the feed still had is processed too, before the end.
            drain.store(true, Ordering::Relaxed);
            others
        });
        let taken_over = Cell::new(0);
        let processed = processor.run(Until::Drained, &drain, &|report| {
            observe::assigned_partitions(report.assigned);
            if report.taken_over > taken_over.replace(report.taken_over) {
                home.printer.remark("other processors have taken over from this one; it joins their group anew");
            }
        });
        (or_stop(&stop, processed.map_err(Failure::from)), others.join())
    });
    let failed = |_| Failure::Failed(anyhow::anyhow!("a part of the program failed; see above"));
    for other in others.map_err(failed)? {
        other.map_err(failed)??;
    }
    home.printer.result(&processed?, process::text)
}

/// The end of one part is the end of all.
fn or_stop<T>(stop: &Stop, outcome: Outcome<T>) -> Outcome<T> {
    if outcome.is_err() {
        stop.ask();
    }
    outcome
}

/// However many instances there are, one does what is done at its times: the one that has this lease. Waits for it, also while a
/// store does not answer, which is said once; `None`: it is time to stop.
fn lead(home: &Home, runtime: &Runtime, lake: &Lake, what: &str, stop: &Stop) -> Outcome<Option<Lease>> {
    let mut is_said = false;
    loop {
        match runtime.block_on(lake.lease(what)) {
            Ok(lease) => return Ok(Some(lease)),
            Err(LakeError::LeaseHeld { .. }) => {}
            Err(LakeError::Store { .. }) if is_said || stop.wanted() => {}
            Err(error @ LakeError::Store { .. }) => {
                home.printer.trouble(&error.into());
                is_said = true;
            }
            Err(error) => return Err(error.into()),
        }
        if !stop.sleep(ASK_AGAIN) {
            return Ok(None);
        }
    }
}

/// Builds at their times.
fn builds(home: &Home, lake: &Lake, stop: &Stop) -> Outcome {
    let runtime = runtime()?;
    let Some(_lease) = lead(home, &runtime, lake, "scheduled-builds", stop)? else { return Ok(()) };
    let every = home.settings.build.every;
    let mut wait = FIRST_BUILD_AFTER.min(every);
    while stop.sleep(wait) {
        wait = every;
        let args = Build { wait: true, ..Build::default() };
        match runtime.block_on(build::once(home, lake, &args, stop)) {
            Ok(summary) => home.printer.remark(build::text(&summary).trim_end()),
            Err(_) if stop.wanted() => break,
            Err(failure) => home.printer.trouble(&failure),
        }
    }
    Ok(())
}

/// Upkeep at its times.
fn upkeeps(home: &Home, lake: &Lake, stop: &Stop) -> Outcome {
    let runtime = runtime()?;
    let Some(_lease) = lead(home, &runtime, lake, "scheduled-upkeep", stop)? else { return Ok(()) };
    let log = home.log()?;
    while stop.sleep(home.settings.upkeep.every) {
        match runtime.block_on(upkeep::once(home, lake, &*log)) {
            Ok(done) => home.printer.remark(format!(
                "upkeep  {} small files joined, {} files and {} old records removed",
                done.files_joined,
                done.files_removed,
                thousands(done.records_removed as i64)
            )),
            Err(failure) => home.printer.trouble(&failure),
        }
    }
    Ok(())
}

/// Simulated viewers, in real time.
fn feed(home: &Home, rate: u64, seed: u64, stop: &Stop) -> Outcome {
    let mut sink = simulate::Sink::Topic(Feed::new(&*home.log()?, home.settings.log.partitions)?);
    // Only now: opening a log takes time, which simulated time would lag behind.
    let start_ms = clock::now_ms();
    let settings = Settings {
        pace: Pace::Rate { per_s: rate as f64, for_ms: None },
        start_ms,
        seed,
        dirt_ratio: DIRT,
        ..Settings::default()
    };
    let mut simulator = Simulator::new(&settings, &Catalogue::sample()?)?;
    titles::keep(&home.metadata, &simulator.titles())?;
    simulate::in_time(&mut simulator, &mut sink, start_ms, None, stop)?;
    sink.flush()
}
