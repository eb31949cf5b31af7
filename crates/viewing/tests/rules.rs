//! Every rule, case by case: events, then what must come out.

mod support;

use streamreel_viewing::{OpenPlay, Reducer, Settings};

/// `(events, metadata duration, segments, further facts as "name=value")`; facts are named as in [`fact`].
type Case = (&'static str, Option<f64>, &'static str, &'static str);

fn check(settings: &Settings, cases: &[Case]) {
    let mut reducer = Reducer::new();
    for &(events, metadata, segments, facts) in cases {
        let reduction = reducer.reduce(&support::sorted(events), metadata, settings);
        assert_eq!(support::shown(reduction.segments), segments, "{events}");
        for expected in facts.split_whitespace() {
            let (name, _) = expected.split_once('=').unwrap();
            assert_eq!(format!("{name}={}", fact(&reduction, name)), expected, "{events}");
        }
    }
}

fn fact(reduction: &streamreel_viewing::Reduction<'_>, name: &str) -> String {
    let facts = &reduction.facts;
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), |v| support::short(v).to_string());
    match name {
        "watch" => support::short(facts.watch_time_s).to_string(),
        "unique" => support::short(facts.unique_s).to_string(),
        "playing" => support::short(facts.playing_s).to_string(),
        "percentage" => optional(facts.watch_time_percentage),
        "furthest" => optional(facts.furthest_s),
        "exit" => optional(facts.exit_s),
        "duration" => optional(facts.duration_s),
        "completed" => facts.is_completed.map_or("-".to_owned(), |c| c.to_string()),
        "engaged" => facts.is_engaged.to_string(),
        "play" => facts.has_play.to_string(),
        "pauses" => facts.pauses.to_string(),
        "seeks" => facts.seeks.to_string(),
        "after_half" => facts.seeks_after_half.to_string(),
        "jumped" => facts.has_unreported_seek.to_string(),
        "unplaced" => support::short(reduction.counters.unplaced_s).to_string(),
        "ended_by" => reduction.segments.iter().map(|s| s.ended_by.as_str()).collect::<Vec<_>>().join(","),
        "wall" => {
            let wall = |s: &streamreel_viewing::Segment| format!("{}-{}", s.started_at_us / 1000, s.ended_at_us / 1000);
            reduction.segments.iter().map(wall).collect::<Vec<_>>().join(",")
        }
        "from" => reduction.seeks.iter().map(|s| optional(s.from_s)).collect::<Vec<_>>().join(","),
        counter => {
            let at = streamreel_viewing::Counters::NAMES.iter().position(|n| *n == counter).expect("a counter");
            reduction.counters.counts().nth(at).unwrap().to_string()
        }
    }
}

fn rules(cases: &[Case]) {
    check(&Settings::default(), cases);
}

#[test]
fn order_and_copies() {
    rules(&[
        // At the same time: what stops comes before what starts; sequence numbers come before that, missing ones last.
        ("0:play 0, 5:play 5, 5:pause 5, 9:pause 9", None, "[0,5) [5,9)", ""),
        ("0:play 0, 5:play 5 seq 1, 5:pause 5 seq 2, 9:pause 9", None, "[0,5)", ""),
        ("0:play 0, 5:pause 5, 5:play 5 seq 2, 9:pause 9", None, "[0,5)", ""),
        ("0:play 0, 5:play 5, 5:seek 5->50, 9:pause 54", None, "[0,5) [50,54)", "restarts=0 stale_plays=1"),
        ("5:pause 5, 0:play 0, 5:pause 5 id e0000", None, "[0,5)", ""),
    ]);
}

