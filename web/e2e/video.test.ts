/** Curves by their three definitions, comparisons, zoom, peaks and cliffs, drop-off. */
import { expect, type Page } from "@playwright/test";

import type { Curve, DropOff, Library, Video } from "../src/api/types";
import { count, decimal, percentage, ratio } from "../src/text/format";
import { regionName } from "../src/text/names";
import { metric, over, rows, settled, test } from "./page";

const chart = (page: Page) => page.getByRole("img", { name: /second by second/ });

/** What the tooltip says of the second that is at `share` of the chart's width. */
async function hover(page: Page, share: number): Promise<{ second: number; own: string }> {
  await over(chart(page), share);
  const tip = chart(page).locator(".tip");
  await expect(tip).toBeVisible();
  const title = (await tip.locator("strong").textContent()) ?? "";
  const second = Number(/second ([\d,]+)/.exec(title)?.[1]?.replaceAll(",", ""));
  return { second, own: (await tip.locator("dd").first().textContent()) ?? "" };
}

test("totals and seeks after half are the API's", async ({ page, ask, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const { totals, title } = await ask<Video>(`/videos/${video.video_id}`);
  const { seeks_after_half: after } = await ask<DropOff>(`/videos/${video.video_id}/drop-off`);
  await expect(page.locator("h1")).toHaveText(title ?? video.video_id);
  await expect(metric(page, "views")).toHaveText(count(totals.views));
  await expect(metric(page, "avg_retention")).toHaveText(percentage(totals.avg_retention));
  await expect(metric(page, "seeks_after_half")).toHaveText(ratio(after.ratio));
  await page.getByRole("button", { name: "Day by day" }).click();
  await expect(rows(page, "Seeks after 50 % by day").first()).toContainText(after.days[0]?.date ?? "no day");
});

test("hovering gives second, value and views in each definition", async ({ page, ask, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const curve = await ask<Curve>(`/videos/${video.video_id}/curve`);
  const definitions = [
    ["Survival", curve.survived, ratio],
    ["Plays", curve.plays, (value: number) => `${decimal(value)} a view`],
    ["Retention", curve.watched, ratio],
  ] as const;
  for (const [name, counts, format] of definitions) {
    await page.getByRole("radio", { name }).check();
    await expect(page.getByText(`Denominator: ${count(curve.views)} views`)).toBeVisible();
    for (const share of [0.2, 0.5, 0.8]) {
      const { second, own } = await hover(page, share);
      const counted = counts[second] ?? -1;
      expect(own).toBe(`${format(counted / curve.views)} · ${count(counted)} of ${count(curve.views)}`);
    }
    await page.mouse.move(0, 0);
  }
});

test("the table has every second of every line", async ({ page, ask, videos: [video] }) => {
  const curve = await ask<Curve>(`/videos/${video.video_id}/curve`);
  await page.goto(`/videos/${video.video_id}?curve=survival`);
  await settled(page);
  await page.getByRole("button", { name: "Show table of Retention curve" }).click();
  await expect(page.getByText(`of ${count(curve.plays.length)}`, { exact: false }).first()).toBeVisible();
  const first = rows(page, "Survival by second").first();
  await expect(first).toContainText(ratio((curve.survived[0] ?? 0) / curve.views));
  await page.getByRole("table", { name: "Survival by second" }).getByRole("button", { name: "Second" }).click();
  await expect(first).toContainText(count(curve.plays.length - 1));
});

test("regions, dates and another video are compared on one plot", async ({ page, ask, videos: [video, other] }) => {
  const { regions, dates } = await ask<Video>(`/videos/${video.video_id}`);
  const region = regions.find((r) => r.value !== null)?.value ?? "";
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const compare = page.getByRole("button", { name: "Compare", exact: true });
  await compare.click();
  await page.getByLabel("A region").selectOption(region);
  await compare.click();
  await page.getByRole("textbox", { name: "First" }).fill(dates?.first ?? "");
  await page.getByRole("textbox", { name: "Last" }).fill(dates?.first ?? "");
  await page.getByRole("textbox", { name: "Last" }).press("Tab");
  await page.getByRole("button", { name: "Add dates" }).click();
  await compare.click();
  await page.getByLabel("Another video").fill(other.title ?? other.video_id);
  await page
    .getByRole("group", { name: "Compare with" })
    .getByRole("button", { name: new RegExp(escape(other.title ?? other.video_id)) })
    .click();
  const legend = page.getByRole("list", { name: "Lines" });
  const curves = [
    [regionName(region), await ask<Curve>(`/videos/${video.video_id}/curve?region=${region}`)],
    [dates?.first ?? "", await ask<Curve>(`/videos/${video.video_id}/curve?from=${dates?.first}&to=${dates?.first}`)],
    [other.title ?? other.video_id, await ask<Curve>(`/videos/${other.video_id}/curve`)],
  ] as const;
  for (const [name, curve] of curves) {
    await expect(legend.getByRole("listitem").filter({ hasText: name })).toContainText(`${count(curve.views)} view`);
  }
  await hover(page, 0.1);
  await expect(chart(page).locator(".tip dt")).toContainText(["This video", ...curves.map(([name]) => name)]);
  await page.reload();
  await settled(page);
  await expect(legend.getByRole("button", { name: /^Remove/ })).toHaveCount(3);
  await legend.getByRole("button", { name: `Remove ${regionName(region)}` }).click();
  await expect(page).not.toHaveURL(/compare=region/);
  await expect(legend.getByRole("button", { name: /^Remove/ })).toHaveCount(2);
});

test("the library's median stands beside it", async ({ page, ask, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const library = await ask<Library>(`/videos/${video.video_id}/library`);
  const line = page.getByRole("list", { name: "Lines" }).getByRole("listitem").filter({ hasText: "Library median" });
  await expect(line).toContainText(library.retention === null ? `too few videos` : `${library.videos} videos`);
  await hover(page, 0.3);
  await expect(chart(page).locator(".tip dt").filter({ hasText: "Library median" })).toHaveCount(
    library.retention === null ? 0 : 1,
  );
  await line.getByRole("checkbox").uncheck();
  await expect(page).toHaveURL(/library=off/);
});

test("dragging zooms both charts, buttons zoom further and back", async ({ page, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const box = await chart(page).boundingBox();
  if (box === null) throw new Error("no chart");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.3, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.45, y, { steps: 6 });
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 6 });
  await page.mouse.up();
  await expect(page).toHaveURL(/zoom=\d+-\d+/);
  const [from, to] = zoomOf(page);
  const { second } = await hover(page, 0.5);
  expect(second).toBeGreaterThanOrEqual(from);
  expect(second).toBeLessThanOrEqual(to);
  await page.getByRole("button", { name: "Zoom in" }).click();
  await expect.poll(() => zoomOf(page)[1] - zoomOf(page)[0]).toBeLessThan(to - from);
  await page.reload();
  await settled(page);
  await page.getByRole("button", { name: "Show the whole video" }).click();
  await expect(page).not.toHaveURL(/zoom=/);
});

function zoomOf(page: Page): [number, number] {
  const match = /zoom=(\d+)-(\d+)/.exec(page.url());
  return [Number(match?.[1]), Number(match?.[2])];
}

test("peaks and cliffs are listed in words and point into the chart", async ({ page, ask, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const curve = await ask<Curve>(`/videos/${video.video_id}/curve`);
  for (const [name, moments] of [["Peaks", curve.peaks] as const, ["Cliffs", curve.cliffs] as const]) {
    const list = page.getByRole("region", { name: new RegExp(`^${name}`) });
    await expect(list.getByRole("button")).toHaveCount(moments.length);
    for (const moment of moments) {
      await list.getByRole("button", { name: moment.text }).click();
      await expect(chart(page).locator(".tip strong")).toContainText(`second ${count(moment.second_s)}`);
    }
  }
  expect(curve.peaks.length + curve.cliffs.length, "the video should have a peak or a cliff").toBeGreaterThan(0);
});

test("drop-off is the API's, bucket by bucket", async ({ page, ask, videos: [video] }) => {
  await page.goto(`/videos/${video.video_id}`);
  await settled(page);
  const { buckets } = await ask<DropOff>(`/videos/${video.video_id}/drop-off`);
  const legend = page.getByRole("list", { name: "What is stacked" });
  for (const [name, kind] of [
    ["Exits", "exits"],
    ["Seeks away", "seeks_away"],
    ["Seeks in", "seeks_in"],
    ["Pauses", "pauses"],
  ] as const) {
    const sum = buckets.reduce((total, bucket) => total + bucket[kind], 0);
    await expect(legend.getByRole("listitem").filter({ hasText: name })).toContainText(count(sum));
  }
  const timeline = page.getByRole("img", { name: /^Exits, seeks away/ });
  await over(timeline, 0.5);
  const tip = timeline.locator(".tip");
  const title = (await tip.locator("strong").textContent()) ?? "";
  const bounds = title.split(" to ");
  const inBar = buckets.filter((b) => seconds(bounds[0]) <= b.start_s && b.start_s < seconds(bounds[1]));
  expect(inBar.length).toBeGreaterThan(0);
  const kinds = ["exits", "seeks_away", "seeks_in", "pauses"] as const;
  await expect(tip.locator("dd")).toHaveText(kinds.map((kind) => count(inBar.reduce((sum, b) => sum + b[kind], 0))));
  await legend.getByRole("checkbox", { name: /Pauses/ }).uncheck();
  await page.getByRole("button", { name: "Show table of Drop-off timeline" }).click();
  await expect(rows(page, "Drop-off by position").first()).toContainText(count(buckets[0]?.exits));
});

test("filters hold for the curve as well", async ({ page, ask, videos: [video] }) => {
  const { devices } = await ask<Video>(`/videos/${video.video_id}`);
  const device = devices.find((d) => d.value !== null)?.value ?? "";
  const curve = await ask<Curve>(`/videos/${video.video_id}/curve?device=${device}`);
  await page.goto(`/videos/${video.video_id}?device=${device}`);
  await settled(page);
  await expect(page.getByText(`Denominator: ${count(curve.views)} views`)).toBeVisible();
  const { second, own } = await hover(page, 0.4);
  expect(own).toContain(`${count(curve.watched[second])} of ${count(curve.views)}`);
});

/** Of `1:05` 65. */
function seconds(text = ""): number {
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
