"""SIGKILL for agents, central and both at random moments under load: `python -m tests.processes.crash --kills N`.

Two doors, each behind a line of its own that gets worse and heals at random; people tap without pause, the front desk
opens doors. After each round everything heals, and device and central are compared event by event. A kill costs what
was under way and nothing that was durable or shown.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import monotonic
from typing import Final

import click

from demo.processes import DemoError, kill
from demo.world import World
from tests.acceptance.visitors import Eyes
from tests.processes.door_process import is_on
from tests.processes.doors import Door, central_alone, door_beside, tapping
from tests.processes.evidence import open_commands, settled, violations
from tests.processes.proxy import FINE, Proxy, random_weather

DOORS: Final = 2
ROUND_KILLS: Final = 50
TAPS_PER_S: Final = 12.0
_STRANGER: Final = "0400000000BAD0"


@dataclass(slots=True)
class Figures:
    """What happened; `wrong` names every broken promise."""

    agent_kills: int = 0
    central_kills: int = 0
    agent_starts: int = 0
    central_starts: int = 0
    taps: int = 0
    weather: int = 0
    greens: int = 0
    greens_missing: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    visits: int = 0
    caught_on: int = 0
    slowest_off_ms: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Processes that were killed."""
        return self.agent_kills + self.central_kills

    def add(self, other: "Figures") -> None:
        """Add a round to the total."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            joined = max(mine, theirs) if each.name == "slowest_off_ms" else mine + theirs
            setattr(self, each.name, joined)

    def lines(self) -> list[str]:
        """Return the report."""
        return [
            f"{self.kills} kills ({self.agent_kills} agents, {self.central_kills} central), "
            f"{self.agent_starts + self.central_starts} restarts, {self.weather} changes of the line's weather, "
            f"{self.seconds:.0f} s",
            f"{self.taps} taps, {self.greens} greens seen, {self.events} events, {self.visits} visits",
            f"{self.lost} lost, {self.doubled} doubled, {self.greens_missing} greens missing",
            f"{self.caught_on} deaths with the line on; off {self.slowest_off_ms} ms after death at the latest",
            *(f"WRONG: {each}" for each in self.wrong[:20]),
        ]


@dataclass(slots=True)
class Scene:
    """Everything that runs in one round."""

    central: World
    doors: list[tuple[Door, Proxy, Eyes]]
    chance: random.Random
    figures: Figures
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    down: set[int] = field(default_factory=set)

    async def play(self, kills: int) -> None:
        """Kill so often, with load all the while; everything runs and the weather is fine when this returns."""
        async with asyncio.TaskGroup() as tasks:
            for door, proxy, _ in self.doors:
                tasks.create_task(self._tap(door))
                tasks.create_task(self._change_weather(proxy))
            tasks.create_task(self._open_remotely())
            await self._kill(kills)
            await asyncio.sleep(1.0)
            self.is_over.set()
        for _, proxy, _ in self.doors:
            proxy.weather = FINE

    async def _kill(self, kills: int) -> None:
        """Each victim comes back by itself, as its service manager would do it, while others die."""
        left = kills
        async with asyncio.TaskGroup() as tasks:
            while left > 0:
                await asyncio.sleep(self.chance.uniform(0.05, 0.8))
                for victim in self._victims()[:left]:
                    left -= 1
                    self.down.add(victim)
                    tasks.create_task(self._kill_one(victim))

    def _victims(self) -> list[int]:
        """Return who dies next among those that run: doors by number, central as -1; now and then several at once."""
        up = {-1, *range(len(self.doors))} - self.down
        dice = self.chance.random()
        if dice < 0.1:
            return sorted(up)
        wanted = -1 if dice < 0.25 else self.chance.randrange(len(self.doors))
        return [wanted] if wanted in up else []

    async def _kill_one(self, victim: int) -> None:
        if victim < 0:
            await self._kill_central()
        else:
            await self._kill_agent(self.doors[victim][0])
        self.down.discard(victim)

    async def _kill_agent(self, door: Door) -> None:
        await door.kill_agent()
        died = monotonic()
        self.figures.agent_kills += 1
        if is_on(door.line):
            self.figures.caught_on += 1
            await door.clean_up()
            off_ms = round((monotonic() - died) * 1000)
            self.figures.slowest_off_ms = max(self.figures.slowest_off_ms, off_ms)
        await door.start_agent()
        self.figures.agent_starts += 1

    async def _kill_central(self) -> None:
        assert self.central.central is not None
        await kill(self.central.central)
        self.figures.central_kills += 1
        await asyncio.sleep(self.chance.uniform(0.0, 0.8))
        await self.central.start_central()
        self.figures.central_starts += 1

    async def _tap(self, door: Door) -> None:
        while not self.is_over.is_set():
            try:
                async with tapping(door) as taps:
                    while not self.is_over.is_set():
                        card = self.chance.choice(door.seed.cards).uid if self.chance.random() > 0.1 else _STRANGER
                        await taps.do("tap", uid=card, reader=self.chance.choice(("in", "out")))
                        self.figures.taps += 1
                        if self.chance.random() < 0.03:
                            await taps.do("torn")
                        await asyncio.sleep(self.chance.expovariate(TAPS_PER_S))
            except OSError:
                await asyncio.sleep(0.02)

    async def _change_weather(self, proxy: Proxy) -> None:
        while not self.is_over.is_set():
            proxy.weather = random_weather(self.chance) if self.chance.random() < 0.5 else FINE
            if self.chance.random() < 0.2:
                proxy.reset()
            self.figures.weather += 1
            await self._wait(self.chance.uniform(0.3, 2.5))

    async def _open_remotely(self) -> None:
        """The desk's page fails while central is down; whoever stands there presses again."""
        while not self.is_over.is_set():
            door = self.chance.choice(self.doors)[0]
            with contextlib.suppress(OSError, DemoError):
                await self.doors[0][0].staff.unlock(door.device, "forgot the card")
            await self._wait(self.chance.uniform(0.5, 2.0))

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.is_over.wait()


