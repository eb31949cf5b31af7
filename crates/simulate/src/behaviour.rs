//! What viewers do with a title: how far they get, what they skip, watch again, and how they leave.

use streamreel_event::EventType;

use crate::audience::SeekStyle;
use crate::dice::{Dice, mix};
use crate::story::{NORMAL, Story};

/// What is typical of one title. Follows from the seed and the title's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    duration_ms: u32,
    /// Where the intro ends; 0 without one.
    intro_end_ms: u32,
    /// Moments that are watched again.
    hot_ms: [u32; 2],
    /// Where many leave at once.
    cliff_ms: u32,
    /// Of 1000 viewers: how many leave in the first tenth, at the cliff, anywhere; the rest stay to the end.
    early: u32,
    at_cliff: u32,
    anywhere: u32,
}

impl Habits {
    pub fn of(seed: u64, video: u32, duration_ms: u32) -> Self {
        let lot = |salt: u64| mix(mix(seed ^ 0x7171e) ^ (u64::from(video) << 8 | salt));
        let within = |salt: u64, low: u64, high: u64| (low + lot(salt) % (high - low + 1)) as u32;
        let part = |salt, low, high| (u64::from(duration_ms) * u64::from(within(salt, low, high)) / 1000) as u32;
        let has_intro = duration_ms > 300_000 && lot(0) % 10 < 6;
        Self {
            duration_ms,
            intro_end_ms: if has_intro { within(1, 25_000, 95_000) } else { 0 },
            hot_ms: [part(2, 200, 550), part(3, 600, 900)],
            cliff_ms: part(4, 150, 750),
            early: within(5, 60, 360),
            at_cliff: within(6, 40, 220),
            anywhere: within(7, 100, 300),
        }
    }

    /// Where a viewer leaves, content milliseconds.
    fn leaves_at(&self, dice: &mut Dice) -> u32 {
        let lot = dice.between(0, 999);
        let somewhere = if lot < self.early {
            dice.between(500, self.duration_ms / 10 + 1_000)
        } else if lot < self.early + self.at_cliff {
            self.cliff_ms + dice.between(0, 6_000)
        } else if lot < self.early + self.at_cliff + self.anywhere {
            dice.between(1_000, self.duration_ms.max(1_001))
        } else {
            self.duration_ms
        };
        somewhere.min(self.duration_ms)
    }
}

/// Longest pause of a player without sessions: a longer one would make another view of what comes after.
const LONGEST_PAUSE_MS: u32 = 20 * 60_000;
/// So many things happen in one view at most.
const MOST_ACTIONS: u32 = 30;

/// So many heartbeats are played at one time.
const BEATS: u32 = 4;

/// How far a view is, and what is to come of it.
pub(crate) struct Course {
    stage: Stage,
    /// Where the viewer leaves, content milliseconds.
    leaves_at: u32,
    /// The last moment that was watched again, or could have been.
    reached: u32,
    actions: u32,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Stage {
    Begins,
    /// Plays on to there, where something happens.
    Plays {
        to: u32,
        /// It is a moment that is watched again.
        is_hot: bool,
    },
    /// Nothing plays until then.
    Waits {
        until_ms: i64,
        then: Then,
    },
    Leaves,
    Over,
}

/// What comes after a time in which nothing plays.
#[derive(Clone, Copy)]
enum Then {
    /// Playback goes on.
    PlaysOn,
    /// It has come to its end; some look at the beginning again.
    MayReplay,
    Over,
}

impl Course {
    /// That of a view which is to begin.
    pub fn new() -> Self {
        Self { stage: Stage::Begins, leaves_at: 0, reached: 0, actions: 0 }
    }

