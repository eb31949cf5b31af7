/** Every view for everyone: axe, keyboard, dark, narrow and wide, no jumps while loading, errors and empty states. */
import { expect, type Page } from "@playwright/test";

import { accessible, rows, settled, shot, test } from "./page";

const VIEWS = {
  overview: "/",
  videos: "/videos",
  video: "/videos/{video}?compare=video:{other}",
  top: "/top/content",
  creators: "/top/creators?period=day",
  regions: "/regions",
  live: "/live",
  quality: "/quality",
  terms: "/terms",
} as const;

const LOOKS = [
  { look: "light", width: 1440, dark: false },
  { look: "dark", width: 1440, dark: true },
  { look: "narrow", width: 320, dark: false },
  { look: "narrow-dark", width: 320, dark: true },
  { look: "wide", width: 2200, dark: false },
] as const;

type Shifts = { shifts: { value: number; nodes: string[] }[] };

for (const [view, path] of Object.entries(VIEWS)) {
  for (const { look, width, dark } of LOOKS) {
    test(`${view}, ${look}: accessible, fits, does not jump`, async ({ page, videos: [video, other] }) => {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
      await page.addInitScript(observeShifts);
      await page.goto(path.replace("{video}", video.video_id).replace("{other}", other.video_id));
      await settled(page);
      await page.waitForTimeout(300);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), "no sideways scrolling").toBeLessThanOrEqual(width);
      const shifts = await page.evaluate(() => (window as unknown as Shifts).shifts);
      const sum = shifts.reduce((total, shift) => total + shift.value, 0);
      expect(sum, JSON.stringify(shifts)).toBeLessThan(0.02);
      await accessible(page);
      await shot(page, `${view}-${look}`);
    });
  }
}

function observeShifts(): void {
  const seen: Shifts["shifts"] = [];
  Object.assign(window, { shifts: seen });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as unknown as {
      value: number;
      hadRecentInput: boolean;
      sources: { node: Element | null }[];
    }[]) {
      if (!entry.hadRecentInput) seen.push({ value: entry.value, nodes: entry.sources.map(({ node }) => node?.className ?? "") });
    }
  }).observe({ type: "layout-shift", buffered: true });
}

test("tables, panels and details are accessible, too", async ({ page, videos: [video] }) => {
  for (const dark of [false, true]) {
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await page.goto(`/videos/${video.video_id}`);
    await settled(page);
    for (const title of ["Retention curve", "Drop-off timeline"])
      await page.getByRole("button", { name: `Show table of ${title}` }).click();
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await expect(page.getByRole("group", { name: "Compare with" }).locator(".choice").first()).toBeVisible();
    await accessible(page);
    await page.goto("/");
    await settled(page);
    await page.getByRole("button", { name: /^Dates/ }).click();
    await accessible(page);
    await page.getByRole("button", { name: /^Region/ }).click();
    await accessible(page);
    await page.goto("/regions");
    await settled(page);
    await page.getByRole("button", { name: "Show numbers" }).click();
    await accessible(page);
    await page.goto("/quality");
    await settled(page);
    await page.locator(".reasons summary").first().click();
    await accessible(page);
  }
});

test("everything is reached by keyboard", async ({ page }) => {
  await page.goto("/");
  await settled(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  const region = page.getByRole("button", { name: /^Region/ });
  await tabTo(page, region);
  await page.keyboard.press("Enter");
  await expect(region).toHaveAttribute("aria-expanded", "true");
  await tabTo(page, page.getByRole("checkbox").first());
  await page.keyboard.press("Space");
  await expect(page).toHaveURL(/region=/);
  await page.keyboard.press("Escape");
  await expect(region).toBeFocused();
  await expect(region).toHaveAttribute("aria-expanded", "false");
  const video = rows(page, /^Most watched videos/)
    .getByRole("link")
    .first();
  await tabTo(page, video);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/videos\/.+region=/);
  // Whoever hears the page is still at its heading when all of it has come.
  await settled(page);
  await expect(page.locator("h1")).toBeFocused();
});

