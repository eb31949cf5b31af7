//! Who is watching now: users whose newest event within a minute neither pauses nor ends, by event times.
//!
//! Memory is bounded: at most [`MOST_USERS`] users (27 MB) and [`MOST_VIDEOS`] videos (25 MB with the longest ids) are remembered.
//! Further users are not looked at until others have been silent for a minute, so that the number is a lower bound then;
//! viewers of further videos count, but not by video.

use std::collections::HashMap;
use std::sync::Arc;

use streamreel_event::EventType;
use xxhash_rust::xxh3::xxh3_64;

/// Users that are remembered.
pub(crate) const MOST_USERS: usize = 900_000;
/// Videos that are told apart.
pub(crate) const MOST_VIDEOS: usize = 100_000;
/// The slot of all other videos.
const OTHERS: u32 = 0;
/// Who has been silent for longer is not watching.
const SILENCE_US: i64 = 60_000_000;

/// A user's newest event. Users are known by a hash of 64 bits; the chance that any two share one is below 1e-7 at the bound.
#[derive(Debug, Clone, Copy)]
struct Newest {
    at_us: i64,
    video: u32,
    is_watching: bool,
}

/// A video that somebody's newest event is of.
#[derive(Debug)]
struct Video {
    id: Arc<str>,
    users: u32,
    viewers: u32,
}

/// Viewers, in all and by video.
#[derive(Debug)]
pub(crate) struct Viewers {
    users: HashMap<u64, Newest>,
    /// Slots, [`OTHERS`] first; those without users are in `free`.
    videos: Vec<Video>,
    free: Vec<u32>,
    slots: HashMap<Arc<str>, u32>,
    watching: u64,
}

impl Default for Viewers {
    fn default() -> Self {
        let others = Video { id: "".into(), users: 0, viewers: 0 };
        Self { users: HashMap::new(), videos: vec![others], free: Vec::new(), slots: HashMap::new(), watching: 0 }
    }
}

impl Viewers {
    /// Takes a clean event, in the order of the topic. Times in microseconds; one in the future is taken as now.
    pub(crate) fn see(&mut self, user_id: &str, video_id: &str, kind: EventType, event_us: i64, now_us: i64) {
        let at_us = event_us.min(now_us);
        if now_us - at_us > SILENCE_US {
            return;
        }
        let user = xxh3_64(user_id.as_bytes());
        let known = self.users.get(&user).copied();
        if known.is_some_and(|known| known.at_us > at_us) || (known.is_none() && self.users.len() >= MOST_USERS) {
            return;
        }
        if let Some(known) = known {
            self.leave(known);
        }
        let is_watching = !matches!(kind, EventType::Pause | EventType::Ended);
        let newest = Newest { at_us, video: self.enter(video_id, is_watching), is_watching };
        self.users.insert(user, newest);
    }

    /// Forgets who has been silent for a minute.
    pub(crate) fn forget_silent(&mut self, now_us: i64) {
        let mut gone = Vec::new();
        self.users.retain(|_, newest| {
            let stays = now_us - newest.at_us <= SILENCE_US;
            if !stays {
                gone.push(*newest);
            }
            stays
        });
        gone.into_iter().for_each(|newest| self.leave(newest));
    }

    /// Viewers in all.
    pub(crate) fn watching(&self) -> u64 {
        self.watching
    }

