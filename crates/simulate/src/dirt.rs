//! What goes wrong on the way: copies, late and disordered arrival, loss, fields written wrongly, and records that are no
//! events. All of it is planted beside the true events and known by kind.

use streamreel_event::{Correction, MAX_RECORD_BYTES, Reject};

use crate::audience::{Player, Stamp};
use crate::dice::{Dice, Share, mix};
use crate::settings::Settings;
use crate::story::Item;
use crate::wire::{self, Head};

/// What a record on the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// A true event.
    Event,
    /// A copy that arrives soon after the one before.
    NearCopy,
    /// A copy that arrives long after.
    FarCopy,
    /// Made of an event, but to be rejected.
    Reject(Reject),
}

/// A record to be sent: when it arrives, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sending {
    pub arrival_ms: i64,
    /// Number of the true event.
    pub item: u32,
    pub form: Form,
}

/// Copies come at most so long after the original, or at least [`FAR_MS`] after it: on either side of the ten minutes
/// within which copies are looked for.
const NEAR_MS: u32 = 5 * 60_000;
const FAR_MS: u32 = 16 * 60_000;
const MOST_FAR_MS: u32 = 70 * 60_000;
const MOST_LATE_MS: u32 = 8 * 3_600_000;
/// An event is called late from here on.
pub(crate) const LATE_MS: i64 = 10 * 60_000;

/// Events of a view that are new.
pub(crate) struct Stretch<'a> {
    /// The events of the view so far, those that it still has; the last before the new ones is always there.
    pub items: &'a mut [Item],
    /// The first new one.
    pub from: usize,
    /// No more events follow.
    pub is_last: bool,
    /// See [`Dirt::delay_ms`].
    pub delay_ms: i64,
    pub player: &'a Player,
}

/// How much goes wrong.
pub(crate) struct Dirt {
    /// Dirty records for a true event: so many for certain, and one more with that share.
    whole: u32,
    part: Share,
    loss: Share,
    disorder: Share,
    late: Share,
    offline: Share,
    flaw: Share,
    jitter: bool,
}

impl Dirt {
    pub fn new(settings: &Settings) -> Self {
        let ratio = settings.dirt_ratio;
        let per_event = ratio / (1.0 - ratio);
        Self {
            whole: per_event as u32,
            part: Share::of(per_event.fract()),
            loss: Share::of(settings.loss_ratio),
            disorder: Share::of(ratio),
            late: Share::of(ratio / 80.0),
            offline: Share::of(ratio / 10.0),
            flaw: Share::of(ratio / 4.0),
            jitter: ratio > 0.0,
        }
    }

    /// How long whatever the player of a view sends is on its way at least.
    pub fn delay_ms(&self, dice: &mut Dice) -> i64 {
        let network_ms = dice.wait(20, 350);
        let offline_ms = if dice.share(self.offline) { dice.wait(20 * 60_000, MOST_LATE_MS) } else { 0 };
        network_ms + offline_ms
    }

    /// Plans how the events of a stretch arrive, beside what is planned already and in the order of arrival, and marks those
    /// that are lost or written wrongly.
    pub fn plan(&self, stretch: Stretch<'_>, dice: &mut Dice, sendings: &mut Vec<Sending>) {
        let Stretch { items, from, is_last, delay_ms, player } = stretch;
        for index in from..items.len() {
            if dice.share(self.loss) {
                items[index].lost = true;
                continue;
            }
            let mut arrival_ms = items[index].ts_ms + delay_ms;
            if self.jitter {
                arrival_ms += dice.wait(0, 120);
                if dice.share(self.disorder) {
                    arrival_ms += dice.wait(1_000, 40_000);
                }
                if dice.share(self.late) {
                    arrival_ms += dice.wait(11 * 60_000, MOST_LATE_MS);
                }
            }
            let item = items[index].number;
            sendings.push(Sending { arrival_ms, item, form: Form::Event });
            let dirty = self.whole + u32::from(dice.share(self.part));
            let mut has_far_copy = false;
            for _ in 0..dirty {
                let sending = dirty_record(arrival_ms, item, player, has_far_copy, dice);
                has_far_copy |= sending.form == Form::FarCopy;
                sendings.push(sending);
            }
            items[index].to_send = 1 + dirty as u16;
            if dirty == 0 && dice.share(self.flaw) {
                items[index].flaw = flaw(items, index, is_last, player, dice);
            }
        }
        sendings.sort_unstable();
    }

