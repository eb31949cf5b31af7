//! A home in a temporary folder, and the program run in it as a user runs it.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod broker;
#[path = "../../../lake/tests/s3/http.rs"]
pub mod http;
pub mod proxy;
pub mod store;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A home that goes away with the value.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The folder given to `--home`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Makes the folder, so that a simulation into a file leaves its titles there.
    pub fn make(&self) {
        std::fs::create_dir_all(self.path()).expect("a folder");
    }

    /// A file beside the home.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with `--home` and these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamreel"));
        command.arg("--home").arg(self.path()).args(args).stdin(Stdio::null());
        // The machine's own settings are not the test's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STREAMREEL_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs to the end, whatever it is.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Runs; must succeed. What it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (said, printed) = (text(&output.stderr), text(&output.stdout));
        assert!(output.status.success(), "{args:?}: {}\n{said}\n{printed}", output.status);
        printed
    }

    /// Runs with `--json`; must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.ok(&args)).expect("JSON on stdout")
    }

    /// Runs; must fail with this status. What it said.
    pub fn fails(&self, status: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?} said {said}");
        said
    }

    /// Starts it and goes on.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Rows of a query.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let rows = self.json(&["query", sql]);
        rows.as_array().expect("an array of rows").clone()
    }

    /// The one number of a query.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        let row = rows[0].as_object().expect("a row");
        row.values().next().and_then(Value::as_i64).unwrap_or_else(|| panic!("{sql} gave {row:?}"))
    }

    /// Every gold table but `builds`, as text that is the same for the same rows.
    pub fn gold(&self) -> String {
        self.gold_with(&[])
    }

    /// The same, with further global flags.
    pub fn gold_with(&self, global: &[&str]) -> String {
        let query = |args: &[&str]| self.ok(&[global, &["query"], args].concat());
        let names = query(&[
            "--json",
            "select table_name from information_schema.tables where table_schema = 'gold' and table_name <> 'builds' \
             order by table_name",
        ]);
        let names: Value = serde_json::from_str(&names).expect("JSON on stdout");
        let names = names.as_array().expect("an array of rows");
        assert!(names.len() > 5, "too few tables of gold: {names:?}");
        let mut all = String::new();
        for name in names {
            let name = name["table_name"].as_str().expect("a name");
            let csv = query(&["--format", "csv", &format!("select * from gold.{name}")]);
            let mut lines: Vec<&str> = csv.lines().collect();
            lines[1..].sort_unstable();
            all.push_str(&format!("# {name}\n{}\n", lines.join("\n")));
        }
        all
    }
}

/// A size or seed of a test: `STREAMREEL_TEST_<NAME>`, else what the gate takes. `cargo xtask full` sets them.
pub fn setting(name: &str, default: &str) -> String {
    std::env::var(format!("STREAMREEL_TEST_{name}")).unwrap_or_else(|_| default.to_owned())
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Where two texts differ first, for a failure that can be read.
pub fn assert_same(left: &str, right: &str, what: &str) {
    if left == right {
        return;
    }
    let mut lines = left.lines().zip(right.lines()).enumerate();
    let first = lines.find(|(_, (a, b))| a != b);
    panic!("{what}: differ first at {first:?}; {} and {} lines", left.lines().count(), right.lines().count());
}
