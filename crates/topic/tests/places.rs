//! Folders and files that are no log, not yet a log, or a log that may not be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use streamreel_topic::{EmbeddedLog, Error, Log, RecordsBuilder, Retention};

const TOPIC: &str = "t";

/// Everything in a folder, to see that nothing was changed.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut fs::File::open(entry.path()).unwrap(), &mut bytes).unwrap();
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        // SQLite's own files of readers: the memory that processes share, and a write-ahead log with nothing in it.
        .filter(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty()))
        .collect();
    files.sort();
    files
}

fn sqlite(file: &Path, sql: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

fn make_log(folder: &Path) {
    let log = EmbeddedLog::open(folder).unwrap();
    log.ensure_topic(TOPIC, 1).unwrap();
    let mut producer = log.producer("p").unwrap();
    let mut builder = RecordsBuilder::new();
    builder.push(1, None, b"value", &[]);
    producer.send(TOPIC, 0, builder.finish()).unwrap();
    producer.commit().unwrap();
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare, &str); 7] = [
        ("other files", |folder| fs::write(folder.join("holiday.jpg"), "x").unwrap(), "such as holiday.jpg"),
        (
            "no database",
            |folder| fs::write(folder.join("topics.sqlite"), "x".repeat(5_000)).unwrap(),
            "no SQLite database",
        ),
        (
            "other program's database",
            |folder| sqlite(&folder.join("topics.sqlite"), "CREATE TABLE a (b)"),
            "another program",
        ),
        (
            "other application id",
            |folder| sqlite(&folder.join("topics.sqlite"), "PRAGMA application_id = 7; CREATE TABLE a (b)"),
            "another program",
        ),
        (
            "older layout",
            |folder| {
                make_log(folder);
                sqlite(&folder.join("topics.sqlite"), "PRAGMA user_version = 0");
            },
            "layout version 0, this program reads version 1: move the folder away",
        ),
        (
            "newer layout",
            |folder| {
                make_log(folder);
                sqlite(&folder.join("topics.sqlite"), "PRAGMA user_version = 99");
            },
            "use a newer program",
        ),
        ("a folder in its place", |folder| fs::create_dir(folder.join("topics.sqlite")).unwrap(), "it is a folder"),
    ];
    for (name, prepare, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let before = contents(folder.path());
        for opened in [EmbeddedLog::open(folder.path()), EmbeddedLog::open_read_only(folder.path())] {
            let error = opened.err().unwrap_or_else(|| panic!("{name} was opened"));
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        assert!(contents(folder.path()) == before, "{name}: something was changed");
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, "mine").unwrap();
    for opened in [EmbeddedLog::open(&file), EmbeddedLog::open_read_only(&file)] {
        let error = opened.err().unwrap();
        assert!(error.to_string().contains("it is a file"), "{error}");
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), 4);
}

#[test]
fn a_creation_that_was_cut_short_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("topics.sqlite"), "").unwrap();
    fs::write(folder.path().join("topics.lock"), "").unwrap();
    assert!(matches!(EmbeddedLog::open_read_only(folder.path()), Err(Error::NoLog { .. })));
    make_log(folder.path());
    assert_eq!(EmbeddedLog::open(folder.path()).unwrap().range(TOPIC, 0).unwrap(), 0..1);
}

#[test]
fn many_may_create_it_at_once() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep").join("log");
        let identities: Vec<String> = std::thread::scope(|scope| {
            let open = || {
                let log = EmbeddedLog::open(&place).unwrap();
                assert_eq!(log.ensure_topic(TOPIC, 3).unwrap(), 3);
                log.identity(TOPIC).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
    }
}

#[test]
fn reading_alone_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("none");
    assert!(matches!(EmbeddedLog::open_read_only(&empty), Err(Error::NoLog { .. })));
    assert!(!empty.exists());

    make_log(folder.path());
    let log = EmbeddedLog::open_read_only(folder.path()).unwrap();
    assert_eq!(log.fetch(TOPIC, 0, 0, 1).unwrap().records.value(0), b"value");
    assert_eq!(log.committed("g", TOPIC, 0).unwrap(), None);
    assert_eq!(log.ensure_topic(TOPIC, 1).unwrap(), 1);
    let refused = [
        log.ensure_topic("new", 1).err().unwrap(),
        log.producer("p").err().unwrap(),
        log.retain(TOPIC, &Retention::default()).err().unwrap(),
    ];
    for error in refused {
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains("Check the permissions"), "{error}");
    }
    // It sees what others write meanwhile.
    let seen = log.data_version().unwrap();
    make_log(folder.path());
    assert_ne!(log.data_version().unwrap(), seen);
    assert_eq!(log.range(TOPIC, 0).unwrap(), 0..2);
}
