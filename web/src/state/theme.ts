/** Light or dark: as the system says, unless the person chose. */
import { useEffect, useState } from "preact/hooks";

export type Theme = "system" | "light" | "dark";
const KEY = "streamreel-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function stored(): Theme {
  try {
    const text = localStorage.getItem(KEY);
    return text === "light" || text === "dark" ? text : "system";
  } catch {
    // A browser that keeps nothing for this page follows the system.
    return "system";
  }
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** Call before anything is drawn. */
export function applyStoredTheme(): void {
  apply(stored());
}

const listeners = new Set<() => void>();

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(stored);
  const set = (next: Theme): void => {
    setTheme(next);
    apply(next);
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // Holds until the page is closed.
    }
    for (const listener of listeners) listener();
  };
  return [theme, set];
}

/** Whether dark is shown now; for what can't take its colours from the style sheet. */
export function useDark(): boolean {
  const shown = (): boolean => {
    const chosen = document.documentElement.dataset["theme"];
    return chosen === undefined ? dark.matches : chosen === "dark";
  };
  const [value, setValue] = useState(shown);
  useEffect(() => {
    const update = (): void => setValue(shown());
    listeners.add(update);
    dark.addEventListener("change", update);
    return () => {
      listeners.delete(update);
      dark.removeEventListener("change", update);
    };
  }, []);
  return value;
}
