"""What the rows of the fault table are made of: doors beside a real central, eyes on their pages, verdicts."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from demo.processes import DemoError
from demo.world import World
from tests.processes.doors import CONFIG, PROFILE, Door, door_beside
from tests.processes.evidence import Record, settled, violations
from tests.processes.proxy import Proxy

GREEN: Final = frozenset({"granted_in", "granted_out"})
RED: Final = frozenset({"denied"})
OUT_OF_SERVICE: Final = frozenset({"out_of_service"})
NO_GREEN_WITHIN_S: Final = 1.5


class ShortError(Exception):
    """A promise was not kept; says how."""


class NotRunError(Exception):
    """The row cannot run here; says why."""


def need(holds: object, words: str) -> None:
    """Raise ShortError with the words unless it holds."""
    if not holds:
        raise ShortError(words)


class Page:
    """An open kiosk page: what a person at the door would see, kept in order."""

    def __init__(self, door: World) -> None:
        self._url = f"ws://127.0.0.1:{door.kiosk_port}/ws"
        self.seen: list[dict[str, Any]] = []
        self.on_seen: Callable[[dict[str, Any]], None] = lambda _view: None
        self._moved = asyncio.Event()

    async def watch(self) -> None:
        """Look until cancelled, through deaths and restarts of the agent."""
        while True:
            try:
                async with connect(self._url) as page:
                    await self._follow(page)
            except (OSError, WebSocketException, InvalidHandshake, EOFError):
                await asyncio.sleep(0.03)

    async def _follow(self, page: ClientConnection) -> None:
        async for text in page:
            view = json.loads(text)
            self.on_seen(view)
            self.seen.append(view)
            self._moved.set()

    def count(self, states: frozenset[str]) -> int:
        """Return how many pictures were of these states."""
        return sum(view["state"] in states for view in self.seen)

    async def next_of(self, states: frozenset[str], *, after: int, within_s: float = 8.0) -> dict[str, Any]:
        """Return the first picture of these states after so many pictures; raise ShortError where none comes."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    self._moved.clear()
                    for view in self.seen[after:]:
                        if view["state"] in states:
                            return view
                    await self._moved.wait()
        except TimeoutError:
            shown = [view["state"] for view in self.seen[after:]]
            raise ShortError(f"no {'/'.join(sorted(states))} within {within_s:g} s; the page showed {shown}") from None


@dataclass
class Place:
    """A door of the lab: its agent, the line to central, the page that a visitor sees."""

    door: Door
    proxy: Proxy
    page: Page
    _cards: Iterator[int] = field(default_factory=count)

    def card(self) -> str:
        """Return the next member's card."""
        cards = self.door.seed.cards
        return cards[next(self._cards) % len(cards)].uid

    async def tap(self, uid: str | None = None, reader: str = "in") -> None:
        """Present a card; a door that dies of it is no fault of the visitor."""
        with contextlib.suppress(OSError, DemoError, TimeoutError):
            await self.door.sim("tap", uid=uid or self.card(), reader=reader)

    async def opens(self, *, within_s: float = 8.0) -> float:
        """Tap and see green; return how long it took, in seconds."""
        after, began = len(self.page.seen), monotonic()
        await self.tap()
        await self.page.next_of(GREEN, after=after, within_s=within_s)
        return monotonic() - began

    async def stays_shut(self, *, for_s: float = NO_GREEN_WITHIN_S) -> list[str]:
        """Tap and see no green for a while; return what was shown instead."""
        after = len(self.page.seen)
        await self.tap()
        await asyncio.sleep(for_s)
        shown = [view["state"] for view in self.page.seen[after:]]
        need(not GREEN & set(shown), f"green without a record: {shown}")
        return shown

    async def equal(self, *, within_s: float = 60.0) -> Record:
        """Wait until device and central are equal and check everything else too; return the device's record."""
        found = await settled(self.door, within_s=within_s)
        wrong = violations(self.door, found, set())
        need(not wrong, "; ".join(wrong[:5]))
        return Record.of(self.door.state)

    async def dies(self, *, within_s: float = 15.0) -> None:
        """Wait until the agent was killed where it was told to die, and clean up behind it."""
        try:
            code = await self.door.ended(within_s=within_s)
        except TimeoutError:
            raise ShortError("the agent never came to the place where it was to die") from None
        need(code == -9, f"the agent ended with {code} instead of being killed: {self.door.log[-300:]}")
        await self.door.clean_up()

    async def restarted(self, **env: str) -> None:
        """Start the agent with this environment and wait until it works."""
        self.door.env = env
        await self.door.start_agent()

    async def linked(self) -> None:
        """Wait for the link and the directory."""
        await self.door.until("link", "up")
        await self.door.until("members", "yes")


