//! The truth of a simulation is exactly what the rules make of its records.

mod derive;

use streamreel_simulate::{Batch, Catalogue, DEFAULT_START_MS, Pace, Players, Settings, Simulator, Truth};

fn simulator(settings: &Settings) -> Simulator {
    Simulator::new(settings, &Catalogue::sample().unwrap()).unwrap()
}

fn records(records: u64, days: u32) -> Pace {
    Pace::Records { records, days }
}

/// Says which number differs instead of printing thousands.
fn assert_same(derived: &Truth, truth: &Truth, what: &str) {
    for (mine, theirs) in derived.videos.iter().zip(&truth.videos) {
        let second = |a: &[u32], b: &[u32]| a.iter().zip(b).position(|(a, b)| a != b);
        for (name, a, b) in [
            ("plays", &mine.plays, &theirs.plays),
            ("watched", &mine.watched, &theirs.watched),
            ("survived", &mine.survived, &theirs.survived),
        ] {
            if let Some(at) = second(a, b) {
                panic!("{what}: {} {name}[{at}]: by the rules {}, truth {}", mine.video_id, a[at], b[at]);
            }
        }
        assert_eq!(mine, theirs, "{what}");
    }
    let without_videos = |truth: &Truth| Truth { videos: Vec::new(), ..truth.clone() };
    assert_eq!(without_videos(derived), without_videos(truth), "{what}: by the rules (left), truth (right)");
}

/// Simulates all of it; the truth, which is what the rules make of the records.
fn assert_truth(settings: &Settings) -> Truth {
    let mut simulator = simulator(settings);
    let derived = derive::draw(&mut simulator);
    let truth = simulator.truth();
    assert!(derived.keys_agree, "{settings:?}");
    assert_eq!(truth.unfinished_views, 0, "{settings:?}");
    assert_same(&derived.truth(&truth), &truth, &format!("{settings:?}"));
    truth
}

/// Audience, videos and dirt by the seed.
fn varied(seed: u64, pace: Pace) -> Settings {
    Settings {
        pace,
        seed,
        users: seed.is_multiple_of(3).then_some(seed % 40 + 1),
        videos: seed.is_multiple_of(5).then_some(seed as u32 % 90 + 1),
        dirt_ratio: (seed % 10) as f64 / 11.0,
        ..Settings::default()
    }
}

#[test]
fn the_truth_is_what_the_rules_make_of_the_records() {
    let base = Settings { pace: records(40_000, 7), ..Settings::default() };
    for settings in [
        Settings { dirt_ratio: 0.0, ..base.clone() },
        Settings { seed: 2, ..base.clone() },
        Settings { seed: 3, dirt_ratio: 0.3, ..base.clone() },
        Settings { seed: 4, dirt_ratio: 0.85, ..base.clone() },
        Settings { seed: 5, users: Some(15), pace: records(40_000, 1), ..base.clone() },
        Settings { seed: 6, videos: Some(3), users: Some(400), ..base.clone() },
        Settings { seed: 7, videos: Some(700), ..base.clone() },
        Settings { seed: 8, players: Players::Minimal, ..base.clone() },
        Settings { seed: 9, start_ms: DEFAULT_START_MS + 55_012_345, users: Some(9_000), ..base.clone() },
        Settings { seed: 10, pace: records(777, 3), ..base.clone() },
    ] {
        let truth = assert_truth(&settings);
        assert_eq!(
            Some(truth.records),
            match settings.pace {
                Pace::Records { records, .. } => Some(records),
                Pace::Rate { .. } => None,
            }
        );
    }
}

#[test]
fn the_truth_holds_for_many_seeds() {
    for seed in 100..160 {
        let settings = varied(seed, records(500 + seed * 13, 1 + seed as u32 % 4));
        assert_truth(&settings);
    }
}

