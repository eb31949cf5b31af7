//! What lost events cost: gold beside the simulator's truth, with a part of the true events taken away.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::BufReader;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::measure::{Home, Scratch, machine};
use crate::tools::root;

const OUTPUT: &str = "docs/metrics.md";
const HEADING: &str = "## What lost events cost";
const BEGIN: &str = "<!-- loss:begin -->";
const END: &str = "<!-- loss:end -->";
const LOSSES: [&str; 4] = ["0.0", "0.01", "0.05", "0.1"];
/// The ratio of which the worst places are named.
const NAMED: &str = "0.05";
const DIRT: &str = "0.05";
const CURVES: [&str; 3] = ["plays", "watched", "survived"];

/// What is known about a video, by the truth or by gold.
#[derive(Default)]
struct Video {
    views: f64,
    watch_time_s: f64,
    /// As in `CURVES`, a count a second.
    curves: [Vec<f64>; 3],
}

type Videos = BTreeMap<String, Video>;

/// In a video with fewer views, one view is a large share: its errors say little.
const FEW_VIEWS: f64 = 100.0;

/// A mean weighted by views, and the largest: of all videos, with where it is, and of those that have not few views.
#[derive(Default)]
struct Spread {
    sum: f64,
    weight: f64,
    largest: f64,
    video: String,
    largest_of_many: f64,
}

impl Spread {
    fn add(&mut self, error: f64, views: f64, video: &str) {
        self.sum += error * views;
        self.weight += views;
        if views >= FEW_VIEWS {
            self.largest_of_many = self.largest_of_many.max(error);
        }
        if error > self.largest {
            self.largest = error;
            video.clone_into(&mut self.video);
        }
    }

    fn cells(&self, unit: &str) -> String {
        format!("{:.2}{unit}, {:.2}{unit}", self.sum / self.weight, self.largest_of_many)
    }
}

/// Simulates with each loss ratio, builds, compares; Markdown.
pub fn measure(scratch: &Scratch, records: &str) -> Result<String> {
    let mut text = format!(
        "Measured by `cargo xtask full` ({}): {records} records of the simulator with 5 % dirt, a part of the true events lost at random, gold \
         against the truth about all events. Two numbers are the mean and the largest of videos with {FEW_VIEWS} views or more: watch time over \
         videos, weighted by their views, relative; curves over all seconds of all videos, weighted by views, in percentage points (pp) \
         of the views.\n\n\
         | lost | views | watch time in all | watch time of a video | plays | retention | survival |\n|---|---|---|---|---|---|---|\n",
        machine()?
    );
    let mut worst = String::new();
    for loss in LOSSES {
        eprintln!("==> loss {loss}");
        let home = scratch.home("loss");
        let (truth, gold) = both(&home, loss, records, scratch)?;
        home.remove("")?;
        let (row, named) = compare(&truth, &gold, loss);
        eprintln!("    {row}");
        let _ = writeln!(text, "{row}");
        if loss == NAMED {
            worst = named;
        }
    }
    let _ = writeln!(text, "\n{worst}");
    Ok(text)
}

/// The truth and gold of one simulation.
fn both(home: &Home, loss: &str, records: &str, scratch: &Scratch) -> Result<(Videos, Videos)> {
    let path = scratch.path("truth.json");
    home.run(&["simulate", "--events", records, "--dirt", DIRT, "--loss", loss, "--truth", &path.to_string_lossy()])?;
    home.run(&["process"])?;
    home.run(&["build"])?;
    let audit = home.json(&["audit"])?.1;
    if audit["holds"] != true {
        bail!("the audit does not hold: {audit}");
    }
    let file = File::open(&path).with_context(|| format!("can't read {}", path.display()))?;
    let truth: Value = serde_json::from_reader(BufReader::new(file)).context("the truth is no JSON")?;
    let gold = gold(home)?;
    Ok((true_videos(&truth)?, gold))
}

fn true_videos(truth: &Value) -> Result<Videos> {
    let mut videos = Videos::new();
    for video in truth["videos"].as_array().context("the truth has no videos")? {
        let curve = |name: &str| -> Result<Vec<f64>> {
            let counts = video[name].as_array().with_context(|| format!("the truth has no {name}"))?;
            counts.iter().map(|count| count.as_f64().context("no count")).collect()
        };
        let known = Video {
            views: number(video, "views")?,
            watch_time_s: number(video, "watch_time_s")?,
            curves: [curve(CURVES[0])?, curve(CURVES[1])?, curve(CURVES[2])?],
        };
        if known.views > 0.0 {
            videos.insert(id(video)?, known);
        }
    }
    Ok(videos)
}

fn gold(home: &Home) -> Result<Videos> {
    let mut videos = Videos::new();
    let totals =
        "select video_id, count(*) as views, sum(watch_time_s) as watch_time_s from silver.views group by video_id";
    for row in home.query(totals)? {
        let (views, watch_time_s) = (number(&row, "views")?, number(&row, "watch_time_s")?);
        videos.insert(id(&row)?, Video { views, watch_time_s, ..Video::default() });
    }
    let curves =
        "select video_id, second_s, plays, watched, survived from gold.retention_curve order by video_id, second_s";
    for row in home.query(curves)? {
        let video = videos.entry(id(&row)?).or_default();
        if number(&row, "second_s")? as usize != video.curves[0].len() {
            bail!("gold.retention_curve is not dense: {row}");
        }
        for (curve, name) in video.curves.iter_mut().zip(CURVES) {
            curve.push(number(&row, name)?);
        }
    }
    Ok(videos)
}

