"""A device that says what a test tells it to, over a real WebSocket to a real central."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.central_link.minting import DeviceIdentity
from tests.fakes.journal_script import JournalScript, hello
from tests.services.central import RunningCentral
from wire.codec import Decoder, encode, encode_events
from wire.enrolment import ENROL_PATH
from wire.message import Message
from wire.messages import FROM_CENTRAL, Ack, Welcome
from wire.vocabulary import SUBPROTOCOL

WAIT_S = 10.0
M = TypeVar("M", bound=Message)
_decoder = Decoder(FROM_CENTRAL, frame_bytes=1 << 20)


def join(central: RunningCentral, door: str = "North door") -> DeviceIdentity:
    """Return a device that joined by a new code."""
    identity = DeviceIdentity()
    request = identity.enrolment(central.enrolment_code(door), central.url)
    answer = central.post(ENROL_PATH, msgspec.json.encode(request))
    identity.device, identity.kid, identity.audience = answer["device"], answer["kid"], answer["audience"]
    return identity


def journal_of(identity: DeviceIdentity, **changes: Any) -> JournalScript:
    """Return an empty journal of the device."""
    return JournalScript(UUID(identity.device), **changes)


class ScriptedDevice:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.aside: list[Message] = []

    async def say(self, message: Message) -> None:
        """Send a message."""
        await self.socket.send(encode(message).decode())

    async def say_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self.socket.send(frame)

    async def send(self, journal: JournalScript, first: int, last: int) -> None:
        """Send events of a journal as one batch."""
        await self.say_raw(encode_events(journal.run, first, journal.raws(first, last)).decode())

    async def hear(self, kind: type[M]) -> M:
        """Return the next message of a kind; what comes before it is kept aside."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    message = _decoder.decode(await self.socket.recv(decode=False))
                    if isinstance(message, kind):
                        return message
                    self.aside.append(message)
        except TimeoutError:
            raise AssertionError(f"no {kind.type} within {WAIT_S} s, but {self.aside}") from None

    async def greet(self, journal: JournalScript, **changes: Any) -> Welcome:
        """Say hello for a journal; return the welcome."""
        await self.say(
            msgspec.structs.replace(hello(journal.device, [journal.state()], store=journal.store), **changes)
        )
        return await self.hear(Welcome)

    async def deliver(self, journal: JournalScript, first: int, last: int) -> Ack:
        """Send events and return their acknowledgement."""
        await self.send(journal, first, last)
        return await self.hear(Ack)

    async def closed(self) -> int:
        """Wait for central to close; return its code."""
        async with asyncio.timeout(WAIT_S):
            try:
                while True:
                    self.aside.append(_decoder.decode(await self.socket.recv(decode=False)))
            except ConnectionClosed:
                code = self.socket.close_code
                assert code is not None
                return code


@asynccontextmanager
async def connected(link_url: str, token: str) -> AsyncIterator[ScriptedDevice]:
    """Connect with a token; raise InvalidStatus where the handshake is refused."""
    async with connect(
        link_url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        compression=None,
        proxy=None,
        open_timeout=WAIT_S,
        ping_interval=None,
    ) as socket:
        yield ScriptedDevice(socket)
