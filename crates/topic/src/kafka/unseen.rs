//! What was committed here and may not be seen yet: brokers acknowledge a commit before its markers are written, and readers see it by
//! them. Who commits does not wait for that; who reads here, or ends, does.

use std::collections::HashMap;

use super::ask::Partition;

/// Where readers must get to before they have seen all that was committed here.
#[derive(Default)]
pub(super) struct Unseen {
    /// Ends of partitions.
    ends: HashMap<(String, u32), i64>,
    /// Offsets of groups: of which, in which topic and partition.
    offsets: HashMap<(String, String, u32), i64>,
}

impl Unseen {
    /// A partition that has committed records up to `end`, and maybe others' after them.
    pub(super) fn note_end(&mut self, (topic, partition): Partition<'_>, end: i64) {
        let target = self.ends.entry((topic.to_owned(), partition)).or_default();
        *target = end.max(*target);
    }

    /// Takes the end of a partition as readers see it. False: there is more to be seen.
    pub(super) fn see_end(&mut self, (topic, partition): Partition<'_>, end: i64) -> bool {
        if self.ends.is_empty() {
            return true;
        }
        let key = (topic.to_owned(), partition);
        let is_seen = self.ends.get(&key).is_none_or(|target| end >= *target);
        if is_seen {
            self.ends.remove(&key);
        }
        is_seen
    }

    /// What is waited for is not waited for any longer: transactions of others may be in the way.
    pub(super) fn forget_end(&mut self, (topic, partition): Partition<'_>) {
        self.ends.remove(&(topic.to_owned(), partition));
    }

    /// Partitions of which something is not seen.
    pub(super) fn partitions(&self) -> Vec<(String, u32)> {
        self.ends.keys().cloned().collect()
    }

    /// A group's offset that was committed.
    pub(super) fn note_offset(&mut self, group: &str, (topic, partition): Partition<'_>, next: i64) {
        self.offsets.insert((group.to_owned(), topic.to_owned(), partition), next);
    }

    /// The offset that was committed last and may not be seen.
    pub(super) fn offset(&self, group: &str, (topic, partition): Partition<'_>) -> Option<i64> {
        self.offsets.get(&(group.to_owned(), topic.to_owned(), partition)).copied()
    }

    /// `next` was committed before a question that waits for markers was asked, and it is answered.
    pub(super) fn see_offset(&mut self, group: &str, (topic, partition): Partition<'_>, next: i64) {
        let key = (group.to_owned(), topic.to_owned(), partition);
        if self.offsets.get(&key) == Some(&next) {
            self.offsets.remove(&key);
        }
    }

    /// Offsets that are not seen: group, topic, partition.
    pub(super) fn groups(&self) -> Vec<(String, String, u32)> {
        self.offsets.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_unseen_until_readers_are_there() {
        let (a, b) = (("t", 0), ("t", 1));
        let mut unseen = Unseen::default();
        assert!(unseen.see_end(a, 0));
        unseen.note_end(a, 5);
        unseen.note_end(a, 4);
        assert_eq!(unseen.partitions(), [("t".to_owned(), 0)]);
        assert!(!unseen.see_end(a, 4));
        assert!(unseen.see_end(b, 0));
        assert!(unseen.see_end(a, 5));
        unseen.note_end(b, 1);
        unseen.forget_end(b);
        assert!(unseen.partitions().is_empty());
    }

    #[test]
    fn an_answer_is_about_what_was_committed_before_the_question() {
        let mut unseen = Unseen::default();
        let offset = ("t", 3);
        unseen.note_offset("g", offset, 7);
        assert_eq!((unseen.offset("g", offset), unseen.offset("h", offset)), (Some(7), None));
        unseen.note_offset("g", offset, 9);
        unseen.see_offset("g", offset, 7);
        assert_eq!(unseen.groups(), [("g".to_owned(), "t".to_owned(), 3)]);
        unseen.see_offset("g", offset, 9);
        assert!(unseen.groups().is_empty());
    }
}