#[test]
fn rule_1_play() {
    rules(&[
        ("0:play", None, "", "play=true open_plays=1 watch=0 exit=- furthest=-"),
        ("0:play 7, 5:pause 12", None, "[7,12)", "ended_by=pause wall=0-5000 pauses=1"),
        // At the last known position.
        ("0:play 7, 5:pause 12, 10:play, 15:pause", None, "[7,12) [12,17)", ""),
        ("0:seek ?->30, 1:play, 6:pause", None, "[30,35)", "seeks=1"),
        ("0:heartbeat 20, 1:play, 6:pause", None, "[20,25)", "implied_plays=0"),
        ("0:load 20, 1:play, 6:pause", None, "[20,25)", ""),
        ("0:play 5, 5:pause 10, 6:load, 7:play, 9:pause", None, "[5,10) [0,2)", ""),
        // After the end from the start, until a play, an implied play, a seek or a load.
        ("0:play 0, 9:ended 9, 10:heartbeat 9, 11:play, 13:pause, 14:play, 15:pause", None, "[0,9) [0,2) [2,3)", ""),
        ("0:play 0, 9:ended 9, 10:play 4, 12:pause, 13:play, 14:pause", None, "[0,9) [4,6) [6,7)", ""),
        ("0:play 0, 9:ended 9, 10:seek 9->3, 11:play, 13:pause", None, "[0,9) [3,5)", ""),
        ("0:play 0, 9:ended 9, 10:seek ?->?, 11:play, 13:pause", None, "[0,9) [9,11)", ""),
        ("0:play 0, 9:ended 9, 10:load 3, 11:play, 13:pause", None, "[0,9) [3,5)", ""),
        (
            "0:play 0, 9:ended 9, 10:heartbeat 2, 20:heartbeat 12, 21:pause 13, 22:play, 23:pause",
            None,
            "[0,9) [2,13) [13,14)",
            "implied_plays=1",
        ),
        ("0:play 0, 8:pause 8, 9:ended 8, 11:play, 13:pause", None, "[0,8) [0,2)", ""),
        ("0:play 0, 9:ended 9, 10:pause 9, 11:play, 13:pause", None, "[0,9) [0,2)", ""),
        // A repeat.
        ("0:play 0, 5:play, 10:pause", None, "[0,10)", "restarts=0"),
        ("0:play 0, 5:play, 7:load", None, "", ""),
        ("0:play 0, 5:play 5, 7:load", None, "[0,5)", "ended_by=load wall=0-5000"),
        ("0:play 0, 5:play 4, 7:load", None, "[0,4)", ""),
        ("0:play 0, 10:heartbeat 10, 20:play 8, 25:pause 15", None, "[0,15)", "restarts=0 rounded_back=1"),
        (
            "0:play 0, 10:heartbeat 10, 20:play 7.9, 25:pause 12.9",
            None,
            "[0,10) [7.9,12.9)",
            "restarts=1 ended_by=restart,pause wall=0-10000,20000-25000 jumped=false",
        ),
        ("0:play 0, 10:play 12.5, 15:pause 17.5", None, "[0,17.5)", "restarts=0"),
        ("0:play 0, 10:play 12.6, 15:pause 17.6", None, "[12.6,17.6)", "restarts=1"),
        // A repeat with a rate settles what came before at the old one.
        ("0:play 0, 10:play rate 2, 15:pause", None, "[0,20)", "playing=15"),
        ("0:play 0, 10:play rate 1, 15:load", None, "", ""),
        ("0:play 0, 10:play rate 2, 15:load", None, "[0,10)", ""),
    ]);
}

#[test]
fn rule_2_pause() {
    rules(&[
        ("0:play 0, 10:pause", None, "[0,10)", ""),
        ("0:play 0, 10:pause 4", None, "[0,4)", "playing=4 wall=0-10000"),
        (
            "0:play 0, 5:heartbeat 5, 10:pause 4, 11:play, 12:pause",
            None,
            "[0,5) [5,6)",
            "rounded_back=1 wall=0-10000,11000-12000",
        ),
        ("0:play 0, 5:heartbeat 5, 10:pause 3, 11:play, 12:pause", None, "[0,5) [5,6)", "jumped=false"),
        ("0:play 0, 5:heartbeat 5, 10:pause 2.9", None, "[0,5) [0,2.9)", "jumped=true unreported_seeks=1"),
        ("0:play 0, 10:pause 12.5", None, "[0,12.5)", "jumped=false"),
        ("0:play 0, 10:pause 12.6", None, "[2.6,12.6)", "jumped=true"),
        // Not Playing: the position only.
        ("0:pause 30, 1:play, 2:pause, 3:pause 40, 4:play, 5:pause", None, "[30,31) [40,41)", "pauses=2"),
        ("0:pause 30, 1:pause, 2:play, 3:pause", None, "[30,31)", ""),
    ]);
}

