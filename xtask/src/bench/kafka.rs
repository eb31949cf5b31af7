//! The same work with the topics in the home and on a Kafka, whose broker runs on the same cores: how fast the whole way is, how
//! soon an event is a row, and how long partitions stand still that move from one processor to another.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, count, rate, seconds};
use crate::kafka::Broker;
use crate::measure::{Cost, Home, Running, Scratch, median, run};
use crate::tools::{command, step, target};

const DIRT: &str = "0.05";
const PER_S: f64 = 0.25e6;
/// Events a second while it is measured how soon they are rows.
const LOAD: &str = "50000";
const P50_MS: f64 = 150.0;
const P99_MS: f64 = 500.0;
/// Events a second while partitions move.
const MOVING_LOAD: &str = "20000";
const PAUSE_S: f64 = 3.0;
const PRICE_PERCENT: f64 = 5.0;
/// At least so many rounds for the price: the two rates differ by less than a machine does from one minute to the next.
const PRICE_ROUNDS: usize = 6;
/// Between two commits of the cleaned topics, unless it is set.
const DEFAULT_MS: u64 = 500;
/// Where readers are not to wait.
const SOON_MS: u64 = 100;
/// Left out at the beginning, while programs start.
const WARM_UP_MS: f64 = 3_000.0;
/// Records that go the whole way before it is measured how soon they do: a broker that has just started is compiled while it works.
const BEFORE: &str = "1000000";
/// Left out at the beginning then.
const SETTLING_MS: f64 = 10_000.0;

/// Both logs, turn by turn.
pub fn kafka(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    let whole_way_per_s = whole_way(sizes, scratch, page)?;
    transactions(sizes, whole_way_per_s, page)?;
    latency(sizes, scratch, page)?;
    moving(sizes, scratch, page)
}

/// What transactions cost: at the producers themselves, and as a share of what the whole way, of that pace, takes.
fn transactions(sizes: &Sizes, whole_way_per_s: f64, page: &mut Page) -> Result<()> {
    let broker = Broker::start()?;
    let (records, rounds) = (sizes.process, sizes.rounds.max(PRICE_ROUNDS));
    let args = [broker.address(), records.to_string(), rounds.to_string()];
    let args = args.into_iter().chain([DEFAULT_MS, SOON_MS].map(|interval| interval.to_string()));
    let cost = run(command(target().join("release/examples/produce"), &[]).args(args))?;
    let (mut rows, mut prices) = (Vec::new(), BTreeMap::<u64, [Vec<f64>; 2]>::new());
    for line in cost.stdout.lines() {
        let round: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        let number = |name: &str| round[name].as_f64().with_context(|| format!("no {name}: {line}"));
        let (with, without) = (number("transactional_per_s")?, number("idempotent_per_s")?);
        let price = 100.0 * (1.0 - with / without);
        let of_whole_way = 100.0 * (1.0 / with - 1.0 / without) * whole_way_per_s;
        let interval = round["interval_ms"].as_u64().with_context(|| format!("no interval_ms: {line}"))?;
        rows.push(vec![
            format!("{interval} ms"),
            rate(with),
            rate(without),
            format!("{price:.1} %"),
            format!("{of_whole_way:.1} %"),
            number("commits")?.to_string(),
            format!("{:.0} ms", number("commit_ms")?),
            format!("{:.0} ms", number("flush_ms")?),
        ]);
        let [at_producer, at_whole_way] = prices.entry(interval).or_default();
        at_producer.push(price);
        at_whole_way.push(of_whole_way);
    }
    let mut price = |interval: u64| prices.remove(&interval).unwrap_or_default().map(median);
    let ([by_default, of_whole_way], [soon, _]) = (price(DEFAULT_MS), price(SOON_MS));
    let what = format!("price of transactions in `process`, a commit each {DEFAULT_MS} ms, as by default");
    let target = format!("at most {PRICE_PERCENT:.0} % of throughput");
    page.require(what, &target, format!("{of_whole_way:.1} %"), of_whole_way <= PRICE_PERCENT);
    let how = format!(
        "{} records a round in batches of 5,000 through the log's producer, committed at an interval, and through one that is idempotent \
         and has no transactions, flushed as often; the same settings, code and broker, turn by turn, each first in every other round. `process` commits the cleaned topics \
         each {DEFAULT_MS} ms unless `process.topics_interval` says otherwise. The price is the median of the rounds': {by_default:.1} % at \
         {DEFAULT_MS} ms, {soon:.1} % at {SOON_MS} ms of a producer that does nothing else. In `process`, decoding, bronze and the broker use the \
         same cores: what a record takes longer in transactions is {of_whole_way:.1} % of what it takes there ({}, the median of `process` on a Kafka above). What a commit and a flush take are medians within a round, with what was lingering.",
        count(records),
        rate(whole_way_per_s)
    );
    let columns = ["interval", "in transactions", "without", "price", "in `process`", "commits", "a commit", "a flush"];
    page.section("What transactions cost", &how, &columns, &rows);
    Ok(())
}