test("the slider reads the curve second by second", async ({ page, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const slider = page.getByRole("slider", { name: "Second of the video" });
  await slider.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
  await expect(slider).toHaveAttribute("aria-valuetext", /^0:03: This video [\d.]+ %/);
  await expect(page.getByRole("img", { name: /second by second/ }).locator(".tip strong")).toHaveText("0:03 (second 3)");
  await page.keyboard.press("End");
  await expect(slider).not.toHaveAttribute("aria-valuetext", /^0:03/);
});

async function tabTo(page: Page, target: ReturnType<Page["locator"]>): Promise<void> {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error("80 times Tab did not get there");
}

test("the theme is chosen and kept", async ({ page }) => {
  await page.goto("/");
  await settled(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByLabel("Theme").selectOption("dark");
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await settled(page);
  expect(await ground()).toBe(dark);
  await page.getByLabel("Theme").selectOption("system");
  expect(await ground()).toBe(light);
});

test("an empty selection says how to get out of it", async ({ page }) => {
  for (const path of ["/", "/videos", "/regions"]) {
    await page.goto(`${path}?from=2001-01-01&to=2001-01-02`);
    await expect(page.getByText("No views match these filters")).toBeVisible();
    await accessible(page);
    await page.getByRole("button", { name: "Clear all filters" }).click();
    await expect(page).not.toHaveURL(/from=/);
    await settled(page);
  }
});

test.describe("failures", () => {
  test.use({ expected: async ({}, use) => use(["Failed to load resource"]) });

  test("before the first build it says what to type", async ({ page }) => {
    await page.route("**/api/v1/status", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ json: { ...(await response.json()), build: null, dates: null } });
    });
    await page.route("**/api/v1/overview*", (route) =>
      route.fulfill({
        status: 409,
        contentType: "application/problem+json",
        json: {
          type: "https://streamreel.dev/problems/no-build",
          title: "No build yet",
          status: 409,
          detail: "Type streamreel build.",
        },
      }),
    );
    await page.goto("/");
    await expect(page.getByText("Nothing has been built yet")).toBeVisible();
    await expect(page.getByText("streamreel demo --serve")).toBeVisible();
    await accessible(page);
    await shot(page, "no-build");
  });

  test("a failed answer is explained and can be asked for again", async ({ page }) => {
    let fail = true;
    await page.route("**/api/v1/overview*", (route) =>
      fail
        ? route.fulfill({
            status: 503,
            contentType: "application/problem+json",
            json: { type: "about:blank", title: "Took too long", status: 503, detail: "The query was stopped after 10 s." },
          })
        : route.continue(),
    );
    await page.goto("/");
    await expect(page.getByRole("alert")).toContainText("The query was stopped after 10 s.");
    await accessible(page);
    await shot(page, "failure");
    fail = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.locator('[data-metric="views"]')).toBeVisible();
  });

  test("a bad parameter is named and can be removed", async ({ page }) => {
    await page.goto("/?from=yesterday");
    const alert = page.getByRole("alert").first();
    await expect(alert).toContainText("from");
    await page.getByRole("button", { name: "Remove “from”" }).first().click();
    await expect(page).not.toHaveURL(/from=/);
    await settled(page);
  });

  test("a video that is not there, an address that is none", async ({ page }) => {
    await page.goto("/videos/there-is-none");
    await expect(page.getByRole("alert")).toContainText("there-is-none");
    await page.goto("/nowhere");
    await expect(page.getByRole("heading", { name: "No such page" })).toBeVisible();
    await accessible(page);
  });

  test("a server that is gone is said so, and the page recovers", async ({ page }) => {
    await page.goto("/live");
    await settled(page);
    await page.route("**/api/v1/**", (route) => route.abort());
    await page.reload();
    await expect(page.getByRole("alert")).toContainText("does not answer");
    await page.unroute("**/api/v1/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible();
  });

  test("a stream that breaks off is said so", async ({ page }) => {
    await page.route("**/api/v1/live", (route) => route.abort());
    await page.goto("/live");
    await expect(page.getByRole("status").filter({ hasText: "Connection lost, trying again" })).toBeVisible();
    await page.unroute("**/api/v1/live");
    await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible();
  });
});
