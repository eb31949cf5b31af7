//! Gets what later steps need from the network while the processors compile.

use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::tools::{command, step, took};

/// Debian's packages first: the others need some of them. Each gets only what is not there yet.
const ALL: [(&str, &str, &[&str]); 4] = [
    ("fetch what tests need", "python3", &["tests/fetch.py"]),
    ("fetch Kafka", "kafka/broker.sh", &["fetch"]),
    ("fetch the other engines", "python3", &["conformance/engines.py"]),
    ("fetch a server of buckets", "s3/server.sh", &["fetch"]),
];

/// What is being fetched.
pub struct Fetching(JoinHandle<Vec<usize>>);

impl Fetching {
    /// Begins with it.
    pub fn start() -> Self {
        Self(std::thread::spawn(|| (0..ALL.len()).filter(|at| !fetch(*at)).collect()))
    }

    /// Waits until all is there. What failed is tried once more, where it is seen.
    pub fn wait(self) -> Result<()> {
        let began = Instant::now();
        let Ok(failed) = self.0.join() else { bail!("fetching ended badly") };
        took("wait for what is fetched", began);
        for (name, program, args) in failed.into_iter().map(|at| ALL[at]) {
            step(name, &mut command(program, args))?;
        }
        Ok(())
    }
}

/// Whether it succeeded; says why not.
fn fetch(at: usize) -> bool {
    let (name, program, args) = ALL[at];
    let began = Instant::now();
    let said = match command(program, args).output() {
        Ok(output) if output.status.success() => {
            took(name, began);
            return true;
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("{name} failed; it will be tried once more\n{said}");
    false
}