#[test]
fn rule_3_seek() {
    rules(&[
        ("0:play 0, 10:seek 10->60, 20:pause 70", None, "[0,10) [60,70)", "ended_by=seek,pause seeks=1 pauses=1"),
        ("0:play 0, 10:seek ?->60, 20:pause 70", None, "[0,10) [60,70)", "from=10"),
        ("0:play 0, 10:seek 60->60, 20:pause 70", None, "[0,10) [60,70)", "echoed_seeks=1 from=10 jumped=false"),
        ("0:play 0, 10:seek 60.25->60, 20:pause 70", None, "[0,10) [60,70)", "echoed_seeks=1 from=10"),
        (
            "0:play 0, 10:seek 60.26->60, 20:pause 70",
            None,
            "[50.26,60.26) [60,70)",
            "echoed_seeks=0 from=60.26 jumped=true",
        ),
        ("0:play 0, 10:seek 10->? at 60, 20:pause 70", None, "[0,10) [60,70)", ""),
        ("0:play 0, 10:seek 60, 20:pause 70", None, "[0,10) [60,70)", ""),
        ("0:play 0, 10:seek 10->30 at 60, 20:pause 40", None, "[0,10) [30,40)", ""),
        ("0:play 0, 10:heartbeat 10, 12:seek 9->60, 20:pause 68", None, "[0,10) [60,68)", "from=9 rounded_back=1"),
        ("0:play 0, 10:seek 5->60, 20:pause 70", None, "[0,5) [60,70)", ""),
        // Not Playing: it moves the position, or nothing when nobody knows where to.
        ("0:play 0, 5:pause 5, 6:seek 5->40, 7:play, 9:pause", None, "[0,5) [40,42)", "seeks=1 from=5"),
        ("0:play 0, 5:pause 5, 6:seek ?->40, 7:play, 9:pause", None, "[0,5) [40,42)", "from=5"),
        ("0:play 0, 5:pause 5, 6:seek ?->?, 7:play, 9:pause", None, "[0,5) [5,7)", "seeks=1"),
        // An unknown place.
        ("0:play 0, 10:seek 8->?, 20:pause 50", None, "[0,8) [40,50)", "wall=0-10000,10000-20000 unplaced=0"),
        ("0:play 0, 10:seek ?->?, 20:heartbeat, 30:heartbeat 50, 40:pause 60", None, "[0,10) [30,60)", "playing=40"),
        ("0:play 0, 10:seek ?->?, 20:pause 4", None, "[0,10) [0,4)", "playing=14"),
        ("0:play 0, 10:seek ?->?, 20:heartbeat rate 2, 30:pause 100", None, "[0,10) [70,100)", "playing=30"),
        ("0:play 0, 10:seek ?->?, 20:play 50, 30:pause 60", None, "[0,10) [40,60)", "restarts=0"),
        ("0:play 0, 10:seek ?->?, 20:quality_change 50, 30:pause 60", None, "[0,10) [40,60)", ""),
        ("0:play 0, 10:seek ?->?, 20:seek 50->80, 30:pause 90", None, "[0,10) [40,50) [80,90)", "from=10,50"),
        ("0:play 0, 10:seek ?->?, 20:seek ?->80, 30:pause 90", None, "[0,10) [80,90)", "unplaced=10 from=10,-"),
        ("0:play 0, 10:seek ?->?, 20:pause, 30:play, 40:pause", None, "[0,10) [10,20)", "unplaced=10"),
        ("0:play 0, 10:seek ?->?, 20:pause, 30:play 5, 40:pause", None, "[0,10) [5,15)", "unplaced=10"),
        ("0:play 0, 10:seek ?->?, 20:load", None, "[0,10)", "unplaced=10"),
        ("0:play 0, 10:seek ?->?, 20:heartbeat, 25:error", None, "[0,10)", "unplaced=15 open_plays=1"),
        ("0:play 0, 10:seek ?->?, 20:seek ?->?, 25:pause", None, "[0,10)", "unplaced=15 seeks=2"),
        ("0:play 0, 10:seek ?->?, 20:ended", Some(100.0), "[0,10) [90,100)", "ended_by=seek,ended"),
        ("0:play 0, 10:seek ?->?, 20:ended", None, "[0,10)", "unplaced=10"),
        ("0:play 0, 10:seek ?->?, 16010:pause 20000", None, "[0,10) [5600,20000)", "capped_unproven=1"),
    ]);
}

