//! Every engine against the program, with all events and cases: what each said becomes its section of `docs/conformance.md`.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, bail};

use crate::conformance::{ENGINES, comparison};
use crate::measure::machine;
use crate::report::Report;

const INTRO: &str = "# Conformance

Seeded events with every kind of dirt, late ones among them, through the program and through each engine, compared row by row as \
sets ([engines.md](engines.md) says what each is). Each section was written by `cargo xtask full conformance --engine NAME`, without \
a name all are. Times are seconds since the engine's beginning, its installation included if it was the first. A difference would be \
shown by its rows and end the run without the section.
";

/// Compares these engines; with `quick` few events, and nothing is written.
pub fn compare(engines: &[&str], quick: bool) -> Result<()> {
    let report = Report {
        path: "docs/conformance.md",
        intro: INTRO.to_owned(),
        headings: ENGINES.iter().map(|engine| (*engine).to_owned()).collect(),
    };
    for engine in engines {
        let said = one(engine, quick)?;
        if !quick {
            report.put(engine, &format!("Machine: {}.\n\n```text\n{said}```\n", machine()?))?;
        }
    }
    Ok(())
}

/// Compares with one engine; the steps and tables that it named.
fn one(engine: &str, quick: bool) -> Result<String> {
    let mut args = vec!["--engine".to_owned(), engine.to_owned()];
    args.extend(quick.then(|| "--quick".to_owned()));
    // Both outputs, in order. The command is dropped once started, with its end of the pipe.
    let (reader, writer) = std::io::pipe()?;
    let started = comparison(&args).stdout(writer.try_clone()?).stderr(writer).spawn();
    let mut child = started.context("can't start python3")?;
    let (mut said, mut agreed) = (String::new(), false);
    for line in BufReader::new(reader).lines() {
        let line = line?;
        eprintln!("{line}");
        // What engines and installers say besides is theirs.
        if line.starts_with('[') || line.ends_with(" equal") || line.contains(" passed in ") {
            said += &format!("{line}\n");
        }
        agreed = line.ends_with("all agrees");
    }
    if !child.wait()?.success() || !agreed {
        bail!("{engine} does not agree");
    }
    Ok(said)
}
