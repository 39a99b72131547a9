"""One device's connection: frames and notices in, frames out, the session between them.

One loop does one thing at a time: while a batch is being committed no further frame is taken from the server, so what a
device can make us hold is bounded by the server's own read buffer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from central.devices.tokens import Admitted
from central.sync.exchange import (
    Close,
    CommandDue,
    Connected,
    DirectoryChanged,
    Effect,
    Ended,
    Input,
    PresenceChanged,
    Received,
    Send,
    Terms,
    Tick,
    Unreadable,
    WakeAt,
)
from central.sync.performing import Performer, now
from central.sync.session import State, step
from central.sync.switchboard import Notice, SiteVersions, What
from wire.codec import encode, for_central
from wire.errors import RemoteProtocolError
from wire.vocabulary import CloseCode, ErrorCode

SEND_WITHIN_S: Final = 20.0
"""A device that does not take a frame for so long is gone."""
PART_AFTER_MS: Final = 1_000
_REASON_BYTES: Final = 120  # RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the code

_log = logging.getLogger(__name__)
_decoder: Final = for_central()
_Event = dict[str, Any]


class Connection:
    """Runs the session of one admitted device until either side ends it."""

    def __init__(
        self,
        admitted: Admitted,
        performer: Performer,
        terms: Terms,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[_Event], Awaitable[None]],
    ) -> None:
        self._admitted = admitted
        self._performer = performer
        self._receive = receive
        self._send = send
        self._state = State(device=str(admitted.device_id), terms=terms)
        self._wake_ms: int | None = None
        self._is_over = False
        self._notices: dict[What, Notice] = {}
        self._noticed = asyncio.Event()

    @property
    def device_id(self) -> UUID:
        """Whose connection it is."""
        return self._admitted.device_id

    @property
    def site_id(self) -> UUID:
        """Where the device stood when it connected."""
        return self._admitted.site_id

    def missing(self, newest: SiteVersions) -> list[What]:
        """Return what the device does not have yet, as far as it told."""
        held, sharing = self._state.delivery.held, self._state.sharing
        found = [] if held is not None and (held.epoch, held.ver) == newest.directory else [What.DIRECTORY]
        return [*found, What.PRESENCE] if sharing.takes and sharing.held != newest.presence else found

    def notify(self, notice: Notice) -> None:
        """Take a notice; of each kind only the newest counts."""
        self._notices[notice.what] = notice
        self._noticed.set()

    async def serve(self) -> None:
        """Converse until the end; raise only for bugs of ours."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._converse(tasks)
        finally:
            await self._performer.close()

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        await self._take(Connected(now()))
        receiving = tasks.create_task(self._next_frame())
        noticing = tasks.create_task(self._next_notices())
        while not self._is_over:
            await asyncio.wait((receiving, noticing), timeout=self._patience_s(), return_when=asyncio.FIRST_COMPLETED)
            if noticing.done():
                await self._take_notices(noticing.result())
                noticing = tasks.create_task(self._next_notices())
            if receiving.done() and not self._is_over:
                await self._take_frame(receiving.result())
                receiving = tasks.create_task(self._next_frame())
            if self._wake_ms is not None and now().mono_ms >= self._wake_ms:
                self._wake_ms = None
                await self._take(Tick(now()))
        receiving.cancel()
        noticing.cancel()

    def _patience_s(self) -> float | None:
        if self._wake_ms is None:
            return None
        return max(0.0, (self._wake_ms - now().mono_ms + 1) / 1000)

    async def _next_frame(self) -> _Event:
        event: _Event = await self._receive()
        return event

    async def _next_notices(self) -> list[Notice]:
        await self._noticed.wait()
        self._noticed.clear()
        notices, self._notices = list(self._notices.values()), {}
        return notices

    async def _take_frame(self, event: _Event) -> None:
        if event["type"] == "websocket.disconnect":
            self._is_over = True
            return
        text = event.get("text")
        if text is None:
            await self._take(Unreadable(now(), ErrorCode.MALFORMED, "a binary frame; send text", CloseCode.PROTOCOL))
            return
        try:
            message = _decoder.decode(text.encode())
        except RemoteProtocolError as fault:
            await self._take(Unreadable(now(), fault.code, fault.detail, fault.close))
            return
        await self._take(Received(now(), message))

    async def _take_notices(self, notices: list[Notice]) -> None:
        for notice in notices:
            event = self._input_of(notice)
            if event is not None:
                await self._take(event)

    def _input_of(self, notice: Notice) -> Input | None:
        match notice.what:
            case What.DIRECTORY:
                return DirectoryChanged(now())
            case What.PRESENCE:
                return PresenceChanged(now())
            case What.COMMAND:
                return CommandDue(now())
            case What.REVOKED:
                return Ended(now(), CloseCode.REVOKED, "the device was revoked")
            case What.PARTING:
                return Ended(now(), CloseCode.UNAVAILABLE, "central is restarting", PART_AFTER_MS)
            case What.SUPERSEDED:
                # Before our own session number is known we may be the newer one; the fence decides then.
                if 0 < self._performer.session_number < notice.session:
                    return Ended(now(), CloseCode.SUPERSEDED, f"session {notice.session} took over")
                return None

    async def _take(self, event: Input) -> None:
        effects: deque[Effect] = deque()
        self._state, first = step(self._state, event)
        effects.extend(first)
        while effects and not self._is_over:
            answer = await self._do(effects.popleft())
            if answer is not None:
                self._state, more = step(self._state, answer)
                effects.extend(more)

    async def _do(self, effect: Effect) -> Input | None:
        match effect:
            case Send(message=message):
                await self._put({"type": "websocket.send", "text": encode(message).decode()})
                return None
            case WakeAt(mono_ms=moment_ms):
                self._wake_ms = moment_ms
                return None
            case Close(code=code, why=why):
                _log.info("device %s: closed with %d: %s", self.device_id, code, why)
                reason = why.encode()[:_REASON_BYTES].decode(errors="ignore")
                await self._put({"type": "websocket.close", "code": int(code), "reason": reason})
                self._is_over = True
                return None
            case _:
                return await self._performer.perform(effect)

    async def _put(self, event: _Event) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._send(event)
        except (OSError, TimeoutError):
            # The server raises an OSError where the device is gone; a device that does not read is as good as gone.
            self._is_over = True
