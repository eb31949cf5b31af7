//! The log against itself and against bronze, partition by partition.

use std::collections::BTreeMap;

use streamreel_lake::{Lake, Reading, Table, TableId, parse_transaction_id};
use streamreel_topic::Log;

use crate::rows::numbers;
use crate::{Error, Names, Report};

/// What bronze has of a source partition.
#[derive(Debug, Clone, Copy, Default)]
struct Landed {
    rows: i64,
    offsets: i64,
    first: i64,
    last: i64,
    clean: i64,
    rejected: i64,
    duplicates: i64,
}

/// How far bronze is, as its commits say: topic and partition -> next offset.
type Positions = BTreeMap<(String, i32), i64>;

/// Checks that what was received is in bronze once, and in one of the cleaned topics once.
pub(crate) async fn check(
    lake: &Lake,
    log: Option<&dyn Log>,
    names: Names<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let bronze = lake.open_table(&TableId::bronze("events")).await.map_err(Error::lake("opening bronze"))?;
    let landed = match bronze {
        Some(mut table) => {
            let positions = positions(&mut table).await?;
            let landed = landed(lake, &table).await?;
            bronze_against_offsets(&positions, &landed, names, report);
            landed
        }
        None => BTreeMap::new(),
    };
    if let Some(log) = log {
        topics(log, names, &landed, report)?;
    }
    Ok(())
}

async fn positions(table: &mut Table) -> Result<Positions, Error> {
    let transactions = table.transactions().await.map_err(Error::lake("reading bronze's offsets"))?;
    let parsed = transactions.iter().filter_map(|(id, &next)| {
        let (_, topic, partition) = parse_transaction_id(id)?;
        Some(((topic.to_owned(), partition), next))
    });
    Ok(parsed.collect())
}

async fn landed(lake: &Lake, table: &Table) -> Result<BTreeMap<i32, Landed>, Error> {
    let versions = BTreeMap::from([(table.id().clone(), table.version())]);
    let session = lake.session(&Reading::At(versions)).await.map_err(Error::lake("reading bronze"))?;
    let outcome = |name: &str| format!("cast(sum(case when outcome = '{name}' then 1 else 0 end) as bigint)");
    let sql = format!(
        "select cast(source_partition as bigint), count(*), min(source_offset), max(source_offset), {}, {}, {} \
         from bronze.events group by source_partition",
        outcome("clean"),
        outcome("rejected"),
        outcome("duplicate")
    );
    let mut landed = BTreeMap::new();
    for row in numbers(&session, "rows of bronze", &sql).await? {
        let part = Landed {
            rows: row[1],
            offsets: 0,
            first: row[2],
            last: row[3],
            clean: row[4],
            rejected: row[5],
            duplicates: row[6],
        };
        landed.insert(row[0] as i32, part);
    }
    let distinct = "select cast(source_partition as bigint), count(*) from \
                    (select distinct source_log, source_topic, source_partition, source_offset from bronze.events) \
                    group by source_partition";
    for row in numbers(&session, "offsets in bronze", distinct).await? {
        landed.entry(row[0] as i32).or_default().offsets = row[1];
    }
    Ok(landed)
}

/// Rows against the offsets that the commits cover. Landed from the cleaned topics, those are of two topics.
fn bronze_against_offsets(
    positions: &Positions,
    landed: &BTreeMap<i32, Landed>,
    names: Names<'_>,
    report: &mut Report,
) {
    let next = |topic: &str, partition: i32| positions.get(&(topic.to_owned(), partition)).copied().unwrap_or(0);
    let mut partitions: Vec<i32> = positions.keys().map(|(_, p)| *p).chain(landed.keys().copied()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    for partition in partitions {
        let has = landed.get(&partition).copied().unwrap_or_default();
        let scope = format!("partition {partition}");
        let mut add = |left, right| report.add("bronze", scope.clone(), left, right);
        let (raw, clean, dead) =
            (next(names.received, partition), next(names.clean, partition), next(names.dead_letters, partition));
        if clean + dead > 0 {
            add(("offsets of both cleaned topics", clean + dead), ("rows", has.rows));
            add(("offsets of the clean topic", clean), ("clean rows", has.clean));
        } else {
            add(("offsets covered by commits", raw), ("rows", has.rows));
            add(("first offset", 0), ("least offset of a row", if has.rows == 0 { 0 } else { has.first }));
            add(
                ("offsets covered by commits", raw),
                ("greatest offset of a row + 1", if has.rows == 0 { 0 } else { has.last + 1 }),
            );
        }
        add(("rows", has.rows), ("different source offsets", has.offsets));
        add(("rows", has.rows), ("clean + rejected + duplicates", has.clean + has.rejected + has.duplicates));
    }
}

/// How often the topics are read again when the processor has committed meanwhile.
const ATTEMPTS: usize = 20;

/// What the log says of a partition at one moment.
#[derive(Debug, Clone, Copy)]
struct Cleaned {
    /// Records of the source that are processed.
    committed: i64,
    clean: i64,
    dead_letters: i64,
}

/// What the processor has read against what it has written, and against bronze.
fn topics(log: &dyn Log, names: Names<'_>, landed: &BTreeMap<i32, Landed>, report: &mut Report) -> Result<(), Error> {
    for (partition, cleaned) in cleaned(log, names)? {
        let scope = format!("partition {partition}");
        let Cleaned { committed, clean, dead_letters } = cleaned;
        report.add(
            "topics",
            scope.clone(),
            ("records processed", committed),
            ("clean + dead letters", clean + dead_letters),
        );
        let has = landed.get(&partition).copied().unwrap_or_default();
        // The two sinks commit one after the other: they are compared where both stand at the same offset.
        if has.rows == committed {
            report.add(
                "topics",
                scope.clone(),
                ("records of clean-events", clean),
                ("clean rows of bronze", has.clean),
            );
            let others = has.rejected + has.duplicates;
            report.add(
                "topics",
                scope,
                ("dead letters", dead_letters),
                ("rejected + duplicate rows of bronze", others),
            );
        }
    }
    Ok(())
}

/// Offsets of all three topics at one moment: read again if something was committed meanwhile.
fn cleaned(log: &dyn Log, names: Names<'_>) -> Result<BTreeMap<i32, Cleaned>, Error> {
    let failed = Error::log("reading the topics");
    let mut before = log.data_version().map_err(&failed)?;
    let mut read = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        read = read_cleaned(log, names)?;
        let after = log.data_version().map_err(&failed)?;
        if after == before {
            break;
        }
        before = after;
    }
    Ok(read)
}

fn read_cleaned(log: &dyn Log, names: Names<'_>) -> Result<BTreeMap<i32, Cleaned>, Error> {
    let failed = Error::log("reading the topics");
    let infos = log.topics().map_err(&failed)?;
    let next = |topic: &str, partition: usize| {
        let info = infos.iter().find(|info| info.name == topic);
        info.and_then(|info| info.partitions.get(partition)).map_or(0, |p| p.next_offset)
    };
    let partitions = infos.iter().find(|info| info.name == names.received).map_or(0, |info| info.partitions.len());
    let mut read = BTreeMap::new();
    for partition in 0..partitions {
        let committed = log.committed(names.group, names.received, partition as u32).map_err(&failed)?;
        // Nothing was cleaned here: the lake may still have been landed from topics that others cleaned.
        let Some(committed) = committed else { continue };
        let (clean, dead_letters) = (next(names.clean, partition), next(names.dead_letters, partition));
        read.insert(partition as i32, Cleaned { committed, clean, dead_letters });
    }
    Ok(read)
}
