//! `lake`: upkeep by hand, and the versions of a table.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use streamreel_lake::{HistoryEntry, OptimizeReport, OptimizeScope, Table, TableId, VacuumReport};

use crate::cli::Lake;
use crate::config::SHORTEST_VACUUM_RETENTION;
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::home::{Home, build_lease, runtime};

#[derive(Serialize)]
struct Optimized {
    table: String,
    #[serde(flatten)]
    report: OptimizeReport,
}

#[derive(Serialize)]
struct Vacuumed {
    table: String,
    dry_run: bool,
    files: Vec<String>,
}

/// Runs the upkeep verb.
pub fn run(home: &Home, command: &Lake) -> Outcome {
    runtime()?.block_on(async {
        match command {
            Lake::Optimize { tables } => optimize(home, tables).await,
            Lake::Vacuum { tables, retention, no_writers, dry_run } => {
                let retention = retention_of_vacuum(home, *retention, *no_writers)?;
                vacuum(home, tables, retention, *dry_run).await
            }
            Lake::Lease { wait } => lease(home, *wait).await,
            Lake::History { table, limit } => history(home, table, *limit).await,
        }
    })
}

/// The tables named, or all.
async fn tables(lake: &streamreel_lake::Lake, names: &[String]) -> Outcome<Vec<Table>> {
    let ids = match names {
        [] => lake.tables().await?,
        names => names.iter().map(|n| n.parse::<TableId>().map_err(Failure::usage)).collect::<Outcome<_>>()?,
    };
    let mut tables = Vec::new();
    for id in ids {
        let table = lake.open_table(&id).await?;
        tables.push(table.ok_or_else(|| Failure::usage(format!("there is no table {id}; `show tables` lists them")))?);
    }
    Ok(tables)
}

async fn optimize(home: &Home, names: &[String]) -> Outcome {
    let lake = home.lake(home.settings.build.memory)?;
    let _lease = build_lease(&lake, true).await?;
    let tables = tables(&lake, names).await?;
    let mut progress = home.display.start_uneven("optimize", "tables", Some(tables.len() as u64));
    let mut done = Vec::new();
    for mut table in tables {
        progress.say(table.id().to_string());
        let report = table.optimize(OptimizeScope::Closed).await?;
        table.checkpoint().await?;
        done.push(Optimized { table: table.id().to_string(), report });
        progress.set(done.len() as u64);
    }
    drop(progress);
    home.printer.result(&done, |done| {
        let line = |o: &Optimized| {
            let OptimizeReport { files_removed, files_added, rows, .. } = o.report;
            format!(
                "{:<36} {files_removed:>6} files -> {files_added:>4}  {:>13} rows\n",
                o.table,
                thousands(rows as i64)
            )
        };
        done.iter().map(line).collect()
    })
}

/// How long superseded files stay: as asked, else as set.
fn retention_of_vacuum(home: &Home, asked: Option<Duration>, no_writers: bool) -> Outcome<Duration> {
    let retention = asked.unwrap_or(home.settings.upkeep.vacuum_retention);
    if retention >= SHORTEST_VACUUM_RETENTION || no_writers {
        return Ok(retention);
    }
    let (given, shortest) =
        (humantime::format_duration(retention), humantime::format_duration(SHORTEST_VACUUM_RETENTION));
    Err(Failure::usage(format!(
        "--retention {given} is less than {shortest}: files that a `process` beside this has written and is about to commit look \
         like those that nobody needs, and would be removed. Give {shortest} or more, or --no-writers if nothing else writes \
         to this lake"
    )))
}

async fn vacuum(home: &Home, names: &[String], retention: Duration, dry_run: bool) -> Outcome {
    let lake = home.lake(home.settings.build.memory)?;
    let _lease = build_lease(&lake, true).await?;
    let mut done = Vec::new();
    for mut table in tables(&lake, names).await? {
        let keep = lake.kept_versions(table.id()).await?;
        let VacuumReport { files } = table.vacuum(retention, &keep, dry_run).await?;
        if !dry_run {
            table.cleanup_log(retention, &keep).await?;
        }
        done.push(Vacuumed { table: table.id().to_string(), dry_run, files });
    }
    home.printer.result(&done, |done| {
        let verb = if dry_run { "would be removed" } else { "removed" };
        done.iter().map(|v| format!("{:<36} {:>6} files {verb}\n", v.table, v.files.len())).collect()
    })
}

async fn lease(home: &Home, wait: bool) -> Outcome {
    let lake = home.lake_to_read()?;
    let lease = build_lease(&lake, wait).await?;
    let say = || home.printer.result(lease.holder(), |holder| format!("{holder}\n"));
    say()?;
    // Renewing is another thread's work.
    for line in std::io::stdin().lines() {
        line?;
        lake.check_build_lease().await?;
        say()?;
    }
    Ok(())
}

async fn history(home: &Home, name: &str, limit: usize) -> Outcome {
    let lake = home.lake_to_read()?;
    let mut found = tables(&lake, &[name.to_owned()]).await?;
    let entries = found.remove(0).history(Some(limit)).await?;
    home.printer.result(&entries, |entries| {
        let mut text = format!("{:>7}  {:<20}  {:<10}  what\n", "version", "when", "operation");
        for entry in entries {
            let _ =
                writeln!(text, "{:>7}  {:<20}  {:<10}  {}", entry.version, when(entry), entry.operation, what(entry));
        }
        text
    })
}

fn when(entry: &HistoryEntry) -> String {
    let time = chrono::DateTime::from_timestamp_millis(entry.timestamp_ms);
    time.map_or_else(String::new, |t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn what(entry: &HistoryEntry) -> String {
    if !entry.offsets.is_empty() {
        let ranges = entry.offsets.iter().map(|r| format!("{}/{}:{}..{}", r.topic, r.partition, r.from, r.next));
        return ranges.collect::<Vec<_>>().join(" ");
    }
    let note = entry.note.as_ref();
    note.map_or_else(String::new, |n| format!("{} {}", n.operation, n.build_id.as_deref().unwrap_or_default()))
}
