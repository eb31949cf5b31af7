//! What was done, in numbers: the summary of a run and the progress on the way.

use std::collections::BTreeMap;

use serde::Serialize;

/// Records by what became of them. `received = clean + duplicates + sum of rejected`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records read.
    pub received: u64,
    /// Valid and not seen before.
    pub clean: u64,
    /// Valid, but a copy.
    pub duplicates: u64,
    /// Not valid, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Fields of clean events that were set to null, by name.
    pub corrections: BTreeMap<String, u64>,
    /// Records that the deduplication forgot at its memory bound although they lay within the window.
    pub forgotten: u64,
}

impl Counts {
    /// Records that were not valid.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Adds the counts of another stretch.
    pub fn add(&mut self, other: &Counts) {
        self.received += other.received;
        self.clean += other.clean;
        self.duplicates += other.duplicates;
        self.forgotten += other.forgotten;
        for (mine, theirs) in [(&mut self.rejected, &other.rejected), (&mut self.corrections, &other.corrections)] {
            for (name, count) in theirs {
                add_to(mine, name, *count);
            }
        }
    }
}

/// Adds to the count of a name, without allocating for one that is known.
pub(crate) fn add_to(counts: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    match counts.get_mut(name) {
        Some(known) => *known += count,
        None => {
            counts.insert(name.to_owned(), count);
        }
    }
}

/// How far a partition is, in offsets of the topic that is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// The topic that is read.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Where this run began, when the partition was given to it first.
    pub from: i64,
    /// Where the cleaned topics stand; `None` when they are not written.
    pub topics_next: Option<i64>,
    /// Where bronze stands; `None` when it is not written.
    pub bronze_next: Option<i64>,
    /// The end of the partition at that time.
    pub end: i64,
    /// Keys that the deduplication holds in memory.
    pub remembered: u64,
}

impl PartitionReport {
    /// The offset up to which every sink has the partition.
    pub fn next(&self) -> i64 {
        match (self.topics_next, self.bronze_next) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(self.from),
        }
    }
}

/// How the deduplication window of a partition was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// The partition.
    pub partition: u32,
    /// First offset read again.
    pub from: i64,
    /// Where processing goes on.
    pub next: i64,
    /// Records read again.
    pub records: u64,
    /// False: the log's retention has removed a part of the window, so a copy of something in that part passes as new (silver drops it).
    pub is_complete: bool,
}

/// A report after a commit, or after partitions were given or taken.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Progress {
    /// What every sink has committed so far in this run.
    #[serde(flatten)]
    pub counts: Counts,
    /// Each partition that this processor was given, also if another one has it now.
    pub partitions: Vec<PartitionReport>,
    /// How many partitions this processor holds now.
    #[serde(skip)]
    pub assigned: usize,
    /// Windows rebuilt so far.
    pub rebuilt: Vec<Rebuilt>,
    /// Transactions on the cleaned topics in this run.
    pub topics_commits: u64,
    /// Commits to bronze in this run.
    pub bronze_commits: u64,
    /// How often other processors have taken over what this one was at work on, without its doing: it had been stopped or cut off
    /// for too long. It gave its open commits up and joined the group anew.
    pub taken_over: u64,
    /// Offsets of the topics read that were written when a run to the end began and that it could not read: they belong to
    /// transactions that their producers have left open, or come after one. 0 in other runs, and before it ends.
    pub undecided: u64,
    /// When the first record was read, since the run began; `None` while none was.
    pub first_read_s: Option<f64>,
    /// Since the run began.
    pub elapsed_s: f64,
}

/// The result of a run.
pub type Summary = Progress;
