//! What can go wrong with a log, named by what was tried, and what to do about it.

use std::path::PathBuf;

/// The result of a log's operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on a log failed. Nothing that was acknowledged is lost by any of these, and what was refused left
/// nothing behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place where the log should be holds something else.
    #[error("{} is no log of StreamReel: {found}; nothing was changed. Name an empty or new folder (--home), or move this away", path.display())]
    NotALog {
        /// The folder or file.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// There is no log at that place, and reading alone does not make one.
    #[error("there is no log in {}: write to it first (`simulate`, `ingest`), or name another home", path.display())]
    NoLog {
        /// The folder.
        path: PathBuf,
    },
    /// The log was written by another generation of the program.
    #[error("the log {} has layout version {found}, this program reads version {supported}: {advice}; nothing was changed", path.display())]
    OtherLayout {
        /// The file.
        path: PathBuf,
        /// Its layout version.
        found: i64,
        /// The version that this program reads and writes.
        supported: i64,
        /// What to do.
        advice: &'static str,
    },
    /// A file or folder of the log could not be used.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried, such as `create`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// No room on the disk. The transaction was rolled back and can be committed again.
    #[error("no room to write to the log {} (disk full or quota): nothing of this commit was stored. Free space or shorten the retention, then try again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The log was opened for reading, or its files do not permit writing.
    #[error("the log {} is read-only: nothing was stored. Check the permissions of the folder and its files, or use another home", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another process kept the log for too long.
    #[error("the log {} was locked by another process for {waited_s} s: nothing was stored; try again, or see which process holds it (fuser {})", path.display(), path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long this one has waited, in seconds.
        waited_s: u64,
    },
    /// The log's file itself is damaged, beyond a single frame.
    #[error("the log {} is damaged ({detail}): stop writing, copy the folder, and recover what is readable with `sqlite3 .recover`", path.display())]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// SQLite's finding.
        detail: String,
    },
    /// A frame of records does not have the bytes that were written.
    #[error(
        "topic {topic}, partition {partition}: the frame at offset {offset} is damaged ({detail}); records before it and from offset {next} on are readable"
    )]
    Damaged {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The first offset of the frame.
        offset: i64,
        /// The first offset after the frame.
        next: i64,
        /// What does not hold.
        detail: String,
    },
    /// A topic that the log does not have.
    #[error("there is no topic {topic:?} in this log")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// A partition that the topic does not have.
    #[error("topic {topic} has {partitions} partitions, there is no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for, 0-based.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// A name that Kafka would refuse too, or a number of partitions of 0.
    #[error("cannot make topic {topic:?}: {detail}")]
    BadTopic {
        /// The topic.
        topic: String,
        /// The rule that it breaks.
        detail: &'static str,
    },
    /// The offset is below the first that is kept: retention has taken it.
    #[error(
        "topic {topic}, partition {partition}: offset {offset} is gone, the first one kept is {first}: retention took what was not read yet"
    )]
    OffsetGone {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The offset asked for.
        offset: i64,
        /// The first offset that is kept.
        first: i64,
    },
    /// The offset is beyond the end: it was taken from another log, or this one lost its end.
    #[error(
        "topic {topic}, partition {partition}: offset {offset} is beyond the end of the log, {next}: the offset belongs to another log"
    )]
    OffsetAhead {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The offset asked for.
        offset: i64,
        /// The offset that the next record will get.
        next: i64,
    },
    /// A newer producer has taken the transactional id.
    #[error("producer {transactional_id:?}{} was replaced by a newer one{}: nothing was stored; stop this one", epochs.map_or_else(String::new, |(own, _)| format!(" (epoch {own})")), epochs.map_or_else(|| ", or its transaction was open for so long that the brokers gave it up".to_owned(), |(_, current)| format!(" (epoch {current})")))]
    Fenced {
        /// The id that both share.
        transactional_id: String,
        /// The epochs of this producer and of the newer one, where the log tells them (Kafka does not).
        epochs: Option<(i64, i64)>,
    },
    /// The consumer offset is not where the transaction expects it: someone else has processed this part.
    #[error("group {group}, topic {topic}, partition {partition}: the offset is {}, not {expected}: another consumer has been here; nothing was stored", found.map_or_else(|| "not set".to_owned(), |offset| offset.to_string()))]
    OffsetConflict {
        /// The consumer group.
        group: String,
        /// The topic read.
        topic: String,
        /// Its partition.
        partition: u32,
        /// What the transaction expects.
        expected: i64,
        /// What is stored, or was given before in this transaction.
        found: Option<i64>,
    },
    /// The group has a member that writes to something else.
    #[error(
        "group {group} has a member that writes to {found} ({member}), and this one would write to {target}: each would get a part of the records only"
    )]
    OtherTarget {
        /// The consumer group.
        group: String,
        /// What this member would write to.
        target: String,
        /// What the other one writes to.
        found: String,
        /// Which one it is.
        member: String,
    },
    /// Offsets that run backwards or below 0.
    #[error("group {group}, topic {topic}, partition {partition}: offsets must rise, not go from {from} to {next}")]
    BadOffsets {
        /// The consumer group.
        group: String,
        /// The topic read.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The stored offset expected.
        from: i64,
        /// The offset to store.
        next: i64,
    },
    /// The producer's sequence does not follow the stored one: the log was replaced by an older copy meanwhile.
    #[error(
        "producer {transactional_id:?}: commit {sequence} does not follow the log's {stored}: the log was replaced under the program; nothing was stored, restart it"
    )]
    OutOfSequence {
        /// The producer's id.
        transactional_id: String,
        /// The sequence number of this commit.
        sequence: i64,
        /// The last one that the log has.
        stored: i64,
    },
    /// The transaction to be aborted had been stored, although its commit reported a failure.
    #[error(
        "producer {transactional_id:?}: the transaction was committed, although its commit reported a failure; it cannot be aborted any more"
    )]
    AlreadyCommitted {
        /// The producer's id.
        transactional_id: String,
    },
    /// A send or a commit had failed before, so it is not certain what the transaction holds.
    #[error(
        "producer {transactional_id:?}: the last send or commit failed; commit again or abort before anything else"
    )]
    Unsettled {
        /// The producer's id.
        transactional_id: String,
    },
    /// A record that no frame can hold.
    #[error("topic {topic}: a record of {bytes} bytes is over the log's limit of {limit}")]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// Key, value and headers of the record.
        bytes: usize,
        /// What the log accepts.
        limit: usize,
    },
    /// Records could not be compressed, which needs only memory.
    #[error("cannot compress a frame of records: {source}")]
    Compress {
        /// The codec's answer.
        source: std::io::Error,
    },
    /// What was given as the place of the log is none, or can't be used as it is set.
    #[error("{place} can't be used as a log: {detail}")]
    BadPlace {
        /// As it was given.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The brokers do not answer. Nothing is certain about what was tried; it can be tried again.
    #[error(
        "cannot {operation} Kafka at {servers}: no answer for {waited_s} s ({detail}). Check that the brokers run, that the address and the kafka.* settings are right and that this machine reaches them; then try again"
    )]
    Unreachable {
        /// The brokers that were asked.
        servers: String,
        /// What was tried, such as `read from`.
        operation: &'static str,
        /// How long an answer was waited for, in seconds.
        waited_s: u64,
        /// The last that was heard.
        detail: String,
    },
    /// A broker refuses the login, or has a certificate that is not trusted.
    #[error("Kafka at {servers} can't be logged in to: {detail}. Check {advice}")]
    NotLetIn {
        /// The brokers.
        servers: String,
        /// What was heard.
        detail: String,
        /// The settings to look at.
        advice: &'static str,
    },
    /// Kafka has refused.
    #[error("cannot {operation} Kafka at {servers}: {detail}")]
    Kafka {
        /// What was tried, such as `read from`.
        operation: &'static str,
        /// The brokers.
        servers: String,
        /// Its answer.
        detail: String,
    },
    /// Any other failure of the store.
    #[error("cannot {operation} the log {}: {source}", path.display())]
    Storage {
        /// What was tried, such as `commit to`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
}

impl Error {
    /// True when the same call may succeed later without anything being changed in the program: locks, a full disk, brokers that do not answer.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Error::Busy { .. } | Error::DiskFull { .. } | Error::Unreachable { .. })
    }
}
