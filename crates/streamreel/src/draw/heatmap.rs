//! Rows by columns, shaded.

use super::fit;

const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
const LABEL: usize = 9;

/// A row a label, a cell a column (`cell_width` characters), shaded by its share of the greatest value.
///
/// `columns` label the cells where there is room.
pub fn heatmap(rows: &[(String, Vec<f64>)], columns: &[String], cell_width: usize) -> String {
    let top = rows.iter().flat_map(|(_, cells)| cells).fold(0.0_f64, |a, &b| a.max(b));
    let mut out = format!("  {}", " ".repeat(LABEL + 1));
    for column in columns {
        out.push_str(&fit(column, cell_width));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for (label, cells) in rows {
        let line: String = cells.iter().map(|&v| shade(v, top).to_string().repeat(cell_width)).collect();
        out.push_str(&format!("  {} {line}\n", fit(label, LABEL)));
    }
    out
}

fn shade(value: f64, top: f64) -> char {
    if value <= 0.0 || top <= 0.0 {
        return SHADES[0];
    }
    let steps = (SHADES.len() - 1) as f64;
    SHADES[(value / top * steps).ceil().min(steps) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_are_shares_of_the_greatest() {
        let drawn = heatmap(&[("DE".to_owned(), vec![0.0, 1.0, 2.0, 4.0])], &[], 1);
        assert_eq!(drawn.lines().nth(1), Some("  DE        ·░▒█"));
    }
}