#[test]
fn rule_4_stale_play() {
    rules(&[
        ("0:play 0, 3:seek 3->8, 3.1:play 3, 6:pause 11", None, "[0,3) [8,11)", "stale_plays=1 restarts=0"),
        ("0:play 0, 3:seek 3->8, 3.1:play 5, 6:pause 11", None, "[0,3) [8,11)", "stale_plays=1"),
        ("0:play 0, 3:seek 3->8, 3.1:play 5.1, 6:pause 8", None, "[0,3) [5.1,8)", "stale_plays=0 restarts=1"),
        // It agrees with where the seek went: no correction.
        ("0:play 0, 3:seek 3->4.5, 3.1:play 3, 6:pause 7.5", None, "[0,3) [4.5,7.5)", "stale_plays=0 rounded_back=1"),
        // Only the first play, and none after a load or a position.
        ("0:play 0, 3:seek 3->8, 3.1:play 8, 3.2:play 3, 6:pause 6", None, "[0,3) [3,6)", "stale_plays=0 restarts=1"),
        ("0:play 0, 3:seek 3->8, 3.1:play, 3.2:play 3, 6:pause 6", None, "[0,3) [3,6)", "stale_plays=0"),
        ("0:play 0, 3:seek 3->8, 3.1:load, 3.2:play 3, 6:pause 6", None, "[0,3) [3,6)", "stale_plays=0"),
        (
            "0:play 0, 3:seek 3->8, 3.1:buffer_end 8, 3.2:play 3, 6:pause 6",
            None,
            "[0,3) [3,6)",
            "stale_plays=0 too_short=0",
        ),
        ("0:play 0, 3:seek 3->8, 3.1:heartbeat, 3.2:play 3, 6:pause 10.8", None, "[0,3) [8,10.8)", "stale_plays=1"),
        ("0:play 0, 3:seek 3->8, 4:pause, 5:play 3, 6:pause", None, "[0,3) [8,9) [8,9)", "stale_plays=1"),
        ("0:play 0, 3:pause 3, 3:seek 3->8, 3.1:play 3, 6:pause", None, "[0,3) [8,10.9)", "stale_plays=1"),
        // Both have to be reported.
        ("0:play 0, 3:seek ?->8, 3.1:play 3, 6:pause 6", None, "[0,3) [3,6)", "stale_plays=0"),
        ("0:play 0, 3:seek 3->8, 3.05:seek ?->?, 3.1:play 3, 6:pause 6", None, "[0,3) [2.95,6)", "stale_plays=0"),
        // `position_s` stands in for `to`.
        ("0:play 0, 3:seek 3->? at 8, 3.1:play 3, 6:pause 11", None, "[0,3) [8,11)", "stale_plays=1"),
    ]);
}

#[test]
fn rule_5_heartbeat() {
    rules(&[
        ("0:play 0, 10:heartbeat, 20:load", None, "[0,10)", ""),
        ("0:heartbeat 5, 10:heartbeat 15", None, "[5,15)", "implied_plays=1 play=true open_plays=1 wall=0-10000"),
        ("0:heartbeat 5, 10:heartbeat 17.5", None, "[5,17.5)", "implied_plays=1"),
        ("0:heartbeat 5, 10:heartbeat 17.6", None, "", "implied_plays=0 play=false"),
        ("0:heartbeat 5, 10:heartbeat 12.5", None, "[5,12.5)", "implied_plays=1"),
        ("0:heartbeat 5, 10:heartbeat 12.4", None, "", "implied_plays=0"),
        ("0:heartbeat 5, 1:heartbeat 6", None, "[5,6)", "implied_plays=1"),
        ("0:heartbeat 5, 1:heartbeat 5.9", None, "", "implied_plays=0"),
        ("0:heartbeat 5, 10:heartbeat", None, "", "implied_plays=0"),
        ("10:heartbeat 10", None, "", "implied_plays=0 play=false"),
        ("0:pause 5 rate 2, 10:heartbeat 25, 20:heartbeat 45", None, "[5,45)", "implied_plays=1 playing=20"),
        ("0:seek ?->50, 10:heartbeat 60", None, "[50,60)", "implied_plays=1"),
        ("0:load 50, 10:heartbeat 60", None, "[50,60)", "implied_plays=1"),
        // A pause without a position says nothing about when the position was known.
        ("0:pause 5, 6:pause, 10:heartbeat 15", None, "[5,15)", "implied_plays=1"),
    ]);
}

