/** What the server says every second, and whether it still does. */
import { useEffect, useState } from "preact/hooks";

import { API } from "../../api/client";
import type { Live } from "../../api/types";

export type Link = "connecting" | "open" | "stale" | "lost";

export interface Stream {
  live: Live | null;
  link: Link;
  /** When the newest answer came, by this browser's clock (ms since the epoch). */
  heardAt: number | null;
}

/** Without an answer for this long, what is shown is old. */
export const STALE_MS = 4000;
const AGAIN_MS = 3000;

/** Whether what was heard at `heardAt` is old at `now`; both in ms. */
export function isStale(heardAt: number | null, now: number): boolean {
  return heardAt !== null && now - heardAt > STALE_MS;
}

export function useStream(): Stream {
  const [state, setState] = useState<Stream>({ live: null, link: "connecting", heardAt: null });
  useEffect(() => {
    let source: EventSource;
    let again: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      source = new EventSource(`${API}/live`);
      source.addEventListener("live", (event: MessageEvent<string>) => {
        setState({ live: JSON.parse(event.data) as Live, link: "open", heardAt: Date.now() });
      });
      source.addEventListener("error", () => {
        setState((old) => ({ ...old, link: "lost" }));
        // The browser tries again by itself unless the server answered with an error.
        if (source.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
      });
    };
    open();
    const watch = setInterval(() => {
      setState((old) => (old.link === "open" && isStale(old.heardAt, Date.now()) ? { ...old, link: "stale" } : old));
    }, 1000);
    return () => {
      source.close();
      clearTimeout(again);
      clearInterval(watch);
    };
  }, []);
  return state;
}
