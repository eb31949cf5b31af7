//! A curve over the playhead.

use textplots::{Chart, Plot, Shape};

use super::{WIDTH, playhead};

/// Dots of a braille chart: two a column, four a row.
const DOTS_WIDE: u32 = 2 * (WIDTH as u32 - 12);
const DOTS_HIGH: u32 = 40;

/// Draws `series` (label, value a second) over seconds 0.., on a common scale from 0.
pub fn curve(series: &[(&str, Vec<f64>)]) -> String {
    let longest = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let top = series.iter().flat_map(|(_, values)| values).fold(1.0_f64, |a, &b| a.max(b));
    if longest < 2 {
        return "  (no curve: nothing was watched)\n".to_owned();
    }
    let points: Vec<Vec<(f32, f32)>> = series
        .iter()
        .map(|(_, values)| values.iter().enumerate().map(|(s, &v)| (s as f32, v as f32)).collect())
        .collect();
    let lines: Vec<Shape> = points.iter().map(|p| Shape::Lines(p)).collect();
    let mut chart = Chart::new_with_y_range(DOTS_WIDE, DOTS_HIGH, 0.0, longest as f32 - 1.0, 0.0, top as f32);
    let chart = lines.iter().fold(&mut chart, |chart, line| chart.lineplot(line));
    chart.figures();
    let mut text = String::new();
    let rows: Vec<String> = chart.to_string().lines().map(str::to_owned).collect();
    let plot_rows = (DOTS_HIGH / 4) as usize;
    for (number, row) in rows.iter().take(plot_rows).enumerate() {
        let plot: String = row.chars().take(DOTS_WIDE as usize / 2).collect();
        let share = 1.0 - number as f64 / (plot_rows - 1) as f64;
        let label = if number % 3 == 0 { format!("{:>4.0} %", 100.0 * top * share) } else { " ".repeat(6) };
        text.push_str(&format!("  {label} |{plot}\n"));
    }
    let end = playhead(longest as i64);
    let middle = playhead(longest as i64 / 2);
    let room = DOTS_WIDE as usize / 2;
    let gap = room.saturating_sub(4 + middle.len() + end.len());
    text.push_str(&format!("         0:00{}{middle}{}{end}\n", " ".repeat(gap / 2), " ".repeat(gap - gap / 2)));
    text
}
