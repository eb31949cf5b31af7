/** Skip link, navigation, theme switch, and which build is shown. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

import icon from "./favicon.svg";
import { useQuery } from "./state/query";
import type { StatusAnswer } from "./state/status";
import { type Theme, useTheme } from "./state/theme";
import { count, instant } from "./text/format";
import { Skeleton } from "./ui/states";

const VIEWS = [
  { path: "/", label: "Overview", icon: "M3 13h4v-5H3zM10 13h4V3h-4zM17 13h0" },
  { path: "/videos", label: "Videos", icon: "M3 4h14v10H3zM8.5 7v4l3.5-2z" },
  { path: "/top/content", label: "Top", icon: "M4 15V9M10 15V4M16 15v-4" },
  {
    path: "/regions",
    label: "Regions",
    icon: "M10 2.5a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 9.5h14M10 2.5c-4 4-4 10 0 14M10 2.5c4 4 4 10 0 14",
  },
  { path: "/live", label: "Live", icon: "M2 10h4l2-6 4 12 2-6h4" },
  {
    path: "/quality",
    label: "Data quality",
    icon: "M10 2.5l6 2.5v4c0 4-2.500 7-6 8.500C6.500 16 4 13 4 9V5zM7.500 9.500l2 2 3.500-4",
  },
];

function current(path: string, view: string): boolean {
  if (view === "/") return path === "/";
  return path.startsWith(view === "/top/content" ? "/top" : view);
}

export function Shell({ status, children }: { status: StatusAnswer; children: ComponentChildren }) {
  const query = useQuery();
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="shell">
        <a class="brand" href={query.link("/")}>
          <img src={icon} alt="" width="24" height="24" />
          StreamReel
        </a>
        <nav aria-label="Views">
          <ul>
            {VIEWS.map((view) => (
              <li key={view.path}>
                <a href={query.link(view.path)} aria-current={current(query.path, view.path) ? "page" : undefined}>
                  <svg viewBox="0 0 20 18" aria-hidden="true">
                    <path d={view.icon} />
                  </svg>
                  {view.label}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="shell-foot">
          <a class="terms-link" href={query.link("/terms")} aria-current={query.path === "/terms" ? "page" : undefined}>
            What the numbers mean
          </a>
          <BuildFacts status={status} />
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {status.data !== null && status.problem !== null && (
          <p class="banner" role="alert">
            The numbers below may be old: {status.problem.detail || status.problem.title}
          </p>
        )}
        {children}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function BuildFacts({ status }: { status: StatusAnswer }) {
  const build = status.data?.build ?? null;
  const finished = build === null ? "no build yet" : instant(build.finished_at);
  return (
    <dl class="build-facts">
      <dt>Numbers of</dt>
      <dd title={build === null ? undefined : `Build ${build.build_id}`}>{status.data === null ? "…" : finished}</dd>
      <dt>From</dt>
      <dd>{status.data === null ? "…" : `${count(build?.records ?? 0)} records`}</dd>
    </dl>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useTheme();
  return (
    <label class="theme">
      Theme
      <select value={theme} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

interface ViewProps {
  /** The heading, which is also the document's title. */
  title: string;
  /** The line below the heading. */
  sub?: ComponentChildren;
  /** Whether all that the view begins with is there. */
  ready?: boolean;
  children: ComponentChildren;
}

/**
 * A view: its heading, and the rest once that is ready. The heading is one element before and after, so that it keeps the focus
 * which a change of views gives it.
 */
export function View({ title, sub, ready = true, children }: ViewProps) {
  useEffect(() => {
    document.title = `${title} · StreamReel`;
  }, [title]);
  return (
    <>
      <div class="heading">
        <h1 tabIndex={-1}>{title}</h1>
        {ready && sub !== undefined && <p class="sub">{sub}</p>}
      </div>
      {ready ? children : <Skeleton height={640} />}
    </>
  );
}
