//! What can go wrong while events are processed, by operation, and what to do about it.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of the processor. What was committed before it stays; what was not is read again at the next start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed.
    #[error("{operation}: {source}")]
    Log {
        /// What was tried.
        operation: &'static str,
        /// What the log said.
        #[source]
        source: Box<streamreel_topic::Error>,
    },
    /// The lake failed.
    #[error("{operation}: {source}")]
    Lake {
        /// What was tried.
        operation: &'static str,
        /// What the lake said.
        #[source]
        source: Box<streamreel_lake::Error>,
    },
    /// Another processor has a partition that this one was at work on.
    #[error("another processor has taken over ({detail}): nothing of the open commits of this one was stored")]
    Fenced {
        /// Who noticed, and how.
        detail: String,
    },
    /// A lake (or the group of the cleaned topics) is further than the log.
    #[error(
        "{sink} stands at offset {stands} of {topic}/{partition}, but the log ends at {end}: the log lost records that were \
         processed, or was replaced. Restore it, or use another --home"
    )]
    LogBehind {
        /// Who is further.
        sink: &'static str,
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// Where the sink stands.
        stands: i64,
        /// The end of the log.
        end: i64,
    },
    /// Retention has removed records that were not processed yet.
    #[error(
        "{sink} stands at offset {stands} of {topic}/{partition}, but the log begins at {first}: retention has removed records \
         that were not processed. They are lost; to go on without them, start a new lake in another --home"
    )]
    RetentionAhead {
        /// Who needs them.
        sink: &'static str,
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// Where the sink stands.
        stands: i64,
        /// The first offset kept.
        first: i64,
    },
    /// The lake was landed from another log.
    #[error(
        "the lake was landed from topic {topic} of log {has}, and this is log {given}: use the lake of this log, or another --home"
    )]
    OtherLog {
        /// The topic.
        topic: String,
        /// The log that the lake knows.
        has: String,
        /// The log given.
        given: String,
    },
    /// A member of the group lands another lake.
    #[error(
        "{source}. All processors of a group must land the same lake. Give this one the lake of the others (--home, --lake), or end the others first; one that was killed counts until its session is over (10 s)"
    )]
    OtherLake {
        /// What the log said.
        #[source]
        source: Box<streamreel_topic::Error>,
    },
    /// The topics do not fit each other.
    #[error("topic {topic} has {has} partitions and {VIDEO_EVENTS} has {needs}: they must have the same number", VIDEO_EVENTS = crate::names::VIDEO_EVENTS)]
    Partitions {
        /// The topic.
        topic: String,
        /// Its partitions.
        has: u32,
        /// Those of the source.
        needs: u32,
    },
    /// The lake was landed the other way, and both ways have not reached the same offsets.
    #[error(
        "this lake was landed from {was}; to land it from {wanted}, both must first have reached the same offsets, and partition \
         {partition} stands at {lake} in the lake and at {topics} in the cleaned topics. Run `process{finish}` to its end first"
    )]
    OtherWay {
        /// How it was landed.
        was: &'static str,
        /// How it should be.
        wanted: &'static str,
        /// The flags of the command that finishes the old way.
        finish: &'static str,
        /// Partition that differs.
        partition: u32,
        /// Where the lake stands, in offsets of what it was landed from.
        lake: i64,
        /// Where the cleaned topics stand.
        topics: i64,
    },
    /// Another processor changed the way that the lake is landed while this one was at work.
    #[error(
        "this lake is no longer landed from {was}: another processor was started that lands it the other way. Nothing of the open \
         commit of this one was stored; end the other one and start this one again, or leave the landing to it"
    )]
    WayChanged {
        /// How this processor lands it.
        was: &'static str,
    },
    /// The way of landing can't be changed while somebody cleans.
    #[error(
        "partition {partition} of the cleaned topics goes on growing, and the way that a lake is landed changes only while they \
         stand still: end who cleans first"
    )]
    StillCleaned {
        /// The partition.
        partition: u32,
    },
    /// Nothing to write to.
    #[error("landing from the cleaned topics needs a lake")]
    NoLake,
    /// A record of a cleaned topic that no cleaner of this format wrote.
    #[error("record {offset} of {topic}/{partition} is not one that a cleaner wrote: its header {header} is {found}")]
    ForeignRecord {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// Its offset.
        offset: i64,
        /// The header.
        header: &'static str,
        /// What is there.
        found: String,
    },
    /// Columns of events that do not fit together; a defect of this program.
    #[error("{step}: the columns of a batch do not fit: {detail}")]
    Columns {
        /// The step of the pipeline.
        step: &'static str,
        /// The difference.
        detail: String,
    },
    /// The system gave no thread or runtime.
    #[error("cannot start the threads of the processor: {source}")]
    Threads {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Names the operation that failed on the log; losing to another processor has a variant of its own.
pub(crate) fn log(operation: &'static str) -> impl Fn(streamreel_topic::Error) -> Error {
    move |source| match source {
        streamreel_topic::Error::Fenced { .. } | streamreel_topic::Error::OffsetConflict { .. } => {
            Error::Fenced { detail: source.to_string() }
        }
        streamreel_topic::Error::OtherTarget { .. } => Error::OtherLake { source: Box::new(source) },
        source => Error::Log { operation, source: Box::new(source) },
    }
}

/// Names the operation that failed on the lake.
pub(crate) fn lake(operation: &'static str) -> impl Fn(streamreel_lake::Error) -> Error {
    move |source| match source {
        streamreel_lake::Error::Fenced { .. } => Error::Fenced { detail: source.to_string() },
        streamreel_lake::Error::OtherLog { topic, has, given, .. } => Error::OtherLog { topic, has, given },
        source => Error::Lake { operation, source: Box::new(source) },
    }
}

/// Columns that do not fit in a step.
pub(crate) fn columns<E: std::fmt::Display>(step: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Columns { step, detail: error.to_string() }
}
