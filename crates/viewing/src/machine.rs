//! The state machine: a view's events, in order, to watched segments. A segment is credited as far as reported
//! positions prove it; the numbers in the comments are those of the rules in `docs/metrics.md`.

use streamreel_event::EventType;

use crate::ledger::{EndedBy, Ledger, Segment};
use crate::settings::{OpenPlay, Settings, TOLERANCE_S, at_most};
use crate::view_event::ViewEvent;

/// The open segment; its end is the evidence.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    start_s: f64,
    started_at_us: i64,
    /// The sum of its `elapsed x rate`, piece by piece: what the wall clock allows.
    allowed_s: f64,
    playing_s: f64,
}

/// A stretch played at an unknown place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    elapsed_s: f64,
    rate: f64,
}

/// Playing at a known place has a position; Playing without one is playback at an unknown place.
pub(crate) struct Machine<'a> {
    settings: &'a Settings,
    ledger: &'a mut Ledger,
    /// Only while Playing at an unknown place.
    unplaced: &'a mut Vec<Stretch>,
    playing: bool,
    open: Open,
    /// The evidence: the last known position ...
    position: Option<f64>,
    /// ... and when it was known.
    known_at_us: i64,
    /// While Playing at an unknown place: the evidence before it, which stays the last known if no other comes.
    before: (Option<f64>, i64),
    /// Buffering since the evidence that has ended, and the beginning (not before the evidence) of one that has not.
    buffered_us: i64,
    buffering_since_us: Option<i64>,
    rate: f64,
    after_end: bool,
    /// `from` and `to` of a seek whose next play may be stale.
    last_seek: Option<(f64, f64)>,
    has_play: bool,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(settings: &'a Settings, ledger: &'a mut Ledger, unplaced: &'a mut Vec<Stretch>) -> Self {
        unplaced.clear();
        Self {
            settings,
            ledger,
            unplaced,
            playing: false,
            open: Open::default(),
            position: None,
            known_at_us: 0,
            before: (None, 0),
            buffered_us: 0,
            buffering_since_us: None,
            rate: 1.0,
            after_end: false,
            last_seek: None,
            has_play: false,
        }
    }

    /// Takes the next event.
    pub(crate) fn step(&mut self, event: &ViewEvent) {
        let now = event.ts_us;
        let position = event.position_s;
        match event.kind {
            EventType::Play => self.play(position, now),
            EventType::Pause => self.pause(position, now),
            EventType::Seek => self.seek(event.seek_from_s, event.seek_to_s.or(position), now),
            EventType::Heartbeat => self.heartbeat(position, now),
            EventType::Ended => self.ended(position, now),
            EventType::Load => self.load(position, now),
            EventType::RateChange
            | EventType::BufferStart
            | EventType::BufferEnd
            | EventType::QualityChange
            | EventType::Error => self.notice(event.kind, position, now),
        }
        if position.is_some() && event.kind != EventType::Seek {
            self.last_seek = None; // rule 4: a position in between
        }
        self.buffering(event.kind, now);
        self.change_rate(event, now);
    }

    /// Ends the view at its last event's time; says whether it had a `play` or an implied one.
    pub(crate) fn finish(mut self, last_us: i64) -> bool {
        if self.playing {
            self.ledger.counters.open_plays += 1;
            match self.settings.open_play {
                OpenPlay::Evidence => self.close(EndedBy::Open, self.known_at_us, last_us),
                OpenPlay::Elapsed => {
                    self.assume(last_us);
                    self.close(EndedBy::Open, last_us, last_us);
                }
                OpenPlay::Drop => match self.position {
                    Some(end) if end - self.open.start_s > TOLERANCE_S => {
                        self.ledger.counters.segments_ended += 1;
                        self.ledger.counters.open_plays_dropped += 1;
                    }
                    Some(_) => {}
                    None => self.lose(last_us),
                },
            }
        }
        self.has_play
    }

    /// Rules 1 and 4.
    fn play(&mut self, position: Option<f64>, now: i64) {
        let position = self.trust_seek(position);
        let after_end = std::mem::take(&mut self.after_end);
        self.has_play = true;
        if !self.playing {
            let last_known = if after_end { None } else { self.position };
            return self.open_at(position.or(last_known).unwrap_or(0.0), now);
        }
        match position {
            None => {}
            Some(p) if self.is_possible(p, now) => self.report(p, now),
            Some(p) => {
                self.ledger.counters.restarts += 1;
                self.close(EndedBy::Restart, self.known_at_us, now);
                self.open_at(p, now);
            }
        }
    }

    /// Rule 4: the first play after a seek that still tells where the seek left is read as a play where it went.
    fn trust_seek(&mut self, position: Option<f64>) -> Option<f64> {
        match (self.last_seek.take(), position) {
            (Some((from, to)), Some(p)) if self.agree(p, from) && !self.agree(p, to) => {
                self.ledger.counters.stale_plays += 1;
                Some(to)
            }
            _ => position,
        }
    }

    /// Rule 2.
    fn pause(&mut self, position: Option<f64>, now: i64) {
        if self.playing {
            self.stop(position, EndedBy::Pause, now);
        } else {
            self.set_position(position, now);
        }
    }

    /// Rule 3.
    fn seek(&mut self, from: Option<f64>, to: Option<f64>, now: i64) {
        let echo = matches!((from, to), (Some(f), Some(t)) if at_most((f - t).abs(), self.settings.seek_echo_s));
        let from = if echo { None } else { from };
        self.ledger.counters.echoed_seeks += i64::from(echo);
        let expected = if self.playing { self.expected(now) } else { self.position };
        self.ledger.seek(now, from.or(expected), to);
        if self.playing {
            self.stop(from, EndedBy::Seek, now);
            match to {
                Some(to) => self.open_at(to, now),
                None => self.open_somewhere(now),
            }
        } else {
            self.set_position(to, now);
        }
        self.after_end = false;
        self.last_seek = from.zip(to);
    }

    /// Rule 5.
    fn heartbeat(&mut self, position: Option<f64>, now: i64) {
        match (self.playing, position) {
            (true, Some(p)) => self.report(p, now),
            (true, None) => self.assume(now),
            (false, Some(p)) if self.implies_play(p, now) => {
                self.ledger.counters.implied_plays += 1;
                self.has_play = true;
                self.after_end = false;
                self.open_at(self.position.unwrap_or(p), self.known_at_us);
                self.prove(p, now);
            }
            (false, p) => self.set_position(p, now),
        }
    }

    fn implies_play(&self, p: f64, now: i64) -> bool {
        let Some(last_known) = self.position else { return false };
        let advance = p - last_known;
        let moved = self.elapsed_s(now) * self.rate;
        at_most(self.settings.implied_advance_s, advance)
            && at_most((advance - moved).abs(), self.settings.agree_s + self.settings.drift_ratio * moved)
    }

    /// Rule 6.
    fn ended(&mut self, position: Option<f64>, now: i64) {
        if self.playing {
            let at_duration = self
                .ledger
                .duration_s
                .filter(|&d| position.is_none_or(|p| self.agree(p, d)) && self.is_possible(d, now));
            self.stop(at_duration.or(position), EndedBy::Ended, now);
        } else {
            self.set_position(position, now);
        }
        self.after_end = true;
    }

    /// Rule 7: a new player.
    fn load(&mut self, position: Option<f64>, now: i64) {
        if self.playing {
            self.close(EndedBy::Load, self.known_at_us, now);
            self.playing = false;
        }
        self.know(position, now);
        self.after_end = false;
        self.last_seek = None;
    }

    /// Rule 7: events that change nothing about where playback is.
    fn notice(&mut self, kind: EventType, position: Option<f64>, now: i64) {
        match (self.playing, position) {
            (true, Some(p)) => self.report(p, now),
            (true, None) if matches!(kind, EventType::RateChange | EventType::BufferStart) => self.assume(now),
            (true, None) => {}
            (false, p) => self.set_position(p, now),
        }
    }

    fn buffering(&mut self, kind: EventType, now: i64) {
        match kind {
            EventType::BufferStart => _ = self.buffering_since_us.get_or_insert(now),
            EventType::RateChange | EventType::QualityChange | EventType::Error => {}
            EventType::BufferEnd
            | EventType::Heartbeat
            | EventType::Play
            | EventType::Pause
            | EventType::Seek
            | EventType::Ended
            | EventType::Load => {
                if let Some(since) = self.buffering_since_us.take() {
                    self.buffered_us += now - since;
                }
            }
        }
    }

    /// Rule 7: a rate holds from its event on, so what came before it is settled at the old one.
    fn change_rate(&mut self, event: &ViewEvent, now: i64) {
        let Some(rate) = event.rate else { return };
        if self.playing && event.position_s.is_none() && (rate - self.rate).abs() > TOLERANCE_S {
            self.assume(now);
        }
        self.rate = rate;
    }

    fn agree(&self, a: f64, b: f64) -> bool {
        at_most((a - b).abs(), self.settings.agree_s)
    }

    /// Wall seconds since the evidence, at most `max_unproven_s`.
    fn elapsed_s(&self, now: i64) -> f64 {
        seconds(now - self.known_at_us).min(self.settings.max_unproven_s)
    }

    /// Where playback should be: as far as it got without the time spent buffering. `None` at an unknown place.
    fn expected(&self, now: i64) -> Option<f64> {
        let buffering_us = self.buffering_since_us.map_or(0, |since| now - since);
        let played_us = now - self.known_at_us - self.buffered_us - buffering_us;
        Some(self.position? + seconds(played_us).min(self.settings.max_unproven_s) * self.rate)
    }

    /// Whether playback can be at `p`: not behind the evidence and not faster than the wall clock, neither since the
    /// evidence nor since the segment's beginning. At an unknown place it can be anywhere.
    fn is_possible(&self, p: f64, now: i64) -> bool {
        let Some(evidence) = self.position else { return true };
        let slack = self.settings.agree_s;
        let drift = 1.0 + self.settings.drift_ratio;
        let moved = self.elapsed_s(now) * self.rate;
        at_most(evidence - slack, p)
            && at_most(p, evidence + moved * drift + slack)
            && at_most(p, self.open.start_s + (self.open.allowed_s + moved) * drift + slack)
    }

    /// A reported position while Playing: evidence, the place of an unplaced segment, or (rule 8) an unreported seek.
    fn report(&mut self, p: f64, now: i64) {
        if self.position.is_none() {
            self.place(p, now);
        } else if self.is_possible(p, now) {
            self.prove(p, now);
        } else {
            self.ledger.counters.unreported_seeks += 1;
            self.close(EndedBy::Jump, self.known_at_us, now);
            self.position = None;
            self.unplaced.clear();
            self.place(p, now);
        }
    }

    /// The expected position becomes the evidence; at an unknown place the time is kept for later.
    fn assume(&mut self, now: i64) {
        match self.expected(now) {
            Some(expected) => self.prove(expected, now),
            None => self.keep_stretch(now),
        }
    }

    /// `p` is the evidence from now on. A `p` behind it is rounding: only its time moves on.
    fn prove(&mut self, p: f64, now: i64) {
        let from = self.position.unwrap_or(p);
        self.ledger.counters.rounded_back += i64::from(p < from - TOLERANCE_S);
        self.count_cap(now);
        let to = p.max(from);
        self.open.allowed_s += self.elapsed_s(now) * self.rate;
        self.open.playing_s += self.ledger.playing_s(from, to, self.rate);
        self.know(Some(to), now);
    }

    /// Begins the segment so far back from `p` as the time since the evidence allows.
    fn place(&mut self, p: f64, now: i64) {
        self.keep_stretch(now);
        let elapsed_s: f64 = self.unplaced.iter().map(|s| s.elapsed_s).sum();
        let mut open = Open { start_s: p, started_at_us: now - micros(elapsed_s), allowed_s: 0.0, playing_s: 0.0 };
        for stretch in self.unplaced.drain(..).rev() {
            let moved = stretch.elapsed_s * stretch.rate;
            let start = (open.start_s - moved).max(0.0);
            open.playing_s += self.ledger.playing_s(start, open.start_s, stretch.rate);
            open.allowed_s += moved;
            open.start_s = start;
        }
        self.open = open;
        self.know(Some(p), now);
    }

    fn keep_stretch(&mut self, now: i64) {
        self.count_cap(now);
        self.unplaced.push(Stretch { elapsed_s: self.elapsed_s(now), rate: self.rate });
        self.know(None, now);
    }

    /// Time at an unknown place that never found one.
    fn lose(&mut self, now: i64) {
        self.keep_stretch(now);
        self.ledger.counters.unplaced_s += self.unplaced.drain(..).map(|s| s.elapsed_s).sum::<f64>();
    }

    fn count_cap(&mut self, now: i64) {
        let is_capped = !at_most(seconds(now - self.known_at_us), self.settings.max_unproven_s);
        self.ledger.counters.capped_unproven += i64::from(is_capped);
    }

    fn open_at(&mut self, p: f64, now: i64) {
        self.playing = true;
        self.open = Open { start_s: p, started_at_us: now, allowed_s: 0.0, playing_s: 0.0 };
        self.know(Some(p), now);
    }

    fn open_somewhere(&mut self, now: i64) {
        self.playing = true;
        self.before = (self.position, self.known_at_us);
        self.unplaced.clear();
        self.know(None, now);
    }

    /// Closes the open segment at a reported position, or at the expected one.
    fn stop(&mut self, position: Option<f64>, by: EndedBy, now: i64) {
        match position {
            Some(p) => self.report(p, now),
            None => self.assume(now),
        }
        self.close(by, now, now);
        self.playing = false;
        if self.position.is_none() {
            (self.position, self.known_at_us) = self.before;
        }
    }

    /// Credits the open segment up to its evidence, or counts its time as lost at an unknown place.
    fn close(&mut self, ended_by: EndedBy, ended_at_us: i64, now: i64) {
        let Some(end_s) = self.position else { return self.lose(now) };
        let Open { start_s, started_at_us, playing_s, .. } = self.open;
        let segment = Segment { start_s, end_s, started_at_us, ended_at_us, playing_s, ended_by };
        self.ledger.credit(segment, self.settings);
    }

    fn set_position(&mut self, position: Option<f64>, now: i64) {
        if position.is_some() {
            self.know(position, now);
        }
    }

    fn know(&mut self, position: Option<f64>, now: i64) {
        self.position = position;
        self.known_at_us = now;
        self.buffered_us = 0;
        if let Some(since) = &mut self.buffering_since_us {
            *since = now;
        }
    }
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

fn micros(s: f64) -> i64 {
    (s * 1e6).round() as i64
}
