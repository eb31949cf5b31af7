//! Every drop and correction, counted by name.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What was dropped and corrected, by name. They sum.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: i64,)+
            /// Wall seconds played at a place that no later position told.
            pub unplaced_s: f64,
        }

        impl Counters {
            /// The names of the counts, in the order of [`Counters::counts`]; `unplaced_s` comes after them.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The counts, in the order of [`Counters::NAMES`].
            pub fn counts(&self) -> impl Iterator<Item = i64> + '_ {
                [$(self.$name),+].into_iter()
            }

            /// Adds another's counts to these.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
                self.unplaced_s += other.unplaced_s;
            }
        }
    };
}

counters! {
    /// Second copies of an event, dropped.
    late_duplicates,
    /// Plays while Playing at an impossible position: the player restarted.
    restarts,
    /// Heartbeats that proved a lost `play`.
    implied_plays,
    /// Plays that still had the position before the seek; read as a play where the seek went.
    stale_plays,
    /// Seeks whose `from` only echoed their `to`; it was read as unknown.
    echoed_seeks,
    /// Impossible positions while Playing: seeks that the player did not report.
    unreported_seeks,
    /// Positions up to 2 s behind the evidence; they moved nothing back.
    rounded_back,
    /// Stretches without evidence longer than `max_unproven_s`, cut to it.
    capped_unproven,
    /// Views left playing at their end.
    open_plays,
    /// Segments of open plays that were dropped, as the setting says.
    open_plays_dropped,
    /// Segments longer than 0 that ended: the credited ones + `open_plays_dropped` + `begins_beyond_duration` + `too_short`.
    segments_ended,
    /// Segments of which more than 1 s lies beyond the duration.
    beyond_duration,
    /// Segments that begin at or beyond the duration, dropped.
    begins_beyond_duration,
    /// Views whose player gave a duration more than 1 s off the metadata's.
    duration_conflicts,
    /// Segments longer than 0 but shorter than 0.25 s, dropped.
    too_short,
}
