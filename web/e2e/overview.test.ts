/** Totals, comparison with the period before, filters, and the address. */
import { expect } from "@playwright/test";

import type { Facets, Overview } from "../src/api/types";
import { addDays, countDays } from "../src/state/filters";
import { count, duration, percentage, ratio } from "../src/text/format";
import { regionName } from "../src/text/names";
import { metric, over, rows, settled, test } from "./page";

test("totals are the API's", async ({ page, ask }) => {
  await page.goto("/");
  await settled(page);
  const { totals, days } = await ask<Overview>("/overview");
  await expect(metric(page, "views")).toHaveText(count(totals.views));
  await expect(metric(page, "viewers")).toHaveText(count(totals.viewers));
  await expect(metric(page, "watch_time_s")).toHaveText(duration(totals.watch_time_s));
  await expect(metric(page, "avg_retention")).toHaveText(percentage(totals.avg_retention));
  await expect(metric(page, "completion_rate")).toHaveText(ratio(totals.completion_rate));
  await page.getByRole("button", { name: /Show table of Views by day/ }).click();
  const table = rows(page, /^Totals of/);
  await expect(table).toHaveCount(Math.min(50, days.length));
  await expect(table.first()).toContainText(days[0]?.date ?? "no day");
  await expect(table.first()).toContainText(count(days[0]?.views));
});

test("a period is compared with the one before", async ({ page, ask }) => {
  const facets = await ask<Facets>("/facets");
  if (facets.dates === null) throw new Error("the lake has no views");
  const { first, last } = facets.dates;
  const half = Math.floor(countDays(first, last) / 2);
  expect(half, "the lake must span two days or more").toBeGreaterThan(0);
  const from = addDays(last, 1 - half);
  await page.goto(`/?from=${from}&to=${last}`);
  await settled(page);
  const { totals, previous, previous_totals: before } = await ask<Overview>(`/overview?from=${from}&to=${last}`);
  expect(previous).toEqual({ from: addDays(from, -half), to: addDays(from, -1) });
  await expect(page.locator(".sub")).toContainText(`against ${previous?.from}`);
  const tile = page.getByRole("button", { name: /^Views/ });
  const change = ((totals.views / (before?.views ?? 1) - 1) * 100).toFixed(1).replace("-", "");
  await expect(tile.locator(".delta")).toContainText(`${change} %`);
  await expect(tile.locator(".sparkline path")).toHaveCount(half > 1 ? 2 : 0);
});

test("a tile is drawn large, and hovering gives a day's number", async ({ page, ask }) => {
  await page.goto("/");
  await settled(page);
  await page.getByRole("button", { name: /^Watch time/ }).click();
  await expect(page).toHaveURL(/metric=watch_time_s/);
  await expect(page.getByRole("heading", { name: "Watch time by day" })).toBeVisible();
  await over(page.getByRole("img", { name: /^Watch time on/ }), 0.9);
  const { days } = await ask<Overview>("/overview");
  const tip = page.locator(".tip");
  await expect(tip).toBeVisible();
  const date = (await tip.locator("dt").first().textContent()) ?? "";
  const day = days.find((one) => one.date === date);
  await expect(tip.locator("dd").first()).toHaveText(duration(day?.watch_time_s));
});

test("filters change the numbers and the address; back and forward go through them", async ({ page, ask }) => {
  const facets = await ask<Facets>("/facets");
  const region = facets.regions.find((r) => r.value !== null)?.value ?? "";
  const device = facets.devices.find((d) => d.value !== null)?.value ?? "";
  await page.goto("/");
  await settled(page);
  await page.getByRole("button", { name: /^Region/ }).click();
  await page.getByRole("checkbox", { name: new RegExp(`^${regionName(region)} [\\d.,KM]+ views`) }).check();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Device/ }).click();
  await page.getByRole("checkbox", { name: new RegExp(`^${device} [\\d.,KM]+ views`) }).check();
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(new RegExp(`device=${device}&region=${region}`));
  const both = await ask<Overview>(`/overview?region=${region}&device=${device}`);
  await expect(metric(page, "views")).toHaveText(count(both.totals.views));
  await page.goBack();
  const one = await ask<Overview>(`/overview?region=${region}`);
  await expect(metric(page, "views")).toHaveText(count(one.totals.views));
  await page.goForward();
  await expect(metric(page, "views")).toHaveText(count(both.totals.views));
  await page.getByRole("button", { name: new RegExp(`^Remove Region`) }).click();
  await expect(page).not.toHaveURL(/region=/);
  await page.getByRole("button", { name: "Clear all" }).click();
  const all = await ask<Overview>("/overview");
  await expect(metric(page, "views")).toHaveText(count(all.totals.views));
});

test("every user column is a filter", async ({ page, ask }) => {
  const { user_columns: columns } = await ask<Facets>("/facets");
  expect(columns.map((column) => column.name)).toEqual(["plan"]);
  await page.goto("/");
  await settled(page);
  await expect(page.locator(".filters .popover")).toHaveCount(5 + columns.length);
  for (const column of columns) {
    const value = column.values[0]?.value ?? "";
    await page.goto(`/?user.${column.name}=${encodeURIComponent(value)}`);
    await settled(page);
    const { totals } = await ask<Overview>(`/overview?user.${column.name}=${encodeURIComponent(value)}`);
    await expect(metric(page, "views")).toHaveText(count(totals.views));
  }
});

test("dates are typed as ISO dates; nonsense is refused with a word", async ({ page, ask }) => {
  const facets = await ask<Facets>("/facets");
  const last = facets.dates?.last ?? "";
  await page.goto("/");
  await settled(page);
  await page.getByRole("button", { name: /^Dates/ }).click();
  const from = page.getByRole("textbox", { name: "From" });
  await from.fill("01/05/2026");
  await from.press("Tab");
  await expect(page.getByText("Not a date: write YYYY-MM-DD.")).toBeVisible();
  await expect(page).not.toHaveURL(/from=/);
  await from.fill(last);
  await from.press("Enter");
  await expect(page).toHaveURL(new RegExp(`from=${last}`));
  const { totals } = await ask<Overview>(`/overview?from=${last}`);
  await expect(metric(page, "views")).toHaveText(count(totals.views));
});
