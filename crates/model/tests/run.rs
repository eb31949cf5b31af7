//! Runs of a small project over a lake made for each test.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use streamreel_lake::{Build, CommitNote, Delete, Lake, Reading, TableId, TableSpec, plan, tables};
use streamreel_model::{Action, Options, Outcome, Project, Report, TestResult, run};

/// A view: view_id, video_id, region, day of January 2026, watch time.
type View = (&'static str, &'static str, Option<&'static str>, i32, f64);

const DAY_0: i32 = 20_453; // 2025-12-31

struct Home {
    lake: Lake,
    builds: i64,
    _dir: tempfile::TempDir,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path().join("data_lake")).unwrap();
        Self { lake, builds: 0, _dir: dir }
    }

    /// A silver build that leaves just these views, having touched the given groups.
    async fn silver(&mut self, views: &[View], touched: &[(&'static str, Option<&'static str>, i32)]) {
        self.builds += 1;
        let build_id = format!("silver-{}", self.builds);
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let mut columns: Vec<(Field, ArrayRef)> = vec![
            (text("view_id"), Arc::new(views.iter().map(|v| Some(v.0)).collect::<StringArray>())),
            (text("video_id"), Arc::new(views.iter().map(|v| Some(v.1)).collect::<StringArray>())),
            (text("region"), Arc::new(views.iter().map(|v| v.2).collect::<StringArray>())),
        ];
        let day = |name: &str| Field::new(name, DataType::Date32, true);
        columns.push((day("view_date"), Arc::new(Date32Array::from_iter_values(views.iter().map(|v| DAY_0 + v.3)))));
        let seconds = Field::new("watch_time_s", DataType::Float64, true);
        columns.push((seconds, Arc::new(Float64Array::from_iter_values(views.iter().map(|v| v.4)))));
        // Views whose id says so are of the first build.
        let written_by = |v: &View| if v.0.starts_with("old") { "silver-1".to_owned() } else { build_id.clone() };
        columns.push((text("build_id"), Arc::new(views.iter().map(|v| Some(written_by(v))).collect::<StringArray>())));
        let views = self.put("views", columns, Delete::All).await;
        let columns: Vec<(Field, ArrayRef)> = vec![
            (text("build_id"), Arc::new(touched.iter().map(|_| Some(build_id.as_str())).collect::<StringArray>())),
            (text("video_id"), Arc::new(touched.iter().map(|g| Some(g.0)).collect::<StringArray>())),
            (text("region"), Arc::new(touched.iter().map(|g| g.1).collect::<StringArray>())),
            (day("view_date"), Arc::new(Date32Array::from_iter_values(touched.iter().map(|g| DAY_0 + g.2)))),
        ];
        let changes = self.put("changes", columns, Delete::Nothing).await;
        let versions = [(TableId::silver("views"), views), (TableId::silver("changes"), changes)].into();
        let counts = serde_json::json!({});
        let build =
            Build { build_id, finished_at: self.builds, versions, bronze_version: 1, offsets: [].into(), counts };
        self.lake.stage(&build).await.unwrap();
    }

    async fn put(&self, table: &str, columns: Vec<(Field, ArrayRef)>, delete: Delete) -> i64 {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        self.write(&TableId::silver(table), batch, delete).await
    }

    async fn write(&self, id: &TableId, batch: RecordBatch, delete: Delete) -> i64 {
        let mut table = self.lake.create(&TableSpec::new(id.clone(), batch.schema())).await.unwrap();
        let mut writer = table.writer();
        writer.write(batch).await.unwrap();
        let written = writer.finish().await.unwrap();
        table.commit(delete, written, CommitNote::new("test")).await.unwrap()
    }

    async fn run(&self, project: &Project, options: Options) -> Report {
        run(&self.lake, project, &options).await.unwrap()
    }

    /// A query's rows as readers of the published build see them, as text.
    async fn query(&self, sql: &str) -> Vec<String> {
        let session = self.lake.session(&Reading::Published).await.unwrap();
        let batches = plan::sql(&session, sql).await.unwrap().collect().await.unwrap();
        let table = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
        rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")).collect()
    }

    async fn per_video(&self) -> Vec<String> {
        self.query("select video_id, view_date, views, watch_time_s from gold.per_video order by 1, 2").await
    }
}

