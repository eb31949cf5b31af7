//! `demo`: a million simulated events, processed, built, audited, and the four answers drawn.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;
use streamreel_lake::Lake;
use streamreel_process::{ReadFrom, Summary, Until};
use streamreel_simulate::{Catalogue, Pace, Settings, Simulator, Truth};

use crate::answers::{self, Answers};
use crate::cli::{Build, Demo};
use crate::commands::{audit, build, process, simulate};
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::feed::Feed;
use crate::home::{Home, make_folder, runtime};
use crate::stop::Stop;
use crate::surfaces::Surfaces;
use crate::titles;

const DAYS: u32 = 7;
/// What a demo makes in a home, and so may remove.
const PARTS: [&str; 4] = ["log", "data_lake", "metadata", "tmp"];

#[derive(Serialize)]
struct Result {
    simulated: serde_json::Value,
    processed: Summary,
    built: build::Summary,
    audit: audit::Verdict,
    answers: Answers,
    seconds: Seconds,
}

#[derive(Default, Serialize)]
struct Seconds {
    simulate: f64,
    process: f64,
    build: f64,
    audit: f64,
}

/// Runs the demo.
pub fn run(home: &Home, args: &Demo) -> Outcome {
    let stop = Stop::listen()?;
    if args.serve {
        Surfaces::check(home)?;
    }
    begin_anew(home)?;
    let mut seconds = Seconds::default();
    let truth = timed(&mut seconds.simulate, || simulate(home, args, &stop))?;
    go_on(&stop)?;
    let processed = timed(&mut seconds.process, || process::once(home, ReadFrom::VideoEvents, Until::End, &stop))?;
    go_on(&stop)?;
    let lake = home.lake(home.settings.build.memory)?;
    let runtime = runtime()?;
    let built = timed(&mut seconds.build, || runtime.block_on(build::once(home, &lake, &Build::default(), &stop)))?;
    go_on(&stop)?;
    let audit = timed(&mut seconds.audit, || runtime.block_on(audit::once(home, &lake)))?;
    let answers = runtime.block_on(answer(&lake))?;
    let good = built.is_good() && audit.holds();
    let simulated = json!({
        "records": truth.records, "true_events": truth.true_events, "views": truth.views,
        "rejects": truth.rejects, "duplicates": truth.duplicates,
    });
    let result = Result { simulated, processed, built, audit, answers, seconds };
    home.printer.result(&result, |result| text(home, result))?;
    if args.serve {
        drop(lake);
        serve(home, &stop)?;
    }
    if good { Ok(()) } else { Err(Failure::Negative) }
}

/// Shows it until Ctrl-C.
fn serve(home: &Home, stop: &Stop) -> Outcome {
    let surfaces = Surfaces::open(home, Some(home.log_to_read()?), false)?;
    home.printer.remark(format!("\nlook at it; Ctrl-C stops\n{}", surfaces.urls().text().trim_end()));
    surfaces.run(stop);
    Ok(())
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let began = Instant::now();
    let done = work();
    *seconds = began.elapsed().as_secs_f64();
    done
}

fn go_on(stop: &Stop) -> Outcome {
    if stop.wanted() {
        return Err(Failure::Interrupted("interrupted; run `streamreel demo` again to begin anew".to_owned()));
    }
    Ok(())
}

/// A demo needs a home of its own: an empty one, or one that a demo made.
fn begin_anew(home: &Home) -> Outcome {
    if home.is_on_kafka() {
        return Err(Failure::usage("a demo begins anew with topics of its own: run it without --log and log.url"));
    }
    if home.is_lake_elsewhere() {
        return Err(Failure::usage("a demo begins anew with a lake of its own: run it without --lake and lake.url"));
    }
    let marker = home.demo_marker();
    if !marker.is_file() && !home.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds data that no demo made; name another folder: streamreel --home ./demo demo",
            home.folder.display()
        )));
    }
    for part in PARTS {
        remove(&home.folder.join(part))?;
    }
    make_folder(&home.folder)?;
    std::fs::write(&marker, "").with_context(|| format!("can't write {}", marker.display()))?;
    Ok(())
}

fn remove(folder: &Path) -> Outcome {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow::Error::new(error).context(format!("can't remove {}", folder.display())).into())
        }
        _ => Ok(()),
    }
}

fn simulate(home: &Home, args: &Demo, stop: &Stop) -> Outcome<Truth> {
    let settings = Settings {
        pace: Pace::Records { records: args.events, days: DAYS },
        seed: args.seed,
        dirt_ratio: args.dirt,
        ..Settings::default()
    };
    let mut simulator = Simulator::new(&settings, &Catalogue::sample()?)?;
    titles::keep(&home.metadata, &simulator.titles())?;
    let mut sink = simulate::Sink::Topic(Feed::new(&*home.log()?, home.settings.log.partitions)?);
    simulate::all(home, &mut simulator, &mut sink, args.events, stop)?;
    sink.flush()?;
    Ok(simulator.truth())
}

async fn answer(lake: &Lake) -> Outcome<Answers> {
    let session = lake.session(&streamreel_lake::Reading::Published).await?;
    answers::read(&session).await
}

fn text(home: &Home, result: &Result) -> String {
    let Seconds { simulate, process, build, audit } = result.seconds;
    let views = result.simulated["views"].as_u64().unwrap_or(0);
    format!(
        "{}\n{}{}\nRECEIVED\n\n{}\naudit: {}\n\n\
         {} events of {} views: simulated in {simulate:.1} s, processed in {process:.1} s, built in {build:.1} s, \
         audited in {audit:.1} s\n\nAsk for more:\n  \
         streamreel --home {} query \"select * from gold.viewer_retention\"\n",
        answers::draw(&result.answers),
        if result.built.is_good() { "" } else { "\nthe build was not published:\n" },
        if result.built.is_good() { String::new() } else { build::text(&result.built) },
        process::text(&result.processed),
        result.audit.line(),
        thousands(result.processed.counts.received as i64),
        thousands(views as i64),
        home.folder.display(),
    )
}
