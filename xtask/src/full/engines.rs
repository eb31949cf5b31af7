//! Every engine against the program, with all events and cases: what was said becomes `docs/conformance.md`.

use std::fs;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, bail};

use crate::conformance::comparison;
use crate::measure::machine;
use crate::tools::root;

const OUTPUT: &str = "docs/conformance.md";

/// Compares; with `quick` few events, and nothing is written.
pub fn compare(quick: bool) -> Result<()> {
    let args: &[String] = if quick { &["--quick".to_owned()] } else { &[] };
    // Both outputs, in order. The command is dropped once started, with its end of the pipe.
    let (reader, writer) = std::io::pipe()?;
    let started = comparison(args).stdout(writer.try_clone()?).stderr(writer).spawn();
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
        bail!("an engine does not agree");
    }
    if quick {
        return Ok(());
    }
    let path = root().join(OUTPUT);
    let text = format!(
        "# Conformance\n\nWritten by `cargo xtask full conformance`: seeded events with every kind of dirt, late ones among them, through the \
         program and through each engine, compared row by row as sets ([engines.md](engines.md) says what each is). Times are seconds since the \
         beginning. A difference would be shown by its rows and end the run without this page.\n\nMachine: {}.\n\n```text\n{said}```\n",
        machine()?
    );
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("wrote {OUTPUT}");
    Ok(())
}
