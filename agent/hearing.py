"""What a door records, told to whoever just did something at it and waits for what comes of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, assert_never

from wire.events import AlarmBody, Body, DecisionBody, DoorBody, ModeBody, ReadFaultBody
from wire.vocabulary import Outcome

_Told = DecisionBody | ReadFaultBody | AlarmBody | DoorBody | ModeBody
_OUTCOMES: Final = {Outcome.GRANT: "granted", Outcome.DENY: "denied"}


class Hearing:
    """Tells those who wait of what has become durable; `heard` never blocks and never fails."""

    def __init__(self) -> None:
        self._waiting: list[Heard] = []

    def heard(self, body: Body) -> None:
        """Take what was recorded."""
        for waiting in self._waiting:
            waiting.take(body)

    @contextmanager
    def waiting_for(self, reader: str | None) -> Iterator["Heard"]:
        """Listen from here on: for what comes of a reading at `reader`, or of an input where it is None."""
        waiting = Heard(reader)
        self._waiting.append(waiting)
        try:
            yield waiting
        finally:
            self._waiting.remove(waiting)


class Heard:
    """The first thing that came of it."""

    def __init__(self, reader: str | None) -> None:
        self._reader = reader
        self._first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, body: Body) -> None:
        """Keep it where it is what is waited for."""
        match body:
            case DecisionBody() | ReadFaultBody() if body.reader == self._reader:
                words = words_of(body)
            case ModeBody():  # a double tap asks for one as well
                words = words_of(body)
            case AlarmBody() | DoorBody() if self._reader is None:
                words = words_of(body)
            case _:
                return
        if not self._first.done():
            self._first.set_result(words)

    async def words(self, within_s: float) -> str:
        """Return what came of it, empty where nothing did within the time."""
        try:
            async with asyncio.timeout(within_s):
                return await self._first
        except TimeoutError:
            return ""


def words_of(body: _Told) -> str:
    """Say in a few words what an event is about."""
    match body:
        case DecisionBody():
            return f"{_OUTCOMES[body.outcome]}: {body.reason}"
        case ReadFaultBody():
            return f"not read: {body.fault}"
        case AlarmBody():
            return f"alarm: {body.code}"
        case DoorBody():
            return f"door: {body.what}"
        case ModeBody():
            return f"mode: {body.mode}" + (f", lockdown {body.lockdown}" if body.lockdown else "")
        case _:
            assert_never(body)
