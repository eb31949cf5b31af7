//! Horizontal bars.

use super::fit;

const LABEL: usize = 34;
const BAR: usize = 24;
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// One line a row: label, a bar in proportion to the value, the value as `text`.
pub fn bars(rows: &[(String, f64, String)]) -> String {
    let top = rows.iter().fold(0.0_f64, |a, r| a.max(r.1));
    let mut out = String::new();
    for (label, value, text) in rows {
        out.push_str(&format!("  {} {} {text}\n", fit(label, LABEL), bar(*value, top, BAR)));
    }
    out
}

fn bar(value: f64, top: f64, width: usize) -> String {
    let eighths = if top > 0.0 { (value / top * width as f64 * 8.0).round() as usize } else { 0 };
    let mut text = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        text.push(EIGHTHS[eighths % 8]);
    }
    fit(&text, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions() {
        assert_eq!(bar(1.0, 1.0, 4), "████");
        assert_eq!(bar(0.5, 1.0, 4), "██  ");
        assert_eq!(bar(1.0, 32.0, 4), "▏   ");
        assert_eq!(bar(0.0, 0.0, 2), "  ");
    }
}
