//! What stands out in a curve: stretches that are watched again, and places where views end.

/// Peaks or cliffs that are named.
const MOST: usize = 5;
/// Of very long curves so many peaks are looked at, the most prominent first.
const MOST_CANDIDATES: usize = 1000;
/// Seconds over which a curve of plays is smoothed on both sides, so that single views make no peak.
const SMOOTH_S: usize = 2;
/// Seconds in which a cliff falls; also that of a drop-off bucket.
const CLIFF_S: usize = 5;
/// Between two cliffs are at least so many seconds.
const APART_S: usize = 3 * CLIFF_S;
/// A peak rises, and a cliff falls, by at least this part of the views ...
const LEAST_RATIO: f64 = 0.03;
/// ... and by so many.
const LEAST_COUNT: f64 = 2.0;
/// A cliff is at least so many times as steep as the curve is on average.
const CLIFF_STEEPNESS: f64 = 2.0;
/// From this part of the curve on, views end because the video does.
const ENDING_RATIO: f64 = 0.95;

/// A stretch that is played more often than what surrounds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peak {
    /// Where it begins, in seconds.
    pub(crate) from_s: usize,
    /// Where it ends, in seconds.
    pub(crate) to_s: usize,
    /// Where it is highest.
    pub(crate) second_s: usize,
    /// Plays / views there.
    pub(crate) ratio: f64,
}

/// A place where many views end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cliff {
    /// The steepest second of it.
    pub(crate) second_s: usize,
    /// Views that end within 5 s around it.
    pub(crate) views_lost: i64,
    /// The same / views.
    pub(crate) lost_ratio: f64,
}

/// The most prominent peaks of a curve of plays, in the order of the video.
///
/// Prominence is how far one has to go down from a peak, on the side where that is less, before it goes up higher than the
/// peak. A peak reaches to where its height above that level is halved.
pub(crate) fn peaks(plays: &[i64], views: i64) -> Vec<Peak> {
    let height = smooth(plays);
    let (left, right) = (lows(&height, false), lows(&height, true));
    let least = (views as f64 * LEAST_RATIO).max(LEAST_COUNT);
    let prominent = |top: usize| (height[top] - left[top].max(right[top]), top);
    let mut candidates: Vec<(f64, usize)> =
        tops(&height).into_iter().map(prominent).filter(|(prominence, _)| *prominence >= least).collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut named: Vec<Peak> = Vec::new();
    for (prominence, top) in candidates.into_iter().take(MOST_CANDIDATES) {
        if named.len() == MOST || named.iter().any(|peak| (peak.from_s..peak.to_s).contains(&top)) {
            continue;
        }
        let half = height[top] - prominence / 2.0;
        let from_s = (0..top).rev().take_while(|&s| height[s] > half).last().unwrap_or(top);
        let to_s = (top + 1..height.len()).take_while(|&s| height[s] > half).last().unwrap_or(top) + 1;
        if named.iter().any(|peak| from_s < peak.to_s && peak.from_s < to_s) {
            continue;
        }
        let second_s = (from_s..to_s).rev().max_by_key(|&s| plays[s]).unwrap_or(top);
        named.push(Peak { from_s, to_s, second_s, ratio: plays[second_s] as f64 / views as f64 });
    }
    named.sort_by_key(|peak| peak.second_s);
    named
}

/// The steepest falls of a curve of survival, in the order of the video. Where the video ends is none.
pub(crate) fn cliffs(survived: &[i64], views: i64) -> Vec<Cliff> {
    let end = (survived.len() as f64 * ENDING_RATIO) as usize;
    let Some(&first) = survived.first() else { return Vec::new() };
    let last = survived[end.min(survived.len() - 1)];
    let usual = (first - last) as f64 * CLIFF_S as f64 / end.max(1) as f64;
    let least = (views as f64 * LEAST_RATIO).max(LEAST_COUNT).max(usual * CLIFF_STEEPNESS);
    // What is lost in the window that begins with the fall from second s - 1 to s.
    let lost = |s: usize| survived[s - 1] - survived[(s - 1 + CLIFF_S).min(end)];
    let mut windows: Vec<usize> = (1..end.saturating_sub(CLIFF_S - 1)).filter(|&s| lost(s) as f64 >= least).collect();
    windows.sort_by_key(|&s| (-lost(s), s));
    let mut chosen: Vec<usize> = Vec::new();
    for s in windows {
        if chosen.len() < MOST && chosen.iter().all(|other| other.abs_diff(s) >= APART_S) {
            chosen.push(s);
        }
    }
    chosen.sort_unstable();
    let cliff = |s: usize| {
        let second_s = (s..s + CLIFF_S).rev().max_by_key(|&at| survived[at - 1] - survived[at]).unwrap_or(s);
        Cliff { second_s, views_lost: lost(s), lost_ratio: lost(s) as f64 / views as f64 }
    };
    chosen.into_iter().map(cliff).collect()
}

