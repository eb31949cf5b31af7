//! The rules of the wire event: from a record taken apart to a valid event, or the first reason against it.

use crate::MAX_DURATION_S;
use crate::number::{epoch_us, is_integer, to_f64, usual_epoch_us};
use crate::parsed::{Field, Kind, Parsed, Value};
use crate::region::Region;
use crate::timestamp::{EARLIEST_US, MAX_AHEAD_US, parse_rfc3339};
use crate::vocabulary::{Correction, EventType, Reject};

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

const MAX_RATE: f64 = 16.0;

/// A valid event, its text borrowed from the record.
#[derive(Debug)]
pub struct Event<'a> {
    pub user_id: &'a str,
    pub video_id: &'a str,
    pub session_id: Option<&'a str>,
    pub event_type: EventType,
    pub event_ts_us: i64,
    pub position_s: Option<f64>,
    pub seek_from_s: Option<f64>,
    pub seek_to_s: Option<f64>,
    pub rate: Option<f64>,
    pub duration_s: Option<f64>,
    pub region: Option<Region>,
    pub device: Option<&'a str>,
    pub sequence: Option<i64>,
    pub event_id: Option<&'a str>,
    pub corrections: Corrections,
}

/// A set of corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrections(u8);

impl Corrections {
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn insert(&mut self, correction: Correction) {
        self.0 |= 1 << correction as u8;
    }

    /// The names, separated by commas, in the order of [`Correction::ALL`].
    pub fn write(self, out: &mut String) {
        for &correction in Correction::ALL {
            if self.0 >> correction as u8 & 1 == 1 {
                if !out.is_empty() {
                    out.push(',');
                }
                out.push_str(correction.as_str());
            }
        }
    }
}

/// Why a record is no event: the reason, the field, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reject,
    pub field: Field,
    pub fault: &'static str,
}

/// The record's fields, one after the other; each takes its value or names its reason.
struct Judge<'a> {
    record: &'a str,
    parsed: &'a Parsed,
}

/// Validates in the order of [`Reject::ALL`].
#[inline]
pub fn validate<'a>(record: &'a str, parsed: &'a Parsed, received_at_us: i64) -> Result<Event<'a>, Rejection> {
    let judge = Judge { record, parsed };
    judge.present(Field::UserId, Reject::MissingUserId)?;
    judge.present(Field::VideoId, Reject::MissingVideoId)?;
    judge.present(Field::Timestamp, Reject::MissingTimestamp)?;
    judge.present(Field::EventType, Reject::MissingEventType)?;
    let mut corrections = Corrections::default();
    Ok(Event {
        user_id: judge.id(Field::UserId, Reject::BadUserId)?,
        video_id: judge.id(Field::VideoId, Reject::BadVideoId)?,
        event_ts_us: judge.timestamp(received_at_us)?,
        event_type: judge.event_type()?,
        event_id: judge.event_id()?,
        session_id: judge.session_id()?,
        position_s: judge.position(Field::PositionS, Reject::BadPosition)?,
        seek_from_s: judge.position(Field::SeekFromS, Reject::BadSeek)?,
        seek_to_s: judge.position(Field::SeekToS, Reject::BadSeek)?,
        rate: judge.rate()?,
        duration_s: judge.corrected(Field::DurationS, Correction::DurationS, &mut corrections, duration),
        sequence: judge.corrected(Field::Sequence, Correction::Sequence, &mut corrections, sequence),
        region: judge.corrected(Field::Region, Correction::Region, &mut corrections, region),
        device: judge.corrected(Field::Device, Correction::Device, &mut corrections, device),
        corrections,
    })
}

/// The `user_id` that [`validate`] would give, whatever else is wrong with the record.
pub fn user_id<'a>(record: &'a str, parsed: &'a Parsed) -> Option<&'a str> {
    let judge = Judge { record, parsed };
    judge.present(Field::UserId, Reject::MissingUserId).and_then(|()| judge.id(Field::UserId, Reject::BadUserId)).ok()
}

impl<'a> Judge<'a> {
    #[inline(always)]
    fn get(&self, field: Field) -> (Value, &'a str) {
        let value = self.parsed.value(field);
        (value, self.parsed.text(self.record, value))
    }

    #[inline(always)]
    fn present(&self, field: Field, reason: Reject) -> Result<(), Rejection> {
        if self.parsed.value(field).kind == Kind::Absent {
            return Err(Rejection { reason, field, fault: "absent or null" });
        }
        Ok(())
    }

