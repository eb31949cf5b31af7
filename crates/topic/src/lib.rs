//! Topics: durable, partitioned, batched logs of records.
//!
//! [`Log`] and [`Producer`] are what the rest of the program sees. [`EmbeddedLog`] implements them in one SQLite
//! file, so that a topic needs no server; [`KafkaLog`] on an Apache Kafka. The traits promise only what both can keep:
//! transactions over several topics and partitions, consumer offsets stored in the same transaction as the outputs,
//! fencing of an older producer by epoch, consumer groups that share partitions, millisecond timestamps, and offsets that rise but need not be gapless.
//!
//! Everything moves in [`Records`], columnar batches; nothing is allocated, locked or stored per record.

mod embedded;
mod error;
mod frame;
mod kafka;
mod log;
mod membership;
mod partitioner;
mod records;

pub use embedded::EmbeddedLog;
pub use error::{Error, Result};
pub use kafka::{KafkaLog, KafkaSettings};
pub use log::{Counted, Fetched, Log, Offsets, PartitionInfo, Producer, Removed, Retention, TopicInfo};
pub use membership::{Change, Membership, TopicPartition};
pub use partitioner::{murmur2, partition_for};
pub use records::{Headers, Records, RecordsBuilder};
