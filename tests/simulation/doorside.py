"""What hangs at a simulated door and outlasts its agent: the leaf or the arms, the fire alarm, and those who walk.

The physical truth is counted here: a grant may be charged only where somebody really went through.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agent.core.door import DoorSetup
from agent.core.station import Door
from agent.core.turnstile import ArmsSetup
from hardware.base import InputChange, InputRole, Pulse, Way
from tests.simulation.hardware import Relay
from wire.vocabulary import Direction

PLAIN: Final = "plain"
CONTACT: Final = "contact"
TURNSTILE: Final = "turnstile"
STANDS_STILL: Final = 0.2
WALKS_S: Final = (0.3, 2.5)
OPEN_S: Final = (0.5, 4.0)
ROLES: Final = {
    PLAIN: (InputRole.FIRE,),
    CONTACT: (InputRole.FIRE, InputRole.CONTACT),
    TURNSTILE: (InputRole.FIRE, InputRole.PASSAGE_IN, InputRole.PASSAGE_OUT, InputRole.BUSY),
}


def door_of(entry: str, name: str, run: str, pulse_ms: int | None) -> Door:
    """Return the agent's view of an entry."""
    if entry == TURNSTILE:
        return Door(name, run, pulse_ms, arms=ArmsSetup(frozenset({Direction.IN, Direction.OUT}), passage_ms=8_000))
    return Door(name, run, pulse_ms, leaf=DoorSetup(has_contact=entry == CONTACT))


class ArmRelays:
    """A turnstile over the device's one relay, which counts for both ways."""

    name = "arms"
    ceiling_s = 10.0
    ways = frozenset(Way)

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._way: Way | None = None

    @property
    def released(self) -> Way | None:
        """The way that is free."""
        return self._way if self._relay.is_on else None

    async def release(self, way: Way, duration_s: float) -> Pulse:
        """Free a way."""
        self._way = way
        return await self._relay.pulse(duration_s)

    async def hold(self, way: Way) -> Pulse:
        """Let a way stand open."""
        self._way = way
        return await self._relay.hold()

    def off(self) -> None:
        """Switch off now."""
        self._relay.off()

    def close(self) -> None:
        """Switch off."""
        self.off()


@dataclass
class Doorside:
    """The entry of one device; `tell` reaches its agent while one runs. `walked` counts who went through."""

    entry: str
    loop: asyncio.AbstractEventLoop
    random: Random
    now_ms: Callable[[], int]
    tell: Callable[[InputChange], None]
    active: dict[InputRole, bool] = field(default_factory=dict)
    walked: int = 0
    fire_since_s: float | None = None

    def __post_init__(self) -> None:
        """Put everything at rest."""
        self.active = dict.fromkeys(ROLES[self.entry], False)

    def report(self) -> None:
        """Say how everything is, as inputs do when an agent starts."""
        for role, is_active in self.active.items():
            self._tell(role, is_active)

    def become(self, role: InputRole, *, is_active: bool) -> None:
        """Change an input that this entry has."""
        if role in self.active and self.active[role] is not is_active:
            self.active[role] = is_active
            if role is InputRole.FIRE:
                self.fire_since_s = self.loop.time() if is_active else None
            self._tell(role, is_active)

    def invite(self, *, out: bool) -> None:
        """Somebody sees green: most walk, some stand still."""
        if self.random.random() >= STANDS_STILL:
            self.loop.call_later(self.random.uniform(*WALKS_S), self.walk, out)

    def walk(self, out: bool) -> None:
        """Go through, granted or not."""
        self.walked += 1
        if self.entry == TURNSTILE:
            passage = InputRole.PASSAGE_OUT if out else InputRole.PASSAGE_IN
            self.become(passage, is_active=True)
            self.become(passage, is_active=False)
        elif self.entry == CONTACT and not self.active[InputRole.CONTACT]:
            self.become(InputRole.CONTACT, is_active=True)
            shut = self.random.uniform(*OPEN_S)
            self.loop.call_later(shut, lambda: self.become(InputRole.CONTACT, is_active=False))

    def _tell(self, role: InputRole, is_active: bool) -> None:
        self.tell(InputChange(role.value, role, is_active, self.now_ms()))
