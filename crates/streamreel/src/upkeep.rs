//! What keeps log and lake small and fast: compaction, checkpoints, vacuum, retention.

use std::collections::BTreeMap;

use serde::Serialize;
use streamreel_lake::{Lake, OptimizeScope, TableId};
use streamreel_process::names::{CLEAN_EVENTS, DEAD_LETTERS, GROUP, VIDEO_EVENTS};
use streamreel_topic::{EmbeddedLog, Log, Retention, TopicInfo};

use crate::clock;
use crate::failure::Outcome;
use crate::home::{Home, build_lease};

/// What a round of upkeep did.
#[derive(Debug, Default, Serialize)]
pub struct Upkeep {
    /// Small files joined.
    pub files_joined: usize,
    /// Files removed.
    pub files_removed: usize,
    /// Log entries of tables removed.
    pub entries_removed: usize,
    /// Records that retention removed from topics.
    pub records_removed: u64,
}

/// One round over all tables and topics.
///
/// # Errors
/// What lake or log say; what was done before stays done.
pub async fn once(home: &Home, lake: &Lake, log: &EmbeddedLog) -> Outcome<Upkeep> {
    let mut done = Upkeep::default();
    // A build must not meet a table that is being compacted: one of the two would be refused.
    let _lease = build_lease(lake, true).await?;
    for id in lake.tables()? {
        let Some(mut table) = lake.open_table(&id).await? else { continue };
        done.files_joined += table.optimize(OptimizeScope::Closed).await?.files_removed;
        let keep = lake.kept_versions(&id).await?;
        let retention = home.settings.upkeep.vacuum_retention;
        done.files_removed += table.vacuum(retention, &keep, false).await?.files.len();
        done.entries_removed += table.cleanup_log(retention, &keep).await?;
    }
    done.records_removed = retain(home, lake, log).await?;
    Ok(done)
}

/// The consumer group that says how far a topic is landed, so that retention takes nothing that is not.
const LANDED: &str = "streamreel-landed";

/// Removes what is old or too much from the topics, and nothing that a sink still needs.
async fn retain(home: &Home, lake: &Lake, log: &EmbeddedLog) -> Outcome<u64> {
    let settings = &home.settings.log;
    let age_ms = i64::try_from(settings.retention.as_millis()).unwrap_or(i64::MAX);
    let mut bronze = lake.open_table(&TableId::bronze("events")).await?;
    let mut removed = 0;
    for topic in log.topics()? {
        let landed = match &mut bronze {
            Some(table) => table.offsets(&topic.name).await?,
            None => BTreeMap::new(),
        };
        let landed: BTreeMap<i32, i64> = landed.into_iter().map(|((_, partition), next)| (partition, next)).collect();
        let is_needed = topic.name == VIDEO_EVENTS || !landed.is_empty();
        if ![VIDEO_EVENTS, CLEAN_EVENTS, DEAD_LETTERS].contains(&topic.name.as_str()) {
            continue;
        }
        if is_needed {
            note_landed(log, &topic, &landed)?;
        }
        let retention = Retention {
            before_ms: Some(clock::now_ms().saturating_sub(age_ms)),
            max_bytes: Some(settings.retention_size.as_u64()),
            unless_unread_by: is_needed.then(|| LANDED.to_owned()),
        };
        removed += log.retain(&topic.name, &retention)?.records;
    }
    Ok(removed)
}

/// Moves the group to where every sink has the topic: bronze, and for `video-events` the cleaned topics too.
fn note_landed(log: &EmbeddedLog, topic: &TopicInfo, landed: &BTreeMap<i32, i64>) -> Outcome {
    let mut producer = log.producer("retention")?;
    for (partition, number) in (0..topic.partitions.len() as u32).zip(0..) {
        let mut sinks: Vec<i64> = landed.get(&number).copied().into_iter().collect();
        if topic.name == VIDEO_EVENTS {
            sinks.extend(log.committed(GROUP, VIDEO_EVENTS, partition)?);
        }
        let before = log.committed(LANDED, &topic.name, partition)?.unwrap_or(0);
        let next = sinks.into_iter().min().unwrap_or(0).max(before);
        producer.send_offsets(LANDED, &topic.name, partition, before, next)?;
    }
    Ok(producer.commit()?)
}
