//! Gold equals the simulator's truth to the second, however the records came and however often it was built.

#![allow(clippy::disallowed_methods, reason = "the files are those that the test wrote")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use common::{Home, assert_same, setting};
use serde_json::Value;

const RECORDS: &str = "60000";
const DIRT: &str = "0.1";
const BUILDS: usize = 20;

/// Records of a simulation with dirt, as lines in the order of arrival, and the truth about them.
fn simulated(home: &Home, extra: &[&str]) -> (Vec<String>, Value) {
    home.make();
    let (events, truth) = (home.file("events.ndjson"), home.file("truth.json"));
    let (to, truth_to) = (events.to_string_lossy(), truth.to_string_lossy());
    let (records, dirt, seed) = (setting("RECORDS", RECORDS), setting("DIRT", DIRT), setting("SEED", "11"));
    let mut args =
        vec!["simulate", "--events", &records, "--dirt", &dirt, "--seed", &seed, "--to", &to, "--truth", &truth_to];
    args.extend(extra);
    home.ok(&args);
    // A rejected record need not be UTF-8: the lines are kept as bytes, one char a byte.
    let bytes = fs::read(&events).expect("the events");
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| line.iter().map(|b| char::from(*b)).collect()).collect();
    (lines, serde_json::from_slice(&fs::read(truth).expect("the truth")).expect("JSON"))
}

fn ingest(home: &Home, lines: &[String]) {
    let path = home.file("part.ndjson");
    let mut file = fs::File::create(&path).expect("a file");
    for line in lines {
        let bytes: Vec<u8> = line.chars().map(|c| c as u8).collect();
        file.write_all(&bytes).and_then(|()| file.write_all(b"\n")).expect("written");
    }
    drop(file);
    home.ok(&["ingest", &path.to_string_lossy()]);
}

/// video -> second -> (plays, watched, survived), from gold.
fn curves(home: &Home) -> BTreeMap<String, Vec<(i64, i64, i64)>> {
    let rows = home.query(
        "select video_id, second_s, plays, watched, survived from gold.retention_curve order by video_id, second_s",
    );
    let mut curves: BTreeMap<String, Vec<(i64, i64, i64)>> = BTreeMap::new();
    for row in rows {
        let number = |name: &str| row[name].as_i64().expect("a count");
        let curve = curves.entry(row["video_id"].as_str().expect("an id").to_owned()).or_default();
        assert_eq!(number("second_s"), curve.len() as i64, "the curve is dense");
        curve.push((number("plays"), number("watched"), number("survived")));
    }
    curves
}

/// Every video of the truth that was viewed has exactly its curve, and there is no other.
fn assert_true(home: &Home, truth: &Value) {
    let curves = curves(home);
    let mut videos = 0;
    for video in truth["videos"].as_array().expect("videos").iter().filter(|v| v["views"] != 0) {
        let id = video["video_id"].as_str().expect("an id");
        let curve = curves.get(id).unwrap_or_else(|| panic!("{id} has no curve"));
        let of = |name: &str| video[name].as_array().expect("counts").iter().map(|n| n.as_i64().expect("a count"));
        let expected: Vec<_> =
            of("plays").zip(of("watched")).zip(of("survived")).map(|((p, w), s)| (p, w, s)).collect();
        let longest = curve.len().max(expected.len());
        for second in 0..longest {
            let (has, should) = (curve.get(second).copied(), expected.get(second).copied());
            assert_eq!(has.unwrap_or_default(), should.unwrap_or_default(), "{id}, second {second}");
        }
        let views = home.number(&format!("select total_views from gold.viewer_retention where video_id = '{id}'"));
        assert_eq!(Some(views), video["views"].as_i64(), "views of {id}");
        videos += 1;
    }
    assert_eq!(videos, curves.len());
    let views = home.number("select count(*) from silver.views");
    assert_eq!(Some(views), truth["views"].as_i64());
}

/// What was planted was found: rejects by reason, copies wherever they were dropped.
fn assert_found(home: &Home, truth: &Value) {
    for (reason, planted) in truth["rejects"].as_object().expect("reasons") {
        let found = home.number(&format!("select count(*) from bronze.events where reason = '{reason}'"));
        assert_eq!(Some(found), planted.as_i64(), "{reason}");
        assert!(found > 0, "{reason} was not planted");
    }
    let rejected = home.number("select count(*) from bronze.events where outcome = 'rejected'");
    let planted: i64 = truth["rejects"].as_object().expect("reasons").values().filter_map(Value::as_i64).sum();
    assert_eq!(rejected, planted);
    let copies = home.number(
        "select (select count(*) from bronze.events where outcome = 'duplicate') \
         + (select coalesce(sum(late_duplicates), 0) from silver.enriched_events)",
    );
    let planted = truth["duplicates"]["near"].as_i64().zip(truth["duplicates"]["far"].as_i64()).map(|(n, f)| n + f);
    assert_eq!(Some(copies), planted);
}

