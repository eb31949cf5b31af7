//! Bad input: a clear error or a counted reject, nothing lost, what was there intact.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Home, repository, text};

/// A home with the full example processed and built.
fn built() -> Home {
    let home = Home::new();
    home.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    home
}

fn metadata(home: &Home, csv: &str) {
    let folder = home.path().join("metadata");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("video_metadata.csv"), csv).expect("written");
}

#[test]
fn files_that_cannot_be_read() {
    let home = Home::new();
    let good = home.file("good.ndjson");
    let line = r#"{"user_id":"u","video_id":"v","timestamp":"2026-01-05T00:00:00Z","event_type":"play"}"#;
    fs::write(&good, format!("{line}\n")).expect("written");
    let said = home.fails(1, &["ingest", &good.to_string_lossy(), "no/such/file.ndjson"]);
    assert!(said.contains("no/such/file.ndjson") && said.contains("No such file"), "{said}");
    assert!(!home.path().join("log").exists(), "a wrong name ingests nothing");
    let said = home.fails(2, &["ingest", &home.file("").to_string_lossy()]);
    assert!(said.contains("is a folder"), "{said}");

    let gz = home.file("cut.ndjson.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, format!("{line}\n").repeat(5000).as_bytes()).expect("compressed");
    let bytes = encoder.finish().expect("compressed");
    fs::write(&gz, &bytes[..bytes.len() / 2]).expect("written");
    let said = home.fails(1, &["ingest", &gz.to_string_lossy()]);
    assert!(said.contains("cut.ndjson.gz") && said.contains("copies are recognised"), "{said}");
    let before = home.json(&["topics"])[0]["records"].as_u64().expect("records");
    assert!(before > 0 && before < 5000, "whole lines before the break are kept: {before}");
}

#[test]
fn files_without_lines() {
    let home = Home::new();
    let good = repository("examples/minimal.ndjson");
    let cases: [(&str, &[u8], &str); 6] = [
        ("a.xz", b"\xfd7zXZ\x00\x00\x04", "an xz archive, not lines; try `xz -dc"),
        ("a.bz2", b"BZh91AY&SY", "a bzip2 archive"),
        ("a.zip", b"PK\x03\x04\x14\x00", "a zip archive"),
        ("a.parquet", b"PAR1\x15\x04", "a Parquet file"),
        ("a.avro", b"Obj\x01\x04\x16", "an Avro file"),
        ("a.json", b"\n[\n{\"user_id\":\"u\"},\n{\"user_id\":\"v\"}\n]\n", "a JSON array, not lines; try `jq -c '.[]'"),
    ];
    for (name, bytes, expected) in cases {
        let file = home.file(name);
        fs::write(&file, bytes).expect("written");
        let file = file.to_string_lossy();
        let said = home.fails(1, &["ingest", &good.to_string_lossy(), &file]);
        for expected in [expected, &*file, "| streamreel ingest -`"] {
            assert!(said.contains(expected), "{name}: no `{expected}` in: {said}");
        }
        assert!(!home.path().join("log").exists(), "{name}: nothing is ingested");
    }
    let piped = fs::File::open(home.file("a.json")).expect("there");
    let output = home.command(&["ingest", "-"]).stdin(piped).output().expect("the program starts");
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("a JSON array"), "{said}");
    let topics = home.json(&["topics"]);
    assert!(topics.as_array().expect("topics").iter().all(|topic| topic["records"] == 0), "{topics}");
}

