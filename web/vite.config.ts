/** Builds the page into the crate that serves it; while developing, passes API calls on to a running `streamreel serve`. */
import { defineConfig } from "vite";

const server = process.env["STREAMREEL_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    outDir: "../crates/serve/page",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    // The strict content security policy lets nothing in as a data: URL but images.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800,
    // A chunk of their own, whose bytes stay as they are when the page changes.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "borders", test: /world-atlas/ }] } } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/api": server } },
});
