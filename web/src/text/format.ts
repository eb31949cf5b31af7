/** Numbers, durations and times as people read them: English numbers, ISO dates, UTC. */

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** What stands for a value that is not known. */
export const NONE = "–";

export type Maybe = number | null | undefined;

function or(value: Maybe, format: (value: number) => string): string {
  return value === null || value === undefined || Number.isNaN(value) ? NONE : format(value);
}

/** `1,234,567` */
export const count = (value: Maybe): string => or(value, (v) => whole.format(v));
/** `1.2M`, for axes */
export const compact = (value: Maybe): string => or(value, (v) => short.format(v));
/** `54.3 %` of a value in 0..100 */
export const percentage = (value: Maybe): string => or(value, (v) => `${one.format(v)} %`);
/** `54.3 %` of a ratio in 0..1 */
export const ratio = (value: Maybe): string => or(value, (v) => `${one.format(v * 100)} %`);
/** As {@link ratio}, with another digit where it would be near 0: `0.02 %` */
export const share = (value: Maybe): string => or(value, (v) => `${(v > 0 && v < 0.01 ? two : one).format(v * 100)} %`);
/** `1.25` */
export const decimal = (value: Maybe): string => or(value, (v) => two.format(v));
/** `12.5` or `1,234` per second */
export const rate = (value: Maybe): string => or(value, (v) => (v < 100 && v % 1 !== 0 ? one.format(v) : whole.format(v)));

/** A long time: `1,234 h`, `12.3 h`, `12.3 min`, `45 s` */
export function duration(seconds: Maybe): string {
  return or(seconds, (s) => {
    if (s >= 360_000) return `${whole.format(s / 3600)} h`;
    if (s >= 3600) return `${one.format(s / 3600)} h`;
    if (s >= 60) return `${one.format(s / 60)} min`;
    return `${whole.format(s)} s`;
  });
}

/** A place in a video: `1:05`, `1:02:03` */
export function position(seconds: Maybe): string {
  return or(seconds, (s) => {
    const at = Math.floor(s + 1e-6);
    const [h, m, sec] = [Math.floor(at / 3600), Math.floor(at / 60) % 60, String(at % 60).padStart(2, "0")];
    return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${sec}` : `${m}:${sec}`;
  });
}

/** Milliseconds as `12 ms`, `1.4 s`, `3.0 min` */
export function milliseconds(value: Maybe): string {
  return or(value, (ms) => {
    if (ms < 1000) return `${whole.format(ms)} ms`;
    return ms < 60_000 ? `${one.format(ms / 1000)} s` : duration(ms / 1000);
  });
}

/** `2026-01-05 20:00:00 UTC` of an instant in RFC 3339 */
export function instant(text: string | null): string {
  const at = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? NONE : `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `20:00:00` of an instant, UTC */
export function clock(text: string): string {
  const at = Date.parse(text);
  return Number.isNaN(at) ? NONE : new Date(at).toISOString().slice(11, 19);
}

/** `2026-01-01 to 2026-01-07`, or the one date */
export function period(from: string, to: string): string {
  return from === to ? from : `${from} to ${to}`;
}

/** How much a number changed: which way, and in words. */
export interface Delta {
  direction: "up" | "down" | "same";
  text: string;
}

/** Relative change, `+12.3 %`; `null` where there is nothing to compare with. */
export function relativeDelta(now: Maybe, before: Maybe): Delta | null {
  if (typeof now !== "number" || typeof before !== "number" || before === 0) return null;
  return delta((now / before - 1) * 100, "%");
}

/** Difference of two percentages, in percentage points, `+1.2 pp`. */
export function pointDelta(now: Maybe, before: Maybe): Delta | null {
  if (typeof now !== "number" || typeof before !== "number") return null;
  return delta(now - before, "pp");
}

function delta(value: number, unit: string): Delta {
  const text = one.format(Math.abs(value));
  if (text === "0.0") return { direction: "same", text: `±0.0 ${unit}` };
  return value > 0 ? { direction: "up", text: `+${text} ${unit}` } : { direction: "down", text: `−${text} ${unit}` };
}

/** `1 view`, `2 views` */
export function plural(value: number, singular: string, many = `${singular}s`): string {
  return `${count(value)} ${value === 1 ? singular : many}`;
}
