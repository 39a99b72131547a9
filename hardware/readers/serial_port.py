"""A serial line or CDC device, raw and held exclusively (termios(3), ioctl_tty(2)).

Raw means that the kernel gives away nothing and swallows nothing: no flow control by XON and XOFF, no signals, no line
editing, no translation of CR.
"""

import fcntl
import os
import termios
from errno import EBUSY, EIO
from typing import Final

from hardware.base import MonoClock
from hardware.readers.serial_codes import Received

BAUDS: Final = {baud: getattr(termios, f"B{baud}") for baud in (9600, 19200, 38400, 57600, 115200)}
_MOST_BYTES: Final = 4096


class SerialPort:
    """A ``Port`` on a terminal device, 8 data bits, no parity. OSError where it cannot be opened or had alone."""

    def __init__(self, path: str, baud: int, mono_ms: MonoClock) -> None:
        self._mono_ms = mono_ms
        self._is_open = True
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._claim(BAUDS[baud])
        except BaseException as error:
            self.close()
            if isinstance(error, termios.error):
                raise OSError(*error.args) from error
            raise

    def fileno(self) -> int:
        return self._fd

    def read(self) -> list[Received]:
        try:
            data = os.read(self._fd, _MOST_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(EIO, "hung up")
        return [Received(data, self._mono_ms())]

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._fd)

    def _claim(self, speed: int) -> None:
        """TIOCEXCL keeps out everybody but root, so a lock keeps out a second agent that runs as root."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(EBUSY, os.strerror(EBUSY)) from error
        fcntl.ioctl(self._fd, termios.TIOCEXCL)
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        characters: list[bytes | int] = [b"\0"] * termios.NCCS
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        attributes: list[int | list[bytes | int]] = [0, 0, control, 0, speed, speed, characters]
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        termios.tcflush(self._fd, termios.TCIFLUSH)
