//! The engine: begins views when records are due, and sends what the running views have to send in the order of arrival.
//!
//! The records of a view wait in its slot; a heap of slots by when they wake merges them. So memory grows with the views that run at
//! one time and with the videos, not with the records. Where a number of records is asked for, a view is played through when it
//! begins, which tells how many it takes; at a rate it is played stretch by stretch, each when its time has come, so that little
//! more is in memory than what is going on. Then what happens in a view is drawn from a stream of chance of its own, and else from the
//! one from which its viewer and video are; when that is depends on nothing but the records before: the size of a batch changes no
//! byte, nor does when it becomes known that the simulation will be stopped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use hashbrown::HashSet;

use crate::audience::{self, Audience, Player, Viewer};
use crate::batch::Batch;
use crate::behaviour::Habits;
use crate::catalogue::{Catalogue, Titles};
use crate::dice::{Dice, mix};
use crate::dirt::{self, Dirt, Form, LATE_MS};
use crate::error::Error;
use crate::pace::Clock;
use crate::settings::{Pace, Players, Settings};
use crate::slot::{Slot, arrives};
use crate::truth::{Tally, Truth};
use crate::wire;

/// A viewer whose player sends no session begins nothing else for so long after a view: within 30 min, two views of one
/// video would be one.
const QUIET_MS: i64 = 31 * 60_000;
/// Orders the videos by popularity, differently for each seed.
const POPULARITY_SALT: u64 = 0x7a69_706d;
/// Tells the chance of a view from that of the others.
const VIEW_SALT: u64 = 0x0076_6965_7773;
/// How often another viewer is looked for before the daily rhythm, or the wish for an idle one, is let go.
const TRIES: u32 = 32;

/// A running simulation. [`Simulator::next_batch`] draws records; [`Simulator::truth`] says what is in them.
pub struct Simulator {
    seed: u64,
    mask: u64,
    dice: Dice,
    clock: Clock,
    dirt: Dirt,
    audience: Audience,
    players: Players,
    titles: Titles,
    habits: Vec<Habits>,
    /// Popularity by Zipf's law, cumulative, and the videos in that order.
    popularity: Vec<u64>,
    by_popularity: Vec<u32>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// When a slot wakes, number of the view, slot.
    queue: BinaryHeap<Reverse<(i64, u64, usize)>>,
    busy: HashSet<u32>,
    busy_until: BinaryHeap<Reverse<(i64, u32)>>,
    views: u64,
    /// Records that views have taken on: those sent, and the first one of each view that has not sent any.
    claimed: u64,
    /// Records that are still to be given to views; `None` without a limit.
    left: Option<u64>,
    stop_ms: Option<i64>,
    now_ms: i64,
    tally: Tally,
}

impl Simulator {
    /// Prepares a simulation.
    ///
    /// # Errors
    /// [`Error::Ratio`], [`Error::Rate`] and [`Error::Count`] for settings out of range.
    pub fn new(settings: &Settings, catalogue: &Catalogue) -> Result<Self, Error> {
        settings.check()?;
        let seed = settings.seed;
        let videos = settings.videos.map_or(catalogue.len(), |videos| videos as usize);
        let titles = catalogue.titles(videos, seed);
        let habits = (0..).zip(&titles.durations_ms).map(|(video, ms)| Habits::of(seed, video, *ms)).collect();
        let mut by_popularity: Vec<u32> = (0..videos as u32).collect();
        by_popularity.sort_unstable_by_key(|video| mix(mix(seed ^ POPULARITY_SALT) ^ u64::from(*video)));
        let mut sum = 0;
        let weigh = |rank| {
            sum += (1 << 32) / (rank + 1);
            sum
        };
        let popularity = (0..videos as u64).map(weigh).collect();
        let stop_ms = match settings.pace {
            Pace::Rate { for_ms, .. } => for_ms.map(|ms| settings.start_ms.saturating_add(ms.max(0))),
            Pace::Records { .. } => None,
        };
        Ok(Self {
            seed,
            mask: mix(seed ^ 0x1d5),
            dice: Dice::new(seed),
            clock: Clock::new(settings),
            dirt: Dirt::new(settings),
            audience: Audience::new(seed, settings.audience(), settings.players),
            players: settings.players,
            tally: Tally::new(&titles),
            titles,
            habits,
            popularity,
            by_popularity,
            slots: Vec::new(),
            free: Vec::new(),
            queue: BinaryHeap::new(),
            busy: HashSet::new(),
            busy_until: BinaryHeap::new(),
            views: 0,
            claimed: 0,
            left: settings.records(),
            stop_ms,
            now_ms: settings.start_ms,
        })
    }

    /// Fills the batch, after clearing it, with the next records up to its capacity. False when there was none left.
    pub fn next_batch(&mut self, batch: &mut Batch) -> bool {
        self.advance(i64::MAX, batch)
    }

