//! The log against itself and against bronze, partition by partition.

use std::collections::BTreeMap;
use std::time::Duration;

use streamreel_lake::{Lake, Reading, Table, TableId, parse_transaction_id};
use streamreel_topic::{Counted, Error as LogError, Fetched, Log};

use crate::rows::numbers;
use crate::{Error, LogState, Names, Report};

/// What bronze has of a source partition.
#[derive(Debug, Clone, Copy, Default)]
struct Landed {
    rows: i64,
    /// Those from the first offset on that the log still has.
    kept: i64,
    offsets: i64,
    first: i64,
    last: i64,
    clean: i64,
    rejected: i64,
    duplicates: i64,
}

/// How far bronze is, as its commits say: topic and partition -> identity of the log, next offset.
type Positions = BTreeMap<(String, i32), (String, i64)>;

/// How many records lie below those offsets; nothing is here for what can't be counted.
type Records = BTreeMap<(String, i32), Covered>;

/// What commits cover of a partition.
#[derive(Debug, Clone, Copy)]
struct Covered {
    next: i64,
    counted: Counted,
}

impl Covered {
    /// Whether offsets say how many records there are.
    fn is_gapless(self) -> bool {
        self.counted == Counted { from: 0, records: self.next }
    }
}

/// Checks that what was received is in bronze once, and in one of the cleaned topics once.
pub(crate) async fn check(
    lake: &Lake,
    log: Option<&dyn Log>,
    names: Names<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let bronze = lake.open_table(&TableId::bronze("events")).await.map_err(Error::lake("opening bronze"))?;
    let mut log = log;
    let landed = match bronze {
        Some(mut table) => {
            let positions = positions(&mut table).await?;
            report.log = state(log, &positions, names)?;
            log = log.filter(|_| report.log == LogState::Checked);
            let records = records(log, &positions)?;
            let landed = landed(lake, &table, &records, names).await?;
            bronze_against_offsets(&positions, &records, &landed, names, report);
            landed
        }
        None => {
            report.log = state(log, &Positions::new(), names)?;
            BTreeMap::new()
        }
    };
    if let Some(log) = log {
        topics(log, names, &landed, report)?;
    }
    Ok(())
}

async fn positions(table: &mut Table) -> Result<Positions, Error> {
    let transactions = table.transactions().await.map_err(Error::lake("reading bronze's offsets"))?;
    let parsed = transactions.iter().filter_map(|(id, &next)| {
        let (log, topic, partition) = parse_transaction_id(id)?;
        Some(((topic.to_owned(), partition), (log.to_owned(), next)))
    });
    Ok(parsed.collect())
}

/// Whether bronze was landed from this log: every topic that it has offsets of must be of it. What is no topic, but noted beside
/// them, goes by the topic of received records.
fn state(log: Option<&dyn Log>, positions: &Positions, names: Names<'_>) -> Result<LogState, Error> {
    let Some(log) = log else { return Ok(LogState::Missing) };
    for topic in [names.received, names.clean, names.dead_letters] {
        let is_of = |of: &str| match topic == names.received {
            true => of != names.clean && of != names.dead_letters,
            false => of == topic,
        };
        let mut landed = positions.iter().filter(|((of, _), _)| is_of(of)).map(|(_, (has, _))| has).peekable();
        if landed.peek().is_none() {
            continue;
        }
        let given = match log.identity(topic) {
            Ok(given) => Some(given),
            Err(LogError::UnknownTopic { .. }) => None,
            Err(source) => return Err(Error::log("asking for the identity of the log")(source)),
        };
        if let Some(has) = landed.find(|has| Some(*has) != given.as_ref()) {
            return Ok(LogState::Other { topic: topic.to_owned(), has: has.clone(), given });
        }
    }
    Ok(LogState::Checked)
}

/// Counts what commits cover. Offsets of the embedded log are counts; where they have gaps, as on a Kafka, the log is read,
/// and without it nothing is known.
fn records(log: Option<&dyn Log>, positions: &Positions) -> Result<Records, Error> {
    let mut records = Records::new();
    for ((topic, partition), (identity, next)) in positions {
        let own = log.filter(|log| log.identity(topic).is_ok_and(|own| own == *identity));
        let counted = match own {
            Some(log) => log.count(topic, partition.cast_unsigned(), *next).map_err(Error::log("counting records"))?,
            // A cluster's id and a topic's, with a dot between them.
            None if identity.contains('.') => continue,
            None => Counted { from: 0, records: *next },
        };
        records.insert((topic.clone(), *partition), Covered { next: *next, counted });
    }
    Ok(records)
}

