/** Fails if what the page loads is too large: everything but the chunk of the map, compressed. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const MOST = 260_000;
const page = join(import.meta.dirname, "../../crates/serve/page");

const files = readdirSync(page, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));
let total = 0;
for (const file of files.sort()) {
  const size = gzipSync(readFileSync(file), { level: 9 }).length;
  const map = /\/(world|borders)-[^/]*\.js$/.test(file);
  if (!map) total += size;
  console.log(
    `${String(size).padStart(8)} B gzip  ${file.slice(page.length + 1)}${map ? "  (the map, only when it is looked at)" : ""}`,
  );
}
console.log(`${String(total).padStart(8)} B gzip  in all without the map, of at most ${MOST}`);
if (total > MOST) {
  console.error(`The page has grown by ${total - MOST} B too much: see which import brought it.`);
  process.exit(1);
}
