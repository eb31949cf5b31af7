//! Leases whose holders are paused: they are taken over from, and publish nothing when they wake.

use std::{
    collections::BTreeMap,
    process::{Child, Command},
    time::{Duration, Instant},
};

use streamreel_lake::{Build, Error, Lake, TableId};

use crate::{
    processes::{role, start_test},
    support::{View, add, ask_lake, is_there, lake, put, settings, views_spec},
};

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}

async fn until_there(lake: &Lake, name: &str) {
    let began = Instant::now();
    while !is_there(lake.place(), name).await {
        assert!(began.elapsed() < Duration::from_secs(30), "no {name}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn build(id: &str) -> Build {
    Build {
        build_id: id.into(),
        finished_at: 1,
        versions: BTreeMap::from([(TableId::silver("views"), 1)]),
        bronze_version: 0,
        offsets: BTreeMap::new(),
        counts: serde_json::json!({}),
    }
}

/// The process that is paused; does nothing unless another test started it. Says how far it is by objects.
#[tokio::test(flavor = "multi_thread")]
async fn paused_builder() {
    let Some((_, lake)) = role() else { return };
    let lake = &lake;
    let _lease = lake.lease("build").await.unwrap();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    let mut writer = views.writer();
    writer.write(crate::support::view_rows(&[(Some("zombie"), None, 20_000, 1, 1)])).await.unwrap();
    let written = writer.finish().await.unwrap();
    put(lake.place(), "_test/at-work", "").await;
    until_there(lake, "_test/go-on").await;
    let note = streamreel_lake::CommitNote::new("derive").of_build("zombie");
    let committed = views.commit(streamreel_lake::Delete::Nothing, written, note).await;
    assert!(matches!(committed, Err(Error::LeaseLost { .. } | Error::Conflict { .. })), "{committed:?}");
    let published = lake.publish(&build("zombie")).await;
    assert!(matches!(published, Err(Error::LeaseLost { .. })), "{published:?}");
    put(lake.place(), "_test/refused", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_builder_is_replaced_and_publishes_nothing() {
    let (_dir, lake) = lake();
    let mut child = start_test("leases::paused_builder", "paused builder", &lake);
    until_there(&lake, "_test/at-work").await;
    signal(&child, "STOP");
    let began = Instant::now();
    let lease = lake.lease_within("build", Duration::from_secs(20)).await.unwrap();
    assert!(began.elapsed() > settings().lease_expiry - settings().lease_expiry / 3, "{:?}", began.elapsed());
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    let row: View = (Some("successor"), None, 20_000, 1, 1);
    add(&mut views, &[row]).await;
    lake.publish(&build("successor")).await.unwrap();
    put(lake.place(), "_test/go-on", "").await;
    signal(&child, "CONT");
    until_there(&lake, "_test/refused").await;
    assert!(child.wait().unwrap().success());
    assert_eq!(lake.lease_holder("build").await.unwrap().as_ref(), Some(lease.holder()), "nothing was taken back");
    assert_eq!(ask_lake(&lake, "select view_id from silver.views").await, ["successor"]);
    assert_eq!(ask_lake(&lake, "select build_id from gold.builds").await, ["successor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_busy_keeps_its_lease() {
    let (_dir, lake) = lake();
    let lease = lake.lease("build").await.unwrap();
    // A runtime that computes does not renew; the lease's own thread does.
    let began = Instant::now();
    while began.elapsed() < settings().lease_expiry * 2 {
        std::hint::spin_loop();
    }
    let other = crate::support::reopen(&lake);
    assert!(matches!(other.lease("build").await, Err(Error::LeaseHeld { who }) if *who == *lease.holder()));
    lake.publish(&build("mine")).await.unwrap();
}
