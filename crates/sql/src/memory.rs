//! Memory of queries: one may use so much, and all together so much; one that is to stop gets no more.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use datafusion::{
    common::{DataFusionError, Result},
    execution::memory_pool::{
        FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
    },
};

use crate::yields;

/// Consumers that an out-of-memory error names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// Memory that all queries share.
#[derive(Debug)]
pub(crate) struct Shared {
    limit: usize,
    used: Mutex<usize>,
}

impl Shared {
    /// So many bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::new(0) })
    }

    /// A pool for one query, which may use so many bytes of it until `stop`.
    pub(crate) fn query(self: &Arc<Self>, limit: usize, stop: &Arc<AtomicBool>) -> Arc<dyn MemoryPool> {
        let limit = limit.min(self.limit);
        let own = FairSpillPool::new(limit);
        let pool = QueryPool { own, limit, shared: Arc::clone(self), stop: Arc::clone(stop) };
        Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS))
    }

    fn used(&self) -> std::sync::MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let mut used = self.used();
        if used.saturating_add(bytes) > self.limit {
            let what = format!("all queries together may use {} bytes and use {} already", self.limit, *used);
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        *used += bytes;
        Ok(())
    }
}

/// One query's memory: fair among its own operators, and no more than is left of everybody's.
#[derive(Debug)]
struct QueryPool {
    own: FairSpillPool,
    limit: usize,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query({} of {} bytes)", self.own.reserved(), self.limit)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.shared.used() += additional;
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        let mut used = self.shared.used();
        *used = used.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // What gathers rows may not let go of its thread for long, but it asks here for each batch.
        if self.stop.load(Ordering::Relaxed) {
            return yields::stopped();
        }
        self.own.try_grow(reservation, additional)?;
        self.shared.take(additional).inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gets_its_own_share_and_never_more_than_is_left() {
        let shared = Shared::new(100);
        let never = Arc::default();
        let (one, two) = (shared.query(80, &never), shared.query(80, &never));
        let first = MemoryConsumer::new("first").register(&one);
        let second = MemoryConsumer::new("second").register(&two);
        assert!(first.try_grow(81).is_err(), "more than one query may use");
        first.try_grow(60).unwrap();
        assert!(second.try_grow(50).is_err(), "more than all may use");
        assert_eq!(two.reserved(), 0, "what was refused is not held");
        second.try_grow(40).unwrap();
        drop(first);
        second.try_grow(40).unwrap();
        drop(second);
        assert_eq!(*shared.used(), 0);
    }

    #[test]
    fn a_query_that_is_to_stop_gets_no_more() {
        let (shared, stop) = (Shared::new(100), Arc::new(AtomicBool::new(false)));
        let pool = shared.query(80, &stop);
        let consumer = MemoryConsumer::new("sort").register(&pool);
        consumer.try_grow(10).unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(consumer.try_grow(1).unwrap_err().to_string().contains("stopped"));
        drop(consumer);
        assert_eq!(*shared.used(), 0);
    }
}
