//! The Spark and the Flink job beside the same work in the engines' own SQL and beside the program: `benches/engines`.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, count, seconds};
use crate::measure::{Scratch, largest, median, run};
use crate::tools::{command, program};

/// Contenders as `run.py` names them: ours on the engine, the engine's SQL, the program.
const JOB: &str = "job";
const SQL: &str = "sql";
const EMBEDDED: &str = "embedded";

/// Rounds of contenders, and what SQL gave otherwise.
struct Found(Value);

impl Found {
    /// Lets an engine's contenders work, turn by turn.
    fn measure(engine: &str, events: u64, rounds: usize) -> Result<Self> {
        let script =
            ["benches/engines/run.py", engine, "--events", &events.to_string(), "--rounds", &rounds.to_string()];
        let cost = run(command("python3", &script).arg("--program").arg(program()))?;
        let found: Value = serde_json::from_str(&cost.stdout).context("benches/engines/run.py printed no JSON")?;
        for contender in [JOB, SQL, EMBEDDED] {
            if found["runs"][contender].as_array().is_none_or(Vec::is_empty) {
                bail!("benches/engines/run.py measured no {contender}: {found}");
            }
        }
        Ok(Self(found))
    }

    /// A number of each run, by event.
    fn by_event(&self, contender: &str, name: &str) -> Vec<f64> {
        let runs = self.0["runs"][contender].as_array().into_iter().flatten();
        let number = |run: &Value, name: &str| run[name].as_f64().unwrap_or(f64::NAN);
        runs.map(|run| number(run, name) / number(run, "new_events")).collect()
    }

    /// How many times the CPU time of one contender is that of another, round by round.
    fn ratios(&self, one: &str, other: &str) -> Vec<f64> {
        let (one, other) = (self.by_event(one, "cpu_s"), self.by_event(other, "cpu_s"));
        one.iter().zip(other).map(|(one, other)| one / other).collect()
    }

    fn row(&self, name: &str, contender: &str) -> Vec<String> {
        let over = |other: &str| {
            let ratios = self.ratios(contender, other);
            let least = -largest(ratios.iter().map(|ratio| -ratio));
            format!("{:.2} ({least:.2} - {:.2})", median(ratios.clone()), largest(ratios))
        };
        let wall_s =
            self.0["runs"][contender].as_array().into_iter().flatten().filter_map(|run| run["wall_s"].as_f64());
        vec![
            name.to_owned(),
            format!("{:.2} us", 1e6 * median(self.by_event(contender, "cpu_s"))),
            over(JOB),
            over(EMBEDDED),
            seconds(median(wall_s)),
        ]
    }

    fn rows(&self, [job, sql, embedded]: [&str; 3]) -> Vec<Vec<String>> {
        vec![self.row(job, JOB), self.row(sql, SQL), self.row(embedded, EMBEDDED)]
    }

    /// A number of the differences.
    fn differs(&self, pointer: &str) -> Result<f64> {
        let number = self.0["differences"].pointer(pointer).and_then(Value::as_f64);
        number.with_context(|| format!("benches/engines/run.py found no {pointer}: {}", self.0))
    }
}

const HEADER: [&str; 5] = ["", "CPU an event", "times the job's", "times the program's", "wall time"];

/// Both engines.
pub fn engines(sizes: &Sizes, _: &Scratch, page: &mut Page) -> Result<()> {
    page.rounds(sizes.engine_rounds);
    spark(sizes, page)?;
    flink(sizes, page)
}

fn spark(sizes: &Sizes, page: &mut Page) -> Result<()> {
    let found = Found::measure("spark", sizes.engines, sizes.engine_rounds)?;
    let views = found.differs("/job/views")?;
    let how = format!(
        "Silver of {} records, all anew, from bronze to Delta: by `spark/enrich_job.py`, by Spark SQL with window \
         functions (`benches/engines/spark_sql.py`, which says what of the rules it lacks), by `streamreel build \
         --layer silver --full-refresh`. `python3 benches/engines/run.py spark --events {} --rounds {}`: turn by \
         turn, on two cores; {WARM} Spark has two threads and Java's own settings. SQL writes fewer tables (no \
         spans, no changes, no builds) and fewer columns, and watch time or unique seconds of {:.0} of {views:.0} \
         views differ from the job's by more than 1 s; it has {:.0} views and {:.0} segments where the job has \
         {:.0}, with {:.2} % of its watched seconds.",
        count(sizes.engines),
        sizes.engines,
        sizes.engine_rounds,
        found.differs("/views_with_other_watch_time")?,
        found.differs("/sql/views")?,
        found.differs("/sql/segments")?,
        found.differs("/job/segments")?,
        100.0 * found.differs("/sql/watched_s")? / found.differs("/job/watched_s")?,
    );
    page.section("Beside Spark SQL", &how, &HEADER, &found.rows(["Spark job", "Spark SQL", "the program"]));
    Ok(())
}

fn flink(sizes: &Sizes, page: &mut Page) -> Result<()> {
    let found = Found::measure("flink", sizes.engines, sizes.engine_rounds)?;
    let how = format!(
        "`video-events` to the cleaned topics on a Kafka, exactly once, {} more records a round: by \
         `flink/stream_processor.py`, by Flink SQL (`benches/engines/flink_sql.py`, which says what of the rules \
         it lacks), by `streamreel process`, which lands bronze, too. `python3 benches/engines/run.py flink \
         --events {} --rounds {}`: turn by turn, on two cores that the brokers use as well; {WARM} From before the \
         work until the offsets of all records are committed, with 2 s between checkpoints, so waiting for the \
         last one is in the wall time. The brokers' CPU time is not counted. Of all rounds SQL has {:.0} clean \
         events where the job has {:.0}: {:.0} only there and {:.0} only in the job's, told by viewer, video, \
         kind, time and position; and {:.0} dead letters for {:.0}.",
        count(sizes.engines),
        sizes.engines,
        sizes.engine_rounds,
        found.differs("/sql-clean-events")?,
        found.differs("/clean-events")?,
        found.differs("/clean_only_in_sql")?,
        found.differs("/clean_only_in_job")?,
        found.differs("/sql-dead-letters")?,
        found.differs("/video-events.dlq")?,
    );
    page.section("Beside Flink SQL", &how, &HEADER, &found.rows(["Flink job", "Flink SQL", "the program"]));
    Ok(())
}

const WARM: &str = "CPU time is that of all processes of a contender, JVM and Python workers, from `/proc`; engines have done \
     the same work once before it counts, the program is measured from its start. What a run costs at any \
     size, such as plans and commits, is in it. Ratios are medians with the least and largest.";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let run = |cpu_s: f64, events: u64| json!({"cpu_s": cpu_s, "wall_s": 1.0, "new_events": events});
        let runs = json!({"job": [run(2.0, 1), run(8.0, 2)], "sql": [run(4.0, 1), run(2.0, 2)], "embedded": []});
        let found = Found(json!({"runs": runs, "differences": {"job": {"views": 3}}}));
        assert_eq!(found.ratios(SQL, JOB), [2.0, 0.25]);
        assert_eq!(found.row("x", SQL)[2], "1.12 (0.25 - 2.00)");
        assert_eq!(found.differs("/job/views").unwrap(), 3.0);
        assert!(found.differs("/sql/views").is_err());
    }
}
