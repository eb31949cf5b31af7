//! `topics`: what there is in the log, and making what a file of definitions says.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use streamreel_process::names::GROUP;

use crate::cli::Topics;
use crate::draw::thousands;
use crate::failure::Outcome;
use crate::home::Home;

#[derive(Serialize)]
struct Topic {
    name: String,
    records: u64,
    bytes: Option<u64>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: u32,
    first_offset: i64,
    next_offset: i64,
    bytes: Option<u64>,
    /// Records that the processor has not committed; `None` for a topic that it does not read.
    lag: Option<i64>,
}

/// A file of definitions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definitions {
    #[serde(default)]
    topic: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    partitions: u32,
}

/// Lists the topics, after making those of the file that is given.
pub fn run(home: &Home, args: &Topics) -> Outcome {
    if let Some(file) = &args.apply {
        apply(home, file)?;
    }
    let log = home.log_to_read()?;
    let mut topics = Vec::new();
    for info in log.topics()? {
        let mut partitions = Vec::new();
        for (number, partition) in (0..).zip(&info.partitions) {
            let committed = log.committed(GROUP, &info.name, number)?;
            partitions.push(Partition {
                partition: number,
                first_offset: partition.first_offset,
                next_offset: partition.next_offset,
                bytes: partition.bytes,
                lag: committed.map(|at| partition.next_offset - at),
            });
        }
        topics.push(Topic { records: info.records(), bytes: info.bytes(), name: info.name, partitions });
    }
    home.printer.result(&topics, |topics| table(topics))
}

/// A topic that is there with another number of partitions is an error: a user's events would not stay in one.
fn apply(home: &Home, file: &Path) -> Outcome {
    let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let definitions: Definitions =
        toml::from_str(&text).with_context(|| format!("{} defines no topics as they should be", file.display()))?;
    let log = home.log()?;
    for Definition { name, partitions } in definitions.topic {
        let there = log.ensure_topic(&name, partitions)?;
        if there != partitions {
            let problem = anyhow!(
                "the topic {name} is there with {there} partitions, {} says {partitions}; say {there}, or make another log",
                file.display()
            );
            return Err(problem.into());
        }
    }
    Ok(())
}

fn table(topics: &[Topic]) -> String {
    let mut text =
        format!("{:<18} {:>4} {:>13} {:>13} {:>13} {:>11}\n", "topic", "part", "first", "next", "lag", "size");
    for topic in topics {
        for p in &topic.partitions {
            let lag = p.lag.map_or_else(|| "-".to_owned(), thousands);
            let size = p.bytes.map_or_else(|| "-".to_owned(), |b| bytesize::ByteSize(b).to_string());
            let (first, next) = (thousands(p.first_offset), thousands(p.next_offset));
            let _ = writeln!(text, "{:<18} {:>4} {first:>13} {next:>13} {lag:>13} {size:>11}", topic.name, p.partition);
        }
    }
    text
}
