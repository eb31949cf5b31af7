//! Live numbers: an event is visible within a second, whoever wrote it, and a slow client keeps nobody waiting.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use streamreel_process::{Processor, Settings as ProcessSettings, Until, names};
use streamreel_topic::{EmbeddedLog, Log, RecordsBuilder};
use support::*;

const A_SECOND: Duration = Duration::from_secs(1);

/// Appends to the topic as another process does: through a log of its own.
fn append(place: &Place, values: &[String]) {
    let log = EmbeddedLog::open(place.log_folder()).unwrap();
    log.ensure_topic(names::VIDEO_EVENTS, 2).unwrap();
    let mut producer = log.producer("test").unwrap();
    let mut records = RecordsBuilder::new();
    values.iter().for_each(|value| records.push(now_us() / 1000, Some(b"u"), value.as_bytes(), &[]));
    producer.send(names::VIDEO_EVENTS, 0, records.finish()).unwrap();
    producer.commit().unwrap();
}

fn counts(snapshot: &Value) -> [u64; 5] {
    ["received", "clean", "rejected", "duplicates", "unprocessed"].map(|name| snapshot[name].as_u64().unwrap())
}

#[test]
fn records_are_visible_within_a_second_from_another_process_s_log() {
    let place = Place::new();
    append(&place, &[event("u", "old", "play", "1")]);
    // As `serve` has it: a log that is only read.
    let log = EmbeddedLog::open_read_only(place.log_folder()).unwrap();
    let server = place.serve_with(Arc::new(log), |_| ());
    let mut follower = Follower::new(server.addr);
    assert_eq!(counts(&follower.next()), [0, 0, 0, 0, 1], "it begins at the ends, at once");
    for round in 1..=5 {
        append(&place, &[event("u", "v", "play", &format!("r{round}"))]);
        let (_, took) = follower.until("it is received", |snapshot| snapshot["received"] == round);
        assert!(took < A_SECOND, "{took:?}");
    }
    place.process();
    let (snapshot, took) = follower.until("all are clean", |snapshot| snapshot["clean"] == 6);
    assert!(took < A_SECOND, "{took:?}");
    assert_eq!(counts(&snapshot), [5, 6, 0, 0, 0], "the old one is clean only now");
    let history = snapshot["history"].as_array().unwrap();
    assert_eq!(history.iter().map(|second| second["received"].as_u64().unwrap()).sum::<u64>(), 5);
    assert!(history.len() <= 120);
}

#[test]
fn outcomes_viewers_and_lag() {
    let place = Place::new();
    place.log.ensure_topic(names::VIDEO_EVENTS, 2).unwrap();
    let server = place.serve(|_| ());
    let mut follower = Follower::new(server.addr);
    let hour_ago = event("late", "v1", "play", "7").replace(&now_us().to_string()[..6], "176757");
    append(
        &place,
        &[
            event("a", "v1", "play", "1"),
            event("b", "v1", "heartbeat", "2"),
            event("c", "v2", "play", "3"),
            event("d", "v2", "play", "4"),
            event("d", "v2", "pause", "5"),
            event("a", "v1", "play", "1"),
            hour_ago,
            "no event".to_owned(),
            "{}".to_owned(),
        ],
    );
    place.process();
    let is_done = |snapshot: &Value| counts(snapshot) == [9, 6, 2, 1, 0] && snapshot["lag"]["lake_behind_records"] == 0;
    let (snapshot, _) = follower.until("all is seen", is_done);
    assert_eq!(snapshot["viewers_now"], 3, "{snapshot}");
    let videos = serde_json::json!([
        { "video_id": "v1", "title": null, "viewers": 2 },
        { "video_id": "v2", "title": null, "viewers": 1 },
    ]);
    assert_eq!(snapshot["videos"], videos);
    let lag_ms = snapshot["lag"]["event_to_clean_ms"].as_i64().unwrap();
    assert!((0..5_000).contains(&lag_ms), "{lag_ms}");
    assert_eq!(snapshot["build"], Value::Null);
    let (snapshot, _) = follower.until("rates are there", |snapshot| snapshot["received_per_s"] != 0.0);
    let rates = ["received_per_s", "clean_per_s", "rejected_per_s", "duplicate_per_s"].map(|name| &snapshot[name]);
    assert!(rates[0].as_f64() >= rates[1].as_f64() && rates[1].as_f64() >= rates[2].as_f64(), "{rates:?}");
    let now = server.client().get("/api/v1/live/now");
    assert_eq!((now.status, now.header("content-type")), (200, Some("application/json")));
    assert_eq!(now.json()["received"], 9);
}