    /// A required id: trimmed of white space (Unicode's), 1..128 bytes, no control characters; or an integer's decimal text.
    #[inline]
    fn id(&self, field: Field, reason: Reject) -> Result<&'a str, Rejection> {
        let bad = |fault| Err(Rejection { reason, field, fault });
        let (value, text) = self.get(field);
        let text = match value.kind {
            Kind::Text | Kind::Unescaped => trim(text),
            Kind::Number if text == "-0" => "0",
            Kind::Number if is_integer(text) => text,
            _ => return bad("neither a string nor an integer"),
        };
        if text.is_empty() {
            return bad("empty");
        }
        if text.len() > MAX_ID_BYTES {
            return bad("longer than 128 bytes");
        }
        if has_control(text) {
            return bad("has a control character");
        }
        Ok(text)
    }

    #[inline]
    fn timestamp(&self, received_at_us: i64) -> Result<i64, Rejection> {
        let reject = |reason, fault| Err(Rejection { reason, field: Field::Timestamp, fault });
        let (value, text) = self.get(Field::Timestamp);
        let instant = match value.kind {
            Kind::Text | Kind::Unescaped => match parse_rfc3339(text) {
                Some(instant) => instant,
                None => return reject(Reject::BadTimestamp, "not RFC 3339 with an offset"),
            },
            Kind::Number => match usual_epoch_us(text).or_else(|| epoch_us(text)) {
                Some(instant) => instant,
                None => return reject(Reject::TimestampOutOfRange, "far from any valid time"),
            },
            _ => return reject(Reject::BadTimestamp, "neither a string nor a number"),
        };
        if instant < EARLIEST_US {
            return reject(Reject::TimestampOutOfRange, "before 2000-01-01");
        }
        if instant > received_at_us.saturating_add(MAX_AHEAD_US) {
            return reject(Reject::TimestampOutOfRange, "more than 24 h after arrival");
        }
        Ok(instant)
    }

    #[inline]
    fn event_type(&self) -> Result<EventType, Rejection> {
        let (value, text) = self.get(Field::EventType);
        let kind = if is_string(value) { EventType::parse(text) } else { None };
        kind.ok_or(Rejection { reason: Reject::UnknownEventType, field: Field::EventType, fault: "not an event type" })
    }

    #[inline]
    fn event_id(&self) -> Result<Option<&'a str>, Rejection> {
        let text = self.short_string(Field::EventId, Reject::BadEventId)?;
        if text == Some("") {
            return Err(Rejection { reason: Reject::BadEventId, field: Field::EventId, fault: "empty" });
        }
        Ok(text)
    }

    #[inline]
    fn session_id(&self) -> Result<Option<&'a str>, Rejection> {
        Ok(self.short_string(Field::SessionId, Reject::BadSessionId)?.filter(|text| !text.is_empty()))
    }

    /// An optional string of up to 128 bytes, as it is.
    #[inline]
    fn short_string(&self, field: Field, reason: Reject) -> Result<Option<&'a str>, Rejection> {
        let (value, text) = self.get(field);
        match value.kind {
            Kind::Absent => Ok(None),
            Kind::Text | Kind::Unescaped if text.len() <= MAX_ID_BYTES => Ok(Some(text)),
            Kind::Text | Kind::Unescaped => Err(Rejection { reason, field, fault: "longer than 128 bytes" }),
            _ => Err(Rejection { reason, field, fault: "not a string" }),
        }
    }

    #[inline]
    fn position(&self, field: Field, reason: Reject) -> Result<Option<f64>, Rejection> {
        self.number(field, reason, |value| (0.0..MAX_DURATION_S).contains(&value), "not from 0 to below 1000000")
    }

    #[inline]
    fn rate(&self) -> Result<Option<f64>, Rejection> {
        self.number(
            Field::Rate,
            Reject::BadRate,
            |value| value > 0.0 && value <= MAX_RATE,
            "not above 0 and at most 16",
        )
    }

    #[inline]
    fn number(
        &self,
        field: Field,
        reason: Reject,
        valid: impl Fn(f64) -> bool,
        fault: &'static str,
    ) -> Result<Option<f64>, Rejection> {
        let (value, text) = self.get(field);
        match value.kind {
            Kind::Absent => Ok(None),
            Kind::Number => {
                let number = to_f64(text);
                if valid(number) { Ok(Some(number)) } else { Err(Rejection { reason, field, fault }) }
            }
            _ => Err(Rejection { reason, field, fault: "not a number" }),
        }
    }

    /// A field whose bad value becomes null, which is noted.
    #[inline]
    fn corrected<T>(
        &self,
        field: Field,
        correction: Correction,
        corrections: &mut Corrections,
        take: impl Fn(Value, &'a str) -> Option<T>,
    ) -> Option<T> {
        let (value, text) = self.get(field);
        if value.kind == Kind::Absent {
            return None;
        }
        let taken = take(value, text);
        if taken.is_none() {
            corrections.insert(correction);
        }
        taken
    }
}

fn duration(value: Value, text: &str) -> Option<f64> {
    let number = if value.kind == Kind::Number { to_f64(text) } else { return None };
    (number > 0.0 && number <= MAX_DURATION_S).then_some(number)
}

/// An integer from 0 to `i64::MAX`, written without fraction and exponent.
fn sequence(value: Value, text: &str) -> Option<i64> {
    if value.kind == Kind::Number { text.parse().ok().filter(|&number| number >= 0) } else { None }
}

fn region(value: Value, text: &str) -> Option<Region> {
    if is_string(value) { Region::parse(text) } else { None }
}

fn device(value: Value, text: &str) -> Option<&str> {
    is_string(value).then_some(text)
}

#[inline(always)]
fn is_string(value: Value) -> bool {
    matches!(value.kind, Kind::Text | Kind::Unescaped)
}

#[inline(always)]
fn trim(text: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if plain(text.as_bytes().first()) && plain(text.as_bytes().last()) { text } else { text.trim() }
}

/// Whether there is a character of Unicode's category Cc.
#[inline(always)]
fn has_control(text: &str) -> bool {
    let plain = text.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
    !plain && text.chars().any(char::is_control)
}
