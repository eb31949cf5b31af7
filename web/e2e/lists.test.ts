/** Videos, rankings, regions, live and data quality against the API's answers. */
import { expect } from "@playwright/test";

import type { Audit, Facets, Live, Page as Listed, Quality, Ranked, Regions, VideoItem } from "../src/api/types";
import { count, duration, percentage, position } from "../src/text/format";
import { regionName } from "../src/text/names";
import { metric, rows, settled, test } from "./page";

test("videos are sorted, searched and opened", async ({ page, ask, videos: [video] }) => {
  await page.goto("/videos");
  await settled(page);
  const table = rows(page, "Videos of the selection");
  const all = await ask<Listed<VideoItem>>("/videos?sort=watch_time_s&order=desc");
  await expect(page.getByRole("status").filter({ hasText: "video" })).toHaveText(new RegExp(`^${count(all.total)} video`));
  await expect(table).toHaveCount(all.items.length);
  await expect(table.first()).toContainText(position(all.items[0]?.duration_s));
  await page.getByRole("button", { name: "Viewers" }).click();
  await expect(page).toHaveURL(/sort=viewers&order=desc/);
  const sorted = await ask<Listed<VideoItem>>("/videos?sort=viewers&order=desc");
  await expect(table.first()).toContainText(count(sorted.items[0]?.viewers));
  await page.getByRole("searchbox").fill(video.video_id);
  const found = await ask<Listed<VideoItem>>(`/videos?search=${video.video_id}`);
  await expect(table).toHaveCount(found.items.length);
  await table
    .getByRole("link", { name: video.title ?? video.video_id })
    .first()
    .click();
  await expect(page).toHaveURL(new RegExp(`/videos/${video.video_id}`));
  await expect(page.locator("h1")).toHaveText(video.title ?? video.video_id);
});

test("a list longer than a page is shown page by page", async ({ page, ask }) => {
  await page.goto("/videos");
  await settled(page);
  const first = await ask<Listed<VideoItem>>("/videos?sort=watch_time_s&order=desc&limit=50");
  const table = rows(page, "Videos of the selection");
  await expect(table).toHaveCount(first.items.length);
  const more = page.getByRole("button", { name: "Show more" });
  if (first.next_cursor === null) {
    await expect(more).toHaveCount(0);
    expect(first.items.length).toBe(first.total);
    return;
  }
  await more.click();
  await expect(table).toHaveCount(Math.min(100, first.total));
});

for (const [list, heading, key] of [
  ["content", "Top videos", "title"],
  ["creators", "Top creators", "creator"],
  ["genres", "Top genres", "genre"],
] as const) {
  test(`${list} are ranked, over all and by day`, async ({ page, ask }) => {
    await page.goto(`/top/${list}`);
    await settled(page);
    await expect(page.locator("h1")).toHaveText(heading);
    const table = rows(page, /^Ranking of/);
    const all = await ask<Listed<Ranked>>(`/top/${list}?period=all`);
    const first = all.items[0];
    await expect(table).toHaveCount(all.items.length);
    await expect(table.first()).toContainText(first?.[key] ?? "Unknown");
    await expect(table.first()).toContainText(duration(first?.watch_time_s));
    await expect(table.first()).toContainText(percentage(first?.avg_watch_time_percentage));
    await page.getByRole("button", { name: "Completion" }).click();
    await expect(page).toHaveURL(/sort=completion_rate&order=desc/);
    const sorted = await ask<Listed<Ranked>>(`/top/${list}?period=all&sort=completion_rate&order=desc`);
    await expect(table.first()).toContainText(sorted.items[0]?.[key] ?? "Unknown");
    await page.getByRole("radio", { name: "One day" }).check();
    await expect(page).toHaveURL(/period=day/);
    const { dates } = await ask<Facets>("/facets");
    const day = await ask<Listed<Ranked>>(`/top/${list}?period=day&date=${dates?.last}&sort=completion_rate&order=desc`);
    await expect(table).toHaveCount(day.items.length);
    await expect(table.first()).toContainText(count(day.items[0]?.views));
    await table.first().getByRole("link").click();
    await expect(page).toHaveURL(list === "content" ? /\/videos\/.+from=/ : new RegExp(`/videos\\?from=.+${key}=`));
    await settled(page);
    await expect(page.locator("h1")).toBeVisible();
  });
}

