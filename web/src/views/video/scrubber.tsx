/** The second that is pointed at, as a slider under the curve: the keyboard's way to what hovering shows. */
import { position } from "../../text/format";
import { Icon } from "../../ui/icon";
import { scaledStretch, type Timeline } from "./timeline";

export function Scrubber({ timeline, say }: { timeline: Timeline; say: (second: number) => string }) {
  const { zoom, seconds, cursor, point } = timeline;
  const [first, last] = zoom === null ? [0, seconds - 1] : [zoom[0], Math.min(zoom[1], seconds - 1)];
  const value = Math.max(first, Math.min(cursor ?? first, last));
  return (
    <input
      class="scrubber"
      type="range"
      aria-label="Second of the video"
      aria-valuetext={`${position(value)}: ${say(value)}`}
      min={first}
      max={last}
      step={1}
      value={value}
      onInput={(event) => point(Number(event.currentTarget.value))}
      onFocus={() => point(value)}
      onBlur={() => point(null)}
    />
  );
}

export function ZoomButtons({ timeline }: { timeline: Timeline }) {
  const { zoom, seconds, cursor, setZoom } = timeline;
  const scale = (factor: number) => () => setZoom(scaledStretch(zoom, factor, cursor, seconds));
  return (
    <span class="zoom" role="group" aria-label="Zoom">
      <button type="button" class="button small" onClick={scale(0.5)} aria-label="Zoom in">
        <Icon name="plus" />
      </button>
      <button type="button" class="button small" onClick={scale(2)} disabled={zoom === null} aria-label="Zoom out">
        <Icon name="minus" />
      </button>
      <button type="button" class="button small" onClick={() => setZoom(null)} disabled={zoom === null}>
        {zoom === null ? "Whole video" : `${position(zoom[0])} to ${position(zoom[1])} ×`}
        {zoom !== null && <span class="unseen"> Show the whole video</span>}
      </button>
    </span>
  );
}