fn id(row: &Value) -> Result<String> {
    Ok(row["video_id"].as_str().with_context(|| format!("no video_id in {row}"))?.to_owned())
}

fn number(row: &Value, name: &str) -> Result<f64> {
    row[name].as_f64().with_context(|| format!("no {name} in a row"))
}

/// A row of the table, and in words where it is worst.
fn compare(truth: &Videos, gold: &Videos, loss: &str) -> (String, String) {
    let total = |videos: &Videos, of: fn(&Video) -> f64| videos.values().map(of).sum::<f64>();
    let (views, watch) =
        ((|v: &Video| v.views) as fn(&Video) -> f64, (|v: &Video| v.watch_time_s) as fn(&Video) -> f64);
    let relative = |of| 100.0 * (total(gold, of) / total(truth, of) - 1.0);
    let nothing = Video::default();
    let (mut watch_time, mut curves) = (Spread::default(), [const { None }; 3].map(|_: Option<()>| Spread::default()));
    for (id, known) in truth {
        let found = gold.get(id).unwrap_or(&nothing);
        if known.watch_time_s > 0.0 {
            let error = 100.0 * (found.watch_time_s / known.watch_time_s - 1.0).abs();
            watch_time.add(error, known.views, id);
        }
        for (curve, (is, should)) in curves.iter_mut().zip(found.curves.iter().zip(&known.curves)) {
            for second in 0..is.len().max(should.len()) {
                let share = |curve: &[f64], views: f64| {
                    if views > 0.0 { 100.0 * curve.get(second).copied().unwrap_or(0.0) / views } else { 0.0 }
                };
                let error = (share(is, found.views) - share(should, known.views)).abs();
                curve.add(error, known.views, id);
            }
        }
    }
    let lost = 100.0 * loss.parse::<f64>().unwrap_or(f64::NAN);
    let [plays, retention, survival] = curves.each_ref().map(|curve| curve.cells(" pp"));
    let row = format!(
        "| {lost} % | {:+.2} % | {:+.2} % | {} | {plays} | {retention} | {survival} |",
        relative(views),
        relative(watch),
        watch_time.cells(" %"),
    );
    (row, describe(truth, lost, &watch_time, &curves))
}

fn describe(truth: &Videos, lost: f64, watch_time: &Spread, curves: &[Spread; 3]) -> String {
    let of = |spread: &Spread, unit| {
        let views = truth.get(&spread.video).map_or(0.0, |video| video.views);
        format!("{:.1} {unit} (`{}`, {views} views)", spread.largest, spread.video)
    };
    let [plays, retention, survival] = curves.each_ref().map(|curve| of(curve, "pp"));
    format!(
        "With {lost} % lost the largest errors of any video are: watch time {}; plays {plays}; retention {retention}; \
         survival {survival}.",
        of(watch_time, "%")
    )
}

/// Puts it between its markers, which are made where they are missing.
pub fn write(text: &str) -> Result<()> {
    let path = root().join(OUTPUT);
    let page = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    fs::write(&path, placed(&page, text)).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("wrote {OUTPUT}");
    Ok(())
}

fn placed(page: &str, text: &str) -> String {
    let block = format!("{BEGIN}\n{}\n{END}", text.trim_end());
    if let (Some(begin), Some(end)) = (page.find(BEGIN), page.find(END)) {
        return format!("{}{block}{}", &page[..begin], &page[end + END.len()..]);
    }
    // At the end of its section.
    let Some(heading) = page.find(HEADING) else {
        return format!("{}\n\n{HEADING}\n\n{block}\n", page.trim_end());
    };
    let next = page[heading + 1..].find("\n## ").map_or(page.len(), |at| heading + 1 + at);
    let (before, after) = page.split_at(next);
    format!("{}\n\n{block}\n{after}", before.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_finds_its_place() {
        let block = format!("{BEGIN}\nnew\n{END}");
        let cases = [
            (format!("# A\n{BEGIN}\nold\n{END}\n## B\n"), format!("# A\n{block}\n## B\n")),
            (format!("# A\n\n{HEADING}\n\nWhy.\n\n## B\n"), format!("# A\n\n{HEADING}\n\nWhy.\n\n{block}\n\n## B\n")),
            (format!("# A\n\n{HEADING}\n\nWhy.\n"), format!("# A\n\n{HEADING}\n\nWhy.\n\n{block}\n")),
            ("# A\n".to_owned(), format!("# A\n\n{HEADING}\n\n{block}\n")),
        ];
        for (page, expected) in cases {
            assert_eq!(placed(&page, "new\n"), expected);
        }
    }

    #[test]
    fn errors_are_of_shares() {
        let video = |views, watch_time_s, counts: &[f64]| Video {
            views,
            watch_time_s,
            curves: [(); 3].map(|()| counts.to_vec()),
        };
        let truth = Videos::from([
            ("a".to_owned(), video(100.0, 100.0, &[100.0, 50.0])),
            ("b".to_owned(), video(0.0, 0.0, &[])),
        ]);
        let gold = Videos::from([("a".to_owned(), video(100.0, 90.0, &[100.0, 40.0]))]);
        let (row, named) = compare(&truth, &gold, "0.05");
        assert_eq!(
            row,
            "| 5 % | +0.00 % | -10.00 % | 10.00 %, 10.00 % | 5.00 pp, 10.00 pp | 5.00 pp, 10.00 pp | 5.00 pp, 10.00 pp |"
        );
        assert!(named.contains("watch time 10.0 % (`a`, 100 views)"), "{named}");
    }
}
