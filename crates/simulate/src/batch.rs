//! Records as the simulator hands them out: a few contiguous buffers, reused from one call to the next.

/// A batch of records in arrival order. Clearing keeps the memory.
#[derive(Debug, Default)]
pub struct Batch {
    arrivals_ms: Vec<i64>,
    keys: Vec<u8>,
    /// End of each key, and whether there is one.
    key_ends: Vec<(usize, bool)>,
    payloads: Vec<u8>,
    payload_ends: Vec<usize>,
    capacity: usize,
}

impl Batch {
    /// An empty batch that one call fills with at most `records` (at least 1) records.
    pub fn with_capacity(records: usize) -> Self {
        Self { capacity: records.max(1), ..Self::default() }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.arrivals_ms.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.arrivals_ms.is_empty()
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.arrivals_ms.clear();
        self.keys.clear();
        self.key_ends.clear();
        self.payloads.clear();
        self.payload_ends.clear();
    }

    /// Arrival of record `i` in epoch milliseconds: the record's timestamp in the topic. Never falls.
    pub fn arrival_ms(&self, i: usize) -> i64 {
        self.arrivals_ms[i]
    }

    /// Key of record `i`: the `user_id`, or `None` where the payload is broken in a way that leaves none to read.
    pub fn key(&self, i: usize) -> Option<&[u8]> {
        let start = if i == 0 { 0 } else { self.key_ends[i - 1].0 };
        let (end, there) = self.key_ends[i];
        there.then(|| &self.keys[start..end])
    }

    /// Payload of record `i`: one JSON object, or dirt, without a line feed at its end (or anywhere in it).
    pub fn payload(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.payload_ends[i - 1] };
        &self.payloads[start..self.payload_ends[i]]
    }

    /// Bytes of all payloads.
    pub fn payload_bytes(&self) -> usize {
        self.payloads.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.capacity.max(1)
    }

    /// Adds a record; `write` appends its payload.
    pub(crate) fn push(&mut self, arrival_ms: i64, key: Option<&[u8]>, write: impl FnOnce(&mut Vec<u8>)) {
        self.arrivals_ms.push(arrival_ms);
        self.keys.extend_from_slice(key.unwrap_or_default());
        self.key_ends.push((self.keys.len(), key.is_some()));
        write(&mut self.payloads);
        self.payload_ends.push(self.payloads.len());
    }
}
