//! Which valid records of a partition are duplicates: exact, bounded, and a function of the partition's log alone.
//!
//! **The rule.** A valid record is a duplicate when a valid record with its user and event id came before it in the
//! partition and its own timestamp is at most `window` after that one's. A timestamp that runs backwards is
//! therefore inside, and every copy, itself a duplicate or not, renews the window. The clock of the machine plays no part.
//!
//! **What is forgotten, and when.** Timestamps may run backwards by any amount, so no single record proves that an older one
//! will never be needed. The log is therefore cut into blocks of [`BLOCK_OFFSETS`] offsets (block = offset /
//! `BLOCK_OFFSETS`), and the unit that is forgotten is the block, in offset order:
//!
//! 1. *by time*: when a block has been read to its end and its earliest valid record is more than `window` after the
//!    latest valid record of an earlier block, that earlier block and all before it are forgotten;
//! 2. *by the memory bound*: a block is forgotten when `max_blocks` later ones have begun. What is lost here lay within the window,
//!    so its records are counted (`forgotten`).
//!
//! A copy counts as long as its block is remembered. Both rules look at offsets and record timestamps only, so whoever begins
//! reading at or before the oldest remembered block makes the same decisions as who never stopped.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashTable, hash_table::Entry as Slot};
use xxhash_rust::xxh3::xxh3_128;

/// Offsets in a block, the unit in which the window is forgotten.
pub const BLOCK_OFFSETS: i64 = 65_536;

/// 128-bit hash of a user and an event id.
pub type Key = u128;

/// Extent of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How much later a copy may be and still be a duplicate, in milliseconds of record timestamps.
    pub window_ms: i64,
    /// Blocks remembered, the current one included; at least 1.
    pub max_blocks: i64,
    /// Offsets in a block: [`BLOCK_OFFSETS`], smaller only to test.
    pub block_offsets: i64,
}

impl Window {
    /// A window of `window_ms` that remembers at most about `max_entries` records a partition (two blocks at least).
    pub fn new(window_ms: i64, max_entries: usize) -> Self {
        let blocks = i64::try_from(max_entries).unwrap_or(i64::MAX) / BLOCK_OFFSETS;
        Self { window_ms, max_blocks: blocks.max(2), block_offsets: BLOCK_OFFSETS }
    }

    /// The block of an offset.
    pub fn block(&self, offset: i64) -> i64 {
        offset.div_euclid(self.block_offsets)
    }

    /// Whether a block whose latest record is `latest_ms` is over, seen from a later block whose earliest is `earliest_ms`.
    pub fn is_over(&self, latest_ms: i64, earliest_ms: i64) -> bool {
        latest_ms.saturating_add(self.window_ms) < earliest_ms
    }
}

/// Hash of the pair, over length-prefixed fields; `scratch` is reused.
pub fn key(user_id: &str, event_id: &str, scratch: &mut Vec<u8>) -> Key {
    scratch.clear();
    for field in [user_id, event_id] {
        scratch.extend_from_slice(&(field.len() as u32).to_le_bytes());
        scratch.extend_from_slice(field.as_bytes());
    }
    xxh3_128(scratch)
}

/// The latest copy of a key, by timestamp. 28 bytes: most of the memory of the process is made of these.
#[derive(Clone, Copy)]
struct Copy {
    key: [u32; 4],
    timestamp: [u32; 2],
    block: u32,
}

impl Copy {
    fn new(key: Key, timestamp_ms: i64, block: u32) -> Self {
        let (k, t) = (key, timestamp_ms as u64);
        Self {
            key: [k as u32, (k >> 32) as u32, (k >> 64) as u32, (k >> 96) as u32],
            timestamp: [t as u32, (t >> 32) as u32],
            block,
        }
    }

    fn timestamp_ms(&self) -> i64 {
        (u64::from(self.timestamp[0]) | u64::from(self.timestamp[1]) << 32) as i64
    }

    fn hash(&self) -> u64 {
        hash(&self.key)
    }
}

fn hash(key: &[u32; 4]) -> u64 {
    u64::from(key[0]) | u64::from(key[1]) << 32
}

/// What is known of a remembered block: extent in time of its valid records, and how many table entries point at it.
#[derive(Clone, Copy)]
struct Block {
    index: i64,
    earliest_ms: i64,
    latest_ms: i64,
    entries: u64,
}

/// The window of one partition.
pub struct Deduplicator {
    window: Window,
    copies: HashTable<Copy>,
    /// Copies with an earlier timestamp than the table's entry of their key but in a later block: they count again once the entry's
    /// block is forgotten. Only timestamps that run backwards make any.
    hidden: HashMap<[u32; 4], Vec<(u32, i64)>>,
    blocks: VecDeque<Block>,
    forgotten: u64,
}

impl Deduplicator {
    /// An empty window.
    pub fn new(window: Window) -> Self {
        Self { window, copies: HashTable::new(), hidden: HashMap::new(), blocks: VecDeque::new(), forgotten: 0 }
    }

    /// Takes the next valid record; offsets must ascend. True: it is a duplicate.
    pub fn is_duplicate(&mut self, offset: i64, timestamp_ms: i64, key: Key) -> bool {
        let index = self.window.block(offset);
        if self.blocks.back().is_none_or(|b| b.index != index) {
            self.begin_block(index);
        }
        let Some(block) = self.blocks.back_mut() else { return false };
        block.earliest_ms = block.earliest_ms.min(timestamp_ms);
        block.latest_ms = block.latest_ms.max(timestamp_ms);
        if self.copies.len() == self.copies.capacity() {
            self.make_room();
        }
        self.look_up(Copy::new(key, timestamp_ms, index as u32))
    }