    /// As [`Simulator::next_batch`], but only records that arrive at `until_ms` (epoch milliseconds) or before. False when
    /// there is none (yet).
    pub fn advance(&mut self, until_ms: i64, batch: &mut Batch) -> bool {
        batch.clear();
        while !batch.is_full() && self.step(until_ms, batch) {}
        !batch.is_empty()
    }

    /// Ends the simulation at that moment of simulated time, or now if it is later already: no view begins after it, what
    /// happened until then arrives, what had not happened yet never does. Draw the rest with [`Simulator::next_batch`].
    pub fn stop_at(&mut self, at_ms: i64) {
        let at_ms = at_ms.max(self.now_ms);
        self.stop_ms = Some(self.stop_ms.map_or(at_ms, |stop_ms| stop_ms.min(at_ms)));
    }

    /// Simulated time: the arrival of the last record.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Records drawn so far.
    pub fn records(&self) -> u64 {
        self.tally.records
    }

    /// All videos of the simulation as CSV (a `video_metadata.csv`): the catalogue's, and the invented ones.
    pub fn titles(&self) -> String {
        self.titles.csv()
    }

    /// What is in the records drawn so far. Whole once [`Simulator::next_batch`] has returned false.
    pub fn truth(&self) -> Truth {
        self.tally.truth(self.seed, &self.titles, self.queue.len() as u64)
    }

    /// Begins a view, lets one go on, or sends a record. False when nothing is to be done until then.
    fn step(&mut self, until_ms: i64, batch: &mut Batch) -> bool {
        let next_ms = self.queue.peek().map(|Reverse((wakes_ms, ..))| *wakes_ms);
        if self.left != Some(0) {
            let due_ms = self.clock.due_ms(self.claimed).max(self.now_ms);
            if self.stop_ms.is_some_and(|stop_ms| due_ms >= stop_ms) {
                self.left = Some(0);
            } else if next_ms.is_none_or(|next_ms| due_ms <= next_ms) {
                if due_ms > until_ms {
                    return false;
                }
                self.begin_view(due_ms);
                return true;
            }
        }
        // what is sent at the end arrives then at the latest
        let Some(next_ms) = next_ms.map(|next_ms| self.stop_ms.map_or(next_ms, |stop_ms| stop_ms.min(next_ms))) else {
            return false;
        };
        if next_ms > until_ms {
            return false;
        }
        self.wake(batch);
        true
    }

    /// Lets the view go on that does next, or sends the record that arrives next, if it still does.
    fn wake(&mut self, batch: &mut Batch) {
        let Some(Reverse((now_ms, _, index))) = self.queue.peek().copied() else { return };
        let stop_ms = self.stop_ms.unwrap_or(i64::MAX);
        let slot = &mut self.slots[index];
        if slot.goes_on_first(stop_ms) {
            slot.play_on(&self.habits[slot.video as usize], &self.dirt, self.now_ms);
            self.free_viewer_after(index);
        } else if slot.sends_by(now_ms) {
            self.send(index, batch);
        }
        let Some(mut top) = self.queue.peek_mut() else { return };
        if let Some(wakes_ms) = self.slots[index].wakes_after(now_ms, stop_ms) {
            top.0.0 = wakes_ms;
        } else {
            PeekMut::pop(top);
            self.end_view(index);
        }
    }

    /// Sends the next record of a view, if it still arrives.
    fn send(&mut self, index: usize, batch: &mut Batch) {
        let stop_ms = self.stop_ms.unwrap_or(i64::MAX);
        let slot = &mut self.slots[index];
        let Some((sending, item)) = slot.take_next(stop_ms) else { return };
        if arrives(&sending, &item, stop_ms) {
            let arrival_ms = sending.arrival_ms.min(stop_ms);
            let (head, player, number) = (&slot.head, &slot.head.player, sending.item);
            let key = dirt::has_key(sending.form).then_some(&head.user[..]);
            batch.push(arrival_ms, key, |out| match (sending.form, item.flaw) {
                (Form::Reject(reason), _) => dirt::write_reject(head, player, &item, number, reason, out),
                (_, Some(field)) => dirt::write_flawed(head, player, &item, number, field, out),
                _ => wire::event(head, player, &item, number, out),
            });
            self.tally.records += 1;
            match sending.form {
                Form::Event => {
                    self.tally.event(&item);
                    self.tally.late += u64::from(arrival_ms - item.ts_ms > LATE_MS);
                }
                Form::NearCopy => self.tally.near += 1,
                Form::FarCopy => self.tally.far += 1,
                Form::Reject(reason) => self.tally.reject(reason),
            }
            self.now_ms = arrival_ms;
            self.claimed += u64::from(slot.has_sent);
            slot.has_sent = true;
        }
    }