#[test]
fn rule_6_ended() {
    rules(&[
        ("0:play 0, 10:ended", None, "[0,10)", "ended_by=ended"),
        ("0:play 0, 10:ended", Some(11.0), "[0,11)", "completed=true percentage=100"),
        ("0:play 0, 10:ended 9", Some(11.0), "[0,11)", ""),
        ("0:play 0, 10:ended 8.9", Some(11.0), "[0,8.9)", "percentage=80.909"),
        ("0:play 0, 10:ended 12", Some(11.0), "[0,11)", "beyond_duration=0"),
        // Not possible so early: as a pause.
        ("0:play 0, 10:ended", Some(50.0), "[0,10)", "jumped=false"),
        ("0:play 0, 10:ended 49", Some(50.0), "[39,49)", "jumped=true"),
        ("0:play 0, 60:ended", Some(50.0), "[0,50)", ""),
        ("0:play 0, 10:ended dur 11", None, "[0,11)", "duration=11"),
        ("0:pause 3, 1:ended 10, 2:pause, 3:play, 4:pause", None, "[0,1)", ""),
    ]);
}

#[test]
fn rule_7_rates_notices_and_loads() {
    rules(&[
        ("0:play 0, 10:rate_change rate 2, 20:pause", None, "[0,30)", "playing=20 watch=30"),
        ("0:play 0, 10:rate_change rate 2, 20:load", None, "[0,10)", ""),
        ("0:play 0, 10:rate_change, 20:load", None, "[0,10)", ""),
        ("0:play 0, 10:rate_change 9 rate 2, 20:pause 29", None, "[0,29)", "playing=19"),
        ("0:play 0, 10:heartbeat 10 rate 2, 20:heartbeat 30, 30:pause 50", None, "[0,50)", "playing=30"),
        ("0:play 0 rate 2, 10:pause 20, 11:play, 21:pause", None, "[0,20) [20,40)", "playing=20"),
        ("0:play 0, 10:quality_change rate 2, 20:load", None, "[0,10)", ""),
        ("0:play 0, 10:quality_change, 20:load", None, "", ""),
        ("0:play 0, 10:error, 20:load", None, "", ""),
        ("0:play 0, 10:error 10, 20:load", None, "[0,10)", ""),
        ("0:play 0, 10:quality_change 60, 20:load", None, "[50,60)", "jumped=true"),
        ("0:error 30, 1:play, 2:pause", None, "[30,31)", ""),
        ("0:rate_change rate 2, 1:play 0, 2:pause", None, "[0,2)", "playing=1"),
        // A new player; the rate stays.
        ("0:play 0 rate 2, 10:heartbeat 20, 20:load, 21:play, 22:pause", None, "[0,20) [0,2)", "ended_by=load,pause"),
        ("0:play 0, 10:load 7, 21:play, 22:pause", None, "[7,8)", ""),
    ]);
}

#[test]
fn buffering() {
    rules(&[
        ("0:play 0, 10:buffer_start, 15:buffer_end, 20:pause", None, "[0,15)", "playing=15"),
        ("0:play 0, 10:buffer_start, 20:load", None, "[0,10)", ""),
        ("0:play 0, 10:buffer_start 9, 15:buffer_end, 20:pause", None, "[0,14)", ""),
        ("0:play 0, 10:buffer_start, 15:buffer_end 10, 20:pause", None, "[0,15)", ""),
        ("0:play 0, 10:buffer_start, 20:pause", None, "[0,10)", ""),
        ("0:play 0, 10:buffer_start, 12:buffer_start, 15:buffer_end, 20:pause", None, "[0,15)", ""),
        ("0:play 0, 10:buffer_start, 15:heartbeat, 20:pause", None, "[0,15)", ""),
        ("0:play 0, 10:buffer_start, 15:play, 20:pause", None, "[0,15)", ""),
        ("0:play 0, 10:buffer_start, 15:quality_change, 20:pause", None, "[0,10)", ""),
        ("0:play 0, 10:buffer_start, 12:rate_change rate 2, 15:buffer_end, 20:pause", None, "[0,20)", ""),
        ("0:play 0, 10:buffer_start, 12:error 11, 15:buffer_end, 20:pause", None, "[0,16)", ""),
        ("0:buffer_start, 3:play 0, 10:pause", None, "[0,7)", ""),
        ("0:play 0, 10:buffer_start, 15:seek ?->40, 20:pause", None, "[0,10) [40,45)", ""),
        ("0:play 0, 10:buffer_start, 15:load, 16:play, 20:pause", None, "[0,10) [0,4)", ""),
        // What is possible goes by the wall clock alone.
        ("0:play 0, 10:buffer_start, 15:buffer_end, 20:pause 20", None, "[0,20)", "jumped=false"),
        // Subtracted before the cap.
        ("0:play 0, 10:buffer_start, 1010:buffer_end, 15410:pause", None, "[0,14410)", ""),
    ]);
}

