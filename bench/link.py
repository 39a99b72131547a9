"""How fast the link is: a real agent and a real central on this machine, and a browser on the dashboard.

- connected: from the moment when a started agent reads cards until central has welcomed it;
- reconnected: from the end of an outage of one second until central has welcomed the agent again;
- on the page: from a tap at the door until the browser has put the event into the dashboard's feed.

The outage is one of the network: the connection is aborted, and nothing gets through until it is over.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from bench.browser import Dashboard, find_chromium, open_dashboard, wall_ms
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn_async,
    median,
    print_table,
    quantile,
    read_options,
    say_calibration,
    work_folder,
)
from demo.processes import stop
from demo.world import Card, Setup, World, world

OUTAGE_S: Final = 1.0
LIMITS_MS: Final = {"connected": 500.0, "reconnected": 2000.0, "on_page": 100.0}
WORDS: Final = {
    "connected": "ready until connected",
    "reconnected": f"end of an outage of {OUTAGE_S:g} s until reconnected",
    "on_page": "tap until on the page",
}
_POLL_S: Final = 0.005
_WITHIN_S: Final = 30.0
_REST_S: Final = 0.3


class Scene:
    """The world under measurement, and who taps next: nobody within the hold-off of the door."""

    def __init__(self, built: World, dashboard: Dashboard | None, taps: int) -> None:
        self._world = built
        self._dashboard = dashboard
        self._taps = taps
        self._number = 0

    async def connected(self) -> list[float]:
        """Start the agent anew; return how long it then took to connect."""
        assert self._world.agent is not None
        await stop(self._world.agent)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._world.start_agent())
            await self._until_ready()
            return [await self._until_up()]

    async def reconnected(self) -> list[float]:
        """Cut the link for a second; return how long the agent took to come back."""
        await self._world.sim("link", state="cut")
        await asyncio.sleep(OUTAGE_S)
        await self._world.sim("link", state="heal")
        return [await self._until_up()]

    async def on_page(self) -> list[float]:
        """Let some members in, one after the other; return how long each took to be seen on the page."""
        assert self._dashboard is not None
        took = []
        for _ in range(self._taps):
            await asyncio.sleep(_REST_S)
            card = self._next_card()
            await self._dashboard.count()
            began_ms = wall_ms()
            await self._world.sim("tap", uid=card.uid, reader="in")
            took.append(await self._dashboard.shown() - began_ms)
        return took

    async def _until_ready(self) -> None:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                try:
                    await self._world.door()
                except OSError:
                    await asyncio.sleep(_POLL_S)
                else:
                    return

    async def _until_up(self) -> float:
        began = time.perf_counter()
        async with asyncio.timeout(_WITHIN_S):
            while True:
                if (await self._world.door())["link"] == "up":
                    return (time.perf_counter() - began) * 1000
                await asyncio.sleep(_POLL_S)

    def _next_card(self) -> Card:
        self._number += 1
        cards = self._world.seed.cards
        return cards[self._number % len(cards)]


async def measure(folder: Path, options: Options) -> dict[str, list[list[float]]]:
    """Build the world and let the three take turns; without a browser there are two."""
    async with world(folder, Setup()) as built:
        await built.until("link", "up")
        await built.until("members", "yes")
        if find_chromium() is None:
            return await _turns(Scene(built, None, 0), options)
        async with open_dashboard(built.central_url, built.seed.username, built.seed.password) as dashboard:
            return await _turns(Scene(built, dashboard, 2 if options.is_quick else 10), options)


async def _turns(scene: Scene, options: Options) -> dict[str, list[list[float]]]:
    contenders: dict[str, Callable[[], Awaitable[list[float]]]] = {
        "connected": scene.connected,
        "reconnected": scene.reconnected,
        "on_page": scene.on_page,
    }
    if find_chromium() is None:
        del contenders["on_page"]
    return await in_turn_async(options.rounds, contenders)


def judge(figures: dict[str, list[list[float]]]) -> list[Target]:
    """Return the targets: each the median over the rounds of a round's median."""
    return [
        Target(f"link_{name}_ms", median([median(took) for took in rounds]), LIMITS_MS[name])
        for name, rounds in figures.items()
    ]


def show(figures: dict[str, list[list[float]]]) -> None:
    """Print what each took over all rounds."""
    rows = []
    for name, rounds in figures.items():
        took = [each for part in rounds for each in part]
        rows.append((WORDS[name], median(took), quantile(took, 0.95), max(took)))
    print_table(("ms", "p50", "p95", "max"), rows)
    if "on_page" not in figures:
        print(f"{WORDS['on_page']}: not run, there is no browser (apt install chromium)")


def main() -> int:
    """Measure, print, judge."""
    options = read_options(__doc__ or "")
    if find_chromium() is None and os.environ.get("CI") == "true":
        print("bench.link needs a browser where CI=true: apt install chromium", file=sys.stderr)
        return 1
    with work_folder(options) as folder:
        say_calibration(folder)
        figures = asyncio.run(measure(folder, options))
    show(figures)
    return conclude(judge(figures), options)


if __name__ == "__main__":
    sys.exit(main())
