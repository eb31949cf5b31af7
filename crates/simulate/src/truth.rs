//! What was really watched and what was really planted, counted from what left the simulator.

use std::collections::BTreeMap;

use serde::Serialize;
use streamreel_event::{Correction, EventType, Reject};

use crate::audience::REGIONS;
use crate::catalogue::Titles;
use crate::story::{Item, NONE, Proof, Summary};

/// Content milliseconds of a segment that is too short to count.
const TOO_SHORT_MS: u32 = 250;
/// Watch time from which a view is engaged.
const ENGAGED_MS: u64 = 10_000;
const DAY_MS: i64 = 86_400_000;
/// The regions and, last, none.
const PLACES: usize = REGIONS.len() + 1;

/// The truth about a simulation. Counts of events are of those on the wire; views, seconds and what follows from them are
/// of all true events, lost ones included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The seed.
    pub seed: u64,
    /// Records on the wire: true events, copies and rejects.
    pub records: u64,
    /// True events on the wire: the number of clean rows once every copy is found.
    pub true_events: u64,
    /// True events on the wire by event type.
    pub events_by_type: BTreeMap<&'static str, u64>,
    /// True events that were taken away; 0 without a loss ratio.
    pub lost_events: u64,
    /// Planted rejects by reason, all reasons.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Planted copies.
    pub duplicates: Duplicates,
    /// True events with a field that cleaning sets to `null`, by field.
    pub corrections: BTreeMap<&'static str, u64>,
    /// True events that arrive more than 10 min after they happened.
    pub late_events: u64,
    /// Views with a play.
    pub views: u64,
    /// Views by the UTC date of their first event.
    pub views_by_date: BTreeMap<String, u64>,
    /// Sessions without any play.
    pub sessions_without_play: u64,
    /// Restarts: a `play` where playback can't have got to.
    pub restarts: u64,
    /// Plays that only heartbeats show.
    pub implied_plays: u64,
    /// Views with a seek that only the positions show.
    pub views_with_unreported_seek: u64,
    /// Segments longer than 0 and shorter than 0.25 s, which don't count.
    pub too_short: u64,
    /// Views that had not come to their end when the truth was asked for: not counted above or below.
    pub unfinished_views: u64,
    /// One entry a video, in the order of the catalogue.
    pub videos: Vec<VideoTruth>,
}

/// Planted copies by how far they are from the one before. They are told apart by the arrival times of the simulation;
/// where records get the time of reading instead, more of them are near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// At most 10 min after the one before: found on arrival.
    pub near: u64,
    /// More than 10 min after the one before: found when the view is derived (late duplicates).
    pub far: u64,
}

/// The truth about one video. The arrays begin at second 0; a second that they don't reach is 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VideoTruth {
    /// The video.
    pub video_id: String,
    /// Its duration.
    pub duration_s: f64,
    /// Its views.
    pub views: u64,
    /// Sum of segment lengths, content seconds.
    pub watch_time_s: f64,
    /// Views with at least 95 % of the duration watched.
    pub completed_views: u64,
    /// Views with at least 10 s of watch time, or half of a video shorter than 20 s.
    pub engaged_views: u64,
    /// How often each second was played.
    pub plays: Vec<u32>,
    /// Views that played each second at least once.
    pub watched: Vec<u32>,
    /// Views whose last played second is that one or a later one.
    pub survived: Vec<u32>,
    /// By the region of the view, those with views.
    pub regions: Vec<RegionTruth>,
}

/// The views of a video from one region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegionTruth {
    /// The region; `None` where the events don't say.
    pub region: Option<&'static str>,
    /// Views.
    pub views: u64,
    /// Sum of segment lengths, content seconds.
    pub watch_time_s: f64,
}

/// Counts of one video while the simulation runs. Curves are kept as differences.
struct VideoTally {
    plays: Vec<i32>,
    watched: Vec<i32>,
    last_second: Vec<u32>,
    completed: u64,
    engaged: u64,
    places: [(u64, u64); PLACES],
}

/// Everything that is counted while the simulation runs.
pub(crate) struct Tally {
    pub records: u64,
    pub lost: u64,
    pub near: u64,
    pub far: u64,
    pub late: u64,
    events: [u64; EventType::ALL.len()],
    rejects: [u64; Reject::ALL.len()],
    flaws: [u64; Correction::ALL.len()],
    views: u64,
    without_play: u64,
    restarts: u64,
    implied_plays: u64,
    with_unreported_seek: u64,
    too_short: u64,
    days: BTreeMap<i64, u64>,
    videos: Vec<VideoTally>,
    segments: Vec<(u32, u32)>,
    seconds: Vec<(u32, u32)>,
}

