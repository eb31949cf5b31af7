//! Several processes on one lake. The test program starts itself again as the other process.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use streamreel_lake::{Error, Lake, Place, TableId, tables};

use crate::support::{View, add, ask_lake, bronze_rows, lake, place, range, settings, views_spec};

const ROLE: &str = "STREAMREEL_LAKE_TEST_ROLE";
const PLACE: &str = "STREAMREEL_LAKE_TEST_PLACE";

const RACERS: i32 = 4;
const COMMITS_OF_A_RACER: i64 = 20;

fn start(role: &str, lake: &Lake) -> Child {
    start_test("processes::other_process", role, lake)
}

/// This program as another process that runs a test, which asks [`role`] whether it is one.
pub fn start_test(test: &str, role: &str, lake: &Lake) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, role)
        .env(PLACE, lake.place().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for processes that must end well; what one that doesn't had to say is shown.
fn all_succeed(children: Vec<Child>) {
    for child in children {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    }
}

/// Role and lake of a process that another test started.
pub fn role() -> Option<(String, Lake)> {
    let role = std::env::var(ROLE).ok()?;
    let place: Place = std::env::var(PLACE).unwrap().parse().unwrap();
    Some((role, Lake::open_with(place, settings()).unwrap()))
}

/// Does nothing unless another test started it.
#[tokio::test(flavor = "multi_thread")]
async fn other_process() {
    let Some((role, lake)) = role() else { return };
    match role.as_str() {
        "hold" => {
            let _lease = lake.lease("build").await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        "land on" => {
            let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
            let mut from = bronze.offsets("video-events").await.unwrap().into_values().next().unwrap_or(0);
            loop {
                bronze
                    .append_offsets(vec![bronze_rows(0, from, from + 50)], &[range(0, from, from + 50)])
                    .await
                    .unwrap();
                from += 50;
            }
        }
        // All try to land the same offsets; each goes on from where the table stands.
        "land" => {
            let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
            loop {
                let stands = bronze.offsets("video-events").await.unwrap().into_values().next().unwrap_or(0);
                if stands >= 40 {
                    return;
                }
                match bronze
                    .append_offsets(vec![bronze_rows(0, stands, stands + 1)], &[range(0, stands, stands + 1)])
                    .await
                {
                    Ok(_) => {}
                    Err(Error::Fenced { .. }) => bronze.refresh().await.unwrap(),
                    Err(other) => panic!("{other}"),
                }
            }
        }
        // All commit to two tables, each its own partition and its own views.
        role => {
            let mine: i32 = role.strip_prefix("race ").unwrap().parse().unwrap();
            let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
            let mut views = lake.create(&views_spec(&[])).await.unwrap();
            for n in 0..COMMITS_OF_A_RACER {
                bronze.append_offsets(vec![bronze_rows(mine, n, n + 1)], &[range(mine, n, n + 1)]).await.unwrap();
                let row: View = (Some("v"), None, 20_000, 1, i64::from(mine) * 1000 + n);
                add(&mut views, &[row]).await;
            }
        }
    }
}

#[test]
fn those_who_make_a_lake_at_once_all_have_it() {
    for _ in 0..4 {
        let dir = tempfile::TempDir::new().unwrap();
        let at = place(&dir);
        let open = |reads: bool| {
            let opened = if reads {
                Lake::open_read_only_with(at.clone(), settings())
            } else {
                Lake::open_with(at.clone(), settings())
            };
            match opened {
                Ok(_) => {}
                Err(Error::NoLake { .. }) if reads => {}
                Err(other) => panic!("{other}"),
            }
        };
        std::thread::scope(|scope| {
            for reads in [false, true, false, true, false, false] {
                let open = &open;
                scope.spawn(move || open(reads));
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_land_the_same_offsets_land_them_once() {
    let (_dir, lake) = lake();
    all_succeed((0..3).map(|_| start("land", &lake)).collect());
    let mut bronze = lake.open_table(&TableId::bronze("events")).await.unwrap().unwrap();
    assert_eq!(bronze.version(), 40);
    assert_eq!(bronze.offsets("video-events").await.unwrap().into_values().collect::<Vec<_>>(), [40]);
    let sql = "select count(*), count(distinct source_offset) from bronze.events";
    assert_eq!(ask_lake(&lake, sql).await, ["40 40"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_a_race_count_once_each() {
    let (_dir, lake) = lake();
    all_succeed((0..RACERS).map(|racer| start(&format!("race {racer}"), &lake)).collect());
    let commits = i64::from(RACERS) * COMMITS_OF_A_RACER;
    for (table, column) in [("bronze.events", "source_partition * 1000 + source_offset"), ("silver.views", "seconds")] {
        let id: TableId = table.parse().unwrap();
        assert_eq!(lake.open_table(&id).await.unwrap().unwrap().version(), commits, "{table}: a version a commit");
        let sql = format!("select count(*), count(distinct {column}) from {table}");
        assert_eq!(ask_lake(&lake, &sql).await, [format!("{commits} {commits}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_leaves_whole_commits() {
    let (_dir, lake) = lake();
    for round in 0..12_u64 {
        let mut child = start("land on", &lake);
        // Somewhere else in a commit each time.
        tokio::time::sleep(Duration::from_millis(150 + round * 17 % 40)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut bronze = lake.open_table(&TableId::bronze("events")).await.unwrap().unwrap();
    let next = bronze.offsets("video-events").await.unwrap().into_values().next().unwrap();
    assert!(next > 100, "{next}");
    let sql = "select count(*), count(distinct source_offset), max(source_offset) from bronze.events";
    assert_eq!(ask_lake(&lake, sql).await, [format!("{next} {next} {}", next - 1)]);
    let kept = bronze.size().0;
    bronze.vacuum(Duration::ZERO, &[], false).await.unwrap();
    assert_eq!(crate::support::data_files(&bronze).await.len(), kept);
    assert_eq!(ask_lake(&lake, sql).await, [format!("{next} {next} {}", next - 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_names_its_holder_and_ends_with_it() {
    let (_dir, lake) = lake();
    let mut child = start("hold", &lake);
    let holder = loop {
        match lake.lease_holder("build").await.unwrap() {
            Some(holder) if holder.pid == child.id() => break holder,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!(holder.command.contains("other_process"), "{holder}");
    match lake.lease("build").await.unwrap_err() {
        Error::LeaseHeld { who } => assert_eq!(*who, holder),
        other => panic!("{other}"),
    }
    assert!(matches!(lake.lease_within("build", Duration::from_millis(300)).await, Err(Error::LeaseHeld { .. })));
    lake.lease("upkeep").await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let lease = lake.lease_within("build", Duration::from_secs(5)).await.unwrap();
    assert_eq!(lease.holder().pid, std::process::id());
    assert!(matches!(lake.lease("build").await, Err(Error::LeaseHeld { .. })));
    drop(lease);
    assert_eq!(lake.lease_holder("build").await.unwrap(), None);
    lake.lease("build").await.unwrap();
}
