//! Compaction, restore, vacuum and clean-up: rows stay, and what is published stays readable.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    time::Duration,
};

use streamreel_lake::{Build, CommitNote, Delete, Lake, OptimizeScope, Reading, TableId, Written, tables};

use crate::support::{
    View, add, ask, ask_lake, bronze_rows, data_files, lake, put, range, reopen, settings, views_spec,
};

const ROWS: &str = "select view_id, view_date, seconds from silver.views order by 1, 2, 3";

fn build(id: &str, versions: &[(&str, i64)]) -> Build {
    Build {
        build_id: id.into(),
        finished_at: 1,
        versions: versions.iter().map(|(name, v)| (name.parse::<TableId>().unwrap(), *v)).collect(),
        bronze_version: 0,
        offsets: BTreeMap::from([("log/video-events/0".into(), 7)]),
        counts: serde_json::json!({"views": 3}),
    }
}

async fn many_commits(lake: &Lake) -> streamreel_lake::Table {
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    for n in 0..12 {
        let rows: [View; 2] = [(Some("a"), None, 20_000, n, n), (Some("b"), None, 20_001, n % 3, n)];
        add(&mut views, &rows).await;
    }
    views
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_leaves_the_rows_and_the_newest_partition() {
    let (_dir, lake) = lake();
    let mut views = many_commits(&lake).await;
    let rows = ask_lake(&lake, ROWS).await;
    assert_eq!(views.size().0, 24);
    let report = views.optimize(OptimizeScope::Closed).await.unwrap();
    assert_eq!((report.files_removed, report.files_added, report.rows), (12, 1, 12));
    assert_eq!(views.size().0, 13);
    assert_eq!(ask_lake(&reopen(&lake), ROWS).await, rows);
    // Nothing left to do there; then the newest too.
    let nothing = views.optimize(OptimizeScope::Closed).await.unwrap();
    assert_eq!((nothing.files_removed, nothing.version), (0, report.version));
    let report = views.optimize(OptimizeScope::All).await.unwrap();
    assert_eq!((report.files_removed, views.size().0), (12, 2));
    assert_eq!(ask_lake(&reopen(&lake), ROWS).await, rows);
    assert!(!views.changed_since(12).await.unwrap());
    assert!(views.changed_since(11).await.unwrap());
    // A build that starts from version 12 does not undo the compaction.
    assert_eq!(views.restore(12).await.unwrap(), report.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn bronze_is_compacted_beside_a_writer() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    for n in 0..8 {
        bronze.append_offsets(vec![bronze_rows(0, n, n + 1)], &[range(0, n, n + 1)]).await.unwrap();
    }
    let mut compacting = bronze.clone();
    let landing = async {
        for n in 8..30 {
            bronze.append_offsets(vec![bronze_rows(0, n, n + 1)], &[range(0, n, n + 1)]).await.unwrap();
        }
    };
    let (_, report) = tokio::join!(landing, compacting.optimize(OptimizeScope::All));
    assert!(report.unwrap().files_removed >= 8);
    let sql = "select count(*), count(distinct source_offset), max(source_offset) from bronze.events";
    assert_eq!(ask_lake(&lake, sql).await, ["30 30 29"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_broke_off_is_rolled_back() {
    let (_dir, lake) = lake();
    let mut views = many_commits(&lake).await;
    let rows = ask_lake(&lake, ROWS).await;
    lake.stage(&build("b1", &[("silver.views", views.version())])).await.unwrap();
    // The next build rewrites and adds, and dies.
    views.commit(Delete::All, Written::default(), CommitNote::new("derive")).await.unwrap();
    add(&mut views, &[(Some("z"), None, 20_005, 0, 9)]).await;
    let lake = reopen(&lake);
    let staged = lake.staged().await.unwrap().unwrap();
    let mut views = lake.open_table(views.id()).await.unwrap().unwrap();
    let version = views.restore(staged.version_of(views.id()).unwrap()).await.unwrap();
    assert_eq!(version, 15);
    assert_eq!(ask_lake(&lake, ROWS).await, rows);
    assert!(views.restore(99).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_stays_readable() {
    let (_dir, lake) = lake();
    let mut views = many_commits(&lake).await;
    let published = ask_lake(&lake, ROWS).await;
    lake.publish(&build("b1", &[("silver.views", views.version())])).await.unwrap();
    views.optimize(OptimizeScope::All).await.unwrap();
    views.commit(Delete::All, Written::default(), CommitNote::new("next")).await.unwrap();
    for n in 0..20 {
        add(&mut views, &[(Some("z"), None, 20_005, 0, n)]).await;
    }
    // A file of a commit that never happened.
    let mut writer = views.writer();
    writer.write(crate::support::view_rows(&[(Some("orphan"), None, 20_009, 0, 0)])).await.unwrap();
    drop(writer.finish().await.unwrap());
    let keep = lake.kept_versions(views.id()).await.unwrap();
    assert_eq!(keep, [12]);
    let before = data_files(&views).await.len();
    let dry = views.vacuum(Duration::ZERO, &keep, true).await.unwrap();
    assert_eq!(data_files(&views).await.len(), before);
    let done = views.vacuum(Duration::ZERO, &keep, false).await.unwrap();
    // The two files of the compaction and the orphan; those of version 12 and the newest stay.
    assert_eq!((dry.files.len(), done.files.len()), (3, 3), "{done:?}");
    assert!(!views.place().folder().is_some_and(|path| path.join("view_date=2024-10-13").exists()));
    let deleted = views.cleanup_log(Duration::ZERO, &keep).await.unwrap();
    assert!(deleted > 0);
    let lake = reopen(&lake);
    let session = lake.session(&Reading::Published).await.unwrap();
    assert_eq!(ask(&session, ROWS).await, published);
    assert_eq!(ask_lake(&lake, "select count(*) from silver.views").await, ["20"]);
    // Versions that nobody keeps are gone, and say so.
    let gone = lake.open_table_at(views.id(), 3).await;
    assert!(matches!(gone, Err(streamreel_lake::Error::NoVersion { version: 3, .. })), "{gone:?}");
    // Without anything to keep all of it goes.
    let mut views = lake.open_table(views.id()).await.unwrap().unwrap();
    assert!(views.vacuum(Duration::ZERO, &[], false).await.unwrap().files.len() >= 24);
    assert_eq!(ask_lake(&reopen(&lake), "select count(*) from silver.views").await, ["20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_writers_left_in_a_folder_goes_when_it_is_old() {
    let dir = tempfile::TempDir::new().unwrap();
    let lake = Lake::open_with(dir.path().join("lake"), settings()).unwrap();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await;
    let folder = views.place().folder().unwrap().to_owned();
    let (old, fresh) = (Duration::from_secs(2 * 3600), Duration::ZERO);
    // Name, how long ago it was written, whether it stays.
    let cases = [
        ("view_date=2024-10-04/part-0.zstd.parquet#1", old, false),
        ("view_date=2024-10-04/part-0.zstd.parquet#2", fresh, true),
        ("view_date=2024-10-04/part-1.zstd.parquet", old, true),
        ("view_date=2024-10-04/.part-2.zstd.parquet.crc", old, true),
        ("view_date=2024-10-05/part-3.zstd.parquet#1", old, false),
        ("part-4.zstd.parquet#17", old, false),
        ("part-5.zstd.parquet#17", fresh, true),
    ];
    for (name, age, _) in cases {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(&path).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - age).unwrap();
    }
    // Nothing of these is a file that the table library would take.
    let retention = Duration::from_secs(24 * 3600);
    for dry_run in [true, false] {
        let report = views.vacuum(retention, &[], dry_run).await.unwrap();
        assert!(report.files.is_empty(), "{report:?}");
        for (name, _, stays) in cases {
            assert_eq!(folder.join(name).exists(), dry_run || stays, "{name}, dry run: {dry_run}");
        }
    }
    assert!(!folder.join("view_date=2024-10-05").exists(), "it has no file any more");
    assert_eq!(ask_lake(&lake, "select count(*) from silver.views").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_build_is_the_one_appended_last() {
    let (_dir, lake) = lake();
    assert_eq!(lake.published().await.unwrap(), None);
    lake.publish(&Build { finished_at: 500, ..build("first", &[("gold.top_content", 3)]) }).await.unwrap();
    // The clock went back.
    lake.publish(&Build { finished_at: 100, ..build("second", &[("gold.top_content", 4)]) }).await.unwrap();
    let last = reopen(&lake).published().await.unwrap().unwrap();
    assert_eq!((last.build_id.as_str(), last.finished_at), ("second", 501));
    assert_eq!(last.version_of(&TableId::gold("top_content")), Some(4));
    assert_eq!(last.counts["views"], 3);
    assert_eq!(last.offsets["log/video-events/0"], 7);
    assert_eq!(lake.builds().await.unwrap().len(), 2);
    let sql = "select build_id, versions from gold.builds order by finished_at";
    assert_eq!(ask_lake(&lake, sql).await, [r#"first {"gold.top_content":3}"#, r#"second {"gold.top_content":4}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_checkpoint_or_stage_is_no_obstacle() {
    let (_dir, lake) = lake();
    let views = many_commits(&lake).await;
    if let Some(path) = views.place().folder() {
        let log = path.join("_delta_log");
        std::fs::write(log.join(".00000000000000000013.json.dead"), "{").unwrap();
        std::fs::write(log.join("00000000000000000013.json#1"), "{").unwrap();
    }
    put(&views.place(), "_delta_log/_last_checkpoint", "not json").await;
    let lake = reopen(&lake);
    let mut views = lake.open_table(views.id()).await.unwrap().unwrap();
    assert_eq!(views.version(), 12);
    assert_eq!(add(&mut views, &[(Some("a"), None, 20_000, 0, 0)]).await, 13);
    views.checkpoint().await.unwrap();
    assert_eq!(reopen(&lake).open_table(views.id()).await.unwrap().unwrap().rows(), 25);
}