/// What chooses the log.
fn log_of(broker: Option<&Broker>) -> Vec<String> {
    broker.map_or_else(Vec::new, |broker| vec!["--log".to_owned(), broker.url()])
}

fn with<'a>(log: &'a [String], args: &[&'a str]) -> Vec<&'a str> {
    log.iter().map(String::as_str).chain(args.iter().copied()).collect()
}

/// Gives records a second of `process` on a Kafka.
fn whole_way(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<f64> {
    let records = sizes.process;
    let (mut rows, mut on_kafka) = (Vec::new(), Vec::new());
    for round in 0..sizes.rounds {
        for has_broker in [false, true] {
            let broker = has_broker.then(Broker::start).transpose()?;
            let (home, log) = (scratch.home(&format!("way-{round}")), log_of(broker.as_ref()));
            let fed = home.run(&with(&log, &["simulate", "--events", &records.to_string(), "--dirt", DIRT]))?;
            let (cost, summary) = home.json(&with(&log, &["process"]))?;
            if summary["received"].as_u64() != Some(records) {
                bail!("process has not read every record: {summary}");
            }
            home.remove("")?;
            let name = if has_broker { "Kafka" } else { "embedded" };
            let speed = |cost: &Cost| rate(records as f64 / cost.wall_s);
            let time_s = |name: &str| summary[name].as_f64().with_context(|| format!("no {name}: {summary}"));
            // The run's own clock begins when the program has opened what it needs.
            let first_s = cost.wall_s - time_s("elapsed_s")? + time_s("first_read_s")?;
            let (first, wall, cpu) = (seconds(first_s), seconds(cost.wall_s), seconds(cost.cpu_s));
            rows.push(vec![name.to_owned(), speed(&fed), speed(&cost), first, wall, cpu]);
            if has_broker {
                on_kafka.push(records as f64 / cost.wall_s);
            }
        }
    }
    let per_s = median(on_kafka);
    let what = format!("`process` on a Kafka on the same two cores, {} records", count(records));
    page.require(what, "at least 0.25 M/s", rate(per_s), per_s >= PER_S);
    let how = format!(
        "`simulate` into the log, then `process` into the cleaned topics and bronze, each with the start of the program (and the joining of its \
         group) included, turn by turn. The first record is read after what stands in the fourth column, to which the end of the program is \
         added. The broker is a process of its own on the same cores, new in each round, without the optimizing compiler, which would not pay in minutes; its CPU time is not in the last column. What is wanted is \
         wanted of the median of {} rounds.",
        sizes.rounds,
    );
    page.section(
        "Kafka beside the embedded log",
        &how,
        &["log", "simulate", "process", "first record", "wall time", "CPU time"],
        &rows,
    );
    Ok(per_s)
}

/// A processor that follows, ended by SIGINT.
fn follow(home: &Home, log: &[String]) -> Result<Running> {
    let args = ["process", "--follow", "--commit-interval", "100ms"];
    Running::start(&mut home.command(&with(log, &args)))
}

fn end(processor: Running) -> Result<Cost> {
    step("end a processor", &mut command("kill", &["-INT", &processor.id().to_string()]))?;
    let (status, cost) = processor.finish()?;
    if !status.success() {
        bail!("a processor ended with {status}");
    }
    Ok(cost)
}

fn simulate(home: &Home, log: &[String], per_s: &str, time: &str) -> Result<Running> {
    Running::start(&mut home.command(&with(log, &["simulate", "--rate", per_s, "--for", time, "--dirt", DIRT])))
}

fn latency(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    let time_s = if sizes.quick { 15 } else { 40 };
    let mut rows = Vec::new();
    for has_broker in [false, true] {
        let broker = has_broker.then(Broker::start).transpose()?;
        let (home, log) = (scratch.home("latency"), log_of(broker.as_ref()));
        home.run(&with(&log, &["simulate", "--events", BEFORE, "--dirt", DIRT]))?;
        home.run(&with(&log, &["process"]))?;
        let processor = follow(&home, &log)?;
        let begun_ms = UNIX_EPOCH.elapsed()?.as_secs_f64() * 1e3;
        simulate(&home, &log, LOAD, &format!("{time_s}s"))?.finish()?;
        sleep(Duration::from_secs(1));
        end(processor)?;
        // At its end a simulation sends all that is still on its way at once, which is no load of its rate.
        let ends_ms = begun_ms + f64::from(time_s) * 1e3;
        let is_steady = |commit: &Commit| commit.oldest_ms > begun_ms + SETTLING_MS && commit.newest_ms < ends_ms;
        let commits = commits(&scratch.path("latency"))?;
        let mut waits: Vec<f64> =
            commits.iter().filter(|commit| is_steady(commit)).flat_map(Commit::waits_ms).collect();
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        let (p50, p99, name) = (at(0.5), at(0.99), if has_broker { "Kafka" } else { "embedded" });
        for (which, value, limit) in [("p50", p50, P50_MS), ("p99", p99, P99_MS)] {
            let what = format!("event to row in Delta at {LOAD} events/s, {which}, {name}");
            page.require(what, &format!("at most {limit:.0} ms"), format!("{value:.0} ms"), value <= limit);
        }
        rows.push(vec![name.to_owned(), waits.len().to_string(), format!("{p50:.0} ms"), format!("{p99:.0} ms")]);
        home.remove("")?;
    }
    let how = format!(
        "`simulate --rate {LOAD}` for {time_s} s beside `process --follow --commit-interval 100ms`: from the timestamp of a record, which is \
         when its event happened, until the entry of its commit is in the table's log. Of each commit the records are taken as evenly \
         spread between its oldest and newest one. 1 M records have gone the whole way before, as a broker that has just started is compiled \
         while it works; the first {:.0} s, in which programs start, are left out, and what is still on its way when a simulation ends, which it \
         sends at once.",
        SETTLING_MS / 1e3,
    );
    page.section("How soon an event is a row", &how, &["log", "samples", "p50", "p99"], &rows);
    Ok(())
}

fn moving(_: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    let broker = Broker::start()?;
    let (home, log) = (scratch.home("moving"), log_of(Some(&broker)));
    let first = follow(&home, &log)?;
    let load = simulate(&home, &log, MOVING_LOAD, "18s")?;
    sleep(Duration::from_secs(7));
    let second = follow(&home, &log)?;
    sleep(Duration::from_secs(5));
    end(second)?;
    load.finish()?;
    sleep(Duration::from_secs(1));
    end(first)?;
    let commits = commits(&scratch.path("moving"))?;
    let begun = commits.first().context("nothing was committed")?.at_ms;
    let mut last: BTreeMap<u64, f64> = BTreeMap::new();
    let mut pauses: BTreeMap<u64, f64> = BTreeMap::new();
    for commit in commits.iter().filter(|commit| commit.at_ms > begun + WARM_UP_MS) {
        for partition in &commit.partitions {
            if let Some(before) = last.insert(*partition, commit.at_ms) {
                let longest = pauses.entry(*partition).or_default();
                *longest = longest.max((commit.at_ms - before) / 1e3);
            }
        }
    }
    let longest = pauses.values().copied().fold(0.0, f64::max);
    page.require("rebalance: a partition stands still for", "at most 3 s", seconds(longest), longest <= PAUSE_S);
    let rows: Vec<_> = pauses.iter().map(|(partition, pause)| vec![partition.to_string(), seconds(*pause)]).collect();
    let how = format!(
        "One processor at {MOVING_LOAD} events/s on a Kafka; a second one joins, takes half of the partitions and after 5 s gives them \
         back. The longest time between two commits to bronze that cover a partition, of all that time."
    );
    page.section("Partitions that move", &how, &["partition", "longest pause"], &rows);
    home.remove("")
}

/// A commit to bronze.
struct Commit {
    /// When its entry was written, and the times of its oldest and newest record; milliseconds since 1970.
    at_ms: f64,
    oldest_ms: f64,
    newest_ms: f64,
    records: u64,
    partitions: Vec<u64>,
}

impl Commit {
    /// How long some of its records have waited: one of 50.
    fn waits_ms(&self) -> impl Iterator<Item = f64> {
        let samples = (self.records / 50).max(1);
        let (longest, span) = (self.at_ms - self.oldest_ms, self.newest_ms - self.oldest_ms);
        (0..samples).map(move |i| longest - span * (i as f64 + 0.5) / samples as f64)
    }
}

/// The commits that brought rows to bronze, in order, from the entries of its log.
fn commits(home: &Path) -> Result<Vec<Commit>> {
    let folder = home.join("data_lake/bronze/events/_delta_log");
    let mut commits = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let written = fs::metadata(&path)?.modified()?.duration_since(UNIX_EPOCH)?;
        commits.extend(commit(&fs::read_to_string(&path)?, written.as_secs_f64() * 1e3)?);
    }
    commits.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    Ok(commits)
}

fn commit(entry: &str, at_ms: f64) -> Result<Option<Commit>> {
    let (mut oldest_ms, mut newest_ms) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut records, mut partitions) = (0, Vec::new());
    for line in entry.lines() {
        let action: Value = serde_json::from_str(line)?;
        for range in action["commitInfo"]["streamreel.offsets"].as_array().into_iter().flatten() {
            partitions.extend(range["partition"].as_u64());
        }
        if let Some(stats) = action["add"]["stats"].as_str() {
            let stats: Value = serde_json::from_str(stats)?;
            records += stats["numRecords"].as_u64().unwrap_or(0);
            oldest_ms = oldest_ms.min(time_ms(&stats["minValues"]["received_at"])?);
            newest_ms = newest_ms.max(time_ms(&stats["maxValues"]["received_at"])?);
        }
    }
    Ok((records > 0).then_some(Commit { at_ms, oldest_ms, newest_ms, records, partitions }))
}

/// `2026-01-31T12:34:56.789Z` in milliseconds since 1970.
fn time_ms(text: &Value) -> Result<f64> {
    let text = text.as_str().context("a file without times in its statistics")?;
    let number = |range: std::ops::Range<usize>| -> Result<i64> {
        text.get(range).and_then(|digits| digits.parse().ok()).with_context(|| format!("{text} is no time"))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days since 1970 of a date, with years that begin in March.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let fraction = text.get(19..).map_or("", |rest| rest.trim_end_matches('Z'));
    Ok(seconds as f64 * 1e3 + format!("0{fraction}").parse::<f64>().unwrap_or(0.0) * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-03-01T00:00:00.250Z", 951_868_800_250.0),
            ("2026-11-29T13:01:58.095Z", 1_795_957_318_095.0),
        ] {
            assert_eq!(time_ms(&Value::from(text)).unwrap(), expected, "{text}");
        }
        assert!(time_ms(&Value::from("yesterday")).is_err());
    }
}
