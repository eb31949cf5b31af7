//! Rows and offsets in one step.

use std::{collections::BTreeMap, time::Duration};

use streamreel_lake::{CommitNote, Delete, Error, OffsetRange, tables};

use crate::support::{LOG, ask_lake, bronze_rows, is_there, lake, range, remove, reopen};

const COUNT: &str = "select count(*), count(distinct source_offset) from bronze.events";

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_offsets_become_visible_together() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let both = [range(0, 0, 5), range(1, 7, 10)];
    let version = bronze.append_offsets(vec![bronze_rows(0, 0, 5), bronze_rows(1, 7, 10)], &both).await.unwrap();
    assert_eq!((version, bronze.rows()), (1, 8));
    let next = bronze.append_offsets(vec![bronze_rows(0, 5, 6)], &[range(0, 5, 6)]).await.unwrap();
    assert_eq!(next, 2);
    let expected = BTreeMap::from([((LOG.to_owned(), 0), 6), ((LOG.to_owned(), 1), 10)]);
    assert_eq!(bronze.offsets("video-events").await.unwrap(), expected);
    assert!(bronze.offsets("clean-events").await.unwrap().is_empty());
    let mut seen = reopen(&lake).open_table(bronze.id()).await.unwrap().unwrap();
    assert_eq!(seen.offsets("video-events").await.unwrap(), expected);
    assert_eq!(ask_lake(&lake, COUNT).await, ["9 9"]);
    let history = seen.history(Some(2)).await.unwrap();
    assert_eq!(history[0].offsets, [range(0, 5, 6)]);
    assert_eq!((history[1].version, history[1].offsets.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_rows_moves_the_offset() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let markers = OffsetRange { records: 0, ..range(0, 0, 3) };
    assert_eq!(bronze.append_offsets(vec![], &[markers]).await.unwrap(), 1);
    assert_eq!(bronze.transactions().await.unwrap()[&format!("{LOG}/video-events/0")], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_append_changes_nothing() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let good = bronze_rows(0, 0, 5);
    let bad = good.project(&[0, 1, 2]).unwrap();
    let error = bronze.append_offsets(vec![good.clone(), bad], &[range(0, 0, 10)]).await.unwrap_err();
    assert!(matches!(&error, Error::Rows { what, .. } if what.contains("source_log")), "{error}");
    assert_eq!((bronze.version(), bronze.rows()), (0, 0));
    assert!(bronze.transactions().await.unwrap().is_empty());
    assert_eq!(bronze.append_offsets(vec![good], &[range(0, 0, 5)]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_contradict_are_refused() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let five = || vec![bronze_rows(0, 0, 5)];
    let unnamed = OffsetRange { log: String::new(), ..range(0, 0, 5) };
    let cases = [
        ("no range", five(), vec![]),
        ("fewer records", five(), vec![range(0, 0, 4)]),
        ("more records", five(), vec![range(0, 0, 6)]),
        ("twice", five(), vec![range(0, 0, 2), range(0, 2, 5)]),
        ("backwards", vec![], vec![range(0, 5, 0)]),
        ("empty", vec![], vec![range(0, 5, 5)]),
        ("without a log", five(), vec![unnamed]),
    ];
    for (name, rows, ranges) in cases {
        let result = bronze.append_offsets(rows, &ranges).await;
        assert!(matches!(result, Err(Error::Offsets { .. })), "{name}: {result:?}");
    }
    assert_eq!(bronze.version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bronze_takes_no_rows_without_offsets() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let mut writer = bronze.writer();
    writer.write(bronze_rows(0, 0, 5)).await.unwrap();
    let written = writer.finish().await.unwrap();
    let result = bronze.commit(Delete::Nothing, written, CommitNote::new("sneak")).await;
    assert!(matches!(result, Err(Error::OffsetsRequired { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_fenced_whatever_snapshot_it_has() {
    let (_dir, lake) = lake();
    let mut first = lake.create(&tables::bronze_events()).await.unwrap();
    let mut stale = first.clone();
    first.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await.unwrap();
    // From the snapshot before: the winner's offsets are found on the way to the commit.
    let lost = stale.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await;
    assert!(matches!(lost, Err(Error::Fenced { from: 0, stands: Some(5), .. })), "{lost:?}");
    // From the newest snapshot, where the library itself would let it pass.
    stale.refresh().await.unwrap();
    let again = stale.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await;
    assert!(matches!(again, Err(Error::Fenced { .. })), "{again:?}");
    // A gap is as wrong as a repetition.
    let gap = stale.append_offsets(vec![bronze_rows(0, 6, 7)], &[range(0, 6, 7)]).await;
    assert!(matches!(gap, Err(Error::Fenced { from: 6, .. })), "{gap:?}");
    assert_eq!(ask_lake(&lake, COUNT).await, ["5 5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_other_partitions_do_not_disturb_each_other() {
    let (_dir, lake) = lake();
    let mut first = lake.create(&tables::bronze_events()).await.unwrap();
    let mut second = first.clone();
    for step in 0..3 {
        let (from, next) = (step * 4, step * 4 + 4);
        first.append_offsets(vec![bronze_rows(0, from, next)], &[range(0, from, next)]).await.unwrap();
        second.append_offsets(vec![bronze_rows(1, from, next)], &[range(1, from, next)]).await.unwrap();
    }
    let found = second.offsets("video-events").await.unwrap();
    assert_eq!(found.values().copied().collect::<Vec<_>>(), [12, 12]);
    assert_eq!(second.version(), 6);
}

/// One that idled while the log was cleaned up beyond its version goes on all the same; what it should see moved fences it.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_clean_up_overtook_goes_on() {
    let (_dir, lake) = lake();
    let mut busy = lake.create(&tables::bronze_events()).await.unwrap();
    busy.append_offsets(vec![bronze_rows(0, 0, 1)], &[range(0, 0, 1)]).await.unwrap();
    let (mut idle, mut zombie) = (busy.clone(), busy.clone());
    for n in 1..5 {
        busy.append_offsets(vec![bronze_rows(0, n, n + 1)], &[range(0, n, n + 1)]).await.unwrap();
    }
    busy.checkpoint().await.unwrap();
    assert!(busy.cleanup_log(Duration::ZERO, &[]).await.unwrap() > 2);
    idle.append_offsets(vec![bronze_rows(1, 0, 3)], &[range(1, 0, 3)]).await.unwrap();
    let lost = zombie.append_offsets(vec![bronze_rows(0, 1, 2)], &[range(0, 1, 2)]).await;
    assert!(matches!(lost, Err(Error::Fenced { from: 1, stands: Some(5), .. })), "{lost:?}");
    assert_eq!(ask_lake(&lake, COUNT).await, ["8 5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_not_have_moved_fences() {
    let (_dir, lake) = lake();
    let mut first = lake.create(&tables::bronze_events()).await.unwrap();
    let mut second = first.clone();
    let other = range(1, 0, 4).transaction_id();
    let unmoved = BTreeMap::from([(other.clone(), 0)]);
    first.append_offsets_while(vec![bronze_rows(0, 0, 1)], &[range(0, 0, 1)], &unmoved).await.unwrap();
    first.append_offsets(vec![bronze_rows(1, 0, 4)], &[range(1, 0, 4)]).await.unwrap();
    let lost = second.append_offsets_while(vec![bronze_rows(0, 1, 2)], &[range(0, 1, 2)], &unmoved).await;
    let Err(Error::Fenced { source_id, from: 0, stands: Some(4), .. }) = lost else { panic!("{lost:?}") };
    assert_eq!(source_id, other);
    assert_eq!(ask_lake(&lake, COUNT).await, ["5 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_writers_have_exactly_one_winner_a_range() {
    let (_dir, lake) = lake();
    let bronze = lake.create(&tables::bronze_events()).await.unwrap();
    for round in 0..5 {
        let (from, next) = (round * 3, round * 3 + 3);
        let racers = (0..6).map(|_| {
            let mut table = bronze.clone();
            tokio::spawn(async move {
                table.append_offsets(vec![bronze_rows(0, from, next)], &[range(0, from, next)]).await
            })
        });
        let results = futures::future::join_all(racers).await;
        let won = results.iter().filter(|r| r.as_ref().unwrap().is_ok()).count();
        assert_eq!(won, 1, "round {round}: {results:?}");
        let fenced = results.iter().filter(|r| matches!(r.as_ref().unwrap(), Err(Error::Fenced { .. }))).count();
        assert_eq!(fenced, 5, "round {round}: {results:?}");
    }
    assert_eq!(ask_lake(&lake, COUNT).await, ["15 15"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_is_met_with_its_name() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    bronze.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await.unwrap();
    for partition in [0, 1] {
        let foreign = OffsetRange { log: "cluster/topic-id".into(), ..range(partition, 5, 6) };
        let result = bronze.append_offsets(vec![bronze_rows(0, 5, 6)], &[foreign]).await;
        assert!(matches!(&result, Err(Error::OtherLog { has, .. }) if has == LOG), "{result:?}");
    }
    // The same log may have other topics.
    let clean = OffsetRange { topic: "clean-events".into(), ..range(0, 0, 2) };
    bronze.append_offsets(vec![bronze_rows(0, 5, 7)], &[clean]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_read_from_its_checkpoint() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    for step in 0..57 {
        let partition = i32::try_from(step % 3).unwrap();
        let from = step / 3;
        bronze
            .append_offsets(vec![bronze_rows(partition, from, from + 1)], &[range(partition, from, from + 1)])
            .await
            .unwrap();
    }
    assert!(is_there(&bronze.place(), "_delta_log/00000000000000000050.checkpoint.parquet").await);
    // Without the entries that the checkpoint stands for.
    for version in 0..50 {
        remove(&bronze.place(), &format!("_delta_log/{version:020}.json")).await;
    }
    let lake = reopen(&lake);
    let mut seen = lake.open_table(bronze.id()).await.unwrap().unwrap();
    assert_eq!((seen.version(), seen.rows()), (57, 57));
    assert_eq!(seen.offsets("video-events").await.unwrap().values().copied().collect::<Vec<_>>(), [19, 19, 19]);
    let late = seen.append_offsets(vec![bronze_rows(0, 18, 19)], &[range(0, 18, 19)]).await;
    assert!(matches!(late, Err(Error::Fenced { stands: Some(19), .. })), "{late:?}");
    seen.append_offsets(vec![bronze_rows(0, 19, 20)], &[range(0, 19, 20)]).await.unwrap();
}
