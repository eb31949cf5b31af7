//! Reading, rendering and selecting, without a lake.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use streamreel_model::{Materialized, Project};

fn small() -> Project {
    Project::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/small")).unwrap()
}

/// Files of a project, and parts of the error that they are.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// A project of the given files; `name: p` is there unless `dbt_project.yml` is given.
fn load(files: &[(&str, &str)]) -> Result<Project, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("dbt_project.yml"), "name: p\n").unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Project::load(dir.path()).map_err(|error| error.to_string())
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_embedded_project_loads() {
    let project = Project::embedded().unwrap();
    assert!(project.models().any(|model| model.relation() == "gold.retention_curve"));
    for model in project.models() {
        project.compile(&model.name).unwrap();
    }
}

#[test]
fn order_and_properties() {
    let project = small();
    let names: Vec<&str> = project.models().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["silver__views", "silver__long_views", "gold__per_video", "gold__best"]);
    let model = project.models().find(|model| model.name == "gold__per_video").unwrap();
    assert_eq!(model.relation(), "gold.per_video");
    assert_eq!(model.tags(), ["nightly", "sums"]);
    assert_eq!(model.description, "Grain: video and day.");
    assert_eq!(model.materialized(), Materialized::Incremental);
    assert_eq!(model.columns[0], ("video_id".to_owned(), "The video.".to_owned()));
}

#[test]
fn data_tests_have_their_names_of_dbt() {
    let project = small();
    let mut names: Vec<&str> = project.data_tests().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "at_least_gold__per_video_views__1",
            "no_negative_time",
            "not_null_gold__per_video_video_id",
            "not_null_silver__views_view_id",
            "relationships_gold__per_video_video_id__video_id__ref_gold__best_",
            "small_unique_together_gold__per_video_video_id__view_date",
            "source_not_null_lake_views_view_id",
            "unique_silver__views_view_id",
        ]
    );
}

#[test]
fn compiles_to_sql() {
    let project = small();
    assert_eq!(
        words(&project.compile("gold__per_video").unwrap()),
        "with __dbt__cte__silver__views as ( select * from silver.views -- one row a view ), \
         __dbt__cte__silver__long_views as ( select * from __dbt__cte__silver__views where watch_time_s >= -1000 ) \
         select * from ( select v.video_id, v.view_date, count(*) as views, sum(v.watch_time_s) as watch_time_s \
         from __dbt__cte__silver__long_views as v group by v.video_id, v.view_date ) as model_query"
    );
    assert_eq!(
        words(&project.compile("gold__best").unwrap()),
        "select video_id, sum(views) as views, sum(watch_time_s) as watch_time_s from gold.per_video group by video_id \
         having sum(watch_time_s) <= 10 * 1000"
    );
    let vars = serde_json::json!({"least": 5, "best": 1});
    let project = project.with_vars(vars.as_object().unwrap()).unwrap();
    assert!(project.compile("gold__per_video").unwrap().contains("watch_time_s >= 5"));
    assert!(project.compile("gold__best").unwrap().contains("<= 1 * 1000"));
}

