"""QEMU's USB card reader (usb-ccid), plugged in and out by its monitor, and the card that lies on it.

The card's side speaks the protocol of QEMU's `ccid-card-passthru` over a socket: a header of three 32-bit big-endian
numbers (type, reader, length) and that many bytes (libcacard, `vscard_common.h`). An APDU is answered by its response.
"""

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import Final

from tests.device.qemu import Monitor
from tests.fakes.virtual_card import ATR, Answer

_INIT, _READER_ADD, _ATR, _CARD_REMOVE, _APDU = 1, 3, 5, 6, 7
_HEADER: Final = struct.Struct(">III")
_VERSION: Final = 2
_MAGIC: Final = b"VSCD"
_NO_READER: Final = 0xFFFFFFFF
_WITHIN_S: Final = 30.0
NAME: Final = "Gemplus USB"
"""A part of the name that pcscd gives it: QEMU borrows the vendor and product of that reader."""


class UsbCardReader:
    """A reader that is not plugged in at first. Unplugged with a card on it, the card goes too."""

    def __init__(self, monitor: Monitor, folder: Path) -> None:
        self._monitor = monitor
        self._socket = folder / "ccid.sock"
        self._is_made = False
        self._writer: asyncio.StreamWriter | None = None
        self._serving: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self.laid = 0
        """How often a card was laid on it."""

    async def plug(self, tasks: asyncio.TaskGroup) -> None:
        """Plug it in; the guest sees it in a moment."""
        if not self._is_made:
            address = {"type": "unix", "data": {"path": str(self._socket)}}
            backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
            await self._monitor.do("chardev-add", id="card", backend=backend)
            self._is_made = True
        await self._monitor.do("device_add", driver="usb-ccid", id="ccid", bus="usb.0")
        await self._monitor.do("device_add", driver="ccid-card-passthru", id="slot", chardev="card", bus="ccid.0")
        reader, self._writer = await asyncio.open_unix_connection(self._socket)
        self._send(_INIT, _MAGIC + struct.pack(">II", _VERSION, 0), _NO_READER)
        self._send(_READER_ADD, b"bench\0", _NO_READER)
        self._serving = tasks.create_task(self._serve(reader), name="ccid")

    async def unplug(self) -> None:
        """Pull it out."""
        await self._monitor.do("device_del", id="ccid")
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait({self._serving}, timeout=_WITHIN_S)
        if self._writer is not None:
            self._writer.close()
        self._serving = self._writer = None

    def lay(self, answer: Answer) -> None:
        """Lay a card on it."""
        self._answer = answer
        self.laid += 1
        self._send(_ATR, ATR)

    def lift(self) -> None:
        """Take the card away."""
        self._send(_CARD_REMOVE)

    def _send(self, kind: int, data: bytes = b"", reader: int = 0) -> None:
        assert self._writer is not None, "it is not plugged in"
        self._writer.write(_HEADER.pack(kind, reader, len(data)) + data)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, number, length = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                data = await reader.readexactly(length)
                reply = self._answer(data) if kind == _APDU and self._answer is not None else None
                if reply is not None:
                    self._send(_APDU, reply, number)
