/** What the numbers mean, each with its denominator, for those who do not hover. */
import { View } from "../shell";
import {
  CURVE_NAMES,
  CURVE_TERMS,
  CURVES,
  DROP_OFF,
  DROP_OFF_NAMES,
  DROP_OFF_TERMS,
  type Metric,
  METRIC_NAMES,
  SEEKS_AFTER_HALF,
  TERMS,
} from "../text/terms";

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const TOTALS = (Object.keys(TERMS) as Metric[]).map((metric): [string, string] => [METRIC_NAMES[metric], TERMS[metric]]);
const CURVE = CURVES.map((kind): [string, string] => [CURVE_NAMES[kind], CURVE_TERMS[kind]]);
const TIMELINE = DROP_OFF.map((kind): [string, string] => [DROP_OFF_NAMES[kind], sentence(DROP_OFF_TERMS[kind])]);
const COMMON: [string, string][] = [
  ["Position", "A place in the video, in content seconds; 1:05 is 65 s from its beginning."],
  ["Unknown", "Not reported, or not in the metadata. Unknown is a group of its own and never counted as 0."],
  ["Dates and hours", "UTC. Dates include their last day."],
  ["Change", "Of counts in percent, of percentages in percentage points (pp), against equally many days just before."],
];

export function Terms() {
  return (
    <View title="What the numbers mean">
      <Group title="Totals" terms={TOTALS} />
      <Group title="Curves, for each second of a video" terms={CURVE} />
      <Group title="Drop-off timeline" terms={[...TIMELINE, ["Seeks after 50 %", SEEKS_AFTER_HALF]]} />
      <Group title="All of them" terms={COMMON} />
    </View>
  );
}

function Group({ title, terms }: { title: string; terms: [string, string][] }) {
  return (
    <section class="card wide" aria-label={title}>
      <h2>{title}</h2>
      <dl class="terms">{terms.map(([name, text]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{text}</dd>])}</dl>
    </section>
  );
}
