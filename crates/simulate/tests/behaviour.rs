//! What a simulation promises about its records: reproducible, exact in number, paced, and as dirty as asked for.

use streamreel_simulate::{Batch, Catalogue, DEFAULT_START_MS, Pace, Players, Settings, Simulator};

mod samples;

fn simulator(settings: &Settings) -> Simulator {
    Simulator::new(settings, &Catalogue::sample().unwrap()).unwrap()
}

/// All records as lines: arrival, key, payload.
fn lines(settings: &Settings, batch_records: usize) -> Vec<Vec<u8>> {
    let mut simulator = simulator(settings);
    let mut batch = Batch::with_capacity(batch_records);
    let mut lines = Vec::new();
    while simulator.next_batch(&mut batch) {
        assert!(batch.len() <= batch_records);
        for record in 0..batch.len() {
            let arrival = batch.arrival_ms(record).to_string();
            let key = batch.key(record).unwrap_or(b"-");
            lines.push([arrival.as_bytes(), key, batch.payload(record)].join(&b' '));
        }
    }
    lines
}

#[test]
fn a_seed_gives_the_same_bytes_in_batches_of_any_size() {
    let at_a_rate = Pace::Rate { per_s: 5.0, for_ms: Some(1_000_000) };
    for pace in [Pace::Records { records: 5_000, days: 2 }, at_a_rate] {
        let settings = Settings { pace, ..Settings::default() };
        let whole = lines(&settings, 10_000);
        assert!((5_000..5_500).contains(&whole.len()), "{}", whole.len());
        for size in [1, 7, 1_000] {
            assert!(lines(&settings, size) == whole, "in batches of {size}");
        }
        assert!(lines(&Settings { seed: 2, ..settings }, 10_000) != whole);
    }
}

#[test]
fn the_number_of_records_is_exact() {
    for records in [1, 2, 3, 10, 57, 1_000, 12_345] {
        for (dirt_ratio, loss_ratio, users) in
            [(0.0, 0.0, None), (0.5, 0.0, Some(1)), (0.05, 0.3, None), (0.9, 0.9, None)]
        {
            let pace = Pace::Records { records, days: 1 };
            let settings = Settings { pace, dirt_ratio, loss_ratio, users, ..Settings::default() };
            assert_eq!(lines(&settings, 500).len() as u64, records, "{settings:?}");
        }
    }
}

#[test]
fn a_rate_is_kept_from_the_first_second_on() {
    let settings =
        Settings { pace: Pace::Rate { per_s: 50.0, for_ms: Some(1_200_000) }, dirt_ratio: 0.05, ..Settings::default() };
    let mut simulator = simulator(&settings);
    let mut batch = Batch::with_capacity(10_000);
    let mut by_minute = [0_u32; 20];
    while simulator.next_batch(&mut batch) {
        for record in 0..batch.len() {
            by_minute[((batch.arrival_ms(record) - DEFAULT_START_MS) / 60_000).min(19) as usize] += 1;
        }
    }
    // the last minute has what the stop brings in
    for (minute, records) in by_minute[..19].iter().enumerate() {
        assert!((2_700..3_300).contains(records), "minute {minute}: {records} records, {by_minute:?}");
    }
}

#[test]
fn the_shares_are_as_asked_for() {
    for dirt_ratio in [0.0, 0.02, 0.4] {
        let pace = Pace::Records { records: 60_000, days: 7 };
        let mut simulator = simulator(&Settings { pace, dirt_ratio, ..Settings::default() });
        let mut batch = Batch::with_capacity(10_000);
        while simulator.next_batch(&mut batch) {}
        let truth = simulator.truth();
        let rejects: u64 = truth.rejects.values().sum();
        assert_eq!(truth.true_events + rejects + truth.duplicates.near + truth.duplicates.far, 60_000);
        let dirt = 1.0 - truth.true_events as f64 / 60_000.0;
        assert!((dirt - dirt_ratio).abs() <= dirt_ratio / 5.0, "{dirt} for {dirt_ratio}");
        assert_eq!(truth.late_events > 0, dirt_ratio > 0.0);
        if dirt_ratio == 0.4 {
            assert!(truth.rejects.values().all(|count| *count > 0), "{:?}", truth.rejects);
            assert!(truth.corrections.values().all(|count| *count > 0), "{:?}", truth.corrections);
        }
        assert!(truth.events_by_type.values().all(|count| *count > 0), "{:?}", truth.events_by_type);
        for (name, count) in [
            ("restarts", truth.restarts),
            ("implied plays", truth.implied_plays),
            ("views with an unreported seek", truth.views_with_unreported_seek),
            ("too short segments", truth.too_short),
            ("sessions without play", truth.sessions_without_play),
        ] {
            assert!(count > 0, "no {name}");
        }
        assert_eq!(truth.views_by_date.len(), 7, "{:?}", truth.views_by_date);
        assert!(truth.videos.iter().filter(|video| video.views > 0).count() > 55);
    }
}

