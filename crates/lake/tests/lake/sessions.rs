//! What a session shows.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use streamreel_lake::{Build, Error, Lake, Reading, Settings, TableId, plan, tables};

use crate::support::{add, ask, lake, reopen, settings, view_rows, views_spec};

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_at_the_versions_asked_for() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    for n in 0..3 {
        add(&mut views, &[(Some("a"), None, 20_000, 1, n)]).await;
    }
    lake.create(&tables::seeks()).await.unwrap();
    let count = "select count(*) from silver.views";
    assert!(plan::sql(&lake.session(&Reading::Published).await.unwrap(), count).await.is_err());
    let build = Build {
        build_id: "b".into(),
        finished_at: 0,
        versions: BTreeMap::from([(TableId::silver("views"), 2)]),
        bronze_version: 0,
        offsets: BTreeMap::new(),
        counts: serde_json::Value::Null,
    };
    lake.publish(&build).await.unwrap();
    let tables = "select table_schema, table_name from information_schema.tables where table_schema <> 'information_schema' order by 1, 2";
    let cases = [
        (Reading::Latest, "3", vec!["gold builds", "silver seeks", "silver views"]),
        (Reading::Published, "2", vec!["gold builds", "silver views"]),
        (
            Reading::At(BTreeMap::from([(TableId::silver("views"), 1)])),
            "1",
            vec!["gold builds", "silver seeks", "silver views"],
        ),
    ];
    for (reading, rows, names) in cases {
        let session = lake.session(&reading).await.unwrap();
        assert_eq!(ask(&session, count).await, [rows], "{reading:?}");
        assert_eq!(ask(&session, tables).await, names, "{reading:?}");
    }
    let missing = lake.session(&Reading::At(BTreeMap::from([(TableId::silver("views"), 9)]))).await;
    assert!(matches!(missing, Err(Error::NoVersion { version: 9, .. })));
    let session = lake.session(&Reading::Latest).await.unwrap();
    lake.register(&session, &TableId::silver("views"), Some(1)).await.unwrap();
    assert_eq!(ask(&session, count).await, ["1"]);
    views.register(&session).await.unwrap();
    assert_eq!(ask(&session, count).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_types_of_their_specs() {
    let (_dir, lake) = lake();
    for spec in tables::all() {
        let table = lake.create(&spec).await.unwrap();
        assert_eq!(table.schema().fields(), spec.schema.fields(), "{}", spec.id);
    }
    let session = lake.session(&Reading::Latest).await.unwrap();
    for spec in tables::all() {
        let found = session.table(spec.id.to_string()).await.unwrap().schema().as_arrow().clone();
        for field in spec.schema.fields() {
            let has = found.field_with_name(field.name()).unwrap();
            assert_eq!(has.data_type(), field.data_type(), "{}.{}", spec.id, field.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_come_with_plain_text_and_utc() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), Some("DE"), 20_000, 1, 5)]).await;
    let session = lake.session(&Reading::Latest).await.unwrap();
    let batches = plan::sql(&session, "select *, 'x' as t from silver.views").await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].schema().field_with_name("t").unwrap().data_type(), &DataType::Utf8);
    let expected = view_rows(&[(Some("a"), Some("DE"), 20_000, 1, 5)]);
    for field in expected.schema().fields() {
        let has = batches[0].column_by_name(field.name()).unwrap();
        assert_eq!(has.as_ref(), expected.column_by_name(field.name()).unwrap().as_ref(), "{}", field.name());
    }
    let sql = "select date_trunc('hour', started_at), cast(started_at as date) from silver.views";
    assert_eq!(ask(&session, sql).await, ["2024-10-04T01:00:00Z 2024-10-04"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_larger_than_its_memory_spills() {
    let (dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    let mut writer = views.writer();
    for n in 0..100 {
        let rows: Vec<_> =
            (0..10_000).map(|i| (Some("a-rather-long-view-id"), None, 20_000, 1, n * 10_000 + i)).collect();
        writer.write(view_rows(&rows)).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    views.commit(streamreel_lake::Delete::Nothing, written, Default::default()).await.unwrap();
    let spill_dir = Some(dir.path().join("spill"));
    let small =
        Lake::open_with(lake.place().clone(), Settings { memory_bytes: 48 << 20, spill_dir, ..settings() }).unwrap();
    let session = small.session(&Reading::Latest).await.unwrap();
    let sql = "select max(n) from (select seconds, row_number() over (order by seconds desc, view_id) as n from silver.views)";
    assert_eq!(ask(&session, sql).await, ["1000000"]);
    assert!(dir.path().join("spill").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_skipped_by_their_bounds() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    for n in 0..6 {
        add(&mut views, &[(Some("a"), None, 20_000 + n, 1, i64::from(n) * 10)]).await;
    }
    let session = reopen(&lake).session(&Reading::Latest).await.unwrap();
    for (filter, rows) in
        [("seconds >= 40", "2"), ("view_date = '2024-10-05'", "1"), ("started_at < '2024-10-06T00:00:00Z'", "2")]
    {
        assert_eq!(
            ask(&session, &format!("select count(*) from silver.views where {filter}")).await,
            [rows],
            "{filter}"
        );
        let sql = format!("explain analyze select view_id from silver.views where {filter}");
        let plan = ask(&session, &sql).await.join("\n");
        let files = plan.matches(".parquet").count();
        assert_eq!(files.to_string(), rows, "{filter}: {plan}");
    }
}