fn built(home: &Home) {
    home.ok(&["process"]);
    home.ok(&["build"]);
}

/// Simulates so many into the log, builds, and compares.
fn assert_gold_is_the_truth_of(amount: &[&str]) {
    let home = Home::new();
    let truth = home.file("truth.json");
    let (dirt, seed, truth_to) = (setting("DIRT", DIRT), setting("SEED", "5"), truth.to_string_lossy());
    home.ok(&[&["simulate", "--dirt", &dirt, "--seed", &seed, "--truth", &truth_to], amount].concat());
    built(&home);
    let truth: Value = serde_json::from_slice(&fs::read(truth).expect("the truth")).expect("JSON");
    assert_true(&home, &truth);
    assert_found(&home, &truth);
    home.ok(&["audit"]);
}

#[test]
fn gold_is_the_truth_straight_from_the_simulator() {
    assert_gold_is_the_truth_of(&["--events", &setting("RECORDS", RECORDS)]);
}

/// The simulation ends in the middle of most of its views.
#[test]
fn gold_is_the_truth_of_a_simulation_in_real_time() {
    assert_gold_is_the_truth_of(&["--rate", "5k", "--for", "6s"]);
}

#[test]
fn partitions_order_and_number_of_builds_do_not_show() {
    let whole = Home::new();
    let (lines, truth) = simulated(&whole, &[]);
    ingest(&whole, &lines);
    built(&whole);
    assert_true(&whole, &truth);
    assert_found(&whole, &truth);
    whole.ok(&["audit"]);
    let gold = whole.gold();
    for partitions in [1, 2, 8] {
        let home = with_titles_of(&whole);
        home.ok(&["config"]);
        fs::write(home.path().join("streamreel.toml"), format!("[log]\npartitions = {partitions}\n"))
            .expect("settings");
        ingest(&home, &shuffled(&lines, partitions));
        built(&home);
        assert_same(&gold, &home.gold(), &format!("{partitions} partitions, another order"));
        home.ok(&["audit"]);
    }
    for (name, lines, optimize) in [("in order", lines.clone(), false), ("in any order", shuffled(&lines, 99), true)] {
        let home = with_titles_of(&whole);
        for part in lines.chunks(lines.len().div_ceil(BUILDS)) {
            ingest(&home, part);
            built(&home);
            if optimize {
                home.ok(&["lake", "optimize"]);
            }
        }
        assert_same(&gold, &home.gold(), &format!("{BUILDS} builds, {name}"));
        home.ok(&["audit"]);
        let vacuumed = home.json(&["lake", "vacuum", "--retention", "0s", "--no-writers"]);
        assert!(vacuumed.as_array().is_some_and(|tables| !tables.is_empty()));
        assert_same(&gold, &home.gold(), &format!("{BUILDS} builds, {name}, after vacuum"));
    }
}

/// A home with the same metadata.
fn with_titles_of(other: &Home) -> Home {
    let home = Home::new();
    let metadata = home.path().join("metadata");
    fs::create_dir_all(&metadata).expect("a folder");
    fs::copy(other.path().join("metadata/video_metadata.csv"), metadata.join("video_metadata.csv")).expect("copied");
    home
}

/// The lines in another order, the same for the same seed.
fn shuffled(lines: &[String], seed: u64) -> Vec<String> {
    let mut lines = lines.to_vec();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for last in (1..lines.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        lines.swap(last, (state % (last as u64 + 1)) as usize);
    }
    lines
}

#[test]
fn a_lake_from_the_cleaned_topics_is_the_same_in_several_builds() {
    let home = Home::new();
    let (lines, _) = simulated(&home, &[]);
    let other = home.file("other_lake");
    let other = ["--lake", &other.to_string_lossy()];
    let on_other = |args: &[&str]| home.ok(&[&other, args].concat());
    for part in lines.chunks(lines.len().div_ceil(3)) {
        ingest(&home, part);
        home.ok(&["process"]);
        home.ok(&["build"]);
        on_other(&["process", "--from", "clean"]);
        on_other(&["build"]);
        assert_same(&home.gold_with(&other), &home.gold(), "landed from the cleaned topics");
    }
    let again: Value = serde_json::from_str(&on_other(&["build", "--json"])).expect("JSON on stdout");
    assert_eq!(again["silver"]["build_id"], Value::Null, "nothing new, nothing to do");
}
