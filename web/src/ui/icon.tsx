/** Small drawings; what they mean is said beside them. */

const PATHS = {
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  yes: "M3 8.500l3.500 3.500L13 4.500",
  no: "M4 4l8 8M12 4l-8 8",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
