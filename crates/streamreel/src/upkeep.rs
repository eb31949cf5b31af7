//! What keeps log and lake small and fast: compaction, checkpoints, vacuum, retention.

use serde::Serialize;
use streamreel_lake::{Lake, OptimizeScope};
use streamreel_process::names::{CLEAN_EVENTS, DEAD_LETTERS, GROUP, VIDEO_EVENTS};
use streamreel_topic::{EmbeddedLog, Log, Retention};

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
    done.records_removed = retain(home, log)?;
    Ok(done)
}

/// Removes what is old or too much from the topics; of `video-events` nothing that is not processed yet.
fn retain(home: &Home, log: &EmbeddedLog) -> Outcome<u64> {
    let settings = &home.settings.log;
    let age_ms = i64::try_from(settings.retention.as_millis()).unwrap_or(i64::MAX);
    let mut removed = 0;
    for topic in log.topics()? {
        let unread_by = (topic.name == VIDEO_EVENTS).then(|| GROUP.to_owned());
        if ![VIDEO_EVENTS, CLEAN_EVENTS, DEAD_LETTERS].contains(&topic.name.as_str()) {
            continue;
        }
        let retention = Retention {
            before_ms: Some(clock::now_ms().saturating_sub(age_ms)),
            max_bytes: Some(settings.retention_size.as_u64()),
            unless_unread_by: unread_by,
        };
        removed += log.retain(&topic.name, &retention)?.records;
    }
    Ok(removed)
}
