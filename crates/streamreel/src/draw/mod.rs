//! Curves, bars and heatmaps for a terminal of 80 columns, in plain characters.

mod bars;
mod curve;
mod heatmap;

pub use bars::bars;
pub use curve::curve;
pub use heatmap::heatmap;

/// Columns that a drawing may take.
pub const WIDTH: usize = 80;

/// Text cut or padded to exactly `width` characters.
pub fn fit(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text}{}", " ".repeat(width - count));
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A whole number with separators: `1,234,567`.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A playhead: `1:23` or `1:02:03`.
pub fn playhead(seconds: i64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_text() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(-1_234_567), "-1,234,567");
        assert_eq!(thousands(999), "999");
        assert_eq!(playhead(83), "1:23");
        assert_eq!(playhead(3723), "1:02:03");
        assert_eq!(fit("Übung", 7), "Übung  ");
        assert_eq!(fit("Übungen", 4), "Übu…");
    }
}
