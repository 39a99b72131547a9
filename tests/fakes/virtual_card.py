"""A small contactless card for the virtual reader of vsmartcard (vpcd).

vpcd listens on a TCP port per slot; connecting inserts the card and closing removes it. Each message is a 16-bit
big-endian length and that many bytes. A message of one byte is a control: 0 power off, 1 power on, 2 reset, 4 asks for
the ATR; only the last is answered. Anything else is a command APDU, answered with data and status word (vsmartcard
documentation, "Virtual Smart Card: protocol between vpcd and vpicc").

pcscd looks at the slot every 400 ms: a card that comes and goes faster is not seen.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
"""MIFARE Classic 1K behind a PC/SC reader (PC/SC part 3, section 3.1.3.2.3)."""

GET_UID = bytes.fromhex("FFCA000000")
SUCCESS = b"\x90\x00"
NOT_SUPPORTED = b"\x6d\x00"
ASK_ATR = 4

Answer = Callable[[bytes], bytes | None]


def uid_answer(uid: bytes, status_word: bytes = SUCCESS) -> Answer:
    """Answer GET DATA with ``uid`` and ``status_word``, and refuse other commands."""
    return lambda apdu: uid + status_word if apdu == GET_UID else NOT_SUPPORTED


def torn_answer(apdu: bytes) -> None:
    """Leave the field in the middle of a command: None means "hang up"."""


class VirtualCard:
    """One presentation: the card is on the reader from ``insert`` to ``remove``, or within a ``with``."""

    def __init__(self, port: int, answer: Answer, *, atr: bytes = ATR) -> None:
        self._port = port
        self._answer = answer
        self._atr = atr
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.commands: list[bytes] = []

    def __enter__(self) -> Self:
        self.insert()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def insert(self) -> None:
        """Connect to the slot. ConnectionError while pcscd is down."""
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._thread = threading.Thread(target=self._serve, args=(connection,), name="virtual-card", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Leave the reader; does nothing when the card is not there."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            while True:
                (length,) = struct.unpack(">H", self._receive(connection, 2))
                message = self._receive(connection, length)
                reply = self._reply(message)
                if reply is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                if reply:
                    connection.sendall(struct.pack(">H", len(reply)) + reply)

    def _reply(self, message: bytes) -> bytes | None:
        """Bytes to send, b"" for "no answer", None to hang up."""
        if len(message) == 1:
            return self._atr if message[0] == ASK_ATR else b""
        self.commands.append(message)
        return self._answer(message)

    @staticmethod
    def _receive(connection: socket.socket, length: int) -> bytes:
        received = b""
        while len(received) < length:
            chunk = connection.recv(length - len(received))
            if not chunk:
                raise EOFError
            received += chunk
        return received