    /// The videos with most viewers, ties by id.
    pub(crate) fn top(&self, most: usize) -> Vec<(Arc<str>, u32)> {
        let mut all: Vec<&Video> = self.videos.iter().skip(1).filter(|video| video.viewers > 0).collect();
        let order = |a: &&Video, b: &&Video| b.viewers.cmp(&a.viewers).then_with(|| a.id.cmp(&b.id));
        if all.len() > most {
            all.select_nth_unstable_by(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all.into_iter().map(|video| (Arc::clone(&video.id), video.viewers)).collect()
    }

    fn enter(&mut self, id: &str, is_watching: bool) -> u32 {
        let slot = match self.slots.get(id) {
            Some(slot) => *slot,
            None if self.slots.len() >= MOST_VIDEOS => OTHERS,
            None => self.new_slot(id.into()),
        };
        let video = &mut self.videos[slot as usize];
        video.users += 1;
        video.viewers += u32::from(is_watching);
        self.watching += u64::from(is_watching);
        slot
    }

    fn new_slot(&mut self, id: Arc<str>) -> u32 {
        let video = Video { id: Arc::clone(&id), users: 0, viewers: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.videos[slot as usize] = video;
                slot
            }
            None => {
                self.videos.push(video);
                // There are no more videos than users, far below 2^32.
                self.videos.len() as u32 - 1
            }
        };
        self.slots.insert(id, slot);
        slot
    }

    fn leave(&mut self, newest: Newest) {
        let video = &mut self.videos[newest.video as usize];
        video.users -= 1;
        video.viewers -= u32::from(newest.is_watching);
        self.watching -= u64::from(newest.is_watching);
        if video.users == 0 && newest.video != OTHERS {
            self.slots.remove(&video.id);
            self.free.push(newest.video);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_571_200_000_000;

    fn seconds(s: i64) -> i64 {
        s * 1_000_000
    }

    fn all(viewers: &Viewers) -> Vec<(String, u32)> {
        viewers.top(20).into_iter().map(|(id, count)| (id.to_string(), count)).collect()
    }

    #[test]
    fn the_newest_event_decides() {
        use EventType::{Ended, Heartbeat, Pause, Play, Seek};
        type Case<'a> = (&'a [(&'a str, &'a str, EventType, i64)], &'a [(&'a str, u32)]);
        let cases: [Case; 8] = [
            (&[], &[]),
            (&[("u", "v", Play, -1), ("w", "v", Heartbeat, -2), ("x", "a", Seek, -3)], &[("v", 2), ("a", 1)]),
            (&[("u", "v", Play, -5), ("u", "v", Pause, -4)], &[]),
            (&[("u", "v", Pause, -4), ("u", "v", Play, -5)], &[]),
            (&[("u", "v", Ended, -4), ("u", "w", Play, -4)], &[("w", 1)]),
            (&[("u", "v", Play, -4), ("u", "w", Play, -2)], &[("w", 1)]),
            (&[("u", "v", Play, -61), ("w", "v", Play, -60)], &[("v", 1)]),
            (&[("u", "v", Play, 3600)], &[("v", 1)]),
        ];
        for (events, expected) in cases {
            let mut viewers = Viewers::default();
            for (user, video, kind, at) in events {
                viewers.see(user, video, *kind, NOW + seconds(*at), NOW);
            }
            let expected: Vec<(String, u32)> = expected.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect();
            assert_eq!(all(&viewers), expected, "{events:?}");
            assert_eq!(viewers.watching(), expected.iter().map(|(_, n)| u64::from(*n)).sum::<u64>());
        }
    }

    #[test]
    fn the_silent_are_forgotten_and_their_room_is_used_again() {
        let mut viewers = Viewers::default();
        for round in 0..50 {
            let now = NOW + seconds(round * 100);
            for user in 0..1000 {
                viewers.see(&format!("u{user}"), &format!("v{round}-{}", user % 10), EventType::Play, now, now);
            }
            assert_eq!(viewers.watching(), 1000);
            viewers.forget_silent(now + seconds(60));
            assert_eq!(viewers.watching(), 1000);
            viewers.forget_silent(now + seconds(61));
            assert_eq!((viewers.watching(), viewers.users.len(), viewers.slots.len()), (0, 0, 0));
        }
        assert_eq!(viewers.videos.len(), 1 + 10);
    }

    #[test]
    fn memory_is_bounded() {
        let mut viewers = Viewers::default();
        for user in 0..MOST_USERS + 1000 {
            viewers.see(&user.to_string(), &(user / 2).to_string(), EventType::Play, NOW, NOW);
        }
        assert_eq!((viewers.videos.len(), viewers.slots.len()), (1 + MOST_VIDEOS, MOST_VIDEOS));
        assert!(viewers.top(20).iter().all(|(id, count)| !id.is_empty() && *count == 2), "others are no video");
        assert_eq!(viewers.watching(), MOST_USERS as u64);
        viewers.see("0", "v", EventType::Pause, NOW, NOW);
        assert_eq!(viewers.watching(), MOST_USERS as u64 - 1, "those that are known are followed on");
    }
}
