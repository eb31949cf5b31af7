//! `up`: processor, builds, upkeep and what people look at together, until Ctrl-C.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use streamreel_lake::Lake;
use streamreel_process::{Processor, ReadFrom, Summary, Until};
use streamreel_simulate::{Catalogue, Pace, Settings, Simulator};

use crate::cli::{Build, Up};
use crate::clock;
use crate::commands::{build, process, simulate};
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::feed::Feed;
use crate::home::{Home, runtime};
use crate::stop::Stop;
use crate::surfaces::Surfaces;
use crate::{logging, titles, upkeep};

/// Share of the simulated records that is dirt.
const DIRT: f64 = 0.05;
/// How long after the start the first build comes, so that it has something to build.
const FIRST_BUILD_AFTER: Duration = Duration::from_secs(10);

/// Runs the platform. What fails for good ends all of it; a failed build is said, and tried again at its next time.
pub fn run(home: &Home, args: &Up) -> Outcome {
    let stop = Stop::listen()?;
    logging::start(home);
    home.keep();
    // Opened here, so that a home in use or damaged is said before anything runs.
    let log = home.log()?;
    let lake = home.lake(home.settings.build.memory)?;
    let settings = home.process_settings(ReadFrom::VideoEvents);
    let mut processor = Processor::open(Arc::clone(&log), Some(&lake), settings)?;
    let surfaces = Surfaces::open(home, Some(log), home.settings.collector.enabled)?;
    let urls = surfaces.urls().text();
    home.printer.remark(format!("running in {}; Ctrl-C stops\n{}", home.folder.display(), urls.trim_end()));
    let (processed, others) = thread::scope(|scope| {
        let serving = scope.spawn(|| {
            surfaces.run(&stop);
            Ok(())
        });
        let builds = scope.spawn(|| or_stop(&stop, builds(home, &lake, &stop)));
        let tidying = scope.spawn(|| or_stop(&stop, upkeeps(home, &lake, &stop)));
        let feeding =
            scope.spawn(|| or_stop(&stop, args.simulate.map_or(Ok(()), |rate| feed(home, rate, args.seed, &stop))));
        let processed = or_stop(&stop, processor.run(Until::Cancelled, stop.flag(), &|_| ()).map_err(Failure::from));
        // Whatever the feed still had is processed too, before the end.
        let others = [serving, builds, tidying, feeding].map(|thread| thread.join());
        (processed, others)
    });
    for other in others {
        other.map_err(|_| Failure::Failed(anyhow::anyhow!("a part of the program failed; see above")))??;
    }
    let mut summary: Summary = processed?;
    let rest = processor.run(Until::End, &std::sync::atomic::AtomicBool::new(false), &|_| ())?;
    summary.counts.add(&rest.counts);
    home.printer.result(&summary, process::text)
}

/// The end of one part is the end of all.
fn or_stop<T>(stop: &Stop, outcome: Outcome<T>) -> Outcome<T> {
    if outcome.is_err() {
        stop.ask();
    }
    outcome
}

/// Builds at their times.
fn builds(home: &Home, lake: &Lake, stop: &Stop) -> Outcome {
    let runtime = runtime()?;
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
    let mut sink = simulate::Sink::Topic(Feed::new(&*home.log()?, home.settings.log.partitions)?);
    simulate::in_time(&mut simulator, &mut sink, start_ms, None, stop)?;
    sink.flush()
}
