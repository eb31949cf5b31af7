//! Folders, tables and files that are not as they should be: what was found, where, and what to do.

use std::{fs, path::Path};

use deltalake::{
    DeltaTableBuilder,
    kernel::{DataType, PrimitiveType, StructField},
};
use streamreel_lake::{Error, Lake, Reading, TableId, TableSpec, tables};

use crate::support::{add, data_files, lake, reopen, views_spec};

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
    let path = lake.table_path(&TableId::silver("views"));
    fs::create_dir_all(&path).unwrap();
    let url = url::Url::from_directory_path(&path).unwrap();
    let field = StructField::new("view_id", DataType::Primitive(PrimitiveType::String), true);
    DeltaTableBuilder::from_url(url).unwrap().build().unwrap().create().with_columns([field]).await.unwrap();
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
    lake.session(&Reading::Latest).await.unwrap().sql("select view_id from silver.views").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_named() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await;
    let entry = views.path().join("_delta_log/00000000000000000001.json");
    let text = fs::read_to_string(&entry).unwrap();
    for damage in ["{\"add\":{\"path\":12", "\0\0\0\0\0\0\0\0"] {
        fs::write(&entry, damage).unwrap();
        let result = reopen(&lake).open_table(views.id()).await;
        assert!(matches!(&result, Err(Error::DamagedLog { path, .. }) if *path == views.path()), "{result:?}");
    }
    fs::write(&entry, text).unwrap();
    fs::remove_file(views.path().join("_delta_log/00000000000000000000.json")).unwrap();
    let result = reopen(&lake).open_table(views.id()).await;
    assert!(matches!(&result, Err(Error::DamagedLog { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_damaged_file_is_named() {
    use streamreel_lake::{CommitNote, Delete, Written};
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &[(Some("a"), None, 20_000, 1, 1)]).await;
    let file = data_files(&views.path()).remove(0);
    let kept = file.with_extension("kept");
    fs::copy(&file, &kept).unwrap();
    let keys = crate::support::view_rows(&[(Some("a"), None, 20_000, 1, 1)]).project(&[0]).unwrap();
    let delete = || Delete::Keys { keys: keys.clone(), partitions: None, window: None };
    fs::write(&file, vec![7; fs::metadata(&kept).unwrap().len() as usize]).unwrap();
    let damaged = views.commit(delete(), Written::default(), CommitNote::default()).await;
    assert!(matches!(&damaged, Err(Error::DataFile { path, .. }) if *path == file), "{damaged:?}");
    fs::remove_file(&file).unwrap();
    let gone = views.commit(delete(), Written::default(), CommitNote::default()).await;
    assert!(matches!(&gone, Err(Error::DataFile { path, .. }) if *path == file), "{gone:?}");
    let mut all = views.clone();
    all.commit(Delete::All, Written::default(), CommitNote::default()).await.unwrap();
    let gone = all.restore(1).await;
    assert!(matches!(&gone, Err(Error::DataFile { path, .. }) if *path == file), "{gone:?}");
    fs::rename(&kept, &file).unwrap();
    all.restore(1).await.unwrap();
    assert_eq!(all.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_can_not_be_written_is_named() {
    let (_dir, lake) = lake();
    let mut bronze = lake.create(&tables::bronze_events()).await.unwrap();
    // A file where the partition's folder would be: refused for any user, root included.
    fs::write(bronze.path().join("received_date=2024-10-04"), "").unwrap();
    let rows = vec![crate::support::bronze_rows(0, 0, 2)];
    let result = bronze.append_offsets(rows.clone(), &[crate::support::range(0, 0, 2)]).await;
    assert!(matches!(&result, Err(Error::Io { operation: "write", .. })), "{result:?}");
    assert_eq!((bronze.version(), bronze.rows()), (0, 0));
    fs::remove_file(bronze.path().join("received_date=2024-10-04")).unwrap();
    bronze.append_offsets(rows, &[crate::support::range(0, 0, 2)]).await.unwrap();
}

#[test]
fn names_are_checked() {
    for name in ["views", "silver.", "silver.Views", "silver.a b", "copper.views", "silver.../x", "gold.a.b"] {
        assert!(matches!(name.parse::<TableId>(), Err(Error::TableName { .. })), "{name}");
    }
    assert_eq!("gold.top_content".parse::<TableId>().unwrap(), TableId::gold("top_content"));
}
