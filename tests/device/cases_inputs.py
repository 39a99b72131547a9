"""Contacts, buttons and sensors: lines that are pulled in the kernel, through gpio-sim."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.device.door import CARD_READER, HEAD, OUTPUTS, RELAY, Bench, GuestDoor
from tests.device.guest import Guest
from tests.device.table import Scale, Table
from tests.device.watching import Told, Watching
from tests.processes.lab import need

TABLE: Final = Table()
LINES: Final = {"contact": 5, "rex": 6, "fire": 13, "tamper": 19}
_NOISE_MS: Final = 30
_STAMP_MS: Final = 5
_HEAD: Final = """
name = "inputs"
description = "Inputs alone"
pin_factory = "lgpio"
lock_type = "none"

[[readers]]
name = "in"
driver = "simulated"
direction = "in"

[light]
driver = "none"

[buzzer]
driver = "none"
"""


def _input(role: str, line: int, pull: str = "pull_up", contact: str = "NC") -> str:
    """Return an input's section: its line is high while it is active, whether at rest it is closed or open."""
    return f"""
[[inputs]]
name = "{role}"
driver = "gpio"
role = "{role}"
line = {line}
pull = "{pull}"
contact = "{contact}"
active_high = true
"""


@TABLE.case("inputs", "gpio-sim", "contact, exit button, fire, tamper: over 400 ms is seen, under 30 ms never")
async def inputs(bench: Bench, scale: Scale) -> str:
    async with bench.guest("inputs") as (guest, _):
        watching = await Watching.start(guest, _HEAD + "".join(_input(role, line) for role, line in LINES.items()))
        await watching.ready()
        for role in LINES:  # the pull-up of the claim has made all of them active
            await _seen_ms(guest, watching, role, 0)
        seen = [await _seen_ms(guest, watching, role, level) for role in LINES for level in (1, 0) * scale.crashes]
        blips = [await _blip(guest, role) for role in LINES for _ in range(scale.codes)]
        await asyncio.sleep(1)
        short = [blip for blip in blips if blip.took_ms < _NOISE_MS]
        need(short, f"this machine was too slow for a blip under {_NOISE_MS} ms")
        believed = [told for told in await watching.look() if any(blip.explains(told) for blip in short)]
        need(not believed, f"blips under {_NOISE_MS} ms were believed: {believed[:3]}")
    return (
        f"{len(LINES)} inputs: {len(seen)} changes, each told once and dated at most {max(seen):.0f} ms from its edge; "
        f"{len(short)} blips under {_NOISE_MS} ms, none told"
    )


@dataclass(frozen=True, slots=True)
class Blip:
    """A line jumped up and back."""

    role: str
    at_ms: float
    took_ms: float

    def explains(self, told: Told) -> bool:
        """Say whether a change would be this blip's."""
        return (
            told.get("input") == self.role
            and 0 <= told["at_ms"] - self.at_ms + _STAMP_MS <= self.took_ms + 2 * _STAMP_MS
        )


async def _blip(guest: Guest, role: str) -> Blip:
    at_ms, took_ms = await guest.ask("blip", line=LINES[role], for_s=0.005)
    return Blip(role, at_ms, took_ms)


async def _seen_ms(guest: Guest, watching: Watching, role: str, level: int) -> float:
    """Pull a line and hold it; return how far the change was dated from the pull."""
    at_ms = await guest.pull(LINES[role], level)

    def is_told(found: list[Told]) -> bool:
        return any(told.get("input") == role for told in found)

    told = [each for each in await watching.until(is_told, f"{role} {level}", within_s=10) if "input" in each]
    need(len(told) == 1 and told[0]["is_active"] is bool(level), f"{role} pulled to {level}: {told}")
    return abs(float(told[0]["at_ms"]) - at_ms)


_LASTS_S: Final = 1.5
_AT_REST_OPEN: Final = "".join(_input(role, line, "pull_down", "NO") for role, line in LINES.items())
_SHOWN_S: Final = 4.0
_GONE_WRONG: Final = ["door_forced", "door_secure", "tamper", "tamper_over", "fire", "fire_input_over"]
_MOVED: Final = ["opened", "closed"]


@TABLE.case("inputs-agent", "gpio-sim", "through the agent to central: who passed, force, exit, tampering, fire")
async def through_the_agent(bench: Bench, _scale: Scale) -> str:
    async with bench.door("told", HEAD + CARD_READER + OUTPUTS + _AT_REST_OPEN) as door:
        await door.start()
        await door.unlocks_by_card()
        await _pulled(door, "contact")
        await door.rests(within_s=1.0)  # the lock closes behind whoever opened the door
        await asyncio.sleep(_LASTS_S + 2)  # and the grant's time is over
        await _pulled(door, "contact")
        await _pulled(door, "tamper")
        await _pulled(door, "rex", while_it_lasts="contact")
        await _fire(door)
        record, _ = await door.checked()
    alarms = [event["body"]["code"] for _, event in record.of_kind("alarm")]
    moves = [event["body"]["what"] for _, event in record.of_kind("door")]
    need(alarms == _GONE_WRONG, f"alarms: {alarms}")
    need(moves == [*_MOVED * 2, "exit_request", *_MOVED], f"the door's movements: {moves}")
    need(len(record.grants()) == 1, f"{len(record.grants())} grants, one of them before the fire")
    need([how for _, how in record.passages()] == ["passed"], f"passages: {record.passages()}")
    senses = [event["body"].get("sense") for _, event in record.of_kind("passage")]
    need(senses == ["contact"], f"passages were told by {senses}")
    return f"{len(alarms)} alarms and {len(moves)} movements at central, in order"


async def _pulled(door: GuestDoor, role: str, *, while_it_lasts: str = "") -> None:
    """Let an input become active for a while, and another one within that."""
    await door.guest.pull(LINES[role], 1)
    await asyncio.sleep(_LASTS_S)
    if while_it_lasts:
        await _pulled(door, while_it_lasts)
    await door.guest.pull(LINES[role], 0)
    await asyncio.sleep(_LASTS_S)


async def _fire(door: GuestDoor) -> None:
    """From a fire on nobody is let in, also after its input is at rest: staff have not reset it."""
    after = len(door.page.seen)
    await door.guest.pull(LINES["fire"], 1)
    await door.page.next_of(frozenset({"fire"}), after=after, within_s=20)
    for level in (1, 0):
        await door.guest.pull(LINES["fire"], level)
        await asyncio.sleep(_LASTS_S)
        async with door.card_on_reader(door.card()):
            await asyncio.sleep(_SHOWN_S)
        need(await door.guest.level(RELAY) == 0, "the relay's line is high after a fire began")