/// The small project with texts of files replaced.
fn project(edits: &[(&str, &str, &str)]) -> Project {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/small");
    let to = tempfile::tempdir().unwrap();
    copy(&from, to.path());
    for (file, old, new) in edits {
        let path = to.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no {old:?}");
        fs::write(&path, text.replace(old, new)).unwrap();
    }
    Project::load(to.path()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn actions(report: &Report) -> Vec<Action> {
    report.models.iter().map(|model| model.action.clone()).collect()
}

fn published(report: &Report) -> bool {
    matches!(report.outcome, Outcome::Published { .. })
}

fn failures(report: &Report) -> Vec<&str> {
    report.failures().map(|test| test.name.as_str()).collect()
}

const VIEWS: [View; 4] = [
    ("1", "a", Some("DE"), 1, 1.5),
    ("2", "a", None, 1, 2.0),
    ("3", "a", None, 2, 4.0),
    ("4", "b", Some("FR"), 1, 8.0),
];
const TOUCHED: [(&str, Option<&str>, i32); 4] =
    [("a", Some("DE"), 1), ("a", None, 1), ("a", None, 2), ("b", Some("FR"), 1)];

async fn first() -> (Home, Project) {
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    let project = project(&[]);
    let report = home.run(&project, Options::default()).await;
    assert!(published(&report), "{:#?}", report.failures().collect::<Vec<_>>());
    (home, project)
}

#[tokio::test]
async fn without_silver_there_is_nothing_to_build() {
    let home = Home::new().await;
    let error = run(&home.lake, &project(&[]), &Options::default()).await.unwrap_err().to_string();
    assert!(error.contains("run `streamreel process` first"), "{error}");
    home.lake.create(&tables::bronze_events()).await.unwrap();
    let error = run(&home.lake, &project(&[]), &Options::default()).await.unwrap_err().to_string();
    assert!(error.contains("build --layer silver"), "{error}");
}

#[tokio::test]
async fn builds_tests_and_publishes_once() {
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    let project = project(&[]);
    let report = home.run(&project, Options::default()).await;
    assert_eq!(actions(&report), [Action::Full, Action::Full]);
    assert_eq!(report.tests.len(), 8 + 3);
    assert!(report.tests.iter().all(|test| matches!(test.result, TestResult::Passed)), "{:#?}", report.tests);
    assert!(report.also_built.is_empty());
    assert_eq!(report.models[0].rows, 3);
    assert_eq!(home.per_video().await, ["a 2026-01-01 2 3.5", "a 2026-01-02 1 4.0", "b 2026-01-01 1 8.0"]);
    let build = home.lake.published().await.unwrap().unwrap();
    assert_eq!(report.outcome, Outcome::Published { build_id: build.build_id.clone() });
    assert_eq!(build.counts["rows"]["gold.best"], 2);
    let kept = build.counts["tests"].as_array().unwrap();
    for (kept, test) in kept.iter().zip(&report.tests) {
        let (name, model) = (test.name.as_str(), test.model.as_str());
        assert_eq!((kept["name"].as_str(), kept["model"].as_str()), (Some(name), Some(model)));
        assert_eq!((&kept["result"], &kept["failures"]), (&"passed".into(), &0.into()), "{name}");
        assert_eq!(kept["severity"], serde_json::json!(test.severity), "{name}");
        assert!(!model.is_empty(), "{name} is about something");
    }
    assert_eq!(kept.len(), report.tests.len());
    assert!(build.version_of(&TableId::silver("views")).is_some());
    let again = home.run(&project, Options::default()).await;
    assert_eq!(again.outcome, Outcome::UpToDate);
    assert!(again.models.is_empty() && again.tests.is_empty());
    assert_eq!(home.lake.published().await.unwrap().unwrap(), build);
}

#[tokio::test]
async fn only_changed_groups_are_derived_again_with_the_result_of_a_whole_build() {
    let (mut home, project) = first().await;
    // View 3 moved from day 2 to day 3, one came to b on day 1.
    let views = [VIEWS[0], VIEWS[1], ("3", "a", None, 3, 5.0), VIEWS[3], ("5", "b", None, 1, 1.0)];
    home.silver(&views, &[("a", None, 2), ("a", None, 3), ("b", None, 1)]).await;
    let report = home.run(&project, Options::default()).await;
    assert_eq!(actions(&report), [Action::Incremental { groups: 3 }, Action::Full]);
    assert_eq!(report.models[0].written, 2);
    let expected = ["a 2026-01-01 2 3.5", "a 2026-01-03 1 5.0", "b 2026-01-01 2 9.0"];
    assert_eq!(home.per_video().await, expected);
    let report = home.run(&project, Options { full_refresh: true, ..Options::default() }).await;
    assert_eq!(actions(&report), [Action::Full, Action::Full]);
    assert_eq!(home.per_video().await, expected);
    // A silver build that touched nothing: the incremental model has nothing to do.
    home.silver(&views, &[]).await;
    let report = home.run(&project, Options::default()).await;
    assert!(published(&report));
    assert_eq!(actions(&report), [Action::Unchanged, Action::Full]);
    assert_eq!(home.per_video().await, expected);
}

#[tokio::test]
async fn a_failed_test_publishes_nothing() {
    let (mut home, project) = first().await;
    let before = home.lake.published().await.unwrap().unwrap();
    let twice = [VIEWS[0], VIEWS[1], ("1", "b", None, 2, 3.0)];
    home.silver(&twice, &[("a", None, 2), ("b", Some("FR"), 1), ("b", None, 2)]).await;
    let report = home.run(&project, Options::default()).await;
    assert_eq!(report.outcome, Outcome::NotPublished);
    assert_eq!(failures(&report), ["unique_silver__views_view_id"]);
    let because = "data test unique_silver__views_view_id".to_owned();
    assert_eq!(actions(&report), vec![Action::Skipped { because }; 2]);
    let shown = report.failures().next().unwrap().to_string();
    for part in ["models/silver/silver.yml:7", "1 rows", "unique_field", "having count(*) > 1", "from silver.views"] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert_eq!(home.lake.published().await.unwrap().unwrap(), before);
    // Failing after the table was written: readers still see the old rows, and the next build starts from them.
    home.silver(
        &[VIEWS[0], ("2", "a", None, 1, -90.0)],
        &[("a", None, 1), ("a", None, 2), ("b", Some("FR"), 1), ("b", None, 2)],
    )
    .await;
    let report = home.run(&project, Options::default()).await;
    assert_eq!(failures(&report), ["no_negative_time"]);
    assert_eq!(home.per_video().await.len(), 3);
    home.silver(&VIEWS[..3], &[("a", None, 1), ("a", None, 2)]).await;
    let report = home.run(&project, Options::default()).await;
    assert!(published(&report), "{:?}", failures(&report));
    assert_eq!(home.per_video().await, ["a 2026-01-01 2 3.5", "a 2026-01-02 1 4.0"]);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_taken_back() {
    let (mut home, project) = first().await;
    let junk = RecordBatch::try_from_iter_with_nullable([
        ("video_id", Arc::new(StringArray::from(vec!["junk"])) as ArrayRef, true),
        ("view_date", Arc::new(Date32Array::from(vec![DAY_0])) as ArrayRef, true),
    ]);
    let id = TableId::gold("per_video");
    let mut table = home.lake.open_table(&id).await.unwrap().unwrap();
    let mut writer = table.writer();
    let schema = table.schema();
    let junk = junk.unwrap();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| {
            junk.column_by_name(field.name())
                .cloned()
                .unwrap_or_else(|| arrow_array::new_null_array(field.data_type(), 1))
        })
        .collect();
    writer.write(RecordBatch::try_new(schema, columns).unwrap()).await.unwrap();
    let written = writer.finish().await.unwrap();
    table.commit(Delete::Nothing, written, CommitNote::new("test")).await.unwrap();
    home.silver(&[VIEWS[0], VIEWS[1], VIEWS[3]], &[("a", None, 2)]).await;
    let report = home.run(&project, Options::default()).await;
    assert_eq!(report.models[0].action, Action::Incremental { groups: 1 });
    assert_eq!(home.per_video().await, ["a 2026-01-01 2 3.5", "b 2026-01-01 1 8.0"]);
}

#[tokio::test]
async fn a_changed_definition_is_built_as_a_whole() {
    let (mut home, _) = first().await;
    let more = project(&[(
        "models/gold/gold__per_video.sql",
        "count(*) as views",
        "count(*) as views, max(v.region) as region",
    )]);
    let report = home.run(&more, Options::default()).await;
    assert_eq!(actions(&report), [Action::Full, Action::Full]);
    assert_eq!(home.query("select region from gold.per_video order by video_id, view_date").await, ["DE", "", "FR"]);
    // A description is no definition, but the tests run again.
    let described = project(&[
        ("models/gold/gold__per_video.sql", "count(*) as views", "count(*) as views, max(v.region) as region"),
        ("models/gold/gold.yml", "The video.", "A video."),
    ]);
    let report = home.run(&described, Options::default()).await;
    assert!(published(&report));
    assert_eq!(actions(&report), [Action::Unchanged, Action::Unchanged]);
    assert!(report.tests.iter().all(|test| matches!(test.result, TestResult::Passed)));
    // Silver changed, too, and with it a column's type: whole again.
    home.silver(&VIEWS, &[("a", None, 2)]).await;
    let wider =
        project(&[("models/gold/gold__per_video.sql", "count(*) as views", "cast(count(*) as double) as views")]);
    let report = home.run(&wider, Options::default()).await;
    assert_eq!(actions(&report), [Action::Full, Action::Full]);
    assert_eq!(home.per_video().await[0], "a 2026-01-01 2.0 3.5");
    let vars = serde_json::json!({"least": 3}).as_object().unwrap().clone();
    let report = home.run(&wider, Options { vars, ..Options::default() }).await;
    assert_eq!(report.models[0].written, 2);
}

#[tokio::test]
async fn warnings_and_unit_tests() {
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    let strict = project(&[("models/gold/gold.yml", "{value: 1, config", "{value: 2, config")]);
    let report = home.run(&strict, Options::default()).await;
    assert!(published(&report));
    let warned: Vec<_> = report.warnings().map(|test| test.name.as_str()).collect();
    assert_eq!(warned, ["at_least_gold__per_video_views__2"]);

    let wrong = project(&[("models/gold/gold.yml", "views: 2, watch_time_s: 3.5", "views: 3, watch_time_s: 3.5")]);
    let report = home.run(&wrong, Options { full_refresh: true, ..Options::default() }).await;
    assert_eq!(failures(&report), ["sums_by_day"]);
    let because = "unit test sums_by_day".to_owned();
    assert_eq!(actions(&report), vec![Action::Skipped { because }; 2]);
    let shown = report.failures().next().unwrap().to_string();
    assert!(
        shown.contains("missing") && shown.contains("unexpected") && shown.contains("given.silver__long_views"),
        "{shown}"
    );

    for (old, new, part) in [
        ("a,2026-01-01,1", "a,yesterday,1", "column `view_date`"),
        ("video_id,view_date,watch_time_s", "vdeo_id,view_date,watch_time_s", "did you mean `video_id`"),
        ("video_id,views\n", "video_id,vews\n", "there is no column `vews`"),
        ("input: ref('gold__per_video')", "input: ref('gold__best')", "ref('gold__per_video') has no given rows"),
    ] {
        let broken = project(&[("models/gold/gold.yml", old, new)]);
        let error = run(&home.lake, &broken, &Options::default()).await.unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in\n{error}");
    }
}

#[tokio::test]
async fn tests_of_one_scan_fail_one_by_one() {
    let mut home = Home::new().await;
    home.silver(&[VIEWS[0], VIEWS[3], ("5", "b", None, 2, 1.0)], &TOUCHED).await;
    let more = "- accepted_values: {arguments: {values: [a, c]}}\n          - relationships";
    let watched =
        "- name: watch_time_s\n        data_tests:\n          - not_null: {where: \"video_id = '{{ 'b' }}'\"}";
    let strict = project(&[
        ("models/gold/gold.yml", "- relationships", more),
        ("models/gold/gold.yml", "- name: views", &format!("{watched}\n      - name: views")),
        (
            "models/gold/gold__per_video.sql",
            "{{ total('v.watch_time_s') }}",
            "nullif({{ total('v.watch_time_s') }}, 1)",
        ),
        ("models/gold/gold.yml", "unit_tests:\n", "exposures:\n"),
    ]);
    let report = home.run(&strict, Options::default()).await;
    let found: Vec<(&str, u64, Vec<Option<String>>)> = report
        .failures()
        .map(|test| match &test.result {
            TestResult::Failed(failure) => (test.name.as_str(), failure.count, failure.sample.rows[0].clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let text = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
    // As dbt counts: a value that is not accepted once, however many rows have it.
    let accepted = ("accepted_values_gold__per_video_video_id__a__c", 1, text(&["b", "2"]));
    let mut null_row = text(&["b", "2026-01-02", "1"]);
    null_row.push(None);
    let null = ("not_null_gold__per_video_watch_time_s", 1, null_row);
    assert_eq!(found, [accepted, null]);
}

/// Builds one model.
fn only(model: &str) -> Options {
    Options { select: vec![model.to_owned()], ..Options::default() }
}

#[tokio::test]
async fn a_part_can_be_built() {
    let (home, project) = first().await;
    let report = home.run(&project, Options { full_refresh: true, ..only("gold__per_video") }).await;
    assert!(published(&report), "{:?}", failures(&report));
    assert_eq!((actions(&report), &report.models[0].relation[..]), (vec![Action::Full], "gold.per_video"));
    assert!(report.also_built.is_empty(), "nothing is new: {:?}", report.also_built);
    // The rest comes with all tests, those of silver included.
    let report = home.run(&project, Options::default()).await;
    assert_eq!(actions(&report), [Action::Unchanged, Action::Unchanged]);
    assert_eq!(report.tests.iter().filter(|test| matches!(test.result, TestResult::Passed)).count(), 11);
    assert_eq!(home.run(&project, Options::default()).await.outcome, Outcome::UpToDate);
}

#[tokio::test]
async fn a_part_of_new_data_comes_with_all_that_would_be_behind() {
    let (mut home, project) = first().await;
    home.silver(&VIEWS[..2], &[("a", None, 2), ("b", Some("FR"), 1)]).await;
    let report = home.run(&project, only("gold__per_video")).await;
    assert!(published(&report), "{:?}", failures(&report));
    assert_eq!(actions(&report), [Action::Incremental { groups: 2 }, Action::Full]);
    assert_eq!(report.also_built, ["gold.best"]);
    let shown = report.to_string();
    assert!(shown.contains("also built, as they were behind: gold.best\n"), "{shown}");
    assert_eq!(report.tests.len(), 8 + 3, "new silver is tested, too");

    let build = home.lake.published().await.unwrap().unwrap();
    let staged = home.lake.staged().await.unwrap().unwrap();
    assert_eq!(build.counts["silver_build"], staged.build_id.as_str());
    for table in ["gold.per_video", "gold.best"] {
        assert_eq!(build.counts["models"][table]["silver_build"], staged.build_id.as_str(), "{table}");
    }
    assert!(staged.versions.iter().all(|(id, version)| build.version_of(id) == Some(*version)), "{build:?}");
    assert_eq!(home.per_video().await, ["a 2026-01-01 2 3.5"]);
    assert_eq!(home.query("select video_id, views, watch_time_s from gold.best").await, ["a 2 3.5"]);
    assert_eq!(home.run(&project, Options::default()).await.outcome, Outcome::UpToDate, "nothing was left out");
}

#[tokio::test]
async fn the_first_build_is_of_all_models() {
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    let report = home.run(&project(&[]), only("gold__best")).await;
    assert!(published(&report), "{:?}", failures(&report));
    assert_eq!(report.also_built, ["gold.per_video"]);
    assert_eq!(home.per_video().await.len(), 3);
}

#[tokio::test]
async fn what_reads_a_redefined_part_is_built_with_it() {
    let (home, _) = first().await;
    let (old, new) = ("count(*) as views", "count(*) as views, max(v.region) as region");
    let more = project(&[("models/gold/gold__per_video.sql", old, new)]);
    let report = home.run(&more, only("gold__best")).await;
    assert_eq!((actions(&report), report.also_built.len()), (vec![Action::Unchanged], 0));
    let report = home.run(&more, only("gold__per_video")).await;
    assert!(published(&report), "{:?}", failures(&report));
    assert_eq!(actions(&report), [Action::Full, Action::Full]);
    assert_eq!(report.also_built, ["gold.best"]);
}

#[tokio::test]
async fn errors_of_the_engine_name_the_model() {
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    for (old, new, parts) in [
        (
            "v.view_date,\n    count",
            "v.no_such,\n    count",
            ["models/gold/gold__per_video.sql", "no_such", "compiled SQL"],
        ),
        (
            "count(*) as views",
            "null as views",
            ["models/gold/gold__per_video.sql", "column `views` is null without a type", "| "],
        ),
        (
            "count(*) as views",
            "count(* as views",
            ["models/gold/gold__per_video.sql", "gold__per_video", "parsererror"],
        ),
    ] {
        let broken = project(&[
            ("models/gold/gold__per_video.sql", old, new),
            ("models/gold/gold.yml", "unit_tests:\n", "exposures:\n"),
        ]);
        let error = run(&home.lake, &broken, &Options::default()).await.unwrap_err().to_string();
        for part in parts {
            assert!(error.to_lowercase().contains(&part.to_lowercase()), "{part:?} is not in\n{error}");
        }
    }
}

#[test]
fn a_run_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    fn check(lake: &Lake, project: &Project, options: &Options) {
        is_send(run(lake, project, options));
    }
    let _ = check;
}

#[tokio::test]
async fn rows_that_an_earlier_build_has_tested_are_not_looked_at_again() {
    let mut home = Home::new().await;
    let known = "- name: region\n        data_tests: [not_null]\n      - name: view_id";
    let strict = project(&[("models/silver/silver.yml", "- name: view_id", known)]);
    home.silver(&[VIEWS[0]], &TOUCHED).await;
    assert!(published(&home.run(&strict, Options::default()).await));

    home.silver(&[VIEWS[0], ("old", "a", None, 1, 2.0)], &TOUCHED).await;
    let report = home.run(&strict, Options { full_refresh: true, ..Options::default() }).await;
    assert_eq!(failures(&report), ["not_null_silver__views_region"], "a full refresh looks at every row");
    assert!(published(&home.run(&strict, Options::default()).await), "the row is said to have passed");

    home.silver(&[VIEWS[0], ("new", "a", None, 1, 2.0)], &TOUCHED).await;
    assert_eq!(failures(&home.run(&strict, Options::default()).await), ["not_null_silver__views_region"]);
}

#[tokio::test]
async fn tests_of_several_models_are_given_the_dates_that_changed_in_any() {
    let by_date = "select video_id from {{ ref('silver__views') }} where watch_time_s < 0\n\
                   {% if var('changed_dates', []) %}\n\
                   and cast(view_date as varchar) in ('{{ var('changed_dates') | join(\"', '\") }}')\n\
                   {% endif %}\n\
                   union all\n\
                   select video_id from {{ ref('gold__per_video') }} where watch_time_s < 0";
    let file = "tests/no_negative_time.sql";
    let strict = project(&[(file, "select * from {{ ref('gold__per_video') }} where watch_time_s < 0", by_date)]);
    let mut home = Home::new().await;
    home.silver(&VIEWS, &TOUCHED).await;
    assert!(published(&home.run(&strict, Options::default()).await));

    let negative = [VIEWS[0], VIEWS[1], ("3", "a", None, 2, -4.0), VIEWS[3]];
    home.silver(&negative, &[("a", Some("DE"), 1)]).await;
    let report = home.run(&strict, Options::default()).await;
    assert!(published(&report), "the rows of day 2 are said to be those that have passed: {:?}", failures(&report));
    home.silver(&negative, &[("a", None, 2)]).await;
    assert_eq!(failures(&home.run(&strict, Options::default()).await), ["no_negative_time"]);
    let report = home.run(&strict, Options { full_refresh: true, ..Options::default() }).await;
    assert_eq!(failures(&report), ["no_negative_time"], "a full refresh looks at every row");
}
