/** A small line without axes, as an ornament beside a number that says the same. */

/** The line's path in a box of `width` x `height`, from half of the largest value or lower; gaps where a value is unknown. */
export function sparkPath(values: (number | null)[], width: number, height: number): string {
  const known = values.filter((value) => value !== null);
  const high = Math.max(...known, Number.MIN_VALUE);
  const low = Math.min(high / 2, ...known);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let path = "";
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) {
      pen = false;
      return;
    }
    const y = height - ((value - low) / (high - low)) * height;
    path += `${pen ? "L" : "M"}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return path;
}

export function Sparkline({ values }: { values: (number | null)[] }) {
  return (
    <svg class="sparkline" viewBox="0 -3 100 30" preserveAspectRatio="none" aria-hidden="true">
      {values.length > 1 && (
        <>
          {!values.includes(null) && <path class="under" d={`${sparkPath(values, 100, 24)}V27H0Z`} />}
          <path d={sparkPath(values, 100, 24)} vector-effect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}