#[test]
fn rule_8_physics() {
    rules(&[
        ("0:play 0, 3:pause 120", None, "[117,120)", "jumped=true wall=0-3000 playing=3"),
        (
            "0:play 0, 10:heartbeat 10, 20:heartbeat 100, 30:pause 110",
            None,
            "[0,10) [90,110)",
            "ended_by=jump,pause wall=0-10000,10000-30000",
        ),
        ("0:play 100, 30:pause 20", None, "[0,20)", "jumped=true playing=20"),
        (
            "0:play 0, 10:heartbeat 10, 20:seek 60->90, 30:pause 100",
            None,
            "[0,10) [50,60) [90,100)",
            "seeks=1 unreported_seeks=1",
        ),
        // The slack never adds up: each step is possible, their sum is not.
        ("0:play 0, 10:heartbeat 12, 20:heartbeat 23", None, "[0,23)", "jumped=false"),
        ("0:play 0, 10:heartbeat 12, 20:heartbeat 23.1", None, "[0,12) [13.1,23.1)", "jumped=true"),
        ("0:play 0, 1:heartbeat 2, 2:heartbeat 4, 3:heartbeat 6, 4:pause 7", None, "[0,4) [5,7)", "jumped=true"),
        // A stall is made good within what the clock allows from the segment's beginning.
        ("0:play 0, 20:heartbeat 0, 21:heartbeat 3, 22:heartbeat 6, 23:heartbeat 9", None, "[0,9)", "jumped=false"),
        // At twice the rate twice as far.
        ("0:play 0 rate 2, 10:pause 23", None, "[0,23)", "jumped=false"),
        ("0:play 0 rate 2, 10:pause 23.1", None, "[3.1,23.1)", "jumped=true"),
        // At most four hours between two pieces of evidence.
        ("0:play 0, 20000:pause", None, "[0,14400)", "capped_unproven=1"),
        ("0:play 0, 20000:pause 15122", None, "[0,15122)", "jumped=false"),
        ("0:play 0, 20000:pause 15200", None, "[800,15200)", "jumped=true"),
    ]);
}

#[test]
fn rule_9_open_play() {
    let open = "0:play 0, 10:heartbeat 10, 20:quality_change, 30:error";
    let lost = "0:play 0, 10:seek ?->?, 20:error";
    let with = |open_play| Settings { open_play, ..Settings::default() };
    check(
        &with(OpenPlay::Evidence),
        &[
            (open, None, "[0,10)", "open_plays=1 ended_by=open wall=0-10000"),
            (lost, None, "[0,10)", "unplaced=10"),
            ("0:play 0, 10:pause", None, "[0,10)", "open_plays=0"),
        ],
    );
    check(
        &with(OpenPlay::Drop),
        &[
            (open, None, "", "open_plays=1 open_plays_dropped=1"),
            (lost, None, "[0,10)", "unplaced=10 open_plays_dropped=0"),
            ("0:play 0", None, "", "open_plays=1 open_plays_dropped=0"),
            ("0:play 0, 10:pause", None, "[0,10)", "open_plays=0"),
        ],
    );
    check(
        &with(OpenPlay::Elapsed),
        &[
            (open, None, "[0,30)", "open_plays=1 wall=0-30000 playing=30"),
            (lost, None, "[0,10)", "unplaced=10"),
            ("0:play 0, 10:buffer_start, 20:error", None, "[0,10)", ""),
            ("0:play 0", None, "", "open_plays=1"),
        ],
    );
}