/// Mean over [`SMOOTH_S`] seconds on both sides.
fn smooth(plays: &[i64]) -> Vec<f64> {
    let mut sums = Vec::with_capacity(plays.len() + 1);
    sums.push(0);
    sums.extend(plays.iter().scan(0, |sum, value| {
        *sum += value;
        Some(*sum)
    }));
    (0..plays.len())
        .map(|s| {
            let (from, to) = (s.saturating_sub(SMOOTH_S), (s + SMOOTH_S + 1).min(plays.len()));
            (sums[to] - sums[from]) as f64 / (to - from) as f64
        })
        .collect()
}

/// The places where a curve stops rising and then falls; of a flat top its first second.
fn tops(height: &[f64]) -> Vec<usize> {
    let mut tops = Vec::new();
    let mut rose_at = None;
    for s in 1..height.len() {
        if height[s] > height[s - 1] {
            rose_at = Some(s);
        } else if height[s] < height[s - 1] {
            tops.extend(rose_at.take());
        }
    }
    tops
}

/// For every second how far it goes down, before it (or after it) and since the curve was last higher.
fn lows(height: &[f64], after: bool) -> Vec<f64> {
    let mut lows = height.to_vec();
    // Heights that nothing since has exceeded, each with the lowest place since the one below it.
    let mut higher: Vec<(f64, f64)> = Vec::new();
    for step in 0..height.len() {
        let s = if after { height.len() - 1 - step } else { step };
        let mut low = height[s];
        while let Some((_, since)) = higher.pop_if(|(other, _)| *other <= height[s]) {
            low = low.min(since);
        }
        higher.push((height[s], low));
        lows[s] = low;
    }
    lows
}

/// Seconds as on a player: `1:05`, `1:00:00`.
pub(crate) fn clock(seconds: usize) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 views that end one by one, a scene at 60..70 that 80 of them watch twice, and 20 that leave at 150.
    fn curve() -> (Vec<i64>, Vec<i64>) {
        let survived: Vec<i64> = (0..300).map(|s| 100 - s / 10 - if s >= 150 { 20 } else { 0 }).collect();
        let plays = survived.iter().zip(0..).map(|(v, s)| v + if (60..70).contains(&s) { 80 } else { 0 }).collect();
        (plays, survived)
    }

    #[test]
    fn finds_what_stands_out() {
        let (plays, survived) = curve();
        let peaks = peaks(&plays, 100);
        assert_eq!(peaks.len(), 1, "{peaks:?}");
        assert_eq!((peaks[0].from_s, peaks[0].to_s, peaks[0].second_s), (60, 70, 60));
        assert!((peaks[0].ratio - 1.74).abs() < 1e-9, "{peaks:?}");
        let cliffs = cliffs(&survived, 100);
        assert_eq!(cliffs.len(), 1, "{cliffs:?}");
        assert_eq!((cliffs[0].second_s, cliffs[0].views_lost), (150, 21));
    }

    #[test]
    fn nothing_stands_out_of_nothing() {
        for curve in [vec![], vec![5], vec![0; 100], vec![100; 100], (0..100).rev().collect(), (0..100).collect()] {
            assert_eq!(peaks(&curve, 100), [], "{curve:?}");
            assert_eq!(cliffs(&curve, 100), [], "{curve:?}");
        }
    }

    #[test]
    fn any_curve_is_taken() {
        let mut state = 7_u64;
        for length in 0..80 {
            let curve: Vec<i64> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 60) as i64
                })
                .collect();
            for views in [1, 3, 15] {
                assert!(peaks(&curve, views).iter().all(|p| p.from_s <= p.second_s && p.second_s < p.to_s));
                assert!(peaks(&curve, views).len() <= MOST);
                assert!(cliffs(&curve, views).iter().all(|c| c.second_s < curve.len() && c.views_lost > 0));
            }
        }
    }

    #[test]
    fn clocks() {
        assert_eq!([clock(0), clock(65), clock(3600)], ["0:00", "1:05", "1:00:00"]);
    }
}
