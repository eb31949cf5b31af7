//! What a part of the measurements has to say.

use std::fmt::Write;

use crate::measure::{CpuTime, load};

/// What was measured so far.
pub struct Page {
    machine: String,
    load_before: f64,
    cpu_before: CpuTime,
    rounds: Option<usize>,
    requirements: Vec<Requirement>,
    sections: String,
}

struct Requirement {
    what: String,
    target: String,
    measured: String,
    met: bool,
}

impl Page {
    /// An empty one, of what is measured from now on.
    pub fn new(machine: String) -> Self {
        Self {
            machine,
            load_before: load(),
            cpu_before: CpuTime::now(),
            rounds: None,
            requirements: Vec::new(),
            sections: String::new(),
        }
    }

    /// How often each was measured, where the median of that counts and nothing else is said.
    pub fn rounds(&mut self, rounds: usize) {
        self.rounds = Some(rounds);
    }

    /// A requirement: what was wanted and what was measured.
    pub fn require(&mut self, what: impl Into<String>, target: &str, measured: impl Into<String>, met: bool) {
        let (what, measured) = (what.into(), measured.into());
        eprintln!("    {what}: {measured} (wanted {target}){}", if met { "" } else { " MISSED" });
        self.requirements.push(Requirement { what, target: target.to_owned(), measured, met });
    }

    /// A section with a heading, how it was measured, and a table.
    pub fn section(&mut self, heading: &str, how: &str, header: &[&str], rows: &[Vec<String>]) {
        // Writing to a string does not fail.
        let _ = writeln!(self.sections, "### {heading}\n\n{how}\n\n{}", table(header, rows));
    }

    /// A section with text as a program printed it.
    pub fn verbatim(&mut self, heading: &str, how: &str, text: &str) {
        let _ = writeln!(self.sections, "### {heading}\n\n{how}\n\n```text\n{}\n```\n", text.trim_end());
    }

    /// All of it as Markdown.
    pub fn text(&self) -> String {
        let row = |r: &Requirement| {
            let met = if r.met { "met" } else { "**missed**" };
            vec![r.what.clone(), r.target.clone(), r.measured.clone(), met.to_owned()]
        };
        let rows: Vec<_> = self.requirements.iter().map(row).collect();
        let required = if rows.is_empty() { String::new() } else { table(&["what", "wanted", "measured", ""], &rows) };
        let rounds = match self.rounds {
            None => String::new(),
            Some(1) => " Each was measured once.".to_owned(),
            Some(rounds) => format!(" Medians of {rounds} unless it says otherwise."),
        };
        let (machine, before, after) = (&self.machine, self.load_before, load());
        let stolen = CpuTime::now().stolen_since(self.cpu_before) * 100.0;
        let head = format!(
            "Machine: {machine}. Load before and after: {before:.1} and {after:.1}; {stolen:.1} % of the CPU time was stolen.{rounds}"
        );
        format!("{head}\n\n{required}\n{}", self.sections)
    }
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// `1.23 M/s`, `210 k/s`.
pub fn rate(per_s: f64) -> String {
    if per_s >= 1e6 { format!("{:.2} M/s", per_s / 1e6) } else { format!("{:.0} k/s", per_s / 1e3) }
}

/// `10 M`, `300 k`.
pub fn count(n: u64) -> String {
    match n {
        n if n % 1_000_000 == 0 => format!("{} M", n / 1_000_000),
        n if n >= 1_000_000 => format!("{:.2} M", n as f64 / 1e6),
        n if n % 1_000 == 0 => format!("{} k", n / 1_000),
        n => n.to_string(),
    }
}

/// `12.3 s`.
pub fn seconds(s: f64) -> String {
    format!("{s:.1} s")
}

/// `1.23 GB`.
pub fn gigabytes(gb: f64) -> String {
    format!("{gb:.2} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_those_that_were_measured() {
        for (rounds, expected) in
            [(None, ""), (Some(1), " Each was measured once."), (Some(3), " Medians of 3 unless it says otherwise.")]
        {
            let mut page = Page::new("a machine".to_owned());
            rounds.into_iter().for_each(|rounds| page.rounds(rounds));
            let text = page.text();
            let (_, said) = text.lines().next().and_then(|line| line.split_once("was stolen")).unwrap();
            assert_eq!(said, format!(".{expected}"));
        }
    }

    #[test]
    fn numbers_for_people() {
        for (n, expected) in [(7, "7"), (300_000, "300 k"), (10_000_000, "10 M"), (1_234_567, "1.23 M")] {
            assert_eq!(count(n), expected);
        }
        for (per_s, expected) in [(2_345_678.0, "2.35 M/s"), (210_400.0, "210 k/s")] {
            assert_eq!(rate(per_s), expected);
        }
    }
}
