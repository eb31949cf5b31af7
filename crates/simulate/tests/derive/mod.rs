//! What the records of a simulation come to by the rules: decoded, deduplicated, split into views and reduced, with the
//! curves counted naively. Nothing here knows what the simulator had in mind.

use std::collections::{BTreeMap, HashMap, HashSet};

use streamreel_event::{Correction, Decoder, EventColumns, EventType, Reject};
use streamreel_simulate::{Batch, Duplicates, RegionTruth, Simulator, Truth, VideoTruth};
use streamreel_viewing::{Reducer, Settings, ViewEvent, kind_rank};

const WINDOW_MS: i64 = 10 * 60_000;
const VIEW_GAP_US: i64 = 30 * 60_000_000;

struct Clean {
    event: ViewEvent,
    event_id: String,
    region: Option<String>,
}

type Group = (String, String, Option<String>);

/// The records so far, taken apart.
#[derive(Default)]
pub struct Derived {
    records: u64,
    events_by_type: BTreeMap<&'static str, u64>,
    rejects: BTreeMap<&'static str, u64>,
    duplicates: Duplicates,
    corrections: BTreeMap<&'static str, u64>,
    late_events: u64,
    last_seen_ms: HashMap<(String, String), i64>,
    groups: BTreeMap<Group, Vec<Clean>>,
    pub last_arrival_ms: i64,
    pub keys_agree: bool,
}

#[derive(Default)]
struct Video {
    views: u64,
    watched_ms: u64,
    completed: u64,
    engaged: u64,
    plays: Vec<u32>,
    watched: Vec<u32>,
    survived: Vec<u32>,
    regions: BTreeMap<Option<String>, (u64, u64)>,
}

impl Derived {
    pub fn new() -> Self {
        Self {
            events_by_type: EventType::ALL.iter().map(|kind| (kind.as_str(), 0)).collect(),
            rejects: Reject::ALL.iter().map(|reason| (reason.as_str(), 0)).collect(),
            corrections: Correction::ALL.iter().map(|field| (field.as_str(), 0)).collect(),
            keys_agree: true,
            ..Self::default()
        }
    }

    pub fn add(&mut self, batch: &Batch) {
        let mut decoder = Decoder::new();
        for record in 0..batch.len() {
            assert!(!batch.payload(record).contains(&b'\n'));
            assert!(batch.arrival_ms(record) >= self.last_arrival_ms, "records come in the order of arrival");
            self.last_arrival_ms = batch.arrival_ms(record);
            decoder.push(batch.payload(record), batch.arrival_ms(record) * 1_000, false);
        }
        let rows = decoder.finish();
        let rows = EventColumns::new(&rows).unwrap();
        self.records += rows.len() as u64;
        for row in 0..rows.len() {
            if let Some(reason) = rows.reason(row) {
                *self.rejects.get_mut(reason).unwrap() += 1;
            } else {
                self.keys_agree &= batch.key(row) == Some(rows.user_id(row).as_bytes());
                self.add_valid(&rows, row, batch.arrival_ms(row));
            }
        }
    }

    fn add_valid(&mut self, rows: &EventColumns<'_>, row: usize, arrival_ms: i64) {
        let id = (rows.user_id(row).to_owned(), rows.event_id(row).to_owned());
        if let Some(before) = self.last_seen_ms.insert(id, arrival_ms) {
            if arrival_ms - before <= WINDOW_MS {
                self.duplicates.near += 1;
            } else {
                self.duplicates.far += 1;
            }
            return;
        }
        let kind = rows.event_type(row).unwrap();
        let ts_us = rows.event_ts_us(row);
        *self.events_by_type.get_mut(kind.as_str()).unwrap() += 1;
        self.late_events += u64::from(arrival_ms * 1_000 - ts_us > 600_000_000);
        for field in rows.corrections(row).into_iter().flat_map(|names| names.split(',')) {
            *self.corrections.get_mut(field).unwrap() += 1;
        }
        let event = ViewEvent {
            ts_us,
            kind,
            sequence: rows.sequence(row),
            position_s: rows.position_s(row),
            seek_from_s: rows.seek_from_s(row),
            seek_to_s: rows.seek_to_s(row),
            rate: rows.rate(row),
            duration_s: rows.duration_s(row),
        };
        let group =
            (rows.user_id(row).to_owned(), rows.video_id(row).to_owned(), rows.session_id(row).map(str::to_owned));
        let clean =
            Clean { event, event_id: rows.event_id(row).to_owned(), region: rows.region(row).map(str::to_owned) };
        self.groups.entry(group).or_default().push(clean);
    }