#[test]
fn events_flow_through_a_processor_that_follows() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut follower = Follower::new(server.addr);
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let settings = ProcessSettings { partitions: 2, ..ProcessSettings::default() };
        let mut processor = Processor::open(Arc::new(place.log.clone()), Some(&place.lake), settings).unwrap();
        let cancel = &cancel;
        scope.spawn(move || processor.run(Until::Cancelled, cancel, &|_| ()).unwrap());
        let mut client = server.client();
        for round in 0..8_u64 {
            let user = format!("u{round}");
            let posted = client.post(format!("[{}]", event(&user, "v", "play", "1")).as_bytes());
            assert_eq!(posted.status, 200);
            let began = Instant::now();
            let (_, received) = follower.until("it is received", |snapshot| snapshot["received"] == round + 1);
            follower.until("its viewer is seen", |snapshot| snapshot["viewers_now"] == round + 1);
            let (clean, received) = (began.elapsed(), received);
            assert!(received < A_SECOND && clean < A_SECOND, "{received:?} {clean:?}");
            std::thread::sleep(Duration::from_millis(130 * round));
        }
        cancel.store(true, Ordering::Relaxed);
    });
}

#[test]
fn audits_come_with_the_numbers() {
    let place = Place::new();
    append(&place, &[event("a", "v1", "play", "1"), event("b", "v2", "play", "1")]);
    place.process();
    let server = place.serve(|_| ());
    let mut follower = Follower::new(server.addr);
    let (snapshot, _) = follower.until("it is audited", |snapshot| !snapshot["audit"].is_null());
    let audit = &snapshot["audit"];
    assert_eq!((&audit["holds"], &audit["failed"]), (&Value::Bool(true), &Value::from(0)));
    assert!(audit["equations"].as_u64().unwrap() > 0, "{audit}");
}

#[test]
fn an_audit_of_another_log_says_so() {
    let place = Place::new();
    append(&place, &[event("a", "v1", "play", "1")]);
    place.process();
    let audit = |server: Running| server.client().get("/api/v1/audit").json();
    let own = audit(place.serve(|_| ()));
    assert_eq!((&own["holds"], &own["left_out"]), (&Value::Bool(true), &Value::Null));
    let elsewhere = Place::new();
    let other = audit(place.serve_with(Arc::new(elsewhere.log.clone()), |_| ()));
    assert_eq!(other["holds"], Value::Bool(false));
    let reason = other["left_out"].as_str().unwrap();
    assert!(reason.starts_with("the lake was landed from topic video-events of log "), "{reason}");
    assert!(
        other["equations"].as_array().unwrap().iter().all(|equation| equation["holds"] == Value::Bool(true)),
        "{other}"
    );
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut deaf: Vec<Client> = (0..20).map(|_| server.client()).collect();
    deaf.iter_mut().for_each(|client| client.send(b"GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    let mut follower = Follower::new(server.addr);
    let mut client = server.client();
    let mut longest = Duration::ZERO;
    for round in 0..30_u64 {
        assert_eq!(client.post(events(1, round as usize).as_bytes()).status, 200);
        let (_, took) = follower.until("it is received", |snapshot| snapshot["received"] == round + 1);
        longest = longest.max(took);
    }
    assert!(longest < A_SECOND, "{longest:?}");
    // When it reads again, it is up to date after what the system had kept for it.
    let mut late = Follower::new(server.addr);
    assert_eq!(late.next()["received"], 30);
}

#[test]
fn followers_are_bounded_and_the_stream_goes_on_without_news() {
    let place = Place::new();
    let server = place.serve(|_| ());
    let mut followers: Vec<Follower> = (0..200).map(|_| Follower::new(server.addr)).collect();
    let answer = server.client().get("/api/v1/live");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    assert!(answer.problem().contains("/api/v1/live/now"));
    let follower = &mut followers[7];
    follower.next();
    for _ in 0..3 {
        let began = Instant::now();
        follower.next();
        assert!(began.elapsed() < A_SECOND + Duration::from_millis(150), "{:?}", began.elapsed());
    }
    drop(followers);
    let began = Instant::now();
    while server.client().request("HEAD", "/api/v1/live", &[], b"").status != 200 {
        assert!(began.elapsed() < PATIENCE, "those that have left make room");
        std::thread::sleep(Duration::from_millis(100));
    }
}
