"""What the page shows of a pair: its DOM, in Debian's Chromium."""

from urllib.parse import quote, urlencode

from playwright.sync_api import Page, sync_playwright

import tools
from api import shown_curve
from pairs import Pair
from server import Served

PATIENCE_MS = 30_000
TILES = {"watch_time_s": "watch time as shown", "avg_retention": "retention as shown", "completion_rate": "completion as shown"}
# The fourth cell of a row is the count; a caption tells which curve it is.
COUNTS = """caption => {
    const table = [...document.querySelectorAll("table")].find(t => t.caption?.textContent === caption);
    return [...table.tBodies[0].rows].map(row => row.cells[3].textContent);
}"""


class Browser:
    """One browser for all pairs. Its requests may go to the server alone."""

    def __init__(self, server: Served):
        self.server = server

    def __enter__(self):
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(
            executable_path=tools.need("chromium", "chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        self.page = self.browser.new_page(locale="en-US")
        self.page.set_default_timeout(PATIENCE_MS)
        self.elsewhere: list[str] = []
        self.page.on("request", self.note)
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def note(self, request) -> None:
        """Remembers a request that leaves the server."""
        if not request.url.startswith((self.server.url + "/", "data:", "blob:")):
            self.elsewhere.append(request.url)

    def numbers(self, pair: Pair) -> dict:
        """What is compared."""
        page, kind = self.page, shown_curve(pair)
        query = urlencode([*pair.parameters(), ("curve", kind)])
        page.goto(f"{self.server.url}/videos/{quote(pair.video, safe='')}?{query}")
        first = page.locator('dd[data-metric="views"], .empty-title, [role="alert"]').first
        first.wait_for()
        if page.get_by_role("alert").count():
            raise SystemExit(f"{pair}: the page says {page.get_by_role('alert').first.inner_text()}")
        if page.locator('dd[data-metric="views"]').count() == 0:
            return {"views": 0}
        said = {name: whole(self.tile(page, name)) for name in ("views", "viewers")}
        said |= {name: self.tile(page, tile) for tile, name in TILES.items()}
        page.get_by_role("button", name="Show table of Retention curve").click()
        caption = f"{kind.capitalize()} by second"
        page.locator("caption", has_text=caption).wait_for(state="attached")
        return said | {f"{kind} by second as shown": [whole(text) for text in page.evaluate(COUNTS, caption)]}

    def tile(self, page: Page, metric: str) -> str:
        """The text of a number at the top."""
        return page.locator(f'dd[data-metric="{metric}"]').first.inner_text().strip()


def whole(text: str) -> int:
    """A whole number as people read it."""
    return int(text.replace(",", ""))