#[test]
fn a_simulation_that_is_stopped_knows_what_was_watched_until_then() {
    for (seed, at_ms, for_ms) in
        [(1, None, Some(900_000)), (2, Some(3_600_000), None), (3, Some(1_800_123), None), (4, Some(7), None)]
    {
        let settings =
            Settings { pace: Pace::Rate { per_s: 20.0, for_ms }, seed, dirt_ratio: 0.1, ..Settings::default() };
        let mut simulator = simulator(&settings);
        let mut derived = derive::Derived::new();
        let mut batch = Batch::with_capacity(333);
        let end_ms = DEFAULT_START_MS + at_ms.or(for_ms).unwrap();
        let mut now_ms = DEFAULT_START_MS;
        while now_ms < end_ms {
            now_ms = (now_ms + 1_000).min(end_ms);
            while simulator.advance(now_ms, &mut batch) {
                derived.add(&batch);
            }
        }
        if at_ms.is_some() {
            assert!(simulator.truth().unfinished_views > 0);
            simulator.stop_at(now_ms);
        }
        while simulator.next_batch(&mut batch) {
            derived.add(&batch);
        }
        let truth = simulator.truth();
        assert_eq!(truth.unfinished_views, 0);
        assert!(derived.last_arrival_ms <= end_ms);
        assert_same(&derived.truth(&truth), &truth, &format!("seed {seed}"));
    }
}

/// Views go on stretch by stretch, and end wherever the stop finds them.
#[test]
fn a_simulation_at_a_rate_knows_the_truth_for_many_seeds() {
    for seed in 200..240 {
        let per_s = 1.0 + (seed % 7) as f64 * 3.0;
        let settings = varied(seed, Pace::Rate { per_s, for_ms: Some(seed as i64 % 9 * 1_234_567 + 5_000) });
        assert_truth(&settings);
    }
}

#[test]
fn when_the_stop_becomes_known_changes_nothing() {
    for seed in 1..30 {
        let for_ms = seed as i64 * 171_717;
        let simulation = |for_ms| {
            let pace = Pace::Rate { per_s: 10.0, for_ms };
            simulator(&Settings { pace, seed, dirt_ratio: 0.2, loss_ratio: 0.4, ..Settings::default() })
        };
        let mut batch = Batch::with_capacity(100);
        let mut draw = |simulator: &mut Simulator, until_ms: i64, lines: &mut Vec<(i64, Vec<u8>)>| {
            while simulator.advance(until_ms, &mut batch) {
                lines.extend((0..batch.len()).map(|i| (batch.arrival_ms(i), batch.payload(i).to_vec())));
            }
        };
        let (mut known, mut expected) = (simulation(Some(for_ms)), Vec::new());
        draw(&mut known, i64::MAX, &mut expected);
        let (mut stopped, mut lines) = (simulation(None), Vec::new());
        draw(&mut stopped, DEFAULT_START_MS + for_ms, &mut lines);
        stopped.stop_at(DEFAULT_START_MS + for_ms);
        draw(&mut stopped, i64::MAX, &mut lines);
        let differs = expected.iter().zip(&lines).position(|(a, b)| a != b);
        assert_eq!((differs, lines.len()), (None, expected.len()), "seed {seed}");
        assert_same(&stopped.truth(), &known.truth(), &format!("seed {seed}"));
    }
}

#[test]
fn loss_takes_events_away_and_leaves_the_truth() {
    let mut whole = simulator(&Settings { pace: records(30_000, 7), loss_ratio: 0.0, ..Settings::default() });
    derive::draw(&mut whole);
    let mut lossy = simulator(&Settings { pace: records(30_000, 7), loss_ratio: 0.2, ..Settings::default() });
    let derived = derive::draw(&mut lossy);
    let truth = lossy.truth();
    assert_eq!(truth.records, 30_000);
    let lost = truth.lost_events as f64 / (truth.lost_events + truth.true_events) as f64;
    assert!((0.18..0.22).contains(&lost), "{lost}");
    let seconds = |truth: &Truth| truth.videos.iter().map(|video| video.watch_time_s).sum::<f64>();
    let seen = derived.truth(&truth);
    assert!(seconds(&seen) < seconds(&truth), "{} {}", seconds(&seen), seconds(&truth));
    assert!(seconds(&truth) > seconds(&whole.truth()), "a record stands for more when others are lost");
}
