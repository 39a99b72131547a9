"""Bugs around cards for enrolment: whose they become, and for how long somebody waits for one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from msgspec.structs import replace

from agent import capturing as shell
from agent.capturing import Captures
from agent.core import capturing
from agent.core.effects import Captured, CommandEnd, Presented, Record
from agent.core.state import Station, Step
from agent.core.station import step
from agent.core.types import Facts
from tests.core.builders import facts, read, row, station
from tests.core.orders import order
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from wire.messages import Command
from wire.vocabulary import CommandMode, CommandName

_UNTIL_MS = 31_000


def _waiting(*, is_desk: bool) -> Station:
    at = station(pulse_ms=None if is_desk else 3_000)
    wanted = order(CommandName.CAPTURE, begin_before_mono_ms=_UNTIL_MS)
    return replace(at, door=replace(at.door, is_desk=is_desk), capture=wanted)


def _handed_over(state: Station, at: Facts) -> bool:
    _, effects = step(state, Presented(at, Captured(sealed="sealed")))
    ends = [each.then for each in effects if isinstance(each, Record) and isinstance(each.then, CommandEnd)]
    return any(end.out for end in ends)


@contextmanager
def _without_end() -> Iterator[None]:
    real = capturing.presented

    def presented(state: Station, at: Facts, captured: Captured | None) -> Step | None:
        if state.capture is None:
            return real(state, at, captured)
        endless = replace(state, capture=replace(state.capture, begin_before_mono_ms=sys.maxsize))
        return real(endless, at, captured)

    with mock.patch.object(capturing, "presented", presented):
        yield


def _taken_late() -> str | None:
    is_late = _handed_over(_waiting(is_desk=True), facts(read(_UNTIL_MS + 1_000)))
    return "a card that came after half a minute was handed over" if is_late else None


def _member_taken() -> str | None:
    is_taken = _handed_over(_waiting(is_desk=False), facts(read(5_000), known=row()))
    return "a member's card was handed over at a door instead of letting them in" if is_taken else None


def _sealed_to_anybody() -> str | None:
    captures = Captures("d1", lambda: bytes(32))
    forged = Command(
        id="c1", name="capture", mode=CommandMode.ONCE, ttl_ms=30_000, age_ms=0, server_ms=0,
        args={"key": "09" + "00" * 31, "sig": "A" * 86},
    )  # fmt: skip
    return None if captures.begin(forged) else "cards are sealed to a key that central did not sign"


PLANTED = (
    PlantedBug(
        "capture-outlives-its-time", "a card that comes after the half minute is handed over",
        "staff get the card that they waited for, and no later one", "tests.planted.desk", _without_end, _taken_late,
    ),
    PlantedBug(
        "capture-takes-members", "a door that waits for a new card hands over every card",
        "members pass while staff wait for a card", "tests.planted.desk",
        patched(capturing, "_is_strange", lambda _facts: True), _member_taken,
    ),
    PlantedBug(
        "capture-key-unsigned", "cards are sealed to whatever key the command brings",
        "nobody but central reads a card's number", "tests.planted.desk",
        patched(shell, "is_trusted", lambda *_: True), _sealed_to_anybody,
    ),
)  # fmt: skip
"""The layer of the desk."""