#[test]
fn viewers_keep_the_hours_of_their_region() {
    let pace = Pace::Records { records: 200_000, days: 7 };
    let mut simulator = simulator(&Settings { pace, dirt_ratio: 0.0, ..Settings::default() });
    let mut batch = Batch::with_capacity(10_000);
    // plays by local hour, of two regions half a world apart
    let mut plays = [[0_u32; 24]; 2];
    while simulator.next_batch(&mut batch) {
        for record in 0..batch.len() {
            let text = std::str::from_utf8(batch.payload(record)).unwrap();
            let place = ["IN", "US-CA"].iter().position(|region| text.contains(&format!("\"region\":\"{region}\"")));
            if let Some(place) = place.filter(|_| text.contains("\"event_type\":\"play\"")) {
                let minute = batch.arrival_ms(record) / 60_000 + [330, -480][place];
                plays[place][(minute / 60 % 24) as usize] += 1;
            }
        }
    }
    for hours in plays {
        let of = |from: usize, to: usize| hours[from..to].iter().sum::<u32>();
        assert!(of(19, 23) > 6 * of(2, 6), "{hours:?}");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let base = Settings::default();
    for (settings, wanted) in [
        (Settings { dirt_ratio: 0.95, ..base.clone() }, "dirt_ratio is 0.95; give a share from 0 to 0.9"),
        (Settings { dirt_ratio: f64::NAN, ..base.clone() }, "dirt_ratio is NaN"),
        (Settings { loss_ratio: -0.1, ..base.clone() }, "loss_ratio is -0.1"),
        (Settings { loss_ratio: 1.0, ..base.clone() }, "loss_ratio is 1; give a share from 0 to 0.9"),
        (Settings { users: Some(0), ..base.clone() }, "users is 0"),
        (Settings { videos: Some(0), ..base.clone() }, "videos is 0"),
        (Settings { pace: Pace::Records { records: 0, days: 1 }, ..base.clone() }, "records is 0"),
        (Settings { pace: Pace::Records { records: 5, days: 0 }, ..base.clone() }, "days is 0"),
        (Settings { pace: Pace::Rate { per_s: 0.0, for_ms: None }, ..base }, "the rate is 0"),
    ] {
        let error = Simulator::new(&settings, &Catalogue::sample().unwrap()).err().unwrap().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn the_minimal_player_sends_four_fields() {
    let settings = Settings { players: Players::Minimal, dirt_ratio: 0.0, ..Settings::default() };
    let mut simulator = simulator(&Settings { pace: Pace::Records { records: 3_000, days: 7 }, ..settings });
    let mut batch = Batch::with_capacity(3_000);
    simulator.next_batch(&mut batch);
    for record in 0..batch.len() {
        let event: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(batch.payload(record)).unwrap();
        let names: Vec<&str> = event.keys().map(String::as_str).collect();
        assert_eq!(names, ["user_id", "video_id", "event_type", "timestamp"]);
    }
}

#[test]
fn the_sample_logs_are_those_of_the_simulator() {
    for (name, settings) in samples::logs() {
        let mut text = Vec::new();
        let mut simulator = simulator(&settings);
        let mut batch = Batch::with_capacity(100);
        while simulator.next_batch(&mut batch) {
            (0..batch.len()).for_each(|record| {
                text.extend_from_slice(batch.payload(record));
                text.push(b'\n');
            });
        }
        let there: &[u8] = match name {
            "minimal.ndjson" => include_bytes!("../../../examples/minimal.ndjson"),
            _ => include_bytes!("../../../examples/full.ndjson"),
        };
        assert!(there == text, "examples/{name} differs: write it again with the example `sample_logs`");
    }
}