    /// The truth by the rules. Takes from `given` only what the records can't show: the seed, what was lost, and the
    /// titles.
    pub fn truth(mut self, given: &Truth) -> Truth {
        let mut truth = Truth {
            records: self.records,
            true_events: self.events_by_type.values().sum(),
            events_by_type: self.events_by_type,
            rejects: self.rejects,
            duplicates: self.duplicates,
            corrections: self.corrections,
            late_events: self.late_events,
            views: 0,
            views_by_date: BTreeMap::new(),
            sessions_without_play: 0,
            restarts: 0,
            implied_plays: 0,
            views_with_unreported_seek: 0,
            too_short: 0,
            videos: Vec::new(),
            ..given.clone()
        };
        let durations: HashMap<&str, f64> =
            given.videos.iter().map(|video| (video.video_id.as_str(), video.duration_s)).collect();
        let mut videos: HashMap<String, Video> = HashMap::new();
        let mut reducer = Reducer::new();
        for ((_, video_id, session), events) in &mut self.groups {
            events.sort_by(|a, b| order(a).cmp(&order(b)));
            let duration_s = durations[video_id.as_str()];
            for view in views(events, session.is_some()) {
                let video = videos.entry(video_id.clone()).or_default();
                reduce(&mut reducer, view, duration_s, video, &mut truth);
            }
        }
        truth.videos = given
            .videos
            .iter()
            .map(|given| finish(videos.remove(&given.video_id).unwrap_or_default(), given))
            .collect();
        truth
    }
}

fn order(clean: &Clean) -> (i64, i64, u8, &str) {
    let event = &clean.event;
    (event.ts_us, event.sequence.unwrap_or(i64::MAX), kind_rank(event.kind), &clean.event_id)
}

fn views(events: &[Clean], has_session: bool) -> Vec<&[Clean]> {
    if has_session {
        return vec![events];
    }
    events.chunk_by(|a, b| b.event.ts_us - a.event.ts_us <= VIEW_GAP_US).collect()
}

fn reduce(reducer: &mut Reducer, view: &[Clean], duration_s: f64, video: &mut Video, truth: &mut Truth) {
    let events: Vec<ViewEvent> = view.iter().map(|clean| clean.event).collect();
    let reduction = reducer.reduce(&events, Some(duration_s), &Settings::default());
    let (facts, counters) = (&reduction.facts, reduction.counters);
    if !facts.has_play {
        truth.sessions_without_play += 1;
        return;
    }
    truth.views += 1;
    let day = chrono_date(events[0].ts_us);
    *truth.views_by_date.entry(day).or_default() += 1;
    truth.restarts += counters.restarts as u64;
    truth.implied_plays += counters.implied_plays as u64;
    truth.too_short += counters.too_short as u64;
    truth.views_with_unreported_seek += u64::from(facts.has_unreported_seek);
    assert_eq!(counters.unplaced_s, 0.0);

    video.views += 1;
    let watched_ms = (facts.watch_time_s * 1_000.0).round() as u64;
    video.watched_ms += watched_ms;
    video.completed += u64::from(facts.is_completed == Some(true));
    video.engaged += u64::from(facts.is_engaged);
    let region = view.iter().find_map(|clean| clean.region.clone());
    let region = video.regions.entry(region).or_default();
    region.0 += 1;
    region.1 += watched_ms;
    let mut seen = HashSet::new();
    for segment in reduction.segments {
        let mut second = 0;
        while f64::from(second) + 0.5 < segment.end_s {
            if f64::from(second) + 0.5 >= segment.start_s {
                add(&mut video.plays, second);
                seen.insert(second);
            }
            second += 1;
        }
    }
    seen.iter().for_each(|second| add(&mut video.watched, *second));
    if let Some(last) = seen.iter().max() {
        (0..=*last).for_each(|second| add(&mut video.survived, second));
    }
}

fn add(curve: &mut Vec<u32>, second: u32) {
    let second = second as usize;
    if curve.len() <= second {
        curve.resize(second + 1, 0);
    }
    curve[second] += 1;
}

fn finish(mut video: Video, given: &VideoTruth) -> VideoTruth {
    for curve in [&mut video.plays, &mut video.watched, &mut video.survived] {
        curve.resize(given.plays.len(), 0);
    }
    // in the order of the truth, which is the simulator's own
    let known: Vec<Option<&'static str>> = given.regions.iter().map(|region| region.region).collect();
    let mut regions: Vec<RegionTruth> = Vec::new();
    for region in known {
        if let Some((views, watched_ms)) = video.regions.remove(&region.map(str::to_owned)) {
            regions.push(RegionTruth { region, views, watch_time_s: watched_ms as f64 / 1_000.0 });
        }
    }
    assert!(video.regions.is_empty(), "{}: regions {:?}", given.video_id, video.regions);
    VideoTruth {
        video_id: given.video_id.clone(),
        duration_s: given.duration_s,
        views: video.views,
        watch_time_s: video.watched_ms as f64 / 1_000.0,
        completed_views: video.completed,
        engaged_views: video.engaged,
        plays: video.plays,
        watched: video.watched,
        survived: video.survived,
        regions,
    }
}

fn chrono_date(ts_us: i64) -> String {
    let (mut year, mut day) = (2026, ts_us.div_euclid(86_400_000_000) - 20_454);
    let leap = |year: i64| year % 4 == 0;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, day + 1)
}

/// Draws all records of a simulation.
pub fn draw(simulator: &mut Simulator) -> Derived {
    let mut derived = Derived::new();
    let mut batch = Batch::with_capacity(1_000);
    while simulator.next_batch(&mut batch) {
        derived.add(&batch);
    }
    derived
}