#[test]
fn lines_that_are_no_events_are_counted() {
    let home = Home::new();
    let file = home.file("odd.ndjson");
    let event = r#"{"user_id":"u","video_id":"v","timestamp":"2026-01-05T00:00:00Z","event_type":"play"}"#;
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend_from_slice(event.as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n   \n\x00\x01\xfe\xff\n");
    bytes.extend_from_slice(format!("{{\"user_id\":\"{}\"}}\n", "x".repeat(10 << 20)).as_bytes());
    bytes.extend_from_slice(b"[1]\nno json");
    fs::write(&file, bytes).expect("written");
    let ingested = home.json(&["ingest", &file.to_string_lossy()]);
    assert_eq!((ingested["records"].as_u64(), ingested["cut"].as_u64()), (Some(5), Some(1)));
    let processed = home.json(&["process"]);
    assert_eq!(processed["received"], 5);
    assert_eq!(processed["clean"], 1);
    for reason in ["invalid_utf8", "too_large", "not_an_object", "not_json"] {
        assert_eq!(processed["rejected"][reason], 1, "{reason}: {processed}");
    }
    home.ok(&["audit"]);
}

#[test]
fn metadata_that_contradicts_itself() {
    let home = built();
    let gold = home.gold();
    let header = "video_id,title,creator,genre,duration_s,published_at\n";
    let cases = [
        ("video_id,title,creator,genre\nv1,T,C,G\n".to_owned(), "lacks the column duration_s"),
        (format!("{header}v1,T,C,G,10,\nv1,T,C,G,10,\n"), "repeats the id `v1`"),
        (format!("{header}v1,T,C,G,-5,\n"), "must be above 0"),
    ];
    for (csv, expected) in cases {
        metadata(&home, &csv);
        let said = home.fails(1, &["build"]);
        assert!(said.contains("video_metadata.csv") && said.contains(expected), "{said}");
        assert_eq!(home.gold(), gold, "the build before stays readable");
    }
}

#[test]
fn metadata_that_is_named_must_be_there() {
    let home = built();
    assert!(!home.path().join("metadata").exists(), "the home's own may be missing");
    let gold = home.gold();
    let (nowhere, file) = (home.file("nowhere"), home.file("file"));
    fs::write(&file, "x").expect("written");
    for (path, problem) in [(nowhere, "there is no folder"), (file, "is no folder")] {
        let path = path.to_string_lossy();
        let by_flag = home.fails(2, &["--metadata", &path, "build"]);
        let output = home.command(&["build"]).env("STREAMREEL_METADATA", &*path).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2));
        let by_environment = text(&output.stderr);
        for (said, origin) in [(by_flag, "flag --metadata: "), (by_environment, "environment STREAMREEL_METADATA: ")] {
            assert!(said.contains(origin) && said.contains(&*path) && said.contains(problem), "{said}");
        }
    }
    assert_eq!(home.gold(), gold, "the build before stays");
}

#[test]
fn changed_metadata_changes_what_it_touches() {
    let home = built();
    let video = home.query("select video_id from gold.viewer_retention order by total_views desc, video_id limit 1");
    let id = video[0]["video_id"].as_str().expect("an id").to_owned();
    let header = "video_id,title,creator,genre,duration_s,published_at\n";
    metadata(&home, &format!("{header}{id},Renamed,Somebody,Drama,7,\n"));
    home.ok(&["build"]);
    let rows = home.query(&format!("select title, video_duration_s from silver.views where video_id = '{id}'"));
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|r| r["title"] == "Renamed" && r["video_duration_s"] == 7.0), "{rows:?}");
    assert_eq!(home.number(&format!("select max(second_s) from gold.retention_curve where video_id = '{id}'")), 6);
    home.ok(&["audit"]);
    let again = home.json(&["build"]);
    assert_eq!(again["silver"]["build_id"], serde_json::Value::Null, "nothing to do twice");
}

