/** Unit tests of pure functions, and tests of the page in Debian's Chromium against a running server. */
import { defineConfig } from "@playwright/test";

const url = process.env["STREAMREEL_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  outputDir: "test-results",
  reporter: [["list"]],
  forbidOnly: true,
  fullyParallel: false,
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  projects: [
    { name: "unit", testDir: "unit", testMatch: "*.test.ts" },
    {
      name: "e2e",
      testDir: "e2e",
      testMatch: "*.test.ts",
      use: {
        baseURL: url,
        viewport: { width: 1440, height: 900 },
        colorScheme: "light",
        launchOptions: {
          executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
          args: ["--no-sandbox", "--disable-dev-shm-usage"],
        },
      },
    },
  ],
});
