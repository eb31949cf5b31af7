//! What holds for every stream of events.

mod support;

use proptest::prelude::*;
use streamreel_viewing::{OpenPlay, Reducer, Settings, ViewEvent, curve};
use support::batches::{Row, everything, grouped, sessionise};
use support::{naive, streams};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + a.abs())
}

fn duration() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), (10_000..180_000i64).prop_map(|ms| Some(ms as f64 / 1e3))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn agrees_with_the_naive_implementation(events in streams::view(1..25), metadata in duration()) {
        let mut reducer = Reducer::new();
        let reduction = reducer.reduce(&events, metadata, &Settings::default());
        let other = naive::reduce(&events, metadata);
        let counters = reduction.counters;
        let same = reduction.segments.len() == other.segments.len()
            && reduction.segments.iter().zip(&other.segments).all(|(s, &(start, end, playing))| {
                close(s.start_s, start) && close(s.end_s, end) && close(s.playing_s, playing)
            })
            && close(counters.unplaced_s, other.unplaced_s);
        prop_assert!(same, "{:?}\n{:?}\n{:?}", reduction.segments, counters, other);
        prop_assert_eq!(
            (counters.restarts, counters.implied_plays, counters.unreported_seeks, counters.stale_plays),
            (other.restarts, other.implied_plays, other.unreported_seeks, other.stale_plays)
        );
        prop_assert_eq!((counters.too_short, counters.beyond_duration), (other.too_short, other.beyond_duration));
        prop_assert_eq!(reduction.facts.has_play, other.has_play);
        prop_assert_eq!(reduction.facts.seeks_after_half as usize, other.seeks_after_half);
    }

    #[test]
    fn nobody_watches_more_than_the_clock_and_the_video_allow(
        events in streams::view(1..40),
        metadata in duration(),
        open_play in prop::sample::select(vec![OpenPlay::Evidence, OpenPlay::Drop, OpenPlay::Elapsed]),
    ) {
        let settings = Settings { open_play, ..Settings::default() };
        let mut reducer = Reducer::new();
        let reduction = reducer.reduce(&events, metadata, &settings);
        let facts = &reduction.facts;
        prop_assert!(facts.unique_s <= facts.watch_time_s);
        let fastest = events.iter().filter_map(|e| e.rate).fold(1.0, f64::max);
        for segment in reduction.segments {
            prop_assert!(segment.start_s >= 0.0 && segment.length_s() >= 0.25 - 1e-6);
            let wall = (segment.ended_at_us - segment.started_at_us) as f64 / 1e6;
            prop_assert!(segment.length_s() <= wall * fastest * 1.05 + 2.0 + 1e-5, "{segment:?}");
            prop_assert!(segment.end_s <= facts.duration_s.unwrap_or(f64::INFINITY));
        }
        for pair in reduction.segments.windows(2) {
            prop_assert!(pair[0].ended_at_us <= pair[1].started_at_us, "{pair:?}");
        }
        if let Some(duration) = facts.duration_s {
            prop_assert!(facts.unique_s <= duration + 1e-6);
        }
        let percentage = facts.watch_time_percentage;
        prop_assert!(percentage.is_none_or(|p| (0.0..=100.0).contains(&p)));
        let counters = reduction.counters;
        let dropped = counters.too_short + counters.begins_beyond_duration + counters.open_plays_dropped;
        prop_assert_eq!(counters.segments_ended, reduction.segments.len() as i64 + dropped);
    }

    #[test]
    fn curves_equal_a_count_of_seconds(events in streams::view(1..40), metadata in duration()) {
        let mut reducer = Reducer::new();
        let segments = reducer.reduce(&events, metadata, &Settings::default()).segments;
        let (mut plays, mut watched, mut ranges) = (curve::Changes::default(), curve::Changes::default(), vec![]);
        curve::plays(segments).for_each(|seconds| plays.add(seconds));
        curve::watched(segments, &mut ranges);
        ranges.iter().for_each(|seconds| watched.add(seconds.clone()));
        let covers = |second: usize| {
            let middle = second as f64 + 0.5;
            segments.iter().filter(|s| s.start_s <= middle && middle < s.end_s).count() as i64
        };
        let length = curve::last_second(segments).map_or(0, |last| last as usize + 1);
        let counted: Vec<i64> = (0..length + 3).map(covers).collect();
        prop_assert!(counted[length..].iter().all(|&count| count == 0));
        prop_assert_eq!(plays.counts(), &counted[..length]);
        let once: Vec<i64> = counted[..length].iter().map(|&count| count.min(1)).collect();
        prop_assert_eq!(watched.counts(), once);
    }
}

/// Views of some users, with and without sessions.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let view = (0..3u8, 0..2u8, prop::option::of(0..2u8), streams::view(1..15));
    prop::collection::vec(view, 1..6).prop_map(|views| {
        let mut rows = vec![];
        for (view, (user, video, session, events)) in views.into_iter().enumerate() {
            let session = session.map(|s| format!("s{s}"));
            for (index, event) in events.into_iter().enumerate() {
                let (user, video, id) = (format!("u{user}"), format!("v{video}"), format!("{view}-{index}"));
                let mut row = Row::new(&user, &video, session.as_deref(), &id, event);
                row.region = (index % 3 == 1).then(|| format!("R{}", index % 4));
                row.metadata_s = (video == "v1").then_some(60.0);
                rows.push(row);
            }
        }
        rows
    })
}

/// The rows, and the same with copies of some, in any order.
fn rows_and_arrivals() -> impl Strategy<Value = (Vec<Row>, Vec<Row>)> {
    let copies = prop::collection::vec(any::<prop::sample::Index>(), 0..10);
    (rows(), copies).prop_flat_map(|(rows, copies)| {
        let mut arrivals = rows.clone();
        arrivals.extend(copies.iter().map(|index| index.get(&rows).clone()));
        (Just(rows), Just(arrivals).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Copies come in any number and order, in pieces of any size; only `late_duplicates` tells.
    #[test]
    fn arrival_order_and_duplication_change_nothing((rows, mut arrivals) in rows_and_arrivals(), piece in 1..200usize) {
        let (expected, expected_totals) = sessionise(&grouped(rows.clone()), 1000, &Settings::default());
        for (offset, row) in arrivals.iter_mut().enumerate() {
            row.offset = offset as i64;
        }
        let copies = (arrivals.len() - rows.len()) as i64;
        let (output, totals) = sessionise(&grouped(arrivals), piece, &Settings::default());
        prop_assert_eq!(totals.counters.late_duplicates, copies);
        prop_assert_eq!(totals.events, expected_totals.events);
        prop_assert_eq!(totals.events_in, totals.events + copies);
        let except = ["source_offset", "late_duplicates"];
        prop_assert_eq!(everything(&output, &except), everything(&expected, &except));
    }
}

#[test]
fn the_naive_implementation_knows_the_first_example() {
    let events: Vec<ViewEvent> = support::sorted("0:play 0, 3:pause 3");
    assert_eq!(naive::reduce(&events, None).segments, [(0.0, 3.0, 3.0)]);
}