impl Tally {
    pub fn new(titles: &Titles) -> Self {
        let video = |duration_ms: &u32| {
            let seconds = duration_ms.div_ceil(1_000) as usize + 1;
            VideoTally {
                plays: vec![0; seconds],
                watched: vec![0; seconds],
                last_second: vec![0; seconds],
                completed: 0,
                engaged: 0,
                places: [(0, 0); PLACES],
            }
        };
        Self {
            records: 0,
            lost: 0,
            near: 0,
            far: 0,
            late: 0,
            events: [0; EventType::ALL.len()],
            rejects: [0; Reject::ALL.len()],
            flaws: [0; Correction::ALL.len()],
            views: 0,
            without_play: 0,
            restarts: 0,
            implied_plays: 0,
            with_unreported_seek: 0,
            too_short: 0,
            days: BTreeMap::new(),
            videos: titles.durations_ms.iter().map(video).collect(),
            segments: Vec::new(),
            seconds: Vec::new(),
        }
    }

    pub fn event(&mut self, item: &Item) {
        self.events[item.kind as usize] += 1;
        if let Some(flaw) = item.flaw {
            self.flaws[flaw as usize] += 1;
        }
    }

    pub fn reject(&mut self, reason: Reject) {
        self.rejects[reason as usize] += 1;
    }

    /// Counts a view of true events. `segments`: those that were closed, also after these events. `place`: index of the region
    /// that the events give, or `None`.
    pub fn view(
        &mut self,
        video: u32,
        duration_ms: u32,
        events: &Summary,
        segments: &[(u32, u32)],
        place: Option<usize>,
    ) {
        let Some(proof) = &events.proof else { return };
        self.lost += u64::from(events.lost);
        if !proof.played {
            self.without_play += 1;
            return;
        }
        self.views += 1;
        *self.days.entry(events.first_ms.div_euclid(DAY_MS)).or_default() += 1;
        self.restarts += u64::from(events.restarts);
        self.implied_plays += u64::from(events.implied_plays);
        self.with_unreported_seek += u64::from(events.unreported_seeks > 0);
        self.keep_segments(&segments[..proof.closed as usize], proof);

        let watched_ms: u64 = self.segments.iter().map(|(start, end)| u64::from(end - start)).sum();
        let tally = &mut self.videos[video as usize];
        for &(start, end) in &self.segments {
            let (first, until) = seconds_of(start, end);
            if first < until {
                tally.plays[first as usize] += 1;
                tally.plays[until as usize] -= 1;
                self.seconds.push((first, until));
            }
        }
        unite(&mut self.seconds);
        for &(first, until) in &self.seconds {
            tally.watched[first as usize] += 1;
            tally.watched[until as usize] -= 1;
        }
        if let Some(&(_, until)) = self.seconds.last() {
            tally.last_second[until as usize - 1] += 1;
        }
        unite(&mut self.segments);
        let unique_ms: u64 = self.segments.iter().map(|(start, end)| u64::from(end - start)).sum();
        let duration_ms = u64::from(duration_ms);
        tally.completed += u64::from(unique_ms * 100 >= duration_ms * 95);
        let half_of_short = duration_ms < 20_000 && watched_ms * 2 >= duration_ms;
        tally.engaged += u64::from(watched_ms >= ENGAGED_MS || half_of_short);
        let place = &mut tally.places[place.unwrap_or(PLACES - 1)];
        place.0 += 1;
        place.1 += watched_ms;
    }

    /// The view's segments that count, the one that is still open included.
    fn keep_segments(&mut self, closed: &[(u32, u32)], proof: &Proof) {
        self.segments.clear();
        self.seconds.clear();
        let open = (proof.open_ms != NONE).then_some((proof.open_ms, proof.evidence_ms));
        for (start, end) in closed.iter().copied().chain(open) {
            if end - start >= TOO_SHORT_MS {
                self.segments.push((start, end));
            } else if end > start {
                self.too_short += 1;
            }
        }
    }

