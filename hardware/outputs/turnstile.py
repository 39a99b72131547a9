"""A turnstile's two relays: one pulse at a time, each under the strike's own guard."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from hardware.base import Pulse, Way
from hardware.errors import PulseRefusedError
from hardware.outputs.pulse import PulsedStrike


class PulsedTurnstile:
    """A Turnstile over a pulsed relay for each of its ways."""

    def __init__(self, name: str, relays: Mapping[Way, PulsedStrike], *, ceiling_s: float) -> None:
        self._name = name
        self._relays = dict(relays)
        self._ceiling_s = ceiling_s
        self._claimed: Way | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def ceiling_s(self) -> float:
        return self._ceiling_s

    @property
    def ways(self) -> frozenset[Way]:
        return frozenset(self._relays)

    @property
    def released(self) -> Way | None:
        return next((way for way, relay in self._relays.items() if relay.is_on), None)

    async def release(self, way: Way, duration_s: float) -> Pulse:
        relay = self._claim(way)
        try:
            return await relay.pulse(duration_s)
        finally:
            self._claimed = None

    async def hold(self, way: Way) -> Pulse:
        relay = self._claim(way)
        try:
            return await relay.hold()
        finally:
            self._claimed = None

    def off(self) -> None:
        _each(self._relays, PulsedStrike.off)

    def close(self) -> None:
        _each(self._relays, PulsedStrike.close)

    def _claim(self, way: Way) -> PulsedStrike:
        if way not in self._relays:
            raise PulseRefusedError(f'turnstile {self._name!r}: no way "{way}"; its profile has {_listed(self.ways)}')
        busy = self._claimed or self.released  # a relay that could not be switched off is on without a release
        if busy is not None:
            raise PulseRefusedError(f'turnstile {self._name!r}: way "{busy}" is released; wait for its end')
        self._claimed = way
        return self._relays[way]


def _listed(ways: frozenset[Way]) -> str:
    return ", ".join(sorted(ways)) or "none"


def _each(relays: Mapping[Way, PulsedStrike], do: Callable[[PulsedStrike], None]) -> None:
    """Do it to every relay; one that fails does not keep the other from it."""
    with ExitStack() as stack:
        for relay in relays.values():
            stack.callback(do, relay)