    /// That of a view of which nothing more is to come.
    pub fn over() -> Self {
        Self { stage: Stage::Over, ..Self::new() }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Plays the next stretch of the view into the story. What follows it happens at the story's time or later.
    pub fn go_on(&mut self, story: &mut Story, dice: &mut Dice, habits: &Habits) {
        match self.stage {
            Stage::Begins if dice.chance(25) => {
                never_plays(story, dice);
                self.stage = Stage::Over;
            }
            Stage::Begins => {
                begin(story, dice, habits);
                self.leaves_at = off_the_half_second(story, habits.leaves_at(dice));
                self.stage = self.next(story, dice, habits);
            }
            Stage::Plays { to, is_hot } if story.run_for(BEATS, to) => {
                if story.position_ms >= self.leaves_at {
                    self.stage = Stage::Leaves;
                    return;
                }
                if is_hot {
                    self.reached = to;
                    watch_again(story, dice);
                } else if let Some(until_ms) = act(story, dice) {
                    self.stage = Stage::Waits { until_ms, then: Then::PlaysOn };
                    return;
                }
                self.stage = self.next(story, dice, habits);
            }
            Stage::Waits { until_ms, then } if idle(story, until_ms) => match then {
                Then::PlaysOn => {
                    story.now_ms = until_ms;
                    story.play(dice.chance(150));
                    self.stage = self.next(story, dice, habits);
                }
                Then::MayReplay => {
                    may_replay(story, dice);
                    self.stage = Stage::Over;
                }
                Then::Over => self.stage = Stage::Over,
            },
            Stage::Leaves if story.run_for(BEATS, self.leaves_at) => self.stage = leave(story, dice, habits),
            Stage::Plays { .. } | Stage::Waits { .. } | Stage::Leaves | Stage::Over => {}
        }
    }

    fn next(&mut self, story: &Story, dice: &mut Dice, habits: &Habits) -> Stage {
        if self.actions == MOST_ACTIONS {
            return Stage::Leaves;
        }
        self.actions += 1;
        let step = dice.between(4_000, 150_000.max(habits.duration_ms / 8));
        let mut to = off_the_half_second(story, story.position_ms.saturating_add(step).min(self.leaves_at));
        let is_ahead = |hot: &u32| story.position_ms < *hot && *hot <= to && *hot > self.reached;
        let hot = habits.hot_ms.iter().copied().find(is_ahead);
        if let Some(hot) = hot.filter(|_| can_seek(story)) {
            to = hot;
        }
        Stage::Plays { to, is_hot: hot == Some(to) }
    }
}

/// Some go back a little.
fn watch_again(story: &mut Story, dice: &mut Dice) {
    if dice.chance(240) {
        let back = dice.between(8_000, 40_000).min(story.position_ms);
        seek_to(story, dice, story.position_ms - back);
    }
}

/// Where positions follow from the clock alone, a segment must not end on a half second: it is where a second begins to
/// count, and a sum of doubles may come out on either side of it.
fn off_the_half_second(story: &Story, position_ms: u32) -> u32 {
    if !story.player.positions && position_ms % 1_000 == 500 && position_ms != story.duration_ms {
        position_ms - 3
    } else {
        position_ms
    }
}

fn can_seek(story: &Story) -> bool {
    match story.player.seek {
        SeekStyle::Never => false,
        SeekStyle::Unreported => story.rate() == NORMAL,
        _ => true,
    }
}

/// The page is opened and nothing is played.
fn never_plays(story: &mut Story, dice: &mut Dice) {
    story.load();
    if dice.chance(400) {
        story.wait(dice.wait(300, 8_000));
        story.mention(EventType::Error);
    }
}

fn begin(story: &mut Story, dice: &mut Dice, habits: &Habits) {
    if story.player.load && dice.chance(700) {
        story.load();
        story.wait(dice.wait(150, 2_500));
    }
    let goes_on = story.player.positions && habits.duration_ms > 200_000 && dice.chance(70);
    if goes_on {
        story.position_ms = dice.between(20_000, habits.duration_ms / 2);
    }
    story.play(!goes_on && dice.chance(100));
    if story.player.positions && dice.chance(130) {
        story.wait(dice.wait(5, 400));
        story.change_rate([5, 5, 6, 6, 6, 8, 8, 3][dice.below(8) as usize]);
    }
    if !goes_on && habits.intro_end_ms > 0 && can_seek(story) && dice.chance(420) {
        story.run_to(dice.between(2_000, 9_000));
        seek_to(story, dice, habits.intro_end_ms);
    }
}

/// Something happens while the video plays. If it is paused: until then, epoch milliseconds.
fn act(story: &mut Story, dice: &mut Dice) -> Option<i64> {
    let positions = story.player.positions;
    match dice.between(0, 99) {
        0..=29 => return Some(pause_a_while(story, dice)),
        30..=41 if can_seek(story) => {
            let to = story.position_ms.saturating_add(dice.between(8_000, 90_000));
            seek_to(story, dice, to);
        }
        42..=49 if can_seek(story) => {
            let back = dice.between(5_000, 60_000).min(story.position_ms);
            seek_to(story, dice, story.position_ms - back);
        }
        50..=53 if can_seek(story) => scrub(story, dice),
        54..=65 if positions => story.buffer(dice.wait(200, 9_000)),
        66..=77 if positions => story.mention(EventType::QualityChange),
        78..=79 => story.mention(EventType::Error),
        80..=85 if positions => story.change_rate([4, 4, 4, 5, 6, 8, 2][dice.below(7) as usize]),
        86 if positions && story.position_ms > 8_000 => {
            let back = dice.between(3_000, story.position_ms);
            story.crash(dice.wait(4_000, 600_000), story.position_ms - back);
        }
        87 if positions && story.rate() == NORMAL => reload(story, dice),
        88 => resume_unreported(story, dice),
        _ => {}
    }
    None
}

/// Until when, epoch milliseconds.
fn pause_a_while(story: &mut Story, dice: &mut Dice) -> i64 {
    story.pause();
    let long = if story.player.session && dice.chance(60) { 9 * LONGEST_PAUSE_MS } else { LONGEST_PAUSE_MS };
    let most = if dice.chance(750) { 60_000 } else { long };
    story.now_ms + dice.wait(700, most)
}

/// The next heartbeats of a paused tab. True: no more come until then.
fn idle(story: &mut Story, until_ms: i64) -> bool {
    let every_ms = story.player.beat_ms.max(30_000);
    for _ in 0..BEATS {
        if !story.player.chatter || story.now_ms + every_ms >= until_ms {
            return true;
        }
        story.wait(every_ms);
        story.beat();
    }
    false
}

/// A seek in the way of the player. `to_ms` is moved where it lies outside the video or too near to tell.
fn seek_to(story: &mut Story, dice: &mut Dice, to_ms: u32) {
    let from_ms = story.position_ms;
    let to_ms = to_ms.min(story.duration_ms.saturating_sub(5_000));
    if from_ms.abs_diff(to_ms) < 4_000 {
        return;
    }
    match story.player.seek {
        SeekStyle::Never => {}
        SeekStyle::Plain => story.seek(to_ms),
        SeekStyle::PausesFirst => {
            story.pause();
            story.wait(dice.wait(0, 50));
            story.seek(to_ms);
            story.wait(dice.wait(0, 300));
            story.play(dice.chance(100));
        }
        SeekStyle::PlaysAfter => {
            story.seek(to_ms);
            story.wait(dice.wait(0, 150));
            story.play(false);
        }
        SeekStyle::StalePlay => {
            story.seek(to_ms);
            story.wait(dice.wait(0, 150));
            if dice.chance(500) {
                story.stale_play(from_ms);
            } else {
                story.play(false);
            }
        }
        SeekStyle::Unreported => jump_to(story, to_ms),
    }
}

/// A jump only where a heartbeat later shows that it was one.
fn jump_to(story: &mut Story, to_ms: u32) {
    let beat_ms = story.player.beat_ms as u32;
    let to_ms = if to_ms % 1_000 == 500 { to_ms + 1 } else { to_ms };
    let fits = to_ms + beat_ms <= story.duration_ms;
    let ahead = to_ms > story.position_ms + 15_000;
    let behind = to_ms + beat_ms + 4_000 < story.position_ms;
    if story.rate() == NORMAL && fits && (ahead || behind) {
        story.jump(to_ms);
    }
}

/// Several seeks in a row, some of them with a blink of playing in between that is too short to count.
fn scrub(story: &mut Story, dice: &mut Dice) {
    for _ in 0..dice.between(2, 4) {
        let to = if dice.chance(600) {
            story.position_ms.saturating_add(dice.between(5_000, 30_000))
        } else {
            story.position_ms.saturating_sub(dice.between(5_000, 30_000))
        };
        seek_to(story, dice, to);
        let blink_ms = if dice.chance(700) { dice.between(60, 110) } else { dice.between(700, 1_500) };
        // exactly a quarter of a second is where a segment begins to count; stay clear of it
        let clear_ms = u32::from(story.watched_so_far_ms() + blink_ms == 250);
        story.run_to(story.position_ms.saturating_add(blink_ms + clear_ms));
    }
}

fn reload(story: &mut Story, dice: &mut Dice) {
    story.beat();
    story.wait(dice.wait(1, 500));
    story.load();
    story.wait(dice.wait(300, 5_000));
    story.play(false);
}

/// A pause, and then playback that goes on without a `play`.
fn resume_unreported(story: &mut Story, dice: &mut Dice) {
    let beat_ms = story.player.beat_ms as u32;
    let room = story.position_ms + 2 * beat_ms + 1_000 < story.duration_ms;
    if !story.player.positions || story.rate() != NORMAL || !room {
        return;
    }
    story.pause();
    story.wait(dice.wait(60_000, LONGEST_PAUSE_MS));
    story.resume_unreported(dice.between(1_500, beat_ms));
}

/// What comes then.
fn leave(story: &mut Story, dice: &mut Dice, habits: &Habits) -> Stage {
    if story.position_ms >= habits.duration_ms {
        return end(story, dice);
    }
    match dice.between(0, 99) {
        // closes the page; the player says so
        0..=44 => story.pause(),
        // leaves the tab open
        45..=59 => {
            story.pause();
            return Stage::Waits { until_ms: story.now_ms + dice.wait(30_000, 45 * 60_000), then: Then::Over };
        }
        // gone at a heartbeat
        60..=79 if story.player.positions => story.beat(),
        // gone, some time after the last event: what comes after it is nobody's
        _ => {}
    }
    Stage::Over
}

fn end(story: &mut Story, dice: &mut Dice) -> Stage {
    let early_ms = if dice.chance(700) { 0 } else { dice.between(0, 1_500).min(story.position_ms) };
    story.ended(if dice.chance(80) { u32::MAX } else { early_ms });
    if dice.chance(150) {
        let until_ms = story.now_ms + dice.wait(30_000, 20 * 60_000);
        return Stage::Waits { until_ms, then: Then::MayReplay };
    }
    may_replay(story, dice);
    Stage::Over
}

fn may_replay(story: &mut Story, dice: &mut Dice) {
    if dice.chance(60) && story.duration_ms > 40_000 {
        story.wait(dice.wait(1_000, 120_000));
        story.position_ms = 0;
        story.play(dice.chance(500));
        story.run_to(off_the_half_second(story, dice.between(3_000, 30_000)));
        story.pause();
    }
}

/// A view of exactly `events` events (at least 1) for a player with positions and a session, to end a simulation on the
/// number of records that was asked for.
pub(crate) fn watch_exactly(story: &mut Story, events: usize) {
    if events == 1 {
        return story.load();
    }
    let beat_ms = story.player.beat_ms;
    story.play(false);
    while story.items.len() + 1 < events && i64::from(story.position_ms) + beat_ms < i64::from(story.duration_ms) {
        story.wait(beat_ms);
        story.position_ms += beat_ms as u32;
        story.beat();
    }
    story.wait(1_000.min(i64::from(story.duration_ms - story.position_ms)));
    story.position_ms += 1_000.min(story.duration_ms - story.position_ms);
    story.pause();
    while story.items.len() < events {
        story.wait(beat_ms);
        story.beat();
    }
}
