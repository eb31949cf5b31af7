//! One view as it happens: the playhead, what the player reports of it, and what of it the reports prove.

use streamreel_event::{Correction, EventType};

use crate::audience::Player;

/// No position, or nothing open.
pub(crate) const NONE: u32 = u32::MAX;
/// Normal speed, in quarters.
pub(crate) const NORMAL: u8 = 4;

/// What is odd about an event, for the counters of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    Restart,
    ImpliedPlay,
    UnreportedSeek,
}

/// What is proved about a view once an event is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// Segments that are closed by now.
    pub closed: u32,
    /// Beginning of the open segment, or [`NONE`].
    pub open_ms: u32,
    /// Where the open segment would end if nothing else came.
    pub evidence_ms: u32,
    /// A `play`, or an implied one, has been seen.
    pub played: bool,
}

/// One true event, and what it proves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub ts_ms: i64,
    /// How many events of the view happened before.
    pub number: u32,
    /// Records made of it that are still to be sent.
    pub to_send: u16,
    pub kind: EventType,
    pub position_ms: u32,
    pub seek_from_ms: u32,
    pub seek_to_ms: u32,
    /// Quarters of normal speed; 0 is not sent.
    pub rate: u8,
    /// The field that is written wrongly, in a way that cleaning corrects and that changes no number.
    pub flaw: Option<Correction>,
    pub oddity: Option<Oddity>,
    pub lost: bool,
    pub proof: Proof,
}

/// Events of a view, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    /// So many events.
    pub events: u32,
    /// When the first of them happened; 0 without any.
    pub first_ms: i64,
    /// What the last of them proves.
    pub proof: Option<Proof>,
    pub lost: u32,
    pub restarts: u32,
    pub implied_plays: u32,
    pub unreported_seeks: u32,
    /// One of them does not have its region written wrongly.
    pub says_where: bool,
}

impl Summary {
    pub fn add(&mut self, item: &Item) {
        if self.events == 0 {
            self.first_ms = item.ts_ms;
        }
        self.events += 1;
        self.proof = Some(item.proof);
        self.lost += u32::from(item.lost);
        match item.oddity {
            Some(Oddity::Restart) => self.restarts += 1,
            Some(Oddity::ImpliedPlay) => self.implied_plays += 1,
            Some(Oddity::UnreportedSeek) => self.unreported_seeks += 1,
            None => {}
        }
        self.says_where |= item.flaw != Some(Correction::Region);
    }
}

/// A view in the making. All positions and times are whole milliseconds.
pub(crate) struct Story {
    /// In the order in which they happened; those that [`Story::forget`] left.
    pub items: Vec<Item>,
    /// What has been summed up: so many of the events, the first ones.
    past: Summary,
    /// Closed segments, content milliseconds, in the order of watching.
    pub segments: Vec<(u32, u32)>,
    pub player: Player,
    pub duration_ms: u32,
    pub now_ms: i64,
    pub position_ms: u32,
    rate: u8,
    open_ms: u32,
    evidence_ms: u32,
    played: bool,
    next_beat_ms: i64,
}

impl Story {
    pub fn new(player: Player) -> Self {
        Self {
            items: Vec::new(),
            past: Summary::default(),
            segments: Vec::new(),
            player,
            duration_ms: 0,
            now_ms: 0,
            position_ms: 0,
            rate: NORMAL,
            open_ms: NONE,
            evidence_ms: 0,
            played: false,
            next_beat_ms: 0,
        }
    }

    /// Begins another view in the same buffers.
    pub fn begin(&mut self, start_ms: i64, player: Player, duration_ms: u32) {
        self.items.clear();
        self.past = Summary::default();
        self.segments.clear();
        self.player = player;
        self.duration_ms = duration_ms;
        self.now_ms = start_ms;
        self.position_ms = 0;
        self.rate = NORMAL;
        self.open_ms = NONE;
        self.evidence_ms = 0;
        self.played = false;
        self.next_beat_ms = 0;
    }

    /// The event of that number, which has not been forgotten.
    pub fn item(&self, number: u32) -> Option<&Item> {
        self.items.get(self.index_of(number))
    }

    /// As long as nothing has been forgotten, the number is the index.
    fn index_of(&self, number: u32) -> usize {
        let index = number as usize;
        let is_there = self.items.get(index).is_some_and(|item| item.number == number);
        if is_there { index } else { self.items.partition_point(|item| item.number < number) }
    }

    /// The event of that number, of which one record is sent now.
    pub fn send(&mut self, number: u32) -> Option<Item> {
        let index = self.index_of(number);
        let item = self.items.get_mut(index)?;
        item.to_send -= 1;
        Some(*item)
    }

    /// Sums up what happened until then, and lets go of its events but the last and those of which records are still to be sent.
    /// Nothing more may happen before then.
    pub fn forget(&mut self, until_ms: i64) {
        let Self { items, past, .. } = self;
        let Some(last) = items.last().map(|last| last.number) else { return };
        items.retain(|item| {
            let has_happened = item.ts_ms <= until_ms;
            if has_happened && item.number >= past.events {
                past.add(item);
            }
            !has_happened || item.to_send > 0 || item.number == last
        });
    }

