"""Contacts, buttons and sensors: lines that are pulled in the kernel, through gpio-sim."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.device.door import Bench
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


def _input(role: str, line: int) -> str:
    """Return an input's section: closed to ground it is at rest, so its line is high while it is active."""
    return f"""
[[inputs]]
name = "{role}"
driver = "gpio"
role = "{role}"
line = {line}
pull = "pull_up"
contact = "NC"
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
