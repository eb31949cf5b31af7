//! What keeps log and lake small and fast: compaction, checkpoints, vacuum, retention.

use std::collections::BTreeMap;

use serde::Serialize;
use streamreel_lake::{Lake, OptimizeScope, TableId};
use streamreel_process::names::{CLEAN_EVENTS, DEAD_LETTERS, GROUP, VIDEO_EVENTS};
use streamreel_process::{ReadFrom, landed_from};
use streamreel_topic::{Log, Retention, TopicInfo};

use crate::clock;
use crate::config;
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
pub async fn once(home: &Home, lake: &Lake, log: &dyn Log) -> Outcome<Upkeep> {
    let mut done = Upkeep::default();
    // A build must not meet a table that is being compacted: one of the two would be refused.
    let _lease = build_lease(lake, true).await?;
    for id in lake.tables().await? {
        let Some(mut table) = lake.open_table(&id).await? else { continue };
        done.files_joined += table.optimize(OptimizeScope::Closed).await?.files_removed;
        let keep = lake.kept_versions(&id).await?;
        let retention = home.settings.upkeep.vacuum_retention;
        done.files_removed += table.vacuum(retention, &keep, false).await?.files.len();
        done.entries_removed += table.cleanup_log(retention, &keep).await?;
    }
    done.records_removed = retain(&home.settings.log, lake, log).await?;
    Ok(done)
}

/// The consumer group that says how far a topic is landed, so that retention takes nothing that is not.
const LANDED: &str = "streamreel-landed";

/// Removes what is old or too much from the topics, and nothing that a sink still needs.
async fn retain(settings: &config::Log, lake: &Lake, log: &dyn Log) -> Outcome<u64> {
    let age_ms = i64::try_from(settings.retention.as_millis()).unwrap_or(i64::MAX);
    let landed = Landed::read(lake, log).await?;
    let mut removed = 0;
    for topic in log.topics()? {
        let Some(is_needed) = landed.needs(&topic.name) else { continue };
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

/// How far bronze has the topics that it is landed from.
struct Landed {
    from: ReadFrom,
    /// Topic -> partition -> next offset. What is not here is not landed at all.
    next: BTreeMap<String, BTreeMap<u32, i64>>,
}

impl Landed {
    async fn read(lake: &Lake, log: &dyn Log) -> Outcome<Self> {
        let mut landed = Self { from: ReadFrom::VideoEvents, next: BTreeMap::new() };
        let Some(mut bronze) = lake.open_table(&TableId::bronze("events")).await? else { return Ok(landed) };
        let identity = log.identity(VIDEO_EVENTS)?;
        landed.from = landed_from(&mut bronze, &identity).await?;
        for topic in [VIDEO_EVENTS, CLEAN_EVENTS, DEAD_LETTERS] {
            for ((_, partition), next) in bronze.offsets(topic).await? {
                landed.next.entry(topic.to_owned()).or_default().insert(partition.cast_unsigned(), next);
            }
        }
        Ok(landed)
    }

    /// Whether anybody still needs records of a topic; `None` for one that is none of ours.
    fn needs(&self, topic: &str) -> Option<bool> {
        match topic {
            VIDEO_EVENTS => Some(true),
            CLEAN_EVENTS | DEAD_LETTERS => Some(self.from == ReadFrom::Cleaned),
            _ => None,
        }
    }

    /// Where bronze stands in a partition that it is landed from: at its beginning as long as it has nothing of it.
    fn stands(&self, topic: &str, partition: u32) -> Option<i64> {
        let is_landed_from = (topic == VIDEO_EVENTS) == (self.from == ReadFrom::VideoEvents);
        let next = || self.next.get(topic).and_then(|next| next.get(&partition));
        is_landed_from.then(|| next().copied().unwrap_or(0))
    }
}

/// Moves the group to where every sink has the topic: bronze, where it is landed from it, and for `video-events` the
/// cleaned topics too.
fn note_landed(log: &dyn Log, topic: &TopicInfo, landed: &Landed) -> Outcome {
    let mut producer = log.producer("retention")?;
    for partition in 0..topic.partitions.len() as u32 {
        let mut sinks: Vec<i64> = landed.stands(&topic.name, partition).into_iter().collect();
        if topic.name == VIDEO_EVENTS {
            sinks.push(log.committed(GROUP, VIDEO_EVENTS, partition)?.unwrap_or(0));
        }
        let before = log.committed(LANDED, &topic.name, partition)?.unwrap_or(0);
        let next = sinks.into_iter().min().unwrap_or(0).max(before);
        producer.send_offsets(LANDED, &topic.name, partition, before, next)?;
    }
    Ok(producer.commit()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use streamreel_process::{Processor, Settings, Until};
    use streamreel_topic::EmbeddedLog;

    use super::*;
    use crate::feed::Feed;
    use crate::home::runtime;

    const RECORDS: u64 = 300;

    /// A log of small events, keyed as a producer does.
    fn fed(folder: &Path) -> EmbeddedLog {
        let log = EmbeddedLog::open(folder).unwrap();
        let mut feed = Feed::new(&log, 2).unwrap();
        for i in 0..RECORDS {
            let user = format!("u{i}");
            let event = format!(
                "{{\"user_id\":\"{user}\",\"video_id\":\"v\",\"timestamp\":1767571200,\"event_type\":\"play\"}}"
            );
            feed.push(1_767_571_200_000, Some(user.as_bytes()), event.as_bytes(), None).unwrap();
        }
        feed.commit().unwrap();
        log
    }

    fn process(log: &EmbeddedLog, lake: Option<&Lake>, from: ReadFrom) {
        let settings = Settings { from, ..Settings::default() };
        let mut processor = Processor::open(Arc::new(log.clone()), lake, settings).unwrap();
        processor.run(Until::End, &AtomicBool::new(false), &|_| ()).unwrap();
    }

    /// Lets go of everything that nobody needs; gives how many records each topic keeps.
    fn kept(lake: &Lake, log: &EmbeddedLog) -> BTreeMap<String, u64> {
        let settings = config::Log {
            url: String::new(),
            timeout: Duration::ZERO,
            partitions: 2,
            retention: Duration::ZERO,
            retention_size: bytesize::ByteSize(0),
        };
        runtime().unwrap().block_on(retain(&settings, lake, log)).unwrap();
        log.topics().unwrap().into_iter().map(|topic| (topic.records(), topic.name)).map(|(n, t)| (t, n)).collect()
    }

    #[test]
    fn what_bronze_is_to_be_landed_from_stays_until_it_is() {
        for (from, needed) in [(ReadFrom::VideoEvents, VIDEO_EVENTS), (ReadFrom::Cleaned, CLEAN_EVENTS)] {
            let folder = tempfile::tempdir().unwrap();
            let log = fed(&folder.path().join("log"));
            let lake = Lake::open(folder.path().join("lake")).unwrap();
            process(&log, None, ReadFrom::VideoEvents);
            if from == ReadFrom::Cleaned {
                // Says which way the lake is landed, and lands nothing yet.
                Processor::open(Arc::new(log.clone()), Some(&lake), Settings { from, ..Settings::default() }).unwrap();
            }
            assert_eq!(kept(&lake, &log)[needed], RECORDS, "{from:?}: nothing is landed");
            process(&log, Some(&lake), from);
            assert_eq!(kept(&lake, &log)[needed], 0, "{from:?}: all is landed");
        }
    }
}