    /// Sums up what happened until then.
    pub fn summary(&self, until_ms: i64) -> Summary {
        let mut summary = self.past;
        let new = self.items.iter().filter(|item| item.number >= self.past.events);
        new.take_while(|item| item.ts_ms <= until_ms).for_each(|item| summary.add(item));
        summary
    }

    /// How many events there have been.
    fn events(&self) -> u32 {
        self.items.last().map_or(0, |last| last.number + 1)
    }

    pub fn is_playing(&self) -> bool {
        self.open_ms != NONE
    }

    pub fn rate(&self) -> u8 {
        self.rate
    }

    /// The segment that is open now, or is about to close here: its length in content milliseconds.
    pub fn watched_so_far_ms(&self) -> u32 {
        if self.is_playing() { self.position_ms - self.open_ms } else { 0 }
    }

    pub fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    /// Adds an event that reports the playhead, if this player reports positions.
    fn report(&mut self, kind: EventType) {
        let position = if self.player.positions { self.position_ms } else { NONE };
        self.push(kind, position, NONE, NONE);
    }

    fn push(&mut self, kind: EventType, position_ms: u32, seek_from_ms: u32, seek_to_ms: u32) {
        let rate = if self.player.rate || kind == EventType::RateChange { self.rate } else { 0 };
        self.items.push(Item {
            ts_ms: self.now_ms,
            number: self.events(),
            to_send: 0,
            kind,
            position_ms,
            seek_from_ms,
            seek_to_ms,
            rate,
            flaw: None,
            oddity: None,
            lost: false,
            proof: Proof {
                closed: self.segments.len() as u32,
                open_ms: self.open_ms,
                evidence_ms: self.evidence_ms,
                played: self.played,
            },
        });
    }

    /// Readers order what happens in the same millisecond by kind. Where that isn't the order in which it happened, it
    /// happens a millisecond later.
    fn settle(&mut self, kind: EventType) {
        let Some(last) = self.items.last() else { return };
        if last.ts_ms != self.now_ms || rank(last.kind) < rank(kind) {
            return;
        }
        // without positions the clock is the playhead (and keeps off the half second, see `behaviour`); with them it is a
        // stall
        let plays_on = self.is_playing() && !self.player.positions && self.position_ms + 2 <= self.duration_ms;
        let ms = if plays_on && self.position_ms % 1_000 == 499 { 2 } else { 1 };
        self.now_ms += ms;
        if plays_on {
            self.position_ms += ms as u32;
        }
    }

    fn mark(&mut self, oddity: Oddity) {
        if let Some(last) = self.items.last_mut() {
            last.oddity = Some(oddity);
        }
    }

    fn open_here(&mut self) {
        self.open_ms = self.position_ms;
        self.evidence_ms = self.position_ms;
    }

    fn close_here(&mut self) {
        if self.is_playing() {
            self.segments.push((self.open_ms, self.position_ms));
            self.open_ms = NONE;
        }
        self.evidence_ms = self.position_ms;
    }

    /// The player is there; nothing plays yet, or not any more. While playing, only right after a report: what was not
    /// reported is not proved.
    pub fn load(&mut self) {
        self.settle(EventType::Load);
        self.close_here();
        self.push(EventType::Load, NONE, NONE, NONE);
    }

    /// Playback starts here. `silent`: the player doesn't say where, which is right only where the reader knows.
    pub fn play(&mut self, silent: bool) {
        self.settle(EventType::Play);
        self.played = true;
        if !self.is_playing() {
            self.open_here();
        }
        self.evidence_ms = self.position_ms;
        self.next_beat_ms = self.now_ms + self.player.beat_ms;
        let position = if silent || !self.player.positions { NONE } else { self.position_ms };
        self.push(EventType::Play, position, NONE, NONE);
    }

    pub fn pause(&mut self) {
        self.settle(EventType::Pause);
        self.close_here();
        self.report(EventType::Pause);
    }

    /// A heartbeat, unless one has just been sent: without an `event_id`, two equal events are one.
    pub fn beat(&mut self) {
        self.next_beat_ms = self.now_ms + self.player.beat_ms;
        let sent = |last: &Item| last.kind == EventType::Heartbeat && last.ts_ms == self.now_ms;
        if !self.items.last().is_some_and(sent) {
            self.settle(EventType::Heartbeat);
            self.evidence_ms = self.position_ms;
            self.report(EventType::Heartbeat);
        }
    }

    /// Plays on to `target_ms`, with heartbeats on the way.
    pub fn run_to(&mut self, target_ms: u32) {
        while !self.run_for(u32::MAX, target_ms) {}
    }

