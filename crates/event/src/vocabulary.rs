//! The closed vocabularies of the wire event: kinds of event, reasons to reject, corrections.

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All members, in the order in which they are declared.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The name on the wire and in tables.
            #[inline]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

vocabulary! {
    /// What a player reported.
    EventType {
        /// Playback starts or goes on.
        Play = "play",
        /// Playback stops at a position.
        Pause = "pause",
        /// The playhead was moved.
        Seek = "seek",
        /// Playback is going on; the player says where it is.
        Heartbeat = "heartbeat",
        /// The video played to its end.
        Ended = "ended",
        /// A player was created.
        Load = "load",
        /// The playback rate changed.
        RateChange = "rate_change",
        /// Playback stalls for want of data.
        BufferStart = "buffer_start",
        /// The stall is over.
        BufferEnd = "buffer_end",
        /// Another rendition is played.
        QualityChange = "quality_change",
        /// The player reported an error.
        Error = "error",
    }
}

vocabulary! {
    /// Why a record is not a clean event. Declared in order of precedence: the first that applies is the reason.
    Reject {
        /// Longer than [`crate::MAX_RECORD_BYTES`], or cut to it on its way in.
        TooLarge = "too_large",
        /// Not UTF-8.
        InvalidUtf8 = "invalid_utf8",
        /// Not exactly one JSON text (RFC 8259).
        NotJson = "not_json",
        /// JSON, but no object.
        NotAnObject = "not_an_object",
        /// `user_id` is absent or `null`.
        MissingUserId = "missing_user_id",
        /// `video_id` is absent or `null`.
        MissingVideoId = "missing_video_id",
        /// `timestamp` is absent or `null`.
        MissingTimestamp = "missing_timestamp",
        /// `event_type` is absent or `null`.
        MissingEventType = "missing_event_type",
        /// `user_id` is no string of 1..128 bytes without control characters, and no integer.
        BadUserId = "bad_user_id",
        /// As [`Reject::BadUserId`], for `video_id`.
        BadVideoId = "bad_video_id",
        /// `timestamp` is neither RFC 3339 with an offset nor a number.
        BadTimestamp = "bad_timestamp",
        /// `timestamp` is before 2000-01-01 or more than 24 h after arrival.
        TimestampOutOfRange = "timestamp_out_of_range",
        /// `event_type` is none of [`EventType::ALL`].
        UnknownEventType = "unknown_event_type",
        /// `event_id` is no string of 1..128 bytes.
        BadEventId = "bad_event_id",
        /// `session_id` is no string of up to 128 bytes.
        BadSessionId = "bad_session_id",
        /// `position_s` is no number from 0 to below 1e6.
        BadPosition = "bad_position",
        /// `seek_from_s` or `seek_to_s` is no number from 0 to below 1e6.
        BadSeek = "bad_seek",
        /// `rate` is no number above 0 and at most 16.
        BadRate = "bad_rate",
    }
}

vocabulary! {
    /// A field whose bad value became `null` while the event was kept.
    Correction {
        /// Not a number above 0 and at most 1e6.
        DurationS = "duration_s",
        /// Not an integer from 0 to `i64::MAX`.
        Sequence = "sequence",
        /// Not an ISO 3166-1 alpha-2 or ISO 3166-2 code.
        Region = "region",
        /// Not a string.
        Device = "device",
    }
}

impl EventType {
    /// The kind with this name, in any (ASCII) letter case; no surrounding space.
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        // Players send the names as they are: those are told apart by length and one letter before any comparison.
        let guess = match (text.len(), text.as_bytes().first()?) {
            (4, b'p') => Self::Play,
            (4, b's') => Self::Seek,
            (4, b'l') => Self::Load,
            (5, b'p') => Self::Pause,
            (5, b'e') => match text.as_bytes()[1] {
                b'n' => Self::Ended,
                _ => Self::Error,
            },
            (9, b'h') => Self::Heartbeat,
            (10, b'b') => Self::BufferEnd,
            (11, b'r') => Self::RateChange,
            (12, b'b') => Self::BufferStart,
            (14, b'q') => Self::QualityChange,
            _ => return Self::parse_any_case(text),
        };
        if text == guess.as_str() { Some(guess) } else { Self::parse_any_case(text) }
    }

    #[cold]
    fn parse_any_case(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

impl Reject {
    /// The reason with exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

impl Correction {
    /// The correction with exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|correction| correction.as_str() == text)
    }

    /// The names of a `corrections` column's value, which are separated by commas. Names that this version does not know are left out.
    pub fn parse_list(text: &str) -> impl Iterator<Item = Self> + '_ {
        text.split(',').filter_map(Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for &kind in EventType::ALL {
            let upper = kind.as_str().to_ascii_uppercase();
            assert_eq!(EventType::parse(kind.as_str()), Some(kind));
            assert_eq!(EventType::parse(&upper), Some(kind));
            assert_eq!(EventType::parse(&format!("{} ", kind.as_str())), None);
        }
        for text in ["", "p", "Plays", "paus\u{e9}", "e", "ERR0R", "\u{212a}", "seel"] {
            assert_eq!(EventType::parse(text), None, "{text}");
        }
        for &reason in Reject::ALL {
            assert_eq!(Reject::parse(reason.as_str()), Some(reason));
        }
        let all: Vec<_> = Correction::parse_list("duration_s,sequence,later,region,device").collect();
        assert_eq!(all, Correction::ALL);
    }

    #[test]
    fn reasons_stand_in_order_of_precedence() {
        assert!(Reject::ALL.is_sorted());
        assert!(Reject::TooLarge < Reject::NotJson && Reject::BadSeek < Reject::BadRate);
    }
}