    /// Credits a view with what its events prove, those until the stop.
    fn end_view(&mut self, index: usize) {
        let slot = &self.slots[index];
        let stop_ms = self.stop_ms.unwrap_or(i64::MAX);
        let story = &slot.story;
        let summary = story.summary(stop_ms);
        let place = slot.region.filter(|_| summary.says_where);
        self.tally.view(slot.video, story.duration_ms, &summary, &story.segments, place);
        self.free.push(index);
    }

    fn begin_view(&mut self, at_ms: i64) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new());
            self.slots.len() - 1
        });
        let mut viewer = self.find_viewer(at_ms);
        let video = self.find_video();
        let duration_ms = self.titles.durations_ms[video as usize];
        let (slot, habits) = (&mut self.slots[index], &self.habits[video as usize]);
        slot.begin(at_ms, viewer.player, duration_ms);
        if let Some(left) = self.left {
            slot.play_through(&mut self.dice, habits, &self.dirt);
            if slot.records() >= left {
                viewer.player = last_player(&viewer.player, self.players);
                slot.begin(at_ms, viewer.player, duration_ms);
                slot.play_exactly(left as usize);
            }
            self.left = Some(left - slot.records());
        } else {
            slot.play_first(Dice::new(mix(self.seed ^ VIEW_SALT) ^ self.views), habits, &self.dirt);
        }
        slot.video = video;
        slot.viewer = viewer.number;
        slot.region = viewer.player.place.then_some(viewer.region);
        let title = &self.titles.ids[video as usize];
        slot.head.begin(self.seed, self.mask, self.views, &viewer, title, duration_ms);
        if !viewer.player.session {
            self.busy.insert(viewer.number);
        }
        let wakes_ms = slot.wakes_after(at_ms, i64::MAX);
        self.free_viewer_after(index);
        match wakes_ms {
            Some(wakes_ms) => self.queue.push(Reverse((wakes_ms, self.views, index))),
            None => self.end_view(index),
        }
        self.claimed += 1;
        self.views += 1;
    }

    /// Lets a viewer without sessions watch something else some time after a view that is over.
    fn free_viewer_after(&mut self, index: usize) {
        let slot = &self.slots[index];
        if slot.is_over() && !slot.story.player.session {
            self.busy_until.push(Reverse((slot.story.now_ms + QUIET_MS, slot.viewer)));
        }
    }

    /// Someone who is awake and does not watch anything. If all are busy, someone gets a session, which keeps views apart.
    fn find_viewer(&mut self, at_ms: i64) -> Viewer {
        while let Some(Reverse((until_ms, number))) = self.busy_until.peek().copied()
            && until_ms < at_ms
        {
            self.busy_until.pop();
            self.busy.remove(&number);
        }
        let mut idle = None;
        for _ in 0..TRIES {
            let number = self.dice.below(self.audience.users) as u32;
            if self.busy.contains(&number) {
                continue;
            }
            let viewer = self.audience.viewer(number);
            if self.dice.below(100) < u64::from(audience::rhythm(viewer.region, at_ms)) {
                return viewer;
            }
            idle = Some(viewer);
        }
        idle.unwrap_or_else(|| {
            let number = self.dice.below(self.audience.users) as u32;
            let viewer = self.audience.viewer(number);
            Viewer { player: Player { session: true, ..viewer.player }, ..viewer }
        })
    }

    fn find_video(&mut self) -> u32 {
        let total = self.popularity.last().copied().unwrap_or(1);
        let lot = self.dice.below(total);
        self.by_popularity[self.popularity.partition_point(|until| *until <= lot)]
    }
}

/// The player of the view that ends a simulation: one with a session, unless only minimal players are wanted.
fn last_player(player: &Player, players: Players) -> Player {
    if audience::is_minimal(players) { *player } else { audience::full_player() }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Settings, Simulator, Slot};
    use crate::batch::Batch;
    use crate::catalogue::Catalogue;

    #[test]
    fn views_that_run_keep_little_of_what_has_happened() {
        let pace = Pace::Rate { per_s: 50.0, for_ms: None };
        let settings = Settings { pace, dirt_ratio: 0.0, ..Settings::default() };
        let catalogue = Catalogue::sample().expect("the sample is a catalogue");
        let mut simulator = Simulator::new(&settings, &catalogue).expect("the settings are in range");
        let mut batch = Batch::with_capacity(1_000);
        while simulator.advance(settings.start_ms + 3_600_000, &mut batch) {}
        let running: Vec<&Slot> = simulator.slots.iter().filter(|slot| !slot.is_over()).collect();
        let happened: usize = running.iter().map(|slot| slot.story.summary(i64::MAX).events as usize).sum();
        let kept: usize = running.iter().map(|slot| slot.story.items.len()).sum();
        assert!(running.len() > 100, "{} views run", running.len());
        assert!(kept < 6 * running.len(), "{kept} events are kept by {} views", running.len());
        assert!(happened > 6 * kept, "of {happened} events, {kept} are kept");
    }
}
