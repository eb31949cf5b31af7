//! The worked examples of the definitions, at both levels.

mod support;

use streamreel_viewing::{Reducer, Settings};
use support::batches::{Row, cells, sessionise};

const EXAMPLES: &[(&str, &str)] = &[
    ("0:play 0, 3:pause 3", "[0,3)"),
    ("0:play 0, 3:pause 3, 7:play 0, 12:ended 5", "[0,3) [0,5)"),
    ("0:play 0, 3:seek 3->2, 3.1:play 2, 6:pause 5", "[0,3) [2,5)"),
    ("0:play 0, 3:seek 3->8, 3.1:play 3, 6:pause 11", "[0,3) [8,11)"),
    ("0:play 0, 10:seek 10->60, 20:pause 70", "[0,10) [60,70)"),
    ("0:play 0, 3:pause 120", "[117,120)"),
    ("0:play 100, 30:pause 20", "[0,20)"),
    ("0:play 0, 10:heartbeat 10, 60:play 0, 65:pause 5", "[0,10) [0,5)"),
    ("0:play 0, 10:pause 10, 20:heartbeat 12, 30:heartbeat 22, 40:heartbeat 32", "[0,10) [12,32)"),
    ("0:play 0", ""),
    ("0:play 0, 30:play 5, 40:pause 15", "[0,15)"),
    ("0:play 0, 10:seek ?->?, 20:pause 50", "[0,10) [40,50)"),
    ("0:play 0, 10:seek ?->?, 20:rate_change rate 2, 30:heartbeat 100", "[0,10) [70,100)"),
    ("0:play 0, 50:ended 50, 51:heartbeat 50, 60:play, 70:pause", "[0,50) [0,10)"),
    ("0:play 40, 1:pause 39, 2:play, 12:pause", "[40,50)"),
    ("0:play 0, 10:heartbeat 10, 20:heartbeat 20", "[0,20)"),
    ("0:play 0, 5:pause 5, 15:heartbeat 5", "[0,5)"),
    ("0:play 0 rate 2, 10:pause 20", "[0,20)"),
    ("0:play, 10:pause", "[0,10)"),
];

#[test]
fn worked_examples_of_one_view() {
    for (events, segments) in EXAMPLES {
        let mut reducer = Reducer::new();
        let reduction = reducer.reduce(&support::sorted(events), None, &Settings::default());
        assert_eq!(support::shown(reduction.segments), *segments, "{events}");
    }
}

#[test]
fn worked_examples_in_batches_in_either_arrival_order() {
    for (events, segments) in EXAMPLES {
        let mut rows: Vec<Row> =
            (support::parse(events).into_iter()).map(|w| Row::new("u", "v", Some("s"), &w.id, w.event)).collect();
        for _ in 0..2 {
            let (output, _) = sessionise(&rows, 100, &Settings::default());
            let shown: Vec<String> = (cells(&output.segments, "start_s end_s").iter())
                .map(|line| {
                    let ends: Vec<f64> = line.split(' ').map(|n| support::short(n.parse().unwrap())).collect();
                    format!("[{},{})", ends[0], ends[1])
                })
                .collect();
            assert_eq!(shown.join(" "), *segments, "{events}");
            rows.reverse();
        }
    }
}

#[test]
fn watched_twice_counts_once_in_unique_and_twice_in_watch_time() {
    let mut reducer = Reducer::new();
    let events = support::sorted("0:play 0, 3:pause 3, 7:play 0, 12:ended 5");
    let facts = reducer.reduce(&events, None, &Settings::default()).facts;
    assert_eq!((facts.unique_s, facts.watch_time_s), (5.0, 8.0));
}

#[test]
fn playing_time_is_wall_time() {
    let mut reducer = Reducer::new();
    let events = support::sorted("0:play 0 rate 2, 10:pause 20");
    let facts = reducer.reduce(&events, None, &Settings::default()).facts;
    assert_eq!((facts.watch_time_s, facts.playing_s), (20.0, 10.0));
}
