"""The modelled way between devices and central: two queues for each connection, and everything that happens to them.

Frames of one direction keep their order. A connection can be cut, go silent in one or both directions, or be cut for
the device alone while central still gets what is under way.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from agent.sync.connect import LinkError
from agent.sync.parting import of_fault, of_status
from wire.messages import Welcome
from wire.token import REVOKED
from wire.vocabulary import SUBPROTOCOL, CloseCode

CONNECT_S: Final = 0.03
OPEN_TIMEOUT_S: Final = 10.0
ZOMBIE_S: Final = 25.0
_WELCOME: Final = b'{"type":"%s"' % Welcome.type.encode()

Event = dict[str, Any]


@dataclass
class Weather:
    """What the way to central does to one device just now; all of it is gone with `clear`."""

    is_down: bool = False
    is_silent: bool = False
    status: int | None = None
    closes_with: int | None = None
    latency_s: float = 0.02
    silent_up: bool = False
    silent_down: bool = False

    def clear(self) -> None:
        """Fair weather."""
        self.__init__()  # type: ignore[misc]


class Transport:
    """What `agent.sync.connect.hang_up` cuts off."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire

    def abort(self) -> None:
        """Drop the connection."""
        self._wire.cut()


class Wire:
    """One connection: the device's end looks like a websockets connection, central's like ASGI."""

    subprotocol = SUBPROTOCOL

    def __init__(self, loop: asyncio.AbstractEventLoop, weather: Weather, card: str, told: "Told") -> None:
        self._loop = loop
        self._told = told
        self._weather = weather
        self.card = card
        self.transport = Transport(self)
        self.accepted: asyncio.Future[Event] = loop.create_future()
        self._to_agent: deque[bytes] = deque()
        self._to_central: deque[Event] = deque([{"type": "websocket.connect"}])
        self._agent_waits: asyncio.Future[None] | None = None
        self._central_waits: asyncio.Future[None] | None = None
        self._ending: Close | None = None
        self._is_cut = False
        self._is_left = False
        self._up_at = self._down_at = 0.0

    # The device's end

    async def recv(self, *, decode: bool = False) -> bytes:
        """Return the next frame; raise ConnectionClosed at the end."""
        while not self._to_agent:
            self._raise_if_over()
            self._agent_waits = self._loop.create_future()
            await self._agent_waits
        frame = self._to_agent.popleft()
        if frame.startswith(_WELCOME):
            self._told(self.card, False)
        return frame

    async def send(self, frame: bytes, *, text: bool = True) -> None:
        """Send a frame."""
        self._raise_if_over()
        if not self._weather.silent_up:
            self._up({"type": "websocket.receive", "text": frame.decode()})

    async def close(self, code: int, why: str) -> None:
        """Say goodbye."""
        if not (self._is_cut or self._weather.silent_up):
            self._up({"type": "websocket.disconnect", "code": code})
        self._is_cut = True

    def _raise_if_over(self) -> None:
        if self._ending is not None and self._ending.code == CloseCode.REVOKED:
            self._told(self.card, True)
        if self._is_cut or self._ending is not None:
            raise ConnectionClosedError(self._ending, None)

    def _up(self, event: Event) -> None:
        self._up_at = max(self._up_at, self._loop.time() + self._weather.latency_s)
        self._loop.call_at(self._up_at, self._arrive_up, event)

    def _arrive_up(self, event: Event) -> None:
        if not self._is_left:
            self._is_left = event["type"] == "websocket.disconnect"
            self._to_central.append(event)
            _wake(self._central_waits)

    # Central's end

    async def receive(self) -> Event:
        """Return the next event (ASGI)."""
        while not self._to_central:
            self._central_waits = self._loop.create_future()
            await self._central_waits
        return self._to_central.popleft()

    async def reply(self, event: Event) -> None:
        """Take an event of central (ASGI `send`)."""
        if self._is_left:
            raise OSError("the device is gone")
        if event["type"] in ("websocket.accept", "websocket.http.response.start"):
            if not self.accepted.done():
                self.accepted.set_result(event)
        elif event["type"] == "websocket.send":
            self._down(event["text"].encode())
        elif event["type"] == "websocket.close":
            self._at_agent(self._close, Close(event.get("code", 1000), ""))

    def _down(self, frame: bytes) -> None:
        weather = self._weather
        if not weather.silent_down:
            self._at_agent(self._arrive_down, frame)

    def _at_agent(self, what: Callable[[Any], None], value: object) -> None:
        self._down_at = max(self._down_at, self._loop.time() + self._weather.latency_s)
        self._loop.call_at(self._down_at, what, value)

    def _arrive_down(self, frame: bytes) -> None:
        if not self._is_cut:
            self._to_agent.append(frame)
            _wake(self._agent_waits)

    def _close(self, ending: Close) -> None:
        if not self._is_cut and not self._weather.silent_down:
            self._ending = ending
            _wake(self._agent_waits)

    # The weather

    def cut(self, *, central_learns_s: float | None = 0.0) -> None:
        """Break it: the device learns at once, central later or (None) not before its own deadlines."""
        if self._is_cut:
            return
        self._is_cut = True
        self._to_agent.clear()
        _wake(self._agent_waits)
        if central_learns_s is not None:
            self._loop.call_later(central_learns_s, self._arrive_up, {"type": "websocket.disconnect", "code": 1006})

    def drop(self) -> None:
        """Central's process is gone: it hears nothing more, the device gets a broken connection."""
        self._is_left = True
        if not self.accepted.done():
            self.accepted.set_exception(ConnectionRefusedError())
            self.accepted.exception()
        self.cut(central_learns_s=None)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


