"""A member of staff's browser on the dashboard: headless Chromium that notes when the feed shows a grant."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Page, async_playwright

_QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
)  # fmt: skip
_WITHIN_MS: Final = 15_000
_WATCH: Final = """() => {
  const grownAt = [];
  const waiting = [];
  new MutationObserver((changes) => {
    const at = performance.timeOrigin + performance.now();
    for (const row of changes.flatMap((change) => [...change.addedNodes])) {
      if (row.querySelector("[data-what=grant]")) grownAt.push(at);
    }
    for (const look of waiting.splice(0)) look();
  }).observe(document.getElementById("feed"), { childList: true });
  window.grants = () => grownAt.length;
  window.growth = (number) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no grant was shown")), 15_000);
    const look = () => (grownAt.length >= number ? resolve(grownAt[number - 1]) : waiting.push(look));
    look();
  });
}"""


def find_chromium() -> str | None:
    """Return where Chromium is, None where it is not installed."""
    return shutil.which("chromium")


class Dashboard:
    """An open dashboard; tells when its feed shows another grant."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._shown = 0

    async def watch(self) -> None:
        """Begin to note when grants are shown."""
        await self._page.evaluate(_WATCH)

    async def count(self) -> None:
        """Take what is shown already as seen; call it before the next tap."""
        self._shown = await self._page.evaluate("() => window.grants()")

    async def shown(self) -> float:
        """Wait for the next grant; return when it was put into the page, in wall milliseconds."""
        self._shown += 1
        at_ms: Any = await self._page.evaluate("(number) => window.growth(number)", self._shown)
        return float(at_ms)


@asynccontextmanager
async def open_dashboard(url: str, username: str, password: str) -> AsyncIterator[Dashboard]:
    """Log in at central as a person would, and wait until the page is live."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(_QUIET))
        try:
            page = await browser.new_page()
            page.set_default_timeout(_WITHIN_MS)
            await page.goto(url + "/")
            await page.fill("[name=username]", username)
            await page.fill("[name=password]", password)
            await page.press("[name=password]", "Enter")
            await page.wait_for_selector("#link[data-state=live]")
            dashboard = Dashboard(page)
            await dashboard.watch()
            yield dashboard
        finally:
            await browser.close()


def wall_ms() -> float:
    """Return the wall clock, in the unit of `Dashboard.shown`."""
    return time.time_ns() / 1e6