async def crash_round(folder: Path, kills: int, seed: int) -> Figures:
    """Play one round in a fresh world and return its figures."""
    figures = Figures()
    began = monotonic()
    async with _scene(folder, seed, figures) as scene:
        await scene.play(kills)
        for door, _, eyes in scene.doors:
            found = await settled(door)
            figures.greens += len(eyes.greens)
            figures.greens_missing += len(eyes.greens - set(found.central))
            figures.events += len(found.device)
            figures.lost += len(found.missing)
            figures.doubled += found.twice
            figures.visits += found.visits
            figures.wrong += [f"{door.folder.name}: {each}" for each in violations(door, found, eyes.greens)]
        figures.wrong += open_commands(folder / "central" / "central")
    figures.seconds = monotonic() - began
    return figures


@contextlib.asynccontextmanager
async def _scene(folder: Path, seed: int, figures: Figures) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        central = await stack.enter_async_context(central_alone(folder / "central"))
        entered = [
            await stack.enter_async_context(door_beside(folder / f"door{number}", central)) for number in range(DOORS)
        ]
        doors = [(door, proxy, Eyes(door)) for door, proxy in entered]
        for door, _, _ in doors:
            await door.start_agent()
            await door.until("members", "yes")
        watching = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [watching.create_task(eyes.watch()) for _, _, eyes in doors]
        try:
            yield Scene(central, doors, random.Random(seed), figures)
        finally:
            for task in tasks:
                task.cancel()


async def crash(folder: Path, kills: int, seed: int, *, is_shown: bool) -> Figures:
    """Play rounds until so many processes were killed; stop at the first broken promise, whose folder is kept."""
    total = Figures()
    number = 0
    while total.kills < kills and not total.wrong:
        number += 1
        part = folder / f"round{number}"
        found = await crash_round(part, min(ROUND_KILLS, kills - total.kills), seed + number)
        total.add(found)
        if is_shown:
            click.echo(f"round {number} (seed {seed + number}): " + "; ".join(found.lines()[:3]))
    return total


@click.command()
@click.option("--kills", default=100, show_default=True, help="How many processes to kill.")
@click.option("--seed", default=0, show_default=True, help="Which accidents happen; moments still vary.")
def main(kills: int, seed: int) -> None:
    """Kill agents and central under load and compare both sides; exits with 1 where a promise broke."""
    folder = Path(tempfile.mkdtemp(prefix="doorstile-crash-"))
    total = asyncio.run(crash(folder, kills, seed, is_shown=True))
    click.echo("\n".join(total.lines()))
    if total.wrong:
        click.echo(f"everything is kept in {folder}")
        sys.exit(1)


if __name__ == "__main__":
    main()
