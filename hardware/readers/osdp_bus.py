"""A control panel's end of an OSDP line, by libosdp, with a secure channel or not at all.

libosdp neither waits nor has a thread of its own: it is refreshed often, and reads and writes what the line has.
"""

import os
from collections import deque
from contextlib import suppress
from typing import Any, Final

import osdp_sys
from msgspec import Struct

from hardware.readers.attached import Port
from hardware.readers.osdp_orders import Command
from hardware.readers.serial_codes import Received

_QUIET_LOG: Final = osdp_sys.LOG_EMERG
_SCBK: Final = 1
"""The only type of key that osdp_KEYSET knows."""


class CardSeen(Struct, frozen=True):
    """An osdp_RAW reply: ``count`` bits in ``data``."""

    data: bytes
    count: int


class OsdpBus:
    """One reader on one line.

    With `is_install` a reader that knows nothing but the standard's default key is given ours, and then has to use it.
    """

    def __init__(self, port: Port[Received], address: int, key: bytes, name: str, *, is_install: bool = False) -> None:
        self._seen: deque[CardSeen] = deque(maxlen=16)
        self._line = _Line(port)
        osdp_sys.set_loglevel(_QUIET_LOG)
        self._panel = osdp_sys.ControlPanel(
            [
                {
                    "name": name, "address": address, "scbk": key,
                    "flags": osdp_sys.FLAG_INSTALL_MODE if is_install else osdp_sys.FLAG_ENFORCE_SECURE,
                    "channel": self._line, "version": 1, "model": 1, "vendor_code": 0, "serial_number": 0,
                    "firmware_version": 0,
                }
            ]
        )  # fmt: skip
        self._panel.set_event_callback(self._event)

    @property
    def is_secure(self) -> bool:
        """Whether the reader answers, and by our key."""
        return bool(self._panel.sc_status() & 1)

    def refresh(self) -> list[CardSeen]:
        """Do what is due on the line, and return the cards that were seen. OSError when the line has left."""
        self._panel.refresh()
        if self._line.error is not None:
            raise self._line.error
        seen = list(self._seen)
        self._seen.clear()
        return seen

    def tell(self, command: Command) -> None:
        """Queue a command; one that the library refuses is dropped."""
        self._panel.submit_command(0, command)

    def set_key(self, key: bytes) -> None:
        """Give the reader another key, through the secure channel of the one that it has."""
        self.tell({"command": osdp_sys.CMD_KEYSET, "type": _SCBK, "data": key})

    def _event(self, _reader: int, event: dict[str, Any]) -> int:
        """From within ``refresh``. What was sent outside a secure channel does not get here."""
        if event.get("event") == osdp_sys.EVENT_CARDREAD:
            self._seen.append(CardSeen(bytes(event["data"]), int(event["length"])))
        return 0


class _Line:
    """The bytes of a port, as libosdp asks for them. It must not raise: the caller is C."""

    def __init__(self, port: Port[Received]) -> None:
        self.id = port.fileno()
        self.error: OSError | None = None
        self._port = port
        self._waiting = bytearray()

    def read(self, max_bytes: int) -> bytes:
        try:
            for received in self._port.read():
                self._waiting += received.data
        except OSError as error:
            self.error = error
        taken = bytes(self._waiting[:max_bytes])
        del self._waiting[:max_bytes]
        return taken

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._port.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.error = error
            return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._port.read()
