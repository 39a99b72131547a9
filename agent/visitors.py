"""Simulated visitors, who walk through a simulated door or turnstile once it is shown to be free."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from agent.core.screen import Screen, State
from hardware.base import Input, InputRole
from hardware.inputs.simulated import SimInput

REACHES_S: Final = 0.15
"""How long a visitor takes to reach the door, and then to be through."""
WATCHED_REACHES_S: Final = 1.5
"""The same while somebody looks at the kiosk page: "Welcome" can be read before it gives way."""
_PASSAGES: Final = {State.GRANTED_IN: InputRole.PASSAGE_IN, State.GRANTED_OUT: InputRole.PASSAGE_OUT}


class Visitors:
    """Whoever is let in walks through, while `are_walking`; otherwise they stand where they are."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._inputs = {part.role: part for part in inputs if isinstance(part, SimInput)}
        self.are_walking = True
        self.is_watched: Callable[[], bool] = lambda: False

    def look(self, screen: Screen) -> None:
        """See what the door shows."""
        if self.are_walking and screen.state in _PASSAGES:
            asyncio.get_running_loop().call_later(self._reaches_s(), self._walk, _PASSAGES[screen.state])

    def _walk(self, passage: InputRole) -> None:
        if passage in self._inputs:
            self._inputs[passage].touch()
        contact = self._inputs.get(InputRole.CONTACT)
        if contact is not None:
            contact.become(is_active=True)
            asyncio.get_running_loop().call_later(self._reaches_s(), lambda: contact.become(is_active=False))

    def _reaches_s(self) -> float:
        return WATCHED_REACHES_S if self.is_watched() else REACHES_S
