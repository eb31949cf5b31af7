//! A view while it runs: played through at once, or stretch by stretch, and what it has to send.

use crate::audience::{self, Player};
use crate::behaviour::{self, Course, Habits};
use crate::dice::Dice;
use crate::dirt::{Dirt, Form, Sending, Stretch};
use crate::story::{Item, Story};
use crate::wire::Head;

/// A view that runs, and the buffers for the next one.
pub(crate) struct Slot {
    pub story: Story,
    course: Course,
    /// Of what is to come, where the view is played stretch by stretch.
    dice: Dice,
    delay_ms: i64,
    /// In the order of arrival.
    sendings: Vec<Sending>,
    next: usize,
    pub has_sent: bool,
    pub head: Head,
    pub video: u32,
    /// Number of the viewer.
    pub viewer: u32,
    /// Index of the region, if the player sends one.
    pub region: Option<usize>,
}

impl Slot {
    pub fn new() -> Self {
        Self {
            story: Story::new(audience::full_player()),
            course: Course::new(),
            dice: Dice::new(0),
            delay_ms: 0,
            sendings: Vec::new(),
            next: 0,
            has_sent: false,
            head: Head::default(),
            video: 0,
            viewer: 0,
            region: None,
        }
    }

    /// Begins another view in the same buffers; nothing has happened yet.
    pub fn begin(&mut self, at_ms: i64, player: Player, duration_ms: u32) {
        self.story.begin(at_ms, player, duration_ms);
        self.course = Course::new();
        self.sendings.clear();
        self.next = 0;
        self.has_sent = false;
    }

    /// Plays the whole view by these dice.
    pub fn play_through(&mut self, dice: &mut Dice, habits: &Habits, dirt: &Dirt) {
        while !self.course.is_over() {
            self.course.go_on(&mut self.story, dice, habits);
        }
        self.delay_ms = dirt.delay_ms(dice);
        dirt.plan(stretch(&mut self.story, 0, true, self.delay_ms), dice, &mut self.sendings);
        self.fit();
    }

    /// Plays a view of exactly so many records instead.
    pub fn play_exactly(&mut self, records: usize) {
        behaviour::watch_exactly(&mut self.story, records);
        Dirt::plan_clean(&mut self.story.items, &mut self.sendings);
        self.course = Course::over();
        self.fit();
    }

    /// Plays the first stretch by dice of its own.
    pub fn play_first(&mut self, dice: Dice, habits: &Habits, dirt: &Dirt) {
        self.dice = dice;
        self.delay_ms = dirt.delay_ms(&mut self.dice);
        self.fit();
        self.play_on(habits, dirt, i64::MIN);
    }

    /// Plays the next stretch. What happened until `certain_ms` happens whenever the simulation is stopped.
    pub fn play_on(&mut self, habits: &Habits, dirt: &Dirt, certain_ms: i64) {
        self.sendings.drain(..self.next);
        self.next = 0;
        self.story.forget(certain_ms);
        let from = self.story.items.len();
        self.course.go_on(&mut self.story, &mut self.dice, habits);
        let stretch = stretch(&mut self.story, from, self.course.is_over(), self.delay_ms);
        dirt.plan(stretch, &mut self.dice, &mut self.sendings);
    }

    /// Lets buffers not keep the room of an earlier view that was much longer.
    fn fit(&mut self) {
        let room = |len: usize| 2 * len + 16;
        let Self { story, sendings, .. } = self;
        story.items.shrink_to(room(story.items.len()));
        story.segments.shrink_to(room(story.segments.len()));
        sendings.shrink_to(room(sendings.len()));
    }

    /// When the next record arrives or the view goes on, or else when the last of it happens, which may be lost. `None` when that
    /// has been by `now_ms`, or does not come before the simulation ends.
    pub fn wakes_after(&self, now_ms: i64, stop_ms: i64) -> Option<i64> {
        let arrival_ms = self.sendings.get(self.next).map(|sending| sending.arrival_ms);
        let end_ms = Some(self.story.now_ms).filter(|end_ms| (now_ms + 1..=stop_ms).contains(end_ms));
        arrival_ms.into_iter().chain(self.goes_on_ms(stop_ms)).min().or(end_ms)
    }

    /// Whether the next record arrives by then.
    pub fn sends_by(&self, now_ms: i64) -> bool {
        self.sendings.get(self.next).is_some_and(|sending| sending.arrival_ms <= now_ms)
    }

    /// When the view goes on; `None` when nothing more happens, or not before the simulation ends.
    fn goes_on_ms(&self, stop_ms: i64) -> Option<i64> {
        (!self.course.is_over() && self.story.now_ms <= stop_ms).then_some(self.story.now_ms)
    }

    /// Whether the view goes on before its next record arrives.
    pub fn goes_on_first(&self, stop_ms: i64) -> bool {
        let arrival_ms = self.sendings.get(self.next).map_or(i64::MAX, |sending| sending.arrival_ms);
        self.goes_on_ms(stop_ms).is_some_and(|now_ms| now_ms <= arrival_ms)
    }

    /// Takes the record that arrives next, and its event; `None` when there is none now. Those after it that do not arrive, as the
    /// simulation ends before, are left out: most of a view's when one is stopped.
    pub fn take_next(&mut self, stop_ms: i64) -> Option<(Sending, Item)> {
        let taken = *self.sendings.get(self.next)?;
        let story = &self.story;
        let still_arrives =
            |sending: &Sending| story.item(sending.item).is_some_and(|item| arrives(sending, item, stop_ms));
        let skipped = self.sendings.iter().skip(self.next + 1).position(still_arrives);
        self.next = skipped.map_or(self.sendings.len(), |skipped| self.next + 1 + skipped);
        Some((taken, self.story.send(taken.item)?))
    }

    /// How many records of it are planned.
    pub fn records(&self) -> u64 {
        self.sendings.len() as u64
    }

    /// All of it has been played.
    pub fn is_over(&self) -> bool {
        self.course.is_over()
    }
}

fn stretch(story: &mut Story, from: usize, is_last: bool, delay_ms: i64) -> Stretch<'_> {
    Stretch { items: &mut story.items, from, is_last, delay_ms, player: &story.player }
}

/// Whether a record arrives although the simulation ends then: an event that had happened does, at the end.
pub(crate) fn arrives(sending: &Sending, item: &Item, stop_ms: i64) -> bool {
    sending.arrival_ms <= stop_ms || (sending.form == Form::Event && item.ts_ms <= stop_ms)
}
