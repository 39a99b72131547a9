"""Visitors at virtual PC/SC slots, and a pair of eyes on the kiosk page that remembers every green."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from demo.world import Card, World
from tests.fakes.virtual_card import VirtualCard, uid_answer

DWELL_S = 0.5
"""pcscd looks at a virtual slot every 400 ms; a card must lie there, and be away, for longer."""

_RUN = re.compile(r"run ([0-9a-f]{16})\b")


class Eyes:
    """Watches the kiosk page through kills and restarts; `greens` are (run, n) of every grant that was shown."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.greens: set[tuple[str, int]] = set()

    async def watch(self) -> None:
        """Look until cancelled."""
        url = f"ws://127.0.0.1:{self._world.kiosk_port}/ws"
        while True:
            try:
                async with connect(url) as page:
                    run = self._run_id()
                    async for text in page:
                        self._note(json.loads(text), run)
            except (OSError, WebSocketException, InvalidHandshake, EOFError):
                await asyncio.sleep(0.05)

    def _note(self, view: dict[str, str], run: str) -> None:
        if view["state"] in {"granted_in", "granted_out"} and "support" in view:
            suffix, _, n = view["support"].partition("-")
            assert run.endswith(suffix), f"green of run …{suffix} in run {run}"
            self.greens.add((run, int(n)))

    def _run_id(self) -> str:
        """The run of the agent that serves the page now, from its log: one line at each start."""
        last: str = _RUN.findall((self._world.folder / "agent.log").read_text())[-1]
        return last


class Visitors:
    """Present cards at slots, one person after the other at each, all slots at once."""

    def __init__(self, ports: tuple[int, ...], cards: list[Card], *, taps: int, seed: int = 1) -> None:
        self._ports = ports
        self._cards = cards
        self._rng = random.Random(seed)
        self._left = taps
        self._next = 0
        self.taps = 0
        self.refused = 0

    async def come(self) -> None:
        """Return once every tap was made."""
        async with asyncio.TaskGroup() as tasks:
            for port in self._ports:
                tasks.create_task(self._at_slot(port))

    async def _at_slot(self, port: int) -> None:
        await asyncio.sleep(self._rng.random() * DWELL_S)
        while self._left > 0:
            self._left -= 1
            card = self._cards[self._next % len(self._cards)]
            self._next += 1
            while not await self._tap(port, card):
                self.refused += 1
            self.taps += 1

    async def _tap(self, port: int, card: Card) -> bool:
        """Present a card and take it away; False where the slot did not take it, as its driver was still busy."""
        virtual = VirtualCard(port, uid_answer(bytes.fromhex(card.uid)))
        try:
            await asyncio.to_thread(virtual.insert)
        except OSError:
            return False
        try:
            await asyncio.sleep(DWELL_S)
        finally:
            virtual.remove()
        await asyncio.sleep(DWELL_S)
        return True


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[Eyes]:
    """Keep eyes on the page as long as the block lasts."""
    eyes = Eyes(world)
    async with asyncio.TaskGroup() as tasks:
        watching_task = tasks.create_task(eyes.watch())
        try:
            yield eyes
        finally:
            watching_task.cancel()