@dataclass
class Lab:
    """Where rows run: a folder and a central that they share."""

    folder: Path
    central: World
    shim: Path | None = None
    _names: Iterator[int] = field(default_factory=count)
    _joining: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def place(
        self, *, config: str = CONFIG, profile: str = PROFILE, central: World | None = None, is_started: bool = True
    ) -> AsyncIterator[Place]:
        """Build a door, join it, and start its agent unless told otherwise."""
        folder = self.folder / f"place{next(self._names)}"
        async with contextlib.AsyncExitStack() as stack:
            beside = door_beside(folder, central or self.central, config=config, profile=profile)
            door, proxy = await stack.enter_async_context(beside)
            page = Page(door)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            watching = tasks.create_task(page.watch())
            place = Place(door, proxy, page)
            try:
                if is_started:
                    await door.start_agent()
                    await place.linked()
                yield place
            finally:
                watching.cancel()

    def disk(self, place: Place) -> "Disk":
        """Return a disk for a door that fails on demand; raise NotRunError without a compiler."""
        if self.shim is None:
            self.shim = _built(self.folder)
        return Disk(self.shim, place.door.folder / "disk-rule")


@dataclass(frozen=True, slots=True)
class Disk:
    """The rule by which file operations of one process fail; see `disk_shim.c`."""

    shim: Path
    rule: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that is to feel it."""
        return {"LD_PRELOAD": str(self.shim), "DISK_SHIM_RULE": str(self.rule)}

    def fails(self, op: str, match: str, action: str, *, nth: int = 0, arg: int = 0) -> None:
        """Let operations fail from now on: every one, or the `nth`."""
        new = self.rule.with_suffix(".new")
        new.write_text(f"{op} {match} {action} {nth} {arg}\n")
        new.replace(self.rule)

    def heals(self) -> None:
        """Let everything work again."""
        self.rule.unlink(missing_ok=True)


def _built(folder: Path) -> Path:
    shim = folder / "disk_shim.so"
    source = Path(__file__).with_name("disk_shim.c")
    command = ["gcc", "-O2", "-fPIC", "-shared", "-o", str(shim), str(source), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        raise NotRunError(f"needs a C compiler ({fault}): apt install gcc libc6-dev") from fault
    if done.returncode:
        raise NotRunError(f"the disk shim does not compile: {done.stderr[-200:]}")
    return shim


Attempt = Callable[[Lab], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the fault table: what is promised, what is done, and the attempt, which returns what it saw."""

    id: str
    promise: str
    did: str
    attempt: Attempt
    is_quick: bool = False


class Table:
    """Rows in the order in which they were written down."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def row(self, id_: str, promise: str, did: str, *, is_quick: bool = False) -> Callable[[Attempt], Attempt]:
        """Add the attempt that follows; quick ones are in the short form."""

        def add(attempt: Attempt) -> Attempt:
            self.rows.append(Row(id_, promise, did, attempt, is_quick))
            return attempt

        return add

    def not_run(self, id_: str, promise: str, why: str) -> None:
        """Add a row that nothing here can run."""

        async def attempt(_lab: Lab) -> str | None:
            raise NotRunError(why)

        self.rows.append(Row(id_, promise, "-", attempt))
