//! Folders, tables and files that are not as they should be: what was found, where, and what to do.

use std::{fs, path::Path, sync::Arc};

use deltalake::{
    DeltaTableBuilder,
    kernel::{DataType, PrimitiveType, StructField},
};
use object_store::{ObjectStore, aws::AmazonS3Builder, local::LocalFileSystem};
use streamreel_lake::{Error, Lake, Place, Reading, TableId, TableSpec, plan, tables};

use crate::support::{add, data_files, get, lake, put, remove, reopen, views_spec};

#[test]
fn folders_of_others_are_left_alone() {
    let dir = tempfile::TempDir::new().unwrap();
    let check = |path: &Path, says: &str| {
        for error in [Lake::open(path).unwrap_err(), Lake::open_read_only(path).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains(says) && text.contains(&path.display().to_string()), "{text}");
        }
    };
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    check(&foreign, "thesis.tex");
    let delta = dir.path().join("delta");
    fs::create_dir_all(delta.join("_delta_log")).unwrap();
    check(&delta, "not a StreamReel lake");
    let older = dir.path().join("older");
    Lake::open(&older).unwrap();
    let marker = older.join("_streamreel.json");
    fs::write(&marker, fs::read_to_string(&marker).unwrap().replace("\"1\"", "\"0\"")).unwrap();
    check(&older, "layout 0");
    fs::write(&marker, "{").unwrap();
    check(&older, "damaged");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Lake::open(file.join("lake")), Err(Error::Io { .. })));
    let absent = dir.path().join("absent");
    assert!(matches!(Lake::open_read_only(&absent), Err(Error::NoLake { .. })));
    assert!(!absent.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_others_are_read_and_not_written() {
    let (_dir, lake) = lake();
    let place = lake.table_place(&TableId::silver("views"));
    let field = StructField::new("view_id", DataType::Primitive(PrimitiveType::String), true);
    let (url, root) = whole(&place);
    let theirs = DeltaTableBuilder::from_url(url.clone()).unwrap().with_storage_backend(root, url).build().unwrap();
    theirs.create().with_columns([field]).await.unwrap();
    let spec = TableSpec::new(
        TableId::silver("views"),
        std::sync::Arc::new(arrow_schema::Schema::new(vec![arrow_schema::Field::new(
            "view_id",
            arrow_schema::DataType::Utf8,
            true,
        )])),
    );
    let refused = lake.create(&spec).await;
    assert!(matches!(&refused, Err(Error::Layout { found, .. }) if found == "none"), "{refused:?}");
    let mut table = lake.open_table(&spec.id).await.unwrap().unwrap();
    assert!(matches!(table.restore(0).await, Err(Error::Layout { .. })));
    plan::sql(&lake.session(&Reading::Latest).await.unwrap(), "select view_id from silver.views").await.unwrap();
}

/// A table's place as the table library takes it, and the store that its path is in.
fn whole(place: &Place) -> (url::Url, Arc<dyn ObjectStore>) {
    match place {
        Place::Folder(path) => {
            fs::create_dir_all(path).unwrap();
            (url::Url::from_directory_path(path).unwrap(), Arc::new(LocalFileSystem::new()))
        }
        Place::Bucket { name, .. } => {
            let bucket = AmazonS3Builder::from_env().with_bucket_name(&**name).build().unwrap();
            (format!("{place}/").parse().unwrap(), Arc::new(bucket))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_named() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await;
    let entry = "_delta_log/00000000000000000001.json";
    let text = get(&views.place(), entry).await;
    for damage in ["{\"add\":{\"path\":12", "\0\0\0\0\0\0\0\0"] {
        put(&views.place(), entry, damage).await;
        let result = reopen(&lake).open_table(views.id()).await;
        assert!(matches!(&result, Err(Error::DamagedLog { path, .. }) if *path == views.place()), "{result:?}");
    }
    put(&views.place(), entry, text).await;
    remove(&views.place(), "_delta_log/00000000000000000000.json").await;
    let result = reopen(&lake).open_table(views.id()).await;
    assert!(matches!(&result, Err(Error::DamagedLog { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_damaged_file_is_named() {
    use streamreel_lake::{CommitNote, Delete, Written};
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await;
    let file = data_files(&views).await.remove(0);
    let place = views.place();
    let kept = get(&place, &file).await;
    let named = place.join(&file);
    let keys = crate::support::view_rows(&[(Some("a"), None, 20_000, 1, 1)]).project(&[0]).unwrap();
    let delete = || Delete::Keys { keys: keys.clone(), partitions: None, window: None };
    put(&place, &file, vec![7; kept.len()]).await;
    let damaged = views.commit(delete(), Written::default(), CommitNote::default()).await;
    assert!(matches!(&damaged, Err(Error::DataFile { path, .. }) if *path == named), "{damaged:?}");
    remove(&place, &file).await;
    let gone = views.commit(delete(), Written::default(), CommitNote::default()).await;
    assert!(matches!(&gone, Err(Error::DataFile { path, .. }) if *path == named), "{gone:?}");
    let mut all = views.clone();
    all.commit(Delete::All, Written::default(), CommitNote::default()).await.unwrap();
    let gone = all.restore(1).await;
    assert!(matches!(&gone, Err(Error::DataFile { path, .. }) if *path == named), "{gone:?}");
    put(&place, &file, kept).await;
    all.restore(1).await.unwrap();
    assert_eq!(all.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_can_not_be_written_is_named() {
    let dir = tempfile::TempDir::new().unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    let folder = bronze.place().folder().unwrap().to_owned();
    // A file where the partition's folder would be: refused for any user, root included.
    fs::write(folder.join("received_date=2024-10-04"), "").unwrap();
    let rows = vec![crate::support::bronze_rows(0, 0, 2)];
    let result = bronze.append_offsets(rows.clone(), &[crate::support::range(0, 0, 2)]).await;
    assert!(matches!(&result, Err(Error::Io { operation: "write", .. })), "{result:?}");
    assert_eq!((bronze.version(), bronze.rows()), (0, 0));
    fs::remove_file(folder.join("received_date=2024-10-04")).unwrap();
    bronze.append_offsets(rows, &[crate::support::range(0, 0, 2)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_making_was_killed_is_made_anew() {
    let dir = tempfile::TempDir::new().unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let log = lake.table_place(&TableId::silver("views")).folder().unwrap().join("_delta_log");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join(".00000000000000000000.json.dead"), "{").unwrap();
    fs::write(log.join("00000000000000000000.json#1"), "{").unwrap();
    assert!(lake.open_table(&TableId::silver("views")).await.unwrap().is_none());
    assert_eq!(lake.tables().await.unwrap(), []);
    lake.session(&Reading::Latest).await.unwrap();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    assert_eq!(add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await, 1);
    assert_eq!(lake.tables().await.unwrap(), [TableId::silver("views")]);
}

#[test]
fn names_are_checked() {
    for name in ["views", "silver.", "silver.Views", "silver.a b", "copper.views", "silver.../x", "gold.a.b"] {
        assert!(matches!(name.parse::<TableId>(), Err(Error::TableName { .. })), "{name}");
    }
    assert_eq!("gold.top_content".parse::<TableId>().unwrap(), TableId::gold("top_content"));
}