    /// Plans a view whose events all arrive as they are.
    pub fn plan_clean(items: &mut [Item], sendings: &mut Vec<Sending>) {
        sendings.clear();
        for item in items {
            item.to_send = 1;
            sendings.push(Sending { arrival_ms: item.ts_ms + 60, item: item.number, form: Form::Event });
        }
    }
}

fn dirty_record(arrival_ms: i64, item: u32, player: &Player, has_far_copy: bool, dice: &mut Dice) -> Sending {
    match dice.between(0, 99) {
        0..=44 => Sending { arrival_ms: arrival_ms + dice.wait(40, NEAR_MS), item, form: Form::NearCopy },
        45..=54 if !has_far_copy => {
            Sending { arrival_ms: arrival_ms + dice.wait(FAR_MS, MOST_FAR_MS), item, form: Form::FarCopy }
        }
        _ => {
            let reason = reason(player, dice);
            Sending { arrival_ms: arrival_ms + dice.wait(0, 2_000), item, form: Form::Reject(reason) }
        }
    }
}

/// A reason to reject; records over the size limit are rare, as each is worth 150 others in bytes.
fn reason(player: &Player, dice: &mut Dice) -> Reject {
    loop {
        let reason = Reject::ALL[dice.below(Reject::ALL.len() as u64) as usize];
        let fits = match reason {
            Reject::TooLarge => dice.chance(150),
            // players that send the required fields only know only those
            Reject::BadEventId => player.event_id,
            Reject::BadSessionId => player.session,
            Reject::BadPosition | Reject::BadSeek | Reject::BadRate => player.positions,
            _ => true,
        };
        if fits {
            return reason;
        }
    }
}

/// A field that this event can carry wrongly without any number changing: never a `sequence` that decides an order.
fn flaw(items: &[Item], index: usize, is_last: bool, player: &Player, dice: &mut Dice) -> Option<Correction> {
    let here = items[index].ts_ms;
    let is_elsewhen = |other: &Item| other.ts_ms != here;
    let alone = (index == 0 || is_elsewhen(&items[index - 1])) && items.get(index + 1).map_or(is_last, is_elsewhen);
    let field = Correction::ALL[dice.below(Correction::ALL.len() as u64) as usize];
    let sent = match field {
        Correction::DurationS => player.duration,
        Correction::Sequence => player.sequence && alone,
        Correction::Region | Correction::Device => player.place,
    };
    sent.then_some(field)
}

/// True if the record still says whose it is.
pub(crate) fn has_key(form: Form) -> bool {
    !matches!(
        form,
        Form::Reject(
            Reject::TooLarge
                | Reject::InvalidUtf8
                | Reject::NotJson
                | Reject::NotAnObject
                | Reject::MissingUserId
                | Reject::BadUserId
        )
    )
}

/// Writes an event with one field that has to be corrected.
pub(crate) fn write_flawed(
    head: &Head,
    player: &Player,
    item: &Item,
    index: u32,
    field: Correction,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    wire::event(head, player, item, index, out);
    let lot = head.event_id(index);
    let value: &[u8] = match field {
        Correction::DurationS => pick(lot, &[b"-1", b"0", b"\"unknown\"", b"99999999"]),
        Correction::Sequence => pick(lot, &[b"-1", b"1.5", b"\"7\""]),
        Correction::Region => pick(lot, &[b"\"Narnia\"", b"\"\"", b"49", b"\"EU-WEST-1\""]),
        Correction::Device => pick(lot, &[b"17", b"true", b"[\"tv\"]"]),
    };
    replace(out, start, field.as_str(), Some(value));
}

