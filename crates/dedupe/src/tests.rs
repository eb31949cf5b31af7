//! The window against a model that remembers everything and applies the written rule by brute force.

use proptest::prelude::*;

use super::*;

/// (offset, timestamp, key): valid records in offset order.
type Record = (i64, i64, u8);

fn run(window: Window, records: &[Record]) -> Vec<bool> {
    let mut deduplicator = Deduplicator::new(window);
    records.iter().map(|(o, t, k)| deduplicator.is_duplicate(*o, *t, spread(*k))).collect()
}

fn spread(key: u8) -> Key {
    xxh3_128(&[key])
}

/// The oldest block that counts when record `at` is decided.
fn horizon(window: Window, records: &[Record], at: usize) -> i64 {
    let current = window.block(records[at].0);
    let extent = |block: i64| {
        let times = records[..at].iter().filter(|r| window.block(r.0) == block).map(|r| r.1);
        (times.clone().min(), times.max())
    };
    let complete: Vec<i64> = {
        let mut blocks: Vec<i64> = records[..at].iter().map(|r| window.block(r.0)).filter(|b| *b < current).collect();
        blocks.dedup();
        blocks
    };
    let mut horizon = current - window.max_blocks + 1;
    for (i, earlier) in complete.iter().enumerate() {
        for later in &complete[i + 1..] {
            if extent(*earlier).1.unwrap() + window.window_ms < extent(*later).0.unwrap() {
                horizon = horizon.max(earlier + 1);
            }
        }
    }
    horizon
}

fn model(window: Window, records: &[Record]) -> Vec<bool> {
    let decide = |at: usize| {
        let (_, timestamp, key) = records[at];
        let horizon = horizon(window, records, at);
        records[..at].iter().any(|r| r.2 == key && window.block(r.0) >= horizon && timestamp - r.1 <= window.window_ms)
    };
    (0..records.len()).map(decide).collect()
}

/// Records whose clock mostly walks forward, sometimes jumps either way.
fn records(len: usize) -> impl Strategy<Value = Vec<Record>> {
    let step = prop_oneof![6 => 0..4i64, 2 => -6..6i64, 1 => -60..60i64];
    prop::collection::vec((1..3i64, step, 0..12u8), 1..len).prop_map(|steps| {
        let (mut offset, mut time) = (0, 1_000);
        let walk = steps.into_iter().map(|(gap, step, key)| {
            offset += gap;
            time += step;
            (offset, time, key)
        });
        walk.collect()
    })
}

/// What it shows, (minute, key) of each record, and which are copies.
type Case<'a> = (&'a str, &'a [(i64, u8)], &'a [bool]);

#[test]
fn the_rule_by_example() {
    let minutes = |m: i64| m * 60_000;
    let cases: [Case; 7] = [
        ("a copy within the window", &[(0, 1), (10, 1)], &[false, true]),
        ("exactly the window is inside", &[(0, 1), (10, 2), (10, 1)], &[false, false, true]),
        ("after it, it is new", &[(0, 1), (11, 1)], &[false, false]),
        ("each copy renews", &[(0, 1), (9, 1), (18, 1), (29, 1)], &[false, true, true, false]),
        ("backwards is inside, however far", &[(500, 1), (1, 1)], &[false, true]),
        ("a backward copy shortens nothing", &[(20, 1), (1, 1), (29, 1)], &[false, true, true]),
        ("a jump of another key forgets nothing at once", &[(0, 1), (500, 2), (1, 1)], &[false, false, true]),
    ];
    for (name, records, expected) in cases {
        let records: Vec<Record> = records.iter().enumerate().map(|(o, (m, k))| (o as i64, minutes(*m), *k)).collect();
        assert_eq!(run(Window::new(minutes(10), 1 << 20), &records), expected, "{name}");
    }
}

#[test]
fn memory_stays_within_the_bound() {
    let window = Window { window_ms: 600_000, max_blocks: 4, block_offsets: 1_000 };
    let mut deduplicator = Deduplicator::new(window);
    for offset in 0..200_000i64 {
        assert!(!deduplicator.is_duplicate(offset, 0, xxh3_128(&offset.to_le_bytes())));
    }
    assert_eq!(deduplicator.forgotten(), 196_000);
    assert!(deduplicator.remembered() < 16_000, "{}", deduplicator.remembered());
    assert!(deduplicator.is_duplicate(200_000, 0, xxh3_128(&199_999i64.to_le_bytes())));
    assert!(!deduplicator.is_duplicate(200_001, 0, xxh3_128(&100i64.to_le_bytes())));
}

#[test]
fn time_that_passes_frees_memory_without_counting() {
    let window = Window { window_ms: 100, max_blocks: 1_000, block_offsets: 100 };
    let mut deduplicator = Deduplicator::new(window);
    for offset in 0..100_000i64 {
        assert!(!deduplicator.is_duplicate(offset, offset, xxh3_128(&offset.to_le_bytes())));
    }
    assert_eq!(deduplicator.forgotten(), 0);
    assert!(deduplicator.remembered() < 4_000, "{}", deduplicator.remembered());
}

#[test]
fn keys_separate_their_fields() {
    let mut scratch = Vec::new();
    assert_ne!(key("ab", "c", &mut scratch), key("a", "bc", &mut scratch));
    assert_eq!(key("ab", "c", &mut scratch), key("ab", "c", &mut Vec::new()));
    let k = key("ab", "c", &mut scratch);
    assert_eq!(key_of(&Copy::new(k, -7, 3).key), k);
    assert_eq!(Copy::new(k, -7, 3).timestamp_ms(), -7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The table, its sweeps and hidden copies decide as the rule says.
    #[test]
    fn decides_as_the_model(records in records(120), block_offsets in 1..20i64, max_blocks in 1..8i64) {
        let window = Window { window_ms: 20, max_blocks, block_offsets };
        prop_assert_eq!(run(window, &records), model(window, &records));
    }

    /// Within one block nothing is forgotten: the rule of the interface, to the letter.
    #[test]
    fn short_logs_are_literal(records in records(200)) {
        let window = Window::new(20, 1 << 20);
        let literal: Vec<bool> = (0..records.len())
            .map(|at| records[..at].iter().any(|r| r.2 == records[at].2 && records[at].1 - r.1 <= 20))
            .collect();
        prop_assert_eq!(run(window, &records), literal);
    }

    /// Beginning at the oldest block that counts, or anywhere before it, gives the same decisions.
    #[test]
    fn a_rebuilt_window_decides_alike(records in records(160), resume in 0..160usize, early in 0..3i64) {
        let window = Window { window_ms: 20, max_blocks: 6, block_offsets: 7 };
        let resume = resume.min(records.len() - 1);
        let start = (horizon(window, &records, resume) - early) * window.block_offsets;
        let from = records.iter().position(|r| r.0 >= start).unwrap();
        let whole = run(window, &records);
        let rebuilt = run(window, &records[from..]);
        prop_assert_eq!(&whole[resume..], &rebuilt[resume - from..]);
    }
}
