"""A simulated input: a program opens the door, presses the button, pulls the fire alarm."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from hardware import profiles
from hardware.base import EmitChange, Input, InputRole, MonoClock, monotonic_ms
from hardware.errors import HardwareError
from hardware.inputs.told import ToldInput


class SimInput(ToldInput):
    """An input whose world is method calls. Call them on the event loop while ``run`` is running."""

    def __init__(self, name: str, role: InputRole, *, mono_ms: MonoClock = monotonic_ms) -> None:
        super().__init__(name, role, is_active=False)
        self._mono_ms = mono_ms

    async def run(self, emit: EmitChange) -> None:
        with self.telling(emit):
            self.tell(self.is_active, self._mono_ms())
            await asyncio.get_running_loop().create_future()

    def become(self, *, is_active: bool) -> None:
        """Change it; what it is already is no change."""
        if not self.is_told:
            raise HardwareError(f"simulated input {self.name!r} is not running; start the agent first")
        if is_active != self.is_active:
            self.tell(is_active, self._mono_ms())

    def touch(self) -> None:
        """Make it active and inactive again at once: a button, a passing person."""
        self.become(is_active=True)
        self.become(is_active=False)

    def close(self) -> None:
        """There is no line to give back."""


class SimInputs:
    """The simulated inputs of a door, by name or by role."""

    def __init__(self, parts: Iterable[Input]) -> None:
        self._parts = [part for part in parts if isinstance(part, SimInput)]

    @property
    def roles(self) -> tuple[InputRole, ...]:
        """What can be worked, in the order of the profile."""
        return tuple(dict.fromkeys(part.role for part in self._parts))

    def work(self, which: str, state: str) -> None:
        """Switch one ``on`` or ``off``, or ``touch`` it; ValueError says what would be right."""
        part = next((part for part in self._parts if which in (part.name, part.role)), None)
        if part is None:
            known = ", ".join(part.name for part in self._parts) or "none"
            raise ValueError(f"no simulated input {which[:40]!r}; the profile has {known}")
        match state:
            case "on" | "off":
                part.become(is_active=state == "on")
            case "touch":
                part.touch()
            case other:
                raise ValueError(f"state {other[:40]!r}; say on, off or touch")


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_input(part: profiles.SimulatedInput, bench: _Clocked) -> SimInput:
    return SimInput(part.name, part.role, mono_ms=bench.mono_ms)