/// Writes a record that is to be rejected for that reason and no other, made of an event.
pub(crate) fn write_reject(head: &Head, player: &Player, item: &Item, index: u32, reason: Reject, out: &mut Vec<u8>) {
    let start = out.len();
    // its own id: it never happened
    wire::event(head, &Player { stamp: Stamp::Utc, ..*player }, item, index | 0x8_0000, out);
    let lot = mix(head.event_id(index) ^ reason as u64);
    let long = [&b"\""[..], &[b'x'; 129], b"\""].concat();
    let bad_text: &[u8] = pick(lot, &[b"\"\"", b"\"   \"", b"true", b"3.5", b"[]", b"{}", b"\"a\\u0007b\""]);
    let bad_number: &[u8] = pick(lot, &[b"-3", b"\"12\"", b"1000000", b"true"]);
    let (field, value) = match reason {
        Reject::TooLarge | Reject::InvalidUtf8 | Reject::NotJson | Reject::NotAnObject => {
            return write_broken(reason, lot, start, out);
        }
        Reject::MissingUserId => ("user_id", missing(lot)),
        Reject::MissingVideoId => ("video_id", missing(lot)),
        Reject::MissingTimestamp => ("timestamp", missing(lot)),
        Reject::MissingEventType => ("event_type", missing(lot)),
        Reject::BadUserId => ("user_id", Some(bad_text)),
        Reject::BadVideoId => ("video_id", Some(if lot & 8 == 0 { bad_text } else { &long[..] })),
        Reject::BadTimestamp => (
            "timestamp",
            Some(pick(
                lot,
                &[b"\"yesterday\"", b"\"2026-01-05T19:04:11\"", b"\"2026-13-05T19:04:11Z\"", b"true", b"\"\""],
            )),
        ),
        Reject::TimestampOutOfRange => (
            "timestamp",
            Some(pick(
                lot,
                &[b"\"1999-12-31T23:59:59.999Z\"", b"\"2199-01-01T00:00:00Z\"", b"946684799", b"7226582400000"],
            )),
        ),
        Reject::UnknownEventType => {
            ("event_type", Some(pick(lot, &[b"\"scroll\"", b"\"playing\"", b"\"heart beat\"", b"\"ad_start\""])))
        }
        Reject::BadEventId => ("event_id", Some(if lot & 8 == 0 { b"[1]" } else { &long[..] })),
        Reject::BadSessionId => ("session_id", Some(if lot & 8 == 0 { b"{}" } else { &long[..] })),
        Reject::BadPosition => ("position_s", Some(bad_number)),
        Reject::BadSeek => (if lot & 8 == 0 { "seek_from_s" } else { "seek_to_s" }, Some(bad_number)),
        Reject::BadRate => ("rate", Some(pick(lot, &[b"0", b"-1", b"16.5", b"\"fast\""]))),
    };
    replace(out, start, field, value);
}

/// A record that is no JSON object at all, or too long to look at.
fn write_broken(reason: Reject, lot: u64, start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    match reason {
        Reject::TooLarge => {
            out.pop();
            out.extend_from_slice(b",\"log\":\"");
            let missing = (start + MAX_RECORD_BYTES).saturating_sub(out.len()) + 1 + (lot % 500) as usize;
            out.resize(out.len() + missing, b'.');
            out.extend_from_slice(b"\"}");
        }
        Reject::InvalidUtf8 => {
            out.pop();
            out.extend_from_slice(b",\"title\":\"caf\xe9\"}");
        }
        Reject::NotAnObject => match lot % 3 {
            0 => {
                out.insert(start, b'[');
                out.push(b']');
            }
            1 => out.splice(start.., *b"\"play\"").for_each(drop),
            _ => out.splice(start.., *b"42").for_each(drop),
        },
        _ => match lot % 4 {
            0 => out.truncate(start + 1 + (end - start - 2) / 2),
            1 => out.truncate(end - 1),
            2 => out.push(b'}'),
            _ => out.splice(end - 1.., *b",\"volume\":NaN}").for_each(drop),
        },
    }
}

/// An absent field, or `null`.
fn missing(lot: u64) -> Option<&'static [u8]> {
    if lot & 16 == 0 { None } else { Some(b"null") }
}

fn pick<'a>(lot: u64, values: &[&'a [u8]]) -> &'a [u8] {
    values[((lot >> 32) % values.len() as u64) as usize]
}

/// Replaces the value of a field of the record that begins at `start`; `None` takes the field out. A field that is not
/// there is added. No value that the simulator writes has a comma or a brace in it.
fn replace(out: &mut Vec<u8>, start: usize, field: &str, value: Option<&[u8]>) {
    let record = &out[start..];
    let name = [b"\"", field.as_bytes(), b"\":"].concat();
    let found = record.windows(name.len()).position(|window| window == name);
    let Some(at) = found.map(|at| at + start) else {
        if let Some(value) = value {
            out.pop();
            out.push(b',');
            out.extend_from_slice(&name);
            out.extend_from_slice(value);
            out.push(b'}');
        }
        return;
    };
    let value_at = at + name.len();
    let end =
        out[value_at..].iter().position(|byte| matches!(byte, b',' | b'}')).map_or(out.len(), |end| value_at + end);
    match value {
        Some(value) => out.splice(value_at..end, value.iter().copied()).for_each(drop),
        // with the comma behind it, or, at the end, the one before it
        None if out[end] == b',' => out.drain(at..=end).for_each(drop),
        None => out.drain(at - 1..end).for_each(drop),
    }
}
