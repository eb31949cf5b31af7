//! Exports: files that agree with the tables, whole or not at all, and clear words where an extract can't be written.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Home, repository, text};

/// A home with the full example processed and built.
fn built() -> Home {
    let home = Home::new();
    home.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    home
}

fn export(home: &Home, format: &str, to: &Path, tables: &[&str]) -> Vec<serde_json::Value> {
    let to = to.to_string_lossy();
    let mut args = vec!["export", "--format", format, "--to", &to];
    args.extend(tables);
    home.json(&args).as_array().expect("a list").clone()
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

#[test]
fn a_file_a_table_with_all_its_rows() {
    let home = built();
    let out = home.file("csv");
    let exported = export(&home, "csv", &out, &[]);
    assert_eq!(exported.len(), 11, "every gold table: {exported:?}");
    for table in &exported {
        let name = table["table"].as_str().expect("a name");
        let counted = home.ok(&["query", &format!("select count(*) from {name}"), "--format", "csv"]);
        let counted: u64 = counted.lines().nth(1).expect("a row").parse().expect("a number");
        assert_eq!(table["rows"].as_u64(), Some(counted), "{name}");
        let file = fs::read_to_string(table["file"].as_str().expect("a path")).expect("readable");
        assert_eq!(file.lines().count() as u64, counted + 1, "{name}: a header and the rows");
    }
    assert_eq!(names(&out).len(), 11, "nothing else is left: {:?}", names(&out));

    let some = home.file("some");
    let exported = export(&home, "parquet", &some, &["gold.top_content", "viewer_retention", "top_content"]);
    assert_eq!(exported.len(), 2, "a table named twice is written once: {exported:?}");
    assert_eq!(names(&some), ["top_content.parquet", "viewer_retention.parquet"]);
}

#[test]
fn what_cannot_be_exported() {
    let home = built();
    let said = home.fails(2, &["export", "viewer_retentoin"]);
    assert!(said.contains("gold.viewer_retentoin") && said.contains("viewer_retention_by_region"), "{said}");
    let file = home.file("file");
    fs::write(&file, "").expect("written");
    let said = home.fails(1, &["export", "--to", &file.to_string_lossy()]);
    assert!(said.contains(&*file.to_string_lossy()), "{said}");

    let empty = Home::new();
    empty.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    empty.ok(&["process"]);
    let said = empty.fails(1, &["export"]);
    assert!(said.contains("streamreel build"), "{said}");
}

/// Names and contents of the files in a folder.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let content = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        (name, text)
    };
    names(folder).into_iter().map(content).collect()
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let home = built();
    let out = home.file("out");
    export(&home, "csv", &out, &[]);
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    // The last table but one by name: others are written before it fails.
    let to = out.to_string_lossy();
    let table = home.path().join("data_lake/gold/viewer_retention");
    let aside = home.file("aside");
    let old = contents(&out);
    let fails = |expected: &str| {
        let said = home.fails(1, &["export", "--to", &to]);
        assert!(said.contains(expected), "{said}");
    };
    fs::create_dir(&aside).expect("a folder");
    let data = |folder: &Path| names(folder).into_iter().filter(|name| name.ends_with(".parquet")).collect::<Vec<_>>();
    for name in data(&table) {
        fs::rename(table.join(&name), aside.join(&name)).expect("moved");
    }
    fails("it is gone");
    assert_eq!(contents(&out), old, "a table can't be read");
    for name in data(&aside) {
        fs::rename(aside.join(&name), table.join(&name)).expect("moved");
    }

    let taken = out.join("viewer_retention.csv");
    fs::remove_file(&taken).expect("removed");
    fs::create_dir(&taken).expect("a folder");
    let before = contents(&out);
    fails("it is a folder");
    assert_eq!(contents(&out), before, "a file can't be written");
    fs::remove_dir(&taken).expect("removed");

    export(&home, "csv", &out, &[]);
    let after = contents(&out);
    assert_eq!(after.len(), 11, "nothing else is left");
    assert_ne!(after, old, "of the second build");
}

/// Exports an extract with nothing on the path but this `python3`, and with a cache of its own.
fn extract_with(home: &Home, python: Option<&str>) -> (Output, PathBuf) {
    let path = home.file("bin");
    fs::create_dir_all(&path).expect("a folder");
    if let Some(script) = python {
        let file = path.join("python3");
        fs::write(&file, script).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let out = home.file("out");
    let mut command = home.command(&["export", "--format", "hyper", "--to", &out.to_string_lossy()]);
    command.env("PATH", &path).env("XDG_CACHE_HOME", home.file("cache"));
    (command.output().expect("the program starts"), out)
}

#[test]
fn an_extract_without_python_or_its_library() {
    let no_venv = "#!/bin/sh\ncase \"$*\" in *venv*) echo 'ensurepip is not available';; esac\nexit 1\n";
    // A Python that makes an environment whose Python can't install anything.
    let no_network = "#!/bin/sh\ncase \"$*\" in *venv*) ;; *) exit 1;; esac\n/bin/mkdir -p \"$3/bin\"\n\
                      /bin/printf '#!/bin/sh\\necho \"ERROR: Could not find a version\" >&2\\nexit 1\\n' > \"$3/bin/python\"\n\
                      /bin/chmod +x \"$3/bin/python\"\n";
    // One that has the library, which then fails, or writes too little.
    let fails = "#!/bin/sh\ncase \"$2\" in *HyperProcess*) echo 'no space left' >&2; exit 1;; esac\n";
    let loses = "#!/bin/sh\ncase \"$2\" in *HyperProcess*) echo '{\"drop_off\": 1}';; esac\n";
    let cases: [(Option<&str>, &[&str]); 5] = [
        (None, &["can't start python3", "install Python 3 with venv", "export csv"]),
        (Some(no_venv), &["ensurepip is not available", "apt install python3-venv"]),
        (Some(no_network), &["tableauhyperapi==", "Could not find a version", "no network", "export csv"]),
        (Some(fails), &["no space left"]),
        (Some(loses), &["1 rows of drop_off"]),
    ];
    let home = built();
    for (python, expected) in cases {
        let (output, out) = extract_with(&home, python);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in expected {
            assert!(said.contains(part), "no `{part}` in: {said}");
        }
        assert_eq!(names(&out), [""; 0], "nothing is left of it");
        let cache = home.file("cache").join("streamreel");
        assert!(!cache.exists() || names(&cache).is_empty(), "no half environment is left");
    }
}
