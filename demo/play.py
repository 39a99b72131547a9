"""The play: visitors come, the link fails, the door goes on, the link heals, the figures agree."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from demo.compare import Comparison, compare
from demo.world import Card, World

Say = Callable[[str], None]

STRANGER: Final = Card(uid="0400000000BAD0", member="somebody unknown")
_DRAIN_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the play goes, in seconds; `acts` are the lengths of its four parts."""

    visitor_s: float
    acts: tuple[float, float, float, float]
    kills: bool


MINUTE: Final = Pace(visitor_s=3.0, acts=(15.0, 15.0, 15.0, 15.0), kills=False)
CHECK: Final = Pace(visitor_s=0.15, acts=(2.0, 3.0, 2.0, 1.0), kills=True)


@dataclass
class Crowd:
    """Who is inside; picks who comes or goes next. Nobody presents twice within the door's hold-off."""

    cards: list[Card]
    rng: random.Random
    inside: list[Card] = field(default_factory=list)
    rested: list[Card] = field(default_factory=list)
    visits: int = 0

    def __post_init__(self) -> None:
        self.rested = list(self.cards)

    def next(self) -> tuple[Card, str]:
        """Return who presents next, and at which reader."""
        self.visits += 1
        if self.visits % 9 == 0:
            return STRANGER, "in"
        if self.inside and (len(self.inside) > len(self.cards) // 2 or self.rng.random() < 0.35):
            card = self.inside.pop(0)
            self.rested.append(card)
            return card, "out"
        card = self.rested.pop(0)
        self.inside.append(card)
        return card, "in"


async def play(world: World, pace: Pace, say: Say) -> Comparison:
    """Play all acts and return the comparison of both sides; raise DemoError where a step fails."""
    crowd = Crowd(world.seed.cards, random.Random(7))  # noqa: S311 - a play, not a secret
    await world.until("link", "up")
    await world.until("members", "yes")
    say("The door is open for business: a card is decided on the device, in milliseconds.")
    await _visits(world, crowd, pace, pace.acts[0], say)
    await _outage(world, crowd, pace, say)
    await _visits(world, crowd, pace, pace.acts[2], say)
    left_s = pace.acts[3] - await _remote_unlock(world, say)
    await _visits(world, crowd, pace, left_s, say)
    say("Totals.")
    await world.until("waiting", "0", within_s=_DRAIN_WITHIN_S)
    return await _settled_comparison(world)


async def _visits(world: World, crowd: Crowd, pace: Pace, length_s: float, say: Say) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + length_s
    while loop.time() < end:
        card, reader = crowd.next()
        await world.sim("tap", uid=card.uid, reader=reader)
        does = "is refused" if card is STRANGER else "enters" if reader == "in" else "leaves"
        say(f"  {card.member:<24.24} {does}")
        await asyncio.sleep(pace.visitor_s)


async def _outage(world: World, crowd: Crowd, pace: Pace, say: Say) -> None:
    await world.sim("link", state="cut")
    await world.until("link", "down")
    say("The link to central is cut. The door goes on from what it knows.")
    await _visits(world, crowd, pace, pace.acts[1] / 2, say)
    if pace.kills:
        await world.kill_agent()
        say("The agent is killed (SIGKILL) and started again.")
        await world.start_agent()
        await world.sim("link", state="cut")
    await _visits(world, crowd, pace, pace.acts[1] / 2, say)
    waiting = int((await world.door())["waiting"])
    before = await compare(world)
    say(f"The link heals; {waiting} events wait on the device.")
    await world.sim("link", state="heal")
    await world.until("link", "up")
    await world.until("waiting", "0", within_s=_DRAIN_WITHIN_S)
    after = await _settled_comparison(world)
    say(f"  {_sent(len(after.central) - len(before.central), waiting)}, {_verdict(after)}.")


async def _remote_unlock(world: World, say: Say) -> float:
    """Let one person in from the dashboard; return how long that took, in seconds."""
    began = asyncio.get_running_loop().time()
    say("Front desk: one person is let in from the dashboard.")
    await world.staff.unlock(world.device, "forgot the card")
    await world.until("lock", "unlocked", within_s=10)
    say("  unlocked")
    await world.until("lock", "locked", within_s=10)
    say("  locked again")
    return asyncio.get_running_loop().time() - began


async def _settled_comparison(world: World) -> Comparison:
    """Compare while events may still trickle in: the last pulse's passage comes after its tap."""
    found = await compare(world)
    try:
        async with asyncio.timeout(_DRAIN_WITHIN_S):
            while not found.is_equal or (await world.door())["lock"] != "locked":
                await asyncio.sleep(0.2)
                found = await compare(world)
    except TimeoutError:
        pass
    return found


def _sent(count: int, waited: int) -> str:
    came = count - waited
    return f"{count} events sent" if came <= 0 else f"{count} events sent, {came} of which came meanwhile"


def _verdict(found: Comparison) -> str:
    lost = f"{len(found.missing)} lost" if found.missing else "none lost"
    twice = f"{found.twice} twice" if found.twice else "none twice"
    return f"{lost}, {twice}"
