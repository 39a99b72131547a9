"""A simulated input: a program opens the door, presses the button, pulls the fire alarm."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from hardware import profiles
from hardware.base import EmitChange, Input, InputChange, InputRole, MonoClock, monotonic_ms
from hardware.errors import HardwareError


class SimInput:
    """An input whose world is method calls. Call them on the event loop while ``run`` is running."""

    def __init__(self, name: str, role: InputRole, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._name = name
        self._role = role
        self._mono_ms = mono_ms
        self._emit: EmitChange | None = None
        self._is_active = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def role(self) -> InputRole:
        return self._role

    @property
    def is_active(self) -> bool:
        return self._is_active

    async def run(self, emit: EmitChange) -> None:
        if self._emit is not None:
            raise HardwareError(f"input {self._name!r} is already running; run it once")
        self._emit = emit
        try:
            self._report()
            await asyncio.get_running_loop().create_future()
        finally:
            self._emit = None

    def become(self, *, is_active: bool) -> None:
        """Change it; what it is already is no change."""
        if self._emit is None:
            raise HardwareError(f"simulated input {self._name!r} is not running; start the agent first")
        if is_active != self._is_active:
            self._is_active = is_active
            self._report()

    def touch(self) -> None:
        """Make it active and inactive again at once: a button, a passing person."""
        self.become(is_active=True)
        self.become(is_active=False)

    def close(self) -> None:
        """There is no line to give back."""

    def _report(self) -> None:
        assert self._emit is not None
        self._emit(InputChange(self._name, self._role, self._is_active, self._mono_ms()))


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
