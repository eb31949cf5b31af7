/** What every test of the page has: the API's own answers, and a guard that fails it on errors and on requests to elsewhere. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { type APIRequestContext, expect, type Locator, type Page, test as base } from "@playwright/test";
import type { AxeResults } from "axe-core";

import type { Page as Listed, VideoItem } from "../src/api/types";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env["STREAMREEL_SHOTS"] ?? join(import.meta.dirname, "../test-results/shots");

interface Fixtures {
  /** Asks the API itself, as the page does. */
  ask: <T>(path: string) => Promise<T>;
  /** The two videos with the most views. */
  videos: [VideoItem, VideoItem];
  /** Errors that a test provokes on purpose: the guard does not count console messages that contain one of these. */
  expected: string[];
  guard: void;
}

export const test = base.extend<Fixtures>({
  ask: async ({ request }, use) => {
    await use(<T>(path: string) => ask<T>(request, path));
  },
  videos: async ({ request }, use) => {
    const { items } = await ask<Listed<VideoItem>>(request, "/videos?sort=views&order=desc&limit=2");
    const [first, second] = items;
    if (first === undefined || second === undefined) throw new Error("the lake needs two videos with views");
    await use([first, second]);
  },
  expected: async ({}, use) => {
    await use([]);
  },
  guard: [
    async ({ page, baseURL, expected }, use) => {
      const faults: string[] = [];
      const origin = new URL(baseURL ?? "").origin;
      page.on("pageerror", (error) => faults.push(`exception: ${error.stack ?? error.message}`));
      page.on("console", (message) => {
        const text = `${message.text()} ${message.location().url}`;
        if (message.type() === "error" && !expected.some((part) => text.includes(part))) faults.push(`console: ${text}`);
      });
      page.on("request", (request) => {
        const url = new URL(request.url());
        if (url.origin !== origin && url.protocol !== "data:") faults.push(`request to ${request.url()}`);
      });
      await use();
      expect(faults, "errors, refusals by the content security policy, requests to elsewhere").toEqual([]);
    },
    { auto: true },
  ],
});

async function ask<T>(request: APIRequestContext, path: string): Promise<T> {
  const response = await request.get(`/api/v1${path}`);
  expect(response.status(), `${path}: ${await response.text()}`).toBe(200);
  return (await response.json()) as T;
}

/** Waits until nothing on the page is being loaded any more. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("h1")).toBeVisible();
  await expect(page.locator(".skeleton, [aria-busy=true]")).toHaveCount(0);
  for (const chart of await page.locator(".chart").all()) await expect(chart.locator("canvas").first()).toBeVisible();
}

/** Fails with what axe finds against WCAG 2.2 AA and its best practices. */
export async function accessible(page: Page): Promise<void> {
  await page.evaluate(axeSource);
  const results = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: () => Promise<AxeResults> } };
    return axe.run();
  });
  const found = results.violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html} ${node.failureSummary ?? ""}`),
  );
  expect(found).toEqual([]);
}

export async function shot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/** Which tile, fact or number has this name. */
export function metric(page: Page, name: string) {
  return page.locator(`[data-metric="${name}"]`);
}

/** Body rows of the table with this caption. */
export function rows(page: Page, caption: string | RegExp) {
  return page.getByRole("table", { name: caption }).locator("tbody tr");
}

/** Moves the mouse over a chart, `share` of its width from the left. */
export async function over(chart: Locator, share: number): Promise<void> {
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  if (box === null) throw new Error("the chart is not on the page");
  const [x, y] = [box.x + box.width * share, box.y + box.height / 2];
  await chart.page().mouse.move(x - 1, y);
  await chart.page().mouse.move(x, y);
}