#[test]
fn selects() {
    let project = small();
    for (select, exclude, expected) in [
        ("", "", "silver__views silver__long_views gold__per_video gold__best"),
        ("gold__best", "", "gold__best"),
        ("gold.best", "", "gold__best"),
        ("+gold__per_video", "", "silver__views silver__long_views gold__per_video"),
        ("gold__per_video+", "", "gold__per_video gold__best"),
        ("silver__views+ tag:sums", "", "silver__views silver__long_views gold__per_video gold__best"),
        ("tag:sums,gold__best", "", "gold__per_video gold__best"),
        ("tag:nightly", "gold__best", "gold__per_video"),
        ("path:models/gold", "", "gold__per_video gold__best"),
        ("models/silver", "", "silver__views silver__long_views"),
    ] {
        let chosen = project.select(&[select.to_owned()], &[exclude.to_owned()]).unwrap();
        assert_eq!(chosen.join(" "), expected, "{select} without {exclude}");
    }
    let error = project.select(&["per_video".to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean `gold__per_video`"), "{error}");
}

#[test]
fn macros_and_python_habits() {
    let macros = "{% macro f(n) %}{% if n == 0 %}{{ return([1, 2]) }}{% endif %}{{ return(f(n - 1)) }}{% endmacro %}\n\
                  {% macro g(a, b='x') %}{{ a }}{{ b }}{% endmacro %}\n\
                  {% macro spark__h() %}spark{% endmacro %}{% macro default__h() %}any{% endmacro %}\n\
                  {% macro datafusion__k() %}own{% endmacro %}{% macro default__k() %}any{% endmacro %}";
    for (template, expected) in [
        ("{{ f(2) | length }}", "2"),
        ("{{ f(2)[1] }}", "2"),
        ("{{ g('a') }} {{ p.g('a', b='c') }}", "ax ac"),
        ("{{ adapter.dispatch('h', 'p')() }} {{ adapter.dispatch('k')() }}", "any own"),
        ("{{ 'a,b'.split(',')[1].upper() }}", "B"),
        ("{{ {'a': 1}.items() | list | length }} {{ {'a': 1}.get('b', 2) }}", "1 2"),
        ("{% set l = [0] %}{% for i in [1, 2] %}{% do l.append(i) %}{% endfor %}{{ l | join('-') }}", "0-1-2"),
        ("{{ target.type }} {{ var('v', 3) }} {{ env_var('NOT_SET_ANYWHERE', 'd') }}", "datafusion 3 d"),
        ("{{ this }} {{ this.schema }} {{ is_incremental() }}", "gold.m gold False"),
        ("{{ dbt.concat(['a', 'b']) }} {{ dbt.type_string() }}", "a || b varchar"),
        ("{# {{ nothing }} #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{% if execute %}yes{% else %}no{% endif %}", "yes"),
        ("{{ config.get('alias', 'none') }}", "none"),
    ] {
        let project = load(&[("macros/m.sql", macros), ("models/gold__m.sql", template)]).unwrap();
        assert_eq!(project.compile("gold__m").unwrap(), expected, "{template}");
    }
}

#[test]
fn errors_say_where_and_what_is_supported() {
    const MODEL: &str = "models/gold__m.sql";
    let cases: &[Case] = &[
        (
            &[(MODEL, "select 1\nfrom {{ ref('gold__n') }}")],
            &["models/gold__m.sql:2", "no such model", "| from {{ ref"],
        ),
        (&[(MODEL, "select {{ nope }}")], &["models/gold__m.sql:1", "undefined"]),
        (&[(MODEL, "select {{ nope(1) }}")], &["models/gold__m.sql:1", "nope"]),
        (&[(MODEL, "select {% if %}")], &["models/gold__m.sql:1", "syntax error"]),
        (&[(MODEL, "\n{{ source('a', 'b') }}")], &["models/gold__m.sql:2", "not declared"]),
        (&[(MODEL, "{{ var('v') }}")], &["var('v') is not set"]),
        (
            &[(MODEL, "{{ config(materialized='snapshot') }}")],
            &["models/gold__m.sql:1", "supported: table, incremental"],
        ),
        (&[(MODEL, "\n{{ config(materialised='table') }}")], &["models/gold__m.sql:2", "did you mean `materialized`"]),
        (&[(MODEL, "{{ config(materialized='view') }}")], &["a view in gold"]),
        (&[(MODEL, "{{ config(materialized='incremental') }}")], &["without `changed_by`"]),
        (&[(MODEL, "{{ config(post_hook='x') }}")], &["hooks"]),
        (&[("models/silver__m.sql", "select 1")], &["only gold is written here"]),
        (&[("models/m.sql", "{{ config(materialized='ephemeral') }}")], &["does not say its layer"]),
        (&[(MODEL, "select 1"), ("models/x/gold__m.sql", "select 1")], &["is also in"]),
        (
            &[("macros/m.sql", "\n{% materialization m, default %}{% endmaterialization %}")],
            &["macros/m.sql:2", "materialization"],
        ),
        (
            &[("macros/m.sql", "\n\n{% macro f() %}{{ g() }}{% endmacro %}"), (MODEL, "{{ f() }}")],
            &["macros/m.sql:3", "no macro or function"],
        ),
        (
            &[("macros/m.sql", "{% macro f() %}{{ f() }}{% endmacro %}"), (MODEL, "{{ f() }}")],
            &["macros/m.sql:1", "itself"],
        ),
        (&[("seeds/s.csv", "a,b")], &["seeds/s.csv", "not run"]),
        (&[("models/m.yml", "models:\n  - name: gold__x")], &["models/m.yml:2", "no SQL file"]),
        (
            &[(MODEL, "select 1"), ("models/m.yml", "models:\n  - name: gold__m\n    colums: []")],
            &["models/m.yml:3", "did you mean `columns`"],
        ),
        (
            &[
                (MODEL, "select 1"),
                ("models/m.yml", "models:\n  - name: gold__m\n    data_tests:\n      - uniqe: {column_name: a}"),
            ],
            &["models/m.yml:4", "did you mean `unique`"],
        ),
        (
            &[(MODEL, "{{ ref('gold__n') }}"), ("models/gold__n.sql", "{{ ref('gold__m') }}")],
            &["gold__m -> gold__n -> gold__m"],
        ),
        (&[("dbt_project.yml", "name: p\non-run-end: [x]")], &["dbt_project.yml:2", "on-run-end"]),
        (
            &[(MODEL, "{{ adapter.get_columns_in_relation(this) }}")],
            &["adapter.get_columns_in_relation is not supported"],
        ),
        (
            &[(MODEL, "{{ p.exact_sm(1) }}"), ("macros/m.sql", "{% macro exact_sum(x) %}{% endmacro %}")],
            &["did you mean `exact_sum`"],
        ),
    ];
    for (files, parts) in cases {
        let error = match load(files) {
            Err(error) => error,
            Ok(_) => panic!("{files:?} loaded"),
        };
        for part in *parts {
            assert!(error.contains(part), "{files:?}: {part:?} is not in\n{error}");
        }
    }
}

#[test]
fn a_ref_that_only_the_second_pass_finds_is_refused() {
    let files =
        [("models/gold__m.sql", "{% if execute %}{{ ref('gold__n') }}{% endif %}"), ("models/gold__n.sql", "select 1")];
    let error = load(&files).unwrap().compile("gold__m").unwrap_err().to_string();
    assert!(error.contains("depends_on"), "{error}");
}