#[test]
fn rule_10_duration() {
    rules(&[
        ("0:play 0, 60:pause 60", Some(50.0), "[0,50)", "beyond_duration=1 playing=50 percentage=100 completed=true"),
        ("0:play 0, 51:pause 51", Some(50.0), "[0,50)", "beyond_duration=0"),
        ("0:play 0, 51.1:pause 51.1", Some(50.0), "[0,50)", "beyond_duration=1"),
        ("0:play 50, 10:pause 60", Some(50.0), "", "begins_beyond_duration=1 beyond_duration=1"),
        ("0:play 50, 1:pause 51", Some(50.0), "", "begins_beyond_duration=1 beyond_duration=0 too_short=0"),
        ("0:play 49.9, 10:pause 59.9", Some(50.0), "", "beyond_duration=1 too_short=1"),
        ("0:play 40 rate 2, 10:pause 60", Some(50.0), "[40,50)", "playing=5"),
        // Metadata wins; the player's last is the fallback.
        ("0:play 0 dur 30, 5:heartbeat 5 dur 40, 60:pause 60", None, "[0,40)", "duration=40 duration_conflicts=0"),
        (
            "0:play 0 dur 30, 5:heartbeat 5 dur 49, 60:pause 60",
            Some(50.0),
            "[0,50)",
            "duration=50 duration_conflicts=0",
        ),
        ("0:play 0 dur 50, 5:heartbeat 5 dur 48.9, 60:pause 60", Some(50.0), "[0,50)", "duration_conflicts=1"),
        ("0:play 0, 60:pause 60", None, "[0,60)", "duration=- percentage=- completed=-"),
        ("0:play 0, 60:pause 60", Some(0.0), "[0,60)", "duration=-"),
    ]);
}

#[test]
fn rule_11_too_short() {
    rules(&[
        ("0:play 0, 0.24:pause 0.24", None, "", "too_short=1 pauses=0 segments_ended=1"),
        ("0:play 0, 0.25:pause 0.25", None, "[0,0.25)", "too_short=0 pauses=1"),
        ("0:play 0, 0:pause 0, 1:play 0, 2:pause 0", None, "", "too_short=0 segments_ended=0"),
        (
            "0:play 0, 10:pause 10, 10.02:seek 10.02->60, 10.5:play 60, 20:pause 69.5",
            None,
            "[0,10) [60,69.5)",
            "too_short=0",
        ),
        (
            "0:play 0, 10:seek 10->60, 10.1:pause 60.1, 11:play 60.1, 20:pause",
            None,
            "[0,10) [60.1,69.1)",
            "too_short=1",
        ),
    ]);
}

#[test]
fn facts_of_the_view() {
    rules(&[
        ("0:play 0, 9.9:pause 9.9", None, "[0,9.9)", "engaged=false"),
        ("0:play 0, 10:pause 10", None, "[0,10)", "engaged=true"),
        ("0:play 0, 5:pause 5", Some(10.0), "[0,5)", "engaged=true percentage=50"),
        ("0:play 0, 4.9:pause 4.9", Some(10.0), "[0,4.9)", "engaged=false"),
        ("0:play 0, 9.9:pause 9.9", Some(20.0), "[0,9.9)", "engaged=false"),
        ("0:play 0, 95:pause 95", Some(100.0), "[0,95)", "completed=true"),
        ("0:play 0, 94.9:pause 94.9", Some(100.0), "[0,94.9)", "completed=false"),
        (
            "0:play 50, 10:pause 60, 11:play 5, 21:pause 15",
            Some(100.0),
            "[50,60) [5,15)",
            "furthest=60 exit=15 unique=20",
        ),
        (
            "0:play 5, 10:pause 15, 11:play 10, 21:pause 20, 22:play 0, 23:pause 1",
            None,
            "[5,15) [10,20) [0,1)",
            "unique=16 watch=21",
        ),
        ("0:pause 10, 1:seek 5->6, 2:heartbeat 6", None, "", "play=false seeks=1"),
        // Seeks after half: from where they leave, reported or expected.
        ("0:play 0, 50:seek 50->10, 51:seek 49.9->10", Some(100.0), "[0,50) [48.9,49.9)", "after_half=1 seeks=2"),
        ("0:play 0, 50:seek ?->10", Some(100.0), "[0,50)", "after_half=1"),
        ("0:play 0, 40:pause 70, 45:seek ?->10", Some(100.0), "[30,70)", "after_half=1 from=70"),
        ("0:play 0, 50:seek 50->10", None, "[0,50)", "after_half=0"),
        ("0:play 0, 50:seek 50->10 dur 90", None, "[0,50)", "after_half=1"),
    ]);
}