async fn landed(
    lake: &Lake,
    table: &Table,
    records: &Records,
    names: Names<'_>,
) -> Result<BTreeMap<i32, Landed>, Error> {
    let versions = BTreeMap::from([(table.id().clone(), table.version())]);
    let session = lake.session(&Reading::At(versions)).await.map_err(Error::lake("reading bronze"))?;
    let outcome = |name: &str| format!("cast(sum(case when outcome = '{name}' then 1 else 0 end) as bigint)");
    let sql = format!(
        "select cast(source_partition as bigint), count(*), min(source_offset), max(source_offset), {}, {}, {}, {} \
         from bronze.events group by source_partition",
        outcome("clean"),
        outcome("rejected"),
        outcome("duplicate"),
        kept(records, names)
    );
    let mut landed = BTreeMap::new();
    for row in numbers(&session, "rows of bronze", &sql).await? {
        let part = Landed {
            rows: row[1],
            kept: row[7],
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

/// SQL that counts the rows whose records the log still has: all, unless retention has removed some of them from a log with
/// gaps.
fn kept(records: &Records, names: Names<'_>) -> String {
    let removed = records.iter().filter(|((topic, _), covered)| topic == names.received && covered.counted.from > 0);
    let mut gone = String::from("false");
    for ((_, partition), covered) in removed {
        gone += &format!(" or (source_partition = {partition} and source_offset < {})", covered.counted.from);
    }
    format!("cast(sum(case when {gone} then 0 else 1 end) as bigint)")
}

/// Rows against the records that the commits cover. Landed from the cleaned topics, those are of two topics.
fn bronze_against_offsets(
    positions: &Positions,
    records: &Records,
    landed: &BTreeMap<i32, Landed>,
    names: Names<'_>,
    report: &mut Report,
) {
    let covered = |topic: &str, partition: i32| records.get(&(topic.to_owned(), partition)).copied();
    let is_landed = |topic: &str, partition: i32| positions.contains_key(&(topic.to_owned(), partition));
    // Offsets of the other way stand still since the way was changed.
    let turns = positions.get(&(names.landed_from.to_owned(), 0)).map_or(0, |(_, turns)| *turns);
    let is_from_cleaned = turns % 2 == 1;
    let mut partitions: Vec<i32> = positions.keys().map(|(_, p)| *p).chain(landed.keys().copied()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    for partition in partitions {
        let has = landed.get(&partition).copied().unwrap_or_default();
        let scope = format!("partition {partition}");
        let mut add = |left, right| report.add("bronze", scope.clone(), left, right);
        if is_from_cleaned {
            let none = Covered { next: 0, counted: Counted { from: 0, records: 0 } };
            let of = |topic| if is_landed(topic, partition) { covered(topic, partition) } else { Some(none) };
            if let (Some(clean), Some(dead)) = (of(names.clean), of(names.dead_letters))
                && clean.counted.from + dead.counted.from == 0
            {
                let (clean, dead) = (clean.counted.records, dead.counted.records);
                add(("records of both cleaned topics covered", clean + dead), ("rows", has.rows));
                add(("records of the clean topic covered", clean), ("clean rows", has.clean));
            }
        } else if let Some(raw) = covered(names.received, partition) {
            add(("records covered by commits", raw.counted.records), ("rows", has.kept));
            if raw.is_gapless() {
                add(("first offset", 0), ("least offset of a row", if has.rows == 0 { 0 } else { has.first }));
                let last = if has.rows == 0 { 0 } else { has.last + 1 };
                add(("offsets covered by commits", raw.next), ("greatest offset of a row + 1", last));
            }
        } else if !positions.keys().any(|(_, of)| *of == partition) {
            add(("records covered by commits", 0), ("rows", has.rows));
        }
        add(("rows", has.rows), ("different source offsets", has.offsets));
        add(("rows", has.rows), ("clean + rejected + duplicates", has.clean + has.rejected + has.duplicates));
    }
}

/// How often the topics are looked at again: records of a transaction are seen a moment after its offsets.
const ATTEMPTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);
/// How far back from the end of a topic is looked first for where a partition is processed to.
const FIRST_LOOK: i64 = 1_000;
/// Header of the cleaned topics' records: the offset in the source, decimal.
const SOURCE_OFFSET: &str = "source_offset";
/// About how many bytes are read at a time to look there.
const LOOK_BYTES: usize = 1 << 20;

/// Records that the log has of a partition up to where the source is processed, however far the processor has got meanwhile.
#[derive(Debug, Clone, Copy)]
struct Cleaned {
    processed: Counted,
    clean: Counted,
    dead_letters: Counted,
}

impl Cleaned {
    fn agrees(&self) -> bool {
        self.processed.records == self.clean.records + self.dead_letters.records
    }
}

/// What the processor has read against what it has written, and against bronze.
fn topics(log: &dyn Log, names: Names<'_>, landed: &BTreeMap<i32, Landed>, report: &mut Report) -> Result<(), Error> {
    let infos = log.topics().map_err(Error::log("reading the topics"))?;
    let partitions = infos.iter().find(|info| info.name == names.received).map_or(0, |info| info.partitions.len());
    for partition in 0..partitions as u32 {
        // Nothing was cleaned here: the lake may still have been landed from topics that others cleaned.
        let Some(cleaned) = cleaned(log, names, partition)? else { continue };
        if cleaned.processed.from + cleaned.clean.from + cleaned.dead_letters.from > 0 {
            // Retention has removed records that were counted by nobody: there is nothing to compare with.
            continue;
        }
        let scope = format!("partition {partition}");
        let (processed, clean, dead_letters) =
            (cleaned.processed.records, cleaned.clean.records, cleaned.dead_letters.records);
        report.add(
            "topics",
            scope.clone(),
            ("records processed", processed),
            ("clean + dead letters", clean + dead_letters),
        );
        let has = landed.get(&partition.cast_signed()).copied().unwrap_or_default();
        // The two sinks commit one after the other: they are compared where both stand at the same offset.
        if has.rows == processed {
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

/// Counts what the group has of a partition; `None` when it has nothing.
fn cleaned(log: &dyn Log, names: Names<'_>, partition: u32) -> Result<Option<Cleaned>, Error> {
    let failed = Error::log("reading the topics");
    let Some(committed) = log.committed(names.group, names.received, partition).map_err(&failed)? else {
        return Ok(None);
    };
    let count = |topic: &str, below: i64| match below {
        0 => Ok(Counted { from: 0, records: 0 }),
        below => log.count(topic, partition, below).map_err(Error::log("counting records")),
    };
    let look = || -> Result<Cleaned, Error> {
        Ok(Cleaned {
            processed: count(names.received, committed)?,
            clean: count(names.clean, written_to(log, names.clean, partition, committed)?)?,
            dead_letters: count(names.dead_letters, written_to(log, names.dead_letters, partition, committed)?)?,
        })
    };
    let mut found = look()?;
    for _ in 1..ATTEMPTS {
        if found.agrees() {
            break;
        }
        std::thread::sleep(PAUSE);
        found = look()?;
    }
    Ok(Some(found))
}

/// The offset in a cleaned topic at which the records from `source` on of its source begin: its end, or before that what was
/// written since.
fn written_to(log: &dyn Log, topic: &str, partition: u32, source: i64) -> Result<i64, Error> {
    let failed = Error::log("reading the topics");
    let range = log.range(topic, partition).map_err(&failed)?;
    let mut back = FIRST_LOOK;
    loop {
        let mut at = range.end.saturating_sub(back).max(range.start);
        let is_all = at == range.start;
        let mut has_older = false;
        while at < range.end {
            let fetched = log.fetch(topic, partition, at, LOOK_BYTES).map_err(&failed)?;
            for i in 0..fetched.records.len() {
                // A record of somebody else counts as an old one: it shows as one too many.
                let is_newer = source_offset(&fetched, i).is_some_and(|offset| offset >= source);
                if is_newer && (has_older || is_all) {
                    return Ok(fetched.offset(i));
                }
                if is_newer {
                    break;
                }
                has_older = true;
            }
            if fetched.next_offset == at || (!has_older && !fetched.records.is_empty()) {
                break;
            }
            at = fetched.next_offset;
        }
        if has_older || is_all {
            return Ok(range.end);
        }
        back = back.saturating_mul(8);
    }
}

fn source_offset(fetched: &Fetched, record: usize) -> Option<i64> {
    std::str::from_utf8(fetched.records.header(record, SOURCE_OFFSET)?).ok()?.parse().ok()
}