    /// The same for at most so many heartbeats. True: it is there.
    pub fn run_for(&mut self, beats: u32, target_ms: u32) -> bool {
        let target_ms = target_ms.min(self.duration_ms);
        for _ in 0..beats {
            if self.position_ms >= target_ms {
                break;
            }
            let to_beat = (self.next_beat_ms - self.now_ms).max(0);
            let to_target = wall_ms(target_ms - self.position_ms, self.rate);
            if to_target < to_beat {
                self.now_ms += to_target;
                self.position_ms = target_ms;
            } else {
                self.now_ms += to_beat;
                self.position_ms = target_ms.min(self.position_ms + content_ms(to_beat, self.rate));
                self.beat();
            }
        }
        self.position_ms >= target_ms
    }

    /// A seek that the player reports; playback, if it goes on, goes on at `to_ms`.
    pub fn seek(&mut self, to_ms: u32) {
        self.settle(EventType::Seek);
        let from_ms = self.position_ms;
        let playing = self.is_playing();
        self.close_here();
        self.position_ms = to_ms;
        self.evidence_ms = to_ms;
        if playing {
            self.open_here();
        }
        if self.player.seek_in_position {
            self.push(EventType::Seek, to_ms, from_ms, NONE);
        } else {
            self.push(EventType::Seek, NONE, from_ms, to_ms);
        }
    }

    /// A `play` after a seek that reports where the seek came from.
    pub fn stale_play(&mut self, from_ms: u32) {
        self.settle(EventType::Play);
        self.played = true;
        if !self.is_playing() {
            self.open_here();
        }
        self.push(EventType::Play, from_ms, NONE, NONE);
    }

    /// Playback jumps to `to_ms` without a word; the next heartbeat shows it. Only at normal speed, where the beginning
    /// that is worked out from the clock is exact.
    pub fn jump(&mut self, to_ms: u32) {
        self.beat();
        self.close_here();
        let playing_ms = self.player.beat_ms;
        self.now_ms += playing_ms;
        self.open_ms = to_ms;
        self.position_ms = to_ms + playing_ms as u32;
        self.beat();
        self.mark(Oddity::UnreportedSeek);
    }

    /// Playback goes on `run_ms` after a pause without a `play`: the second heartbeat proves it, from the first one on.
    pub fn resume_unreported(&mut self, run_ms: u32) {
        self.now_ms += i64::from(run_ms);
        self.position_ms += run_ms;
        self.beat();
        self.open_here();
        self.played = true;
        self.now_ms += self.player.beat_ms;
        self.position_ms += self.player.beat_ms as u32;
        self.beat();
        self.mark(Oddity::ImpliedPlay);
    }

    /// The player dies right after a heartbeat and comes back `away_ms` later, at `at_ms`, too far back to have played on.
    pub fn crash(&mut self, away_ms: i64, at_ms: u32) {
        self.beat();
        self.close_here();
        self.now_ms += away_ms;
        self.position_ms = at_ms;
        self.play(false);
        self.mark(Oddity::Restart);
    }

    /// The picture stands still for `stall_ms`.
    pub fn buffer(&mut self, stall_ms: i64) {
        self.settle(EventType::BufferStart);
        self.evidence_ms = self.position_ms;
        self.report(EventType::BufferStart);
        self.now_ms += stall_ms;
        self.report(EventType::BufferEnd);
        self.next_beat_ms = self.now_ms + self.player.beat_ms;
    }

    /// Quarters of normal speed from here on.
    pub fn change_rate(&mut self, rate: u8) {
        self.settle(EventType::RateChange);
        self.rate = rate;
        self.evidence_ms = self.position_ms;
        self.report(EventType::RateChange);
    }

    /// `quality_change` or `error`, which say nothing about the playhead.
    pub fn mention(&mut self, kind: EventType) {
        self.settle(kind);
        self.push(kind, NONE, NONE, NONE);
    }

    /// The end. `early_ms`: how much before the end the player says it is; [`NONE`]: it doesn't say.
    pub fn ended(&mut self, early_ms: u32) {
        self.settle(EventType::Ended);
        self.close_here();
        let told = self.player.positions && early_ms != NONE;
        let position = if told { self.position_ms - early_ms } else { NONE };
        self.push(EventType::Ended, position, NONE, NONE);
    }
}

/// Wall milliseconds, rounded up, in which that much content plays.
fn wall_ms(content_ms: u32, rate: u8) -> i64 {
    (i64::from(content_ms) * i64::from(NORMAL) + i64::from(rate) - 1) / i64::from(rate)
}

/// Content milliseconds, rounded down, that play in that much time.
fn content_ms(wall_ms: i64, rate: u8) -> u32 {
    (wall_ms * i64::from(rate) / i64::from(NORMAL)) as u32
}

/// Order of kinds within one instant.
fn rank(kind: EventType) -> u8 {
    match kind {
        EventType::Load => 0,
        EventType::Error => 1,
        EventType::QualityChange => 2,
        EventType::BufferEnd => 3,
        EventType::BufferStart => 4,
        EventType::Heartbeat => 5,
        EventType::RateChange => 6,
        EventType::Pause => 7,
        EventType::Ended => 8,
        EventType::Seek => 9,
        EventType::Play => 10,
    }
}
