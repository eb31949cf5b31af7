//! A second implementation of the core rules, deliberately naive: nothing is incremental. A view is a list of runs, a run
//! is a list of facts ("known at this time to be at this position"), and every question is answered by walking over the
//! whole list again. Slow, and built unlike the state machine so that the two can disagree.

use streamreel_event::EventType::{self, *};
use streamreel_viewing::ViewEvent;

/// A position and when it held; `span` is wall seconds since the fact before (capped), at `rate`.
#[derive(Clone, Debug)]
struct Known {
    at: f64,
    position: f64,
    span: f64,
    rate: f64,
}

/// Either known places, or a place to be found out.
#[derive(Clone, Debug)]
enum Run {
    Known(Vec<Known>),
    /// (since, rate from then on) ...
    Somewhere(Vec<(f64, f64)>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Result {
    /// (start, end, playing time)
    pub segments: Vec<(f64, f64, f64)>,
    pub unplaced_s: f64,
    pub restarts: i64,
    pub implied_plays: i64,
    pub unreported_seeks: i64,
    pub stale_plays: i64,
    pub too_short: i64,
    pub beyond_duration: i64,
    pub has_play: bool,
    pub seeks_after_half: usize,
    /// Which events implied a play.
    implied_at: Vec<usize>,
}

const CAP: f64 = 4.0 * 3600.0;
const E: f64 = 1e-6;

pub fn reduce(events: &[ViewEvent], metadata: Option<f64>) -> Result {
    let mut out = Result::default();
    let duration = metadata.or(events.iter().filter_map(|e| e.duration_s).next_back());
    let mut run: Option<Run> = None;
    let mut resting: Option<(f64, f64)> = None; // (position, since) while not playing
    for (i, e) in events.iter().enumerate() {
        let before = &events[..i];
        let now = time(e);
        let rate = before.iter().rev().find_map(|b| b.rate).unwrap_or(1.0);
        let mut p = e.position_s;
        if e.kind == Play
            && let Some(to) = stale(before, p)
        {
            out.stale_plays += 1;
            p = Some(to);
        }
        let mut to = None;
        if e.kind == Seek {
            let from;
            (from, to) = seek_ends(e);
            p = from;
            let leaves = from.or_else(|| match &run {
                Some(Run::Known(known)) => Some(expected(known, before, now, rate)),
                Some(Run::Somewhere(_)) => None,
                None => resting.map(|r| r.0),
            });
            if let (Some(l), Some(d)) = (leaves, duration)
                && l >= d / 2.0 - E
            {
                out.seeks_after_half += 1;
            }
        }
        let Some(mut current) = run.take() else {
            run = start(e, p, to, now, rate, before, &mut resting, &mut out);
            continue;
        };
        // What the event says about the playback so far.
        if e.kind == Ended
            && let Some(d) = duration
        {
            let at_end = p.is_none_or(|p| (p - d).abs() <= 2.0 + E);
            if at_end && is_possible(&current, d, now, rate) {
                p = Some(d);
            }
        }
        let is_possible = p.is_none_or(|p| is_possible(&current, p, now, rate));
        match (e.kind, p) {
            (Load, _) => {
                finish(&current, now, duration, &mut out);
                resting = e.position_s.map(|p| (p, now));
                continue;
            }
            (Play, Some(p)) if !is_possible => {
                out.restarts += 1;
                finish(&current, now, duration, &mut out);
                run = Some(begin(p, now, rate));
                out.has_play = true;
                continue;
            }
            (_, Some(p)) if !is_possible => {
                out.unreported_seeks += 1;
                let Run::Known(known) = &current else { unreachable!("anything is possible somewhere") };
                let since = known.last().unwrap().at;
                finish(&current, now, duration, &mut out);
                current = found(&[(since, rate)], p, now);
            }
            (_, Some(p)) => current = told(current, p, now, rate),
            (Pause | Seek | Ended | Heartbeat | RateChange | BufferStart, None) => {
                current = supposed(current, before, now, rate);
            }
            (_, None) => {
                let changes = e.rate.is_some_and(|r| (r - rate).abs() > E);
                if changes {
                    current = supposed(current, before, now, rate);
                }
            }
        }
        if let (Run::Somewhere(stretches), Some(r)) = (&mut current, e.rate)
            && let Some(last) = stretches.last_mut()
            && last.0 == now
        {
            last.1 = r;
        }
        match e.kind {
            Pause | Ended => {
                finish(&current, now, duration, &mut out);
                if let Run::Known(known) = &current {
                    resting = known.last().map(|k| (k.position, now));
                }
            }
            Seek => {
                finish(&current, now, duration, &mut out);
                if let Run::Known(known) = &current {
                    resting = known.last().map(|k| (k.position, now));
                }
                run = Some(match to {
                    Some(to) => begin(to, now, rate),
                    None => Run::Somewhere(vec![(now, e.rate.unwrap_or(rate))]),
                });
            }
            _ => run = Some(current),
        }
    }
    if let Some(run) = run {
        finish(&run, events.last().map_or(0.0, time), duration, &mut out);
    }
    out
}

fn time(e: &ViewEvent) -> f64 {
    e.ts_us as f64 / 1e6
}

/// `from` that says nothing is unknown; `position_s` stands in for `to`.
fn seek_ends(e: &ViewEvent) -> (Option<f64>, Option<f64>) {
    let to = e.seek_to_s.or(e.position_s);
    let from = match (e.seek_from_s, to) {
        (Some(f), Some(t)) if (f - t).abs() <= 0.25 + E => None,
        (from, _) => from,
    };
    (from, to)
}

/// Rule 4, by looking back from the play to what came last.
fn stale(before: &[ViewEvent], p: Option<f64>) -> Option<f64> {
    let p = p?;
    for b in before.iter().rev() {
        match b.kind {
            Play | Load => return None,
            Seek => {
                let (from, to) = seek_ends(b);
                let (from, to) = (from?, to?);
                return ((p - from).abs() <= 2.0 + E && (p - to).abs() > 2.0 + E).then_some(to);
            }
            _ if b.position_s.is_some() => return None,
            _ => {}
        }
    }
    None
}

/// An event while nothing plays.
#[allow(clippy::too_many_arguments)]
fn start(
    e: &ViewEvent,
    p: Option<f64>,
    to: Option<f64>,
    now: f64,
    rate: f64,
    before: &[ViewEvent],
    resting: &mut Option<(f64, f64)>,
    out: &mut Result,
) -> Option<Run> {
    match e.kind {
        Play => {
            out.has_play = true;
            let after_end = ended_last(before, &out.implied_at);
            let last = if after_end { 0.0 } else { resting.map_or(0.0, |r| r.0) };
            return Some(begin(p.unwrap_or(last), now, rate));
        }
        Heartbeat => {
            if let (Some(p), Some((q, since))) = (p, *resting) {
                let moved = (now - since).min(CAP) * rate;
                if p >= q + 1.0 - E && ((p - q) - moved).abs() <= 2.0 + 0.05 * moved + E {
                    out.has_play = true;
                    out.implied_plays += 1;
                    out.implied_at.push(before.len());
                    return Some(told(begin(q, since, rate), p, now, rate));
                }
            }
        }
        Load => *resting = None,
        _ => {}
    }
    let position = if e.kind == Seek { to } else { p };
    if let Some(p) = position {
        *resting = Some((p, now));
    }
    None
}

/// Whether an end was the last that set where a play without a position begins.
fn ended_last(before: &[ViewEvent], implied_at: &[usize]) -> bool {
    let last = before.iter().rposition(|b| matches!(b.kind, Play | Seek | Load | Ended));
    last.is_some_and(|last| before[last].kind == Ended && implied_at.iter().all(|&at| at < last))
}

fn begin(p: f64, now: f64, rate: f64) -> Run {
    Run::Known(vec![Known { at: now, position: p, span: 0.0, rate }])
}

fn moved(known: &[Known]) -> f64 {
    known.iter().map(|k| k.span * k.rate).sum()
}

fn is_possible(run: &Run, p: f64, now: f64, rate: f64) -> bool {
    let Run::Known(known) = run else { return true };
    let last = known.last().unwrap();
    let step = (now - last.at).min(CAP) * rate;
    p >= last.position - 2.0 - E
        && p <= last.position + step * 1.05 + 2.0 + E
        && p <= known[0].position + 1.05 * (moved(known) + step) + 2.0 + E
}

/// Time in `from..to` that a buffering covers.
fn buffered(before: &[ViewEvent], from: f64, to: f64) -> f64 {
    let mut sum = 0.0;
    let mut since: Option<f64> = None;
    let ends = |kind: EventType| matches!(kind, BufferEnd | Heartbeat | Play | Pause | Seek | Ended | Load);
    for b in before {
        if b.kind == BufferStart && since.is_none() {
            since = Some(time(b));
        } else if ends(b.kind)
            && let Some(s) = since.take()
        {
            sum += (time(b).min(to) - s.max(from)).max(0.0);
        }
    }
    sum + since.map_or(0.0, |s| (to - s.max(from)).max(0.0))
}

fn expected(known: &[Known], before: &[ViewEvent], now: f64, rate: f64) -> f64 {
    let last = known.last().unwrap();
    last.position + (now - last.at - buffered(before, last.at, now)).min(CAP) * rate
}

/// A possible position.
fn told(run: Run, p: f64, now: f64, rate: f64) -> Run {
    match run {
        Run::Known(mut known) => {
            let last = known.last().unwrap().clone();
            known.push(Known { at: now, position: p.max(last.position), span: (now - last.at).min(CAP), rate });
            Run::Known(known)
        }
        Run::Somewhere(stretches) => found(&stretches, p, now),
    }
}

/// Without a position: where it is expected, or still somewhere.
fn supposed(run: Run, before: &[ViewEvent], now: f64, rate: f64) -> Run {
    match run {
        Run::Known(known) => {
            let p = expected(&known, before, now, rate);
            told(Run::Known(known), p, now, rate)
        }
        Run::Somewhere(mut stretches) => {
            stretches.push((now, rate));
            Run::Somewhere(stretches)
        }
    }
}

/// Walks back from `p` over the stretches, latest first.
fn found(stretches: &[(f64, f64)], p: f64, now: f64) -> Run {
    let mut backwards = vec![];
    let mut until = now;
    let mut at = p;
    for &(since, rate) in stretches.iter().rev() {
        let span = (until - since).min(CAP);
        backwards.push(Known { at: until, position: at, span, rate });
        at = (at - span * rate).max(0.0);
        until = since;
    }
    backwards.push(Known { at: until, position: at, span: 0.0, rate: 1.0 });
    backwards.reverse();
    Run::Known(backwards)
}

fn finish(run: &Run, now: f64, duration: Option<f64>, out: &mut Result) {
    match run {
        Run::Somewhere(stretches) => {
            let ends = stretches.iter().skip(1).map(|s| s.0).chain([now]);
            out.unplaced_s += stretches.iter().zip(ends).map(|(s, end)| (end - s.0).min(CAP)).sum::<f64>();
        }
        Run::Known(known) => {
            let (start, mut end) = (known[0].position, known.last().unwrap().position);
            let limit = duration.unwrap_or(f64::INFINITY);
            if end - start <= E {
                return;
            }
            if end - start.max(limit) > 1.0 + E {
                out.beyond_duration += 1;
            }
            if start >= limit - E {
                return;
            }
            end = end.min(limit);
            let pieces = known.windows(2);
            let playing = pieces.map(|w| (w[1].position.min(limit) - w[0].position.min(limit)) / w[1].rate).sum();
            if end - start < 0.25 - E {
                out.too_short += 1;
            } else {
                out.segments.push((start, end, playing));
            }
        }
    }
}
