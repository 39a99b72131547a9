"""Codes that were used, shown again in every way we know: at once, later, after restarts, with the clock set back.

The memory is the product's own journal. Half of the replays go past the look at the pass, straight to the record: the
journal has to refuse them by itself.
"""

import asyncio
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from agent.core.types import Decision, Facts, Use
from agent.store.errors import StepUsedError
from agent.store.journal import Journal
from agent.store.types import Draft
from rules.policy import decide
from tests.core.builders import WALL_MS
from tests.passes.making import NOW_S, PassDoor, Phone, claims, private_key, signed
from tests.store.samples import AT, DEVICE, QUICK
from wire.events import AlarmBody
from wire.passes import STEP_MS
from wire.vocabulary import Direction, EventKind

PER_GRANT: Final = 20
_RESTART_EVERY: Final = 25


class Tally(Struct):
    """What came of it: `granted` first showings, `replayed` codes, and how many of those were `accepted`: 0."""

    granted: int = 0
    replayed: int = 0
    accepted: int = 0
    restarts: int = 0


def replay(count: int, seed: int) -> Tally:
    """Show used codes `count` times."""
    return asyncio.run(_replay(count, seed))


async def _replay(count: int, seed: int) -> Tally:
    random, tally = Random(seed), Tally()
    phones = [Phone(private_key(100 + number)) for number in range(8)]
    with tempfile.TemporaryDirectory(prefix="doorstile-replays-") as folder:
        journal = Journal.open(Path(folder), device=DEVICE, limits=QUICK)
        wall_ms = WALL_MS
        while tally.replayed < count:
            door = PassDoor(*(phone.row(f"m{number}") for number, phone in enumerate(phones)), steps=journal)
            wall_ms += random.randrange(1, 4 * STEP_MS)
            door.clock.wall_ms = wall_ms
            used = await _used(door, journal, random, phones, tally)
            for _ in range(PER_GRANT):
                door.clock.wall_ms = wall_ms + _shift_ms(random)
                tally.replayed += 1
                tally.accepted += await _is_accepted(door, journal, used, random)
            if tally.granted % _RESTART_EVERY == 0:
                await journal.close()
                journal = Journal.open(Path(folder), device=DEVICE, limits=QUICK)
                tally.restarts += 1
        await journal.close()
    return tally


async def _used(door: PassDoor, journal: Journal, random: Random, phones: list[Phone], tally: Tally) -> list[str]:
    """Use up a code; return it, and codes of the same pass that were made before it and never shown."""
    if random.random() < 0.3:
        end = NOW_S + 10**7 + tally.granted  # later than every clock of the run
        code = signed(claims(jti=f"{tally.granted:032x}", exp=end, once=True))
        earlier = list[str]()
    else:
        phone = random.choice(phones)
        earlier = [phone.code(door.clock.wall_ms, by=-1)]
        code = phone.code(door.clock.wall_ms, by=random.choice((0, 1)))
    facts = door.facts(code)
    if decide(facts).is_grant:
        await _record(journal, facts)
        tally.granted += 1
    return [code, *earlier]


def _shift_ms(random: Random) -> int:
    """The clock within the window, or set back by as much as an attacker likes."""
    return random.choice((0, 0, -STEP_MS, STEP_MS, -2 * STEP_MS, -60_000, -3_600_000))


async def _is_accepted(door: PassDoor, journal: Journal, used: list[str], random: Random) -> bool:
    facts = door.facts(random.choice(used), random.choice((Direction.IN, Direction.IN, Direction.TOGGLE)))
    decision: Decision = decide(facts)
    if decision.is_grant:
        return True
    if random.random() < 0.5 and facts.passed is not None and facts.passed.step:
        try:
            await _record(journal, facts)
        except StepUsedError:
            return False
        return True
    return False


async def _record(journal: Journal, facts: Facts) -> None:
    assert facts.passed is not None
    credential = facts.read.credential
    use = Use(f"{credential.kind}:{credential.key}", facts.passed.step)
    await journal.append(Draft(EventKind.ALARM, AT, AlarmBody(code="shown"), uses=use))