#[test]
fn views_of_titles_without_metadata_are_counted() {
    let home = Home::new();
    let file = home.file("events.ndjson");
    let ingest = |views: &[(&str, &str)]| {
        let line = |(user, video): &(&str, &str), second: u32, kind: &str| {
            format!(
                "{{\"user_id\":\"{user}\",\"video_id\":\"{video}\",\"timestamp\":\"2026-01-05T00:00:{second:02}Z\",\
                 \"event_type\":\"{kind}\",\"position_s\":{second}}}\n"
            )
        };
        let lines: String = views.iter().map(|view| line(view, 0, "play") + &line(view, 9, "pause")).collect();
        fs::write(&file, lines).expect("written");
        home.ok(&["ingest", &file.to_string_lossy()]);
        home.ok(&["process"]);
    };
    let header = "video_id,title,creator,genre,duration_s\n";
    metadata(&home, &format!("{header}v1,One,C,G,60\n"));
    ingest(&[("u1", "v1"), ("u1", "v2"), ("u2", "v2"), ("u2", "v3")]);
    let built = home.json(&["build"]);
    assert_eq!(built["silver"]["views"], 4);
    assert_eq!(built["silver"]["views_without_metadata"], 3);
    let lacking = home.query(
        "select video_id, count(*) as views from silver.views \
         where video_id not in (select video_id from silver.video_metadata) group by video_id order by views desc",
    );
    let lacking: Vec<&str> = lacking.iter().filter_map(|row| row["video_id"].as_str()).collect();
    assert_eq!(lacking, ["v2", "v3"]);

    // Of the views that this build derives.
    ingest(&[("u3", "v1"), ("u3", "v3")]);
    let said = home.ok(&["build"]);
    assert!(said.contains("1 views of titles that the metadata lacks"), "{said}");
    let full = home.json(&["build", "--full-refresh"]);
    assert_eq!(full["silver"]["views_without_metadata"], 4);

    metadata(&home, &format!("{header}v1,One,C,G,60\nv2,Two,C,G,60\nv3,Three,C,G,60\n"));
    let said = home.ok(&["build"]);
    assert!(!said.contains("that the metadata lacks"), "{said}");
    home.ok(&["audit"]);
}

#[test]
fn metadata_that_is_gone_is_said() {
    let home = built();
    let rows = "video_id,title,creator,genre,duration_s\nv0001,A,C,G,10\nv0002,B,C,G,10\n";
    for args in [&["build"][..], &["build", "--full-refresh"]] {
        metadata(&home, rows);
        home.ok(args);
        fs::remove_file(home.path().join("metadata/video_metadata.csv")).expect("removed");
        let output = home.run(args);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{args:?} said {said}");
        assert!(said.contains("the last build had metadata of 2 videos, this one has none"), "{args:?} said {said}");
        let again = text(&home.run(args).stderr);
        assert!(!again.contains("the last build had metadata"), "{args:?} said {again}");
    }
}