    /// Looks keys up for nothing but to have their places in the cache when they are decided next: independent look-ups
    /// wait for memory at the same time, decisions one after the other.
    pub fn touch(&self, keys: impl Iterator<Item = Key>) {
        let known = keys.filter(|key| {
            let probe = Copy::new(*key, 0, 0);
            self.copies.find(probe.hash(), |c| c.key == probe.key).is_some()
        });
        std::hint::black_box(known.count());
    }

    fn look_up(&mut self, new: Copy) -> bool {
        let horizon = self.horizon();
        let (timestamp_ms, block) = (new.timestamp_ms(), new.block);
        let mut occupied = match self.copies.entry(new.hash(), |c| c.key == new.key, Copy::hash) {
            Slot::Vacant(vacant) => {
                vacant.insert(new);
                count(&mut self.blocks, block, 1);
                return false;
            }
            Slot::Occupied(occupied) => occupied,
        };
        let known = occupied.get_mut();
        if known.block < horizon {
            match reveal(&mut self.hidden, &known.key, horizon) {
                Some((block, timestamp_ms)) => {
                    *known = Copy::new(key_of(&known.key), timestamp_ms, block);
                    count(&mut self.blocks, block, 1);
                }
                None => {
                    *known = new;
                    count(&mut self.blocks, block, 1);
                    return false;
                }
            }
        }
        let known_ms = known.timestamp_ms();
        let inside = timestamp_ms.saturating_sub(known_ms) <= self.window.window_ms;
        if timestamp_ms >= known_ms {
            count(&mut self.blocks, known.block, -1);
            count(&mut self.blocks, block, 1);
            *known = new;
        } else if block != known.block {
            self.hidden.entry(new.key).or_default().push((block, timestamp_ms));
        }
        inside
    }

    /// Closes the current block, forgets what is over, and begins block `index`.
    fn begin_block(&mut self, index: i64) {
        if let Some(closed) = self.blocks.back().copied() {
            let over = self.blocks.iter().rposition(|b| self.window.is_over(b.latest_ms, closed.earliest_ms));
            self.blocks.drain(..over.map_or(0, |last| last + 1));
        }
        while let Some(oldest) = self.blocks.front().filter(|b| b.index <= index - self.window.max_blocks) {
            self.forgotten += oldest.entries;
            self.blocks.pop_front();
        }
        self.blocks.push_back(Block { index, earliest_ms: i64::MAX, latest_ms: i64::MIN, entries: 0 });
        if !self.hidden.is_empty() {
            let horizon = self.horizon();
            self.hidden.retain(|_, copies| {
                copies.retain(|(block, _)| *block >= horizon);
                !copies.is_empty()
            });
        }
    }

    /// Takes forgotten entries out of the table; it grows only if few were.
    fn make_room(&mut self) {
        let horizon = self.horizon();
        let (hidden, blocks) = (&mut self.hidden, &mut self.blocks);
        self.copies.retain(|copy| {
            if copy.block < horizon {
                let Some((block, timestamp_ms)) = reveal(hidden, &copy.key, horizon) else { return false };
                *copy = Copy::new(key_of(&copy.key), timestamp_ms, block);
                count(blocks, block, 1);
            }
            true
        });
        self.copies.reserve(self.copies.len() / 4 + 1024, Copy::hash);
    }

    /// The oldest block that counts.
    fn horizon(&self) -> u32 {
        self.blocks.front().map_or(0, |b| b.index as u32)
    }

    /// Records forgotten at the memory bound although they lay within the window.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The first offset of what is remembered; `None` while that is nothing. What lies below it is of no use to any later decision.
    pub fn oldest_offset(&self) -> Option<i64> {
        self.blocks.front().map(|block| block.index * self.window.block_offsets)
    }

    /// Keys in memory.
    pub fn remembered(&self) -> usize {
        self.copies.len()
    }

    /// Starts counting [`Deduplicator::forgotten`] anew: what a rebuild forgets has been counted before.
    pub fn reset_forgotten(&mut self) {
        self.forgotten = 0;
    }
}

fn key_of(key: &[u32; 4]) -> Key {
    key.iter().rev().fold(0, |k, part| k << 32 | Key::from(*part))
}

/// Takes the hidden copy of `key` that counts most, if one still does.
fn reveal(hidden: &mut HashMap<[u32; 4], Vec<(u32, i64)>>, key: &[u32; 4], horizon: u32) -> Option<(u32, i64)> {
    if hidden.is_empty() {
        return None;
    }
    let copies = hidden.get_mut(key)?;
    copies.retain(|(block, _)| *block >= horizon);
    let best = copies.iter().copied().max_by_key(|(block, timestamp_ms)| (*timestamp_ms, *block))?;
    // Only a copy in a later block can ever outlive the one taken.
    copies.retain(|(block, _)| *block > best.0);
    Some(best)
}

/// Adds to the entries that point at a remembered block.
fn count(blocks: &mut VecDeque<Block>, block: u32, change: i64) {
    if let Some(block) = blocks.iter_mut().rev().find(|b| b.index as u32 == block) {
        block.entries = block.entries.saturating_add_signed(change);
    }
}

#[cfg(test)]
mod tests;
