//! Consumer groups: who works on which partition, while members come and go.

use crate::Result;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// Its partition, 0-based.
    pub partition: u32,
}

impl TopicPartition {
    /// A partition by name and number.
    pub fn new(topic: &str, partition: u32) -> Self {
        Self { topic: topic.to_owned(), partition }
    }
}

/// What a group wants of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The partition is this member's from now on.
    Given(TopicPartition),
    /// The partition is to go to another member, which gets it once this one has finished its work there and called
    /// [`Membership::release`]. The other partitions stay.
    Asked(TopicPartition),
}

/// A member of a consumer group. The group gives each partition to one member at a time, and what it moves it moves only after the
/// holder has let go of it, so the others go on meanwhile. Dropping the value leaves the group.
///
/// A member that is silent for too long, being stopped or cut off, loses all that it has without being asked. It can't know
/// the moment, so being given a partition is no proof that nobody else writes for it: that is what the id of a
/// [`Producer`](crate::Producer) is for.
pub trait Membership: Send + Sync {
    /// What the group wants since the last call; does not wait. The partitions of a member that has just joined come in
    /// one of the next calls.
    ///
    /// # Errors
    /// [`Error::OtherTarget`](crate::Error::OtherTarget) when somebody with another target has joined at the same moment, and those
    /// of the store.
    fn changes(&self) -> Result<Vec<Change>>;

    /// Lets go of a partition that was asked back.
    fn release(&self, partition: &TopicPartition) -> Result<()>;

    /// Whether the member has its partitions still, as far as it can know. Once false it stays false: nothing may be stored
    /// for them any more, and only joining anew leads on. Costs nothing.
    fn is_current(&self) -> bool;
}
