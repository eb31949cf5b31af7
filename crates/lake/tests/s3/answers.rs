//! Answers that are lost and stores that are overloaded: a commit is made once, and known to be.

use std::{sync::atomic::Ordering, time::Duration};

use streamreel_lake::{Lake, Settings, tables};

use crate::{
    proxy::{Harm, Proxy},
    support::{View, add, ask_lake, bronze_rows, lake, range, settings, views_spec},
};

/// The lake as one sees it who is behind the proxy.
fn behind(proxy: &Proxy, lake: &Lake) -> Lake {
    let s3 = [("endpoint".to_owned(), proxy.endpoint.clone())].into();
    Lake::open_with(lake.place().clone(), Settings { s3, ..settings() }).unwrap()
}

async fn harmed_commits_count_once(harm: Harm, count: u32) {
    let (_dir, lake) = lake();
    lake.create(&tables::bronze_events()).await.unwrap();
    lake.create(&views_spec(&[])).await.unwrap();
    let proxy = Proxy::start(harm, "/_delta_log/", count);
    let harmed = behind(&proxy, &lake);
    let mut bronze = harmed.create(&tables::bronze_events()).await.unwrap();
    assert_eq!(bronze.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await.unwrap(), 1);
    assert_eq!(proxy.left.load(Ordering::SeqCst), 0, "requests were harmed");
    assert_eq!(bronze.append_offsets(vec![bronze_rows(0, 5, 9)], &[range(0, 5, 9)]).await.unwrap(), 2);
    proxy.left.store(count, Ordering::SeqCst);
    let mut views = harmed.create(&views_spec(&[])).await.unwrap();
    let rows: [View; 2] = [(Some("a"), None, 20_000, 1, 1), (Some("b"), None, 20_000, 1, 2)];
    assert_eq!(add(&mut views, &rows).await, 1);
    let sql = "select count(*), count(distinct source_offset) from bronze.events";
    assert_eq!(ask_lake(&lake, sql).await, ["9 9"]);
    assert_eq!(ask_lake(&lake, "select count(*) from silver.views").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    harmed_commits_count_once(Harm::LosesAnswer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_store_is_asked_again() {
    harmed_commits_count_once(Harm::SlowsDown, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_overloaded_is_given_up() {
    let (_dir, lake) = lake();
    lake.create(&tables::bronze_events()).await.unwrap();
    let proxy = Proxy::start(Harm::SlowsDown, "/_delta_log/", u32::MAX);
    let s3 = [("endpoint".to_owned(), proxy.endpoint.clone())].into();
    let impatient = Settings { s3, store_timeout: Duration::from_secs(1), ..settings() };
    let harmed = Lake::open_with(lake.place().clone(), impatient).unwrap();
    let mut bronze = harmed.create(&tables::bronze_events()).await.unwrap();
    let failed = bronze.append_offsets(vec![bronze_rows(0, 0, 5)], &[range(0, 0, 5)]).await.unwrap_err().to_string();
    assert!(failed.contains("SlowDown") && failed.contains("run it again"), "{failed}");
    assert_eq!(ask_lake(&lake, "select count(*) from bronze.events").await, ["0"]);
}