Serve = Callable[[Wire, str], None]
Told = Callable[[str, bool], None]
"""Hears which card reads that it is shut out (True), or welcome."""


@dataclass
class Network:
    """All connections of the world."""

    loop: asyncio.AbstractEventLoop
    random: Random
    serve: Serve
    told: Told
    weather: dict[str, Weather] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)

    def over(self, card: str) -> Weather:
        """Return the weather over one device."""
        return self.weather.setdefault(card, Weather())

    async def dial(self, card: str, token: str) -> Wire:
        """Connect a device; raise LinkError as `agent.sync.connect.dial` does."""
        weather = self.over(card)
        try:
            return await self._dial(card, token, weather)
        except OSError as fault:
            raise LinkError(of_fault(fault)) from fault

    async def _dial(self, card: str, token: str, weather: Weather) -> Wire:
        await asyncio.sleep(CONNECT_S + weather.latency_s)
        if weather.is_silent:
            await asyncio.sleep(OPEN_TIMEOUT_S)
            raise TimeoutError
        if weather.is_down:
            raise ConnectionRefusedError
        if weather.status is not None:
            raise LinkError(of_status(weather.status, {"retry-after": "3"} if weather.status in (429, 503) else {}))
        wire = Wire(self.loop, weather, card, self.told)
        self.wires = [*(known for known in self.wires if not known._is_cut), wire]
        if weather.closes_with is not None:
            wire._at_agent(wire._close, Close(weather.closes_with, ""))
            return wire
        self.serve(wire, token)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            answer = await wire.accepted
        if answer["type"] != "websocket.accept":
            headers = {name.decode().lower(): value.decode() for name, value in answer["headers"]}
            if answer["status"] == 403 and f'"{REVOKED}"' in headers.get("www-authenticate", ""):
                self.told(card, True)
            raise LinkError(of_status(answer["status"], headers))
        return wire

    def cut(self, card: str, *, zombie: bool = False) -> None:
        """Break a device's connections; as a zombie, central keeps what is under way and does not notice."""
        for wire in self.wires:
            if wire.card == card:
                wire.cut(central_learns_s=ZOMBIE_S if zombie else 0.01)

    def drop_all(self) -> None:
        """Central's process is gone."""
        for wire in self.wires:
            wire.drop()
        self.wires.clear()