    pub fn truth(&self, seed: u64, titles: &Titles, unfinished_views: u64) -> Truth {
        let videos = self.videos.iter().enumerate().map(|(index, video)| video.truth(titles, index)).collect();
        Truth {
            seed,
            records: self.records,
            true_events: self.events.iter().sum(),
            events_by_type: EventType::ALL.iter().map(|kind| (kind.as_str(), self.events[*kind as usize])).collect(),
            lost_events: self.lost,
            rejects: Reject::ALL.iter().map(|reason| (reason.as_str(), self.rejects[*reason as usize])).collect(),
            duplicates: Duplicates { near: self.near, far: self.far },
            corrections: Correction::ALL.iter().map(|field| (field.as_str(), self.flaws[*field as usize])).collect(),
            late_events: self.late,
            views: self.views,
            views_by_date: self.days.iter().map(|(day, views)| (crate::wire::date(*day), *views)).collect(),
            sessions_without_play: self.without_play,
            restarts: self.restarts,
            implied_plays: self.implied_plays,
            views_with_unreported_seek: self.with_unreported_seek,
            too_short: self.too_short,
            unfinished_views,
            videos,
        }
    }
}

impl VideoTally {
    fn truth(&self, titles: &Titles, index: usize) -> VideoTruth {
        let seconds = self.plays.len() - 1;
        let curve = |differences: &[i32]| {
            let mut sum = 0;
            let add = |difference: &i32| {
                sum += difference;
                sum as u32
            };
            differences[..seconds].iter().map(add).collect()
        };
        let mut survived = self.last_second[..seconds].to_vec();
        for second in (1..seconds).rev() {
            survived[second - 1] += survived[second];
        }
        let region = |(place, (views, watched_ms)): (usize, &(u64, u64))| RegionTruth {
            region: REGIONS.get(place).map(|region| region.code),
            views: *views,
            watch_time_s: *watched_ms as f64 / 1_000.0,
        };
        VideoTruth {
            video_id: titles.ids[index].clone(),
            duration_s: f64::from(titles.durations_ms[index]) / 1_000.0,
            views: self.places.iter().map(|(views, _)| views).sum(),
            watch_time_s: self.places.iter().map(|(_, watched_ms)| watched_ms).sum::<u64>() as f64 / 1_000.0,
            completed_views: self.completed,
            engaged_views: self.engaged,
            plays: curve(&self.plays),
            watched: curve(&self.watched),
            survived,
            regions: self.places.iter().enumerate().filter(|(_, (views, _))| *views > 0).map(region).collect(),
        }
    }
}

/// The seconds whose midpoint lies in `[start, end)`, both in milliseconds: first and one past the last.
fn seconds_of(start_ms: u32, end_ms: u32) -> (u32, u32) {
    ((start_ms + 499) / 1_000, (end_ms + 499) / 1_000)
}

/// Sorts intervals and joins those that overlap or touch.
fn unite(intervals: &mut Vec<(u32, u32)>) {
    intervals.sort_unstable();
    let mut kept = 0;
    for index in 1..intervals.len() {
        let (start, end) = intervals[index];
        if start <= intervals[kept].1 {
            intervals[kept].1 = intervals[kept].1.max(end);
        } else {
            kept += 1;
            intervals[kept] = (start, end);
        }
    }
    intervals.truncate(kept + 1);
}

#[cfg(test)]
mod tests {
    use super::{seconds_of, unite};

    #[test]
    fn a_second_counts_by_its_midpoint() {
        for (start_ms, end_ms, first, until) in [
            (0, 3_000, 0, 3),
            (500, 1_500, 0, 1),
            (501, 1_501, 1, 2),
            (499, 500, 0, 0),
            (499, 501, 0, 1),
            (2_600, 3_400, 3, 3),
        ] {
            assert_eq!(seconds_of(start_ms, end_ms), (first, until), "[{start_ms}, {end_ms})");
        }
    }

    #[test]
    fn intervals_unite() {
        for (mut given, wanted) in [
            (vec![], vec![]),
            (vec![(5, 9), (0, 3)], vec![(0, 3), (5, 9)]),
            (vec![(0, 3), (3, 5)], vec![(0, 5)]),
            (vec![(0, 9), (2, 3), (8, 11), (20, 21)], vec![(0, 11), (20, 21)]),
        ] {
            unite(&mut given);
            assert_eq!(given, wanted);
        }
    }
}