#[test]
fn folders_of_somebody_else() {
    let home = Home::new();
    fs::create_dir_all(home.path().join("data_lake/theirs")).expect("a folder");
    fs::write(home.path().join("data_lake/theirs/file"), "x").expect("written");
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    let said = home.fails(1, &["process"]);
    assert!(said.contains("not a StreamReel lake") && said.contains("--home"), "{said}");
    assert!(home.path().join("data_lake/theirs/file").exists());

    let home = Home::new();
    fs::create_dir_all(home.path().join("log")).expect("a folder");
    fs::write(home.path().join("log/theirs"), "x").expect("written");
    let said = home.fails(1, &["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    assert!(said.contains("is no log of StreamReel"), "{said}");
}

#[test]
fn wrong_use() {
    let home = Home::new();
    let cases: [(i32, &[&str], &str); 18] = [
        (2, &["nonsense"], "unrecognized subcommand"),
        (2, &["--metadata", "no/such", "build"], "there is no folder no/such"),
        (2, &["--set", "proces.commit_interval=1s", "config"], "did you mean `process.commit_interval`"),
        (2, &["--set", "view.gap=soon", "config"], "view.gap"),
        (2, &["--set", "view.completion_ratio=5", "config"], "`view.completion_ratio` = 5.0: expected 0 to 1"),
        (2, &["--set", "build.every=0s", "up"], "`build.every` = \"0s\": expected 1s or more"),
        (2, &["process", "--commit-interval", "0s"], "`process.commit_interval` = \"0s\": expected 10ms or more"),
        (2, &["simulate", "--events", "0"], "at least 1"),
        (1, &["simulate", "--events", "10", "--dirt", "0.95"], "dirt_ratio"),
        (2, &["simulate", "--events", "10", "--for", "10s"], "--for"),
        (2, &["simulate", "--events", "10", "--truth", "-"], "--truth takes a file"),
        (2, &["--json", "query", "--format", "csv", "select 1"], "--json is the same as --format json"),
        (2, &["--config", "no/such.toml", "config"], "no/such.toml"),
        (1, &["query", "select 1"], "there is no"),
        (1, &["topics"], "there is no log"),
        (1, &["process"], "there is no log"),
        (1, &["audit"], "there is no"),
        (2, &["process", "--commit-interval", "often"], "process.commit_interval"),
    ];
    for (status, args, expected) in cases {
        let said = home.fails(status, args);
        assert!(said.contains(expected), "{args:?} said {said}");
    }
    assert!(!home.path().exists(), "nothing of that made a home");
}

#[test]
fn builds_before_there_is_anything_to_build_from() {
    let builds: [&[&str]; 3] = [&["build"], &["build", "--layer", "silver"], &["build", "--layer", "gold"]];
    let (empty, ingested) = (Home::new(), Home::new());
    ingested.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    for home in [&empty, &ingested] {
        for args in builds {
            let said = home.fails(1, args);
            assert!(said.contains("there is no bronze yet: run `streamreel process` first"), "{args:?} said {said}");
        }
    }
    ingested.ok(&["process"]);
    let said = ingested.fails(1, &["build", "--layer", "gold"]);
    assert!(said.contains("there is no silver yet"), "{said}");
    ingested.ok(&["build"]);
}

#[test]
fn a_file_is_written_over_only_by_a_simulation_that_can_be() {
    let home = Home::new();
    fs::create_dir_all(home.path()).expect("a folder");
    let theirs = home.path().join("theirs.ndjson");
    fs::write(&theirs, "kept").expect("written");
    home.fails(1, &["simulate", "--events", "10", "--dirt", "0.95", "--to", &theirs.to_string_lossy()]);
    assert_eq!(fs::read_to_string(&theirs).expect("there"), "kept");
}

#[test]
fn a_simulation_into_a_file_makes_no_home_and_leaves_one_to_the_demo() {
    let home = Home::new();
    let simulate =
        ["simulate", "--events", "100", "--to", &home.file("events.ndjson").to_string_lossy()].map(str::to_owned);
    let simulate: Vec<&str> = simulate.iter().map(String::as_str).collect();
    let titles = home.path().join("metadata/video_metadata.csv");
    home.ok(&simulate);
    assert!(!home.path().exists(), "there is nothing to be in it");
    home.make();
    home.ok(&simulate);
    assert!(titles.exists(), "a home that is there has the titles");
    fs::remove_dir_all(home.path()).expect("removed");
    let demo = ["demo", "--events", "20000"];
    home.ok(&demo);
    home.ok(&simulate);
    home.ok(&demo);
    home.ok(&["simulate", "--events", "100"]);
    let said = home.fails(2, &demo);
    assert!(said.contains("holds data that no demo made"), "{said}");
    let elsewhere = home.file("titles");
    let other = Home::new();
    other.ok(&[&["--metadata", &*elsewhere.to_string_lossy()], &*simulate].concat());
    assert!(elsewhere.join("video_metadata.csv").exists() && !other.path().exists());
}

#[test]
fn definitions_of_topics() {
    let home = Home::new();
    let definitions = repository("kafka/topics/streamreel.toml");
    for _ in 0..2 {
        let topics = home.json(&["topics", "--apply", &definitions.to_string_lossy()]);
        let made: Vec<_> = topics.as_array().expect("topics").iter().map(|t| &t["partitions"]).collect();
        assert_eq!(made.len(), 3, "{topics}");
        assert!(made.iter().all(|partitions| partitions.as_array().is_some_and(|p| p.len() == 4)), "{topics}");
    }
    let cases = [
        ("[[topic]]\nname = \"video-events\"\npartitions = 3\n", "there with 4 partitions"),
        ("[[topic]]\nname = \"video-events\"\nretention = 3\n", "unknown field `retention`"),
        ("topics = []\n", "defines no topics as they should be"),
        ("[[topic]]\nname = \"more\"\npartitions = 0\n", "partitions"),
    ];
    for (text, expected) in cases {
        let file = home.path().join("definitions.toml");
        fs::write(&file, text).expect("written");
        let said = home.fails(1, &["topics", "--apply", &file.to_string_lossy()]);
        assert!(said.contains(expected), "{text} said {said}");
    }
    assert!(home.fails(1, &["topics", "--apply", "no/such.toml"]).contains("can't read no/such.toml"));
}

#[test]
fn queries_that_are_wrong_or_would_write() {
    let home = built();
    let cases = [
        ("select * from gold.nothing", "gold.nothing"),
        ("selec 1", "SQL"),
        ("drop table gold.viewer_retention", "DDL"),
        ("insert into gold.viewer_retention values ('x', 1, 1)", "DML"),
    ];
    for (sql, expected) in cases {
        let said = home.fails(1, &["query", sql]);
        assert!(said.contains(expected), "{sql} said {said}");
    }
}

#[test]
fn tables_that_are_not_there() {
    let home = Home::new();
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    let said = home.fails(1, &["query", "select * from gold.viewer_retention"]);
    assert!(said.contains("there is no table gold.viewer_retention: nothing is published yet"), "{said}");
    assert!(said.contains("run `streamreel build` first"), "{said}");
    home.ok(&["build"]);
    let cases = [
        ("gold.viewer_retentoin", "did you mean gold.viewer_retention?"),
        ("viewer_retention", "did you mean gold.viewer_retention?"),
        ("silver.view", "did you mean silver.views?"),
        ("gold.nothing", "there is no table gold.nothing; `show tables` lists them"),
    ];
    for (table, expected) in cases {
        let said = home.fails(1, &["query", &format!("select * from {table}")]);
        assert!(said.contains(expected) && said.contains("`show tables` lists them"), "{table}: {said}");
    }
    home.ok(&["query", "show tables"]);
}

#[test]
fn data_files_that_are_gone_or_damaged() {
    let home = built();
    let whole = home.gold();
    let out = home.file("out").to_string_lossy().into_owned();
    let export = ["export", "--to", &out];
    let query = ["query", "select * from gold.viewer_retention"];
    let folder = home.path().join("data_lake/gold/viewer_retention");
    let all = files(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet"));
    // A build replaces files of the one before, which are still there.
    let all: Vec<PathBuf> = all.filter(|path| !path.components().any(|c| c.as_os_str() == "_delta_log")).collect();
    let kept: Vec<PathBuf> = (0..all.len()).map(|number| home.file(&format!("kept-{number}"))).collect();
    for (file, kept) in all.iter().zip(&kept) {
        fs::copy(file, kept).expect("copied");
    }
    type Harm = fn(&Path);
    let cases: [(&str, Harm); 3] = [
        ("it is gone", |file| fs::remove_file(file).expect("removed")),
        ("it is damaged", |file| fs::write(file, "").expect("written")),
        ("it is damaged", |file| fs::write(file, [7_u8; 5000]).expect("written")),
    ];
    for (expected, harm) in cases {
        all.iter().for_each(|file| harm(file));
        for args in [&query[..], &["audit"], &export] {
            let said = home.fails(1, args);
            let named = folder.join("part-").to_string_lossy().into_owned();
            for part in ["data file ", &named, " of gold.viewer_retention can't be read: ", expected, "--full-refresh"]
            {
                assert!(said.contains(part), "{args:?}: no `{part}` in: {said}");
            }
            assert!(!said.contains("Parquet error"), "{args:?}: {said}");
        }
    }
    // Behind a footer that is whole, the engine does not say in which file.
    for (file, kept) in all.iter().zip(&kept) {
        fs::copy(kept, file).expect("copied");
        let mut damaged = fs::OpenOptions::new().write(true).open(file).expect("there");
        std::io::Write::write_all(&mut damaged, &[0_u8; 400]).expect("written");
    }
    for args in [&query[..], &["audit"], &export] {
        let said = home.fails(1, args);
        for part in ["data file ", "can't be read: it is damaged", "--full-refresh"] {
            assert!(said.contains(part), "{args:?}: no `{part}` in: {said}");
        }
    }
    for (file, kept) in all.iter().zip(&kept) {
        fs::copy(kept, file).expect("copied");
    }
    assert_eq!(home.gold(), whole);
}

#[test]
fn vacuums_that_could_take_what_is_about_to_be_committed() {
    let home = built();
    let gold = home.gold();
    let cases: [(&[&str], &str); 4] = [
        (&["lake", "vacuum", "--retention", "59m"], "--retention 59m is less than 1h"),
        (&["lake", "vacuum", "--retention", "0s", "silver.views"], "--no-writers"),
        (&["lake", "vacuum", "--retention", "0s", "--dry-run"], "about to commit"),
        (
            &["--set", "upkeep.vacuum_retention=59m", "lake", "vacuum", "--no-writers"],
            "`upkeep.vacuum_retention` = \"59m\": expected 1h or more",
        ),
    ];
    let before = files(&home.path().join("data_lake"));
    for (args, expected) in cases {
        let said = home.fails(2, args);
        assert!(said.contains(expected), "{args:?} said {said}");
        assert_eq!(files(&home.path().join("data_lake")), before, "{args:?}: nothing is removed");
    }
    home.ok(&["lake", "vacuum", "--retention", "1h"]);
    home.ok(&["lake", "vacuum", "--retention", "0s", "--no-writers"]);
    assert_eq!(home.gold(), gold, "what is published stays");
}

#[test]
fn tables_of_a_newer_protocol() {
    let home = built();
    let lake = home.path().join("data_lake");
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    let cases = [
        (r#""minReaderVersion":9,"minWriterVersion":2"#, "uses reader protocol 9 and writer protocol 2 of Delta;"),
        (r#""minReaderVersion":1,"minWriterVersion":9"#, "uses reader protocol 1 and writer protocol 9 of Delta;"),
        (
            r#""minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]"#,
            "uses reader protocol 3 and writer protocol 7 of Delta with deletionVectors;",
        ),
        (
            r#""minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["b-new"],"writerFeatures":["b-new","a-new"]"#,
            "uses reader protocol 3 and writer protocol 7 of Delta with a-new, b-new;",
        ),
    ];
    let commands: [(&str, &[&str]); 3] =
        [("bronze/events", &["process"]), ("bronze/events", &["build"]), ("silver/views", &["build"])];
    for (protocol, expected) in cases {
        for (table, args) in commands {
            let log = lake.join(table).join("_delta_log");
            let newest = files(&log).into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")).max();
            let newest = newest.expect("a commit");
            let version: u64 =
                newest.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok()).expect("a number");
            let entry = log.join(format!("{:020}.json", version + 1));
            fs::write(&entry, format!("{{\"protocol\":{{{protocol}}}}}\n")).expect("written");
            let before = files(&lake);
            let said = home.fails(1, args);
            for expected in [&table.replace('/', "."), expected, "works with 1 and 2", "Take a newer program"] {
                assert!(said.contains(expected), "{args:?}, {protocol}: {said}");
            }
            assert!(!said.contains("damaged"), "{args:?}, {protocol}: {said}");
            assert_eq!(files(&lake), before, "{args:?}, {protocol}: nothing is written");
            fs::remove_file(&entry).expect("removed");
        }
    }
    home.ok(&["process"]);
    home.ok(&["build"]);
    home.ok(&["audit"]);
}

/// All files below a folder but those of leases, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(if path.ends_with("_leases") { Vec::new() } else { files(&path) });
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