test("regions are on the map, by hour and in the table", async ({ page, ask }) => {
  await page.goto("/regions");
  await settled(page);
  const { regions, hours } = await ask<Regions>("/regions");
  const first = [...regions].sort((a, b) => b.watch_time_s - a.watch_time_s)[0];
  const table = rows(page, "All regions");
  await expect(table.first()).toContainText(regionName(first?.region ?? null));
  await expect(table.first()).toContainText(count(first?.views));
  const country = regions.find(
    (r) => r.region !== null && r.region.length === 2 && !regions.some((o) => o.region?.startsWith(`${r.region}-`)),
  );
  await page.locator(`.world path[data-region="${country?.region}"]`).hover({ force: true });
  await expect(page.locator(".hint-box")).toHaveText(`${regionName(country?.region ?? null)}: ${count(country?.views)}`);
  await page.getByRole("button", { name: "Show table of Views by country" }).click();
  await expect(rows(page, "Views by country").filter({ hasText: regionName(country?.region ?? null) })).toContainText(
    count(country?.views),
  );
  await page.getByRole("button", { name: "Show numbers" }).click();
  const most = [...regions].sort((a, b) => b.views - a.views)[0];
  const wanted = Array.from(
    { length: 24 },
    (_, hour) => hours.find((h) => h.region === most?.region && h.hour_of_day === hour)?.views ?? 0,
  );
  await expect(
    rows(page, /^Region by hour/)
      .first()
      .locator("td"),
  ).toHaveText(wanted.map((views) => count(views)));
  await page.getByRole("radio", { name: "Average retention" }).check();
  await expect(page).toHaveURL(/metric=avg_watch_time_percentage/);
  await expect(page.getByRole("heading", { name: "Average retention by country" })).toBeVisible();
});

test("live numbers move by themselves, and an event is seen within a second", async ({ page, ask, request }) => {
  await page.goto("/live");
  await settled(page);
  await expect(page.getByRole("status").filter({ hasText: /^Live$/ })).toBeVisible();
  const clock = page.locator(".sub");
  const before = await clock.textContent();
  await expect(clock).not.toHaveText(before ?? "");
  const { received } = await ask<Live>("/live/now");
  const event = { user_id: "e2e", video_id: "e2e", event_type: "play", timestamp: new Date().toISOString(), position_s: 0 };
  const sent = await request.post("/v1/events", { data: [event] });
  expect(sent.ok(), await sent.text()).toBe(true);
  const tile = page.locator(".tile").filter({ has: metric(page, "received") });
  const total = async (): Promise<number> =>
    Number(/([\d,]+) since/.exec((await tile.textContent()) ?? "")?.[1]?.replaceAll(",", ""));
  await expect.poll(total, { timeout: 1000, intervals: [50] }).toBeGreaterThan(received);
});

test("the audit's equations are shown with a mark and a word", async ({ page, ask }) => {
  await page.goto("/live");
  await settled(page);
  const { equations } = await ask<Audit>("/audit");
  const table = rows(page, "Equations of the audit");
  await expect(table).toHaveCount(equations.length);
  await expect(table.filter({ hasText: "holds" })).toHaveCount(equations.filter((e) => e.holds).length);
  await expect(table.first()).toContainText(count(equations[0]?.left.value));
});

test("data quality gives reasons with samples, and the tests of the models", async ({ page, ask }) => {
  await page.goto("/quality");
  await settled(page);
  const quality = await ask<Quality>("/quality");
  await expect(page.locator(".reasons > li")).toHaveCount(quality.reasons.length);
  const [reason] = quality.reasons;
  if (reason === undefined) throw new Error("the lake should have rejected records");
  const item = page.locator(".reasons > li").first();
  await expect(item).toContainText(reason.reason);
  await item.locator("summary").click();
  await expect(item.locator("pre")).toHaveCount(reason.samples.length);
  const payload = reason.samples[0]?.payload ?? "";
  if (payload !== "") await expect(item.locator("pre").first()).toContainText(payload.trim().slice(0, 60));
  await expect(rows(page, "Corrections of views by name")).toHaveCount(quality.view_corrections.length);
  const results = quality.tests?.results ?? [];
  expect(results.length, "the build should have kept how its tests went").toBeGreaterThan(0);
  await expect(rows(page, "Tests of the models")).toHaveCount(Math.min(25, results.length));
});
