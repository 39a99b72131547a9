"""An OSDP reader: libosdp's own peripheral device at the far end of a pseudo terminal, in a thread."""

import os
import pty
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import osdp_sys

REFRESH_S = 0.003


class FarEnd:
    """A channel of libosdp over a descriptor."""

    def __init__(self, fd: int) -> None:
        self.id = fd
        os.set_blocking(fd, False)

    def read(self, max_bytes: int) -> bytes:
        try:
            return os.read(self.id, max_bytes)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return os.write(self.id, data)
        except OSError:
            return 0

    def flush(self) -> None: ...


class PeripheralDevice:
    """A reader that shows cards and keeps what its lamp and buzzer are told."""

    def __init__(self, fd: int, address: int, key: bytes | None) -> None:
        """Have this key; without one, be in install mode and take the first that comes."""
        capabilities = [
            {"function_code": code, "compliance_level": 1, "num_items": 1}
            for code in (
                osdp_sys.CAP_CARD_DATA_FORMAT,
                osdp_sys.CAP_READER_LED_CONTROL,
                osdp_sys.CAP_READER_AUDIBLE_OUTPUT,
                osdp_sys.CAP_COMMUNICATION_SECURITY,
            )
        ]
        about = {
            "name": "PD", "address": address, **_keyed(key),
            "channel": FarEnd(fd), "version": 1, "model": 1, "vendor_code": 1, "serial_number": 1,
            "firmware_version": 1,
        }  # fmt: skip
        self.told: list[dict[str, Any]] = []
        self._device = osdp_sys.PeripheralDevice(about, capabilities=capabilities)
        self._device.set_command_callback(self._take)
        self._shows: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def show(self, data: bytes, bits: int) -> None:
        """Show a card."""
        event = {
            "event": osdp_sys.EVENT_CARDREAD, "reader_no": 0, "direction": 0,
            "format": osdp_sys.CARD_FMT_RAW_WIEGAND, "data": data, "length": bits,
        }  # fmt: skip
        with self._lock:
            self._shows.append(event)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _take(self, command: dict[str, Any]) -> tuple[int, None]:
        self.told.append(command)
        return 0, None

    def _run(self) -> None:
        while not self._stop.wait(REFRESH_S):
            self._device.refresh()
            with self._lock:
                while self._shows:
                    self._device.submit_event(self._shows.pop(0))


def _keyed(key: bytes | None) -> dict[str, Any]:
    if key is None:
        return {"flags": osdp_sys.FLAG_INSTALL_MODE}
    return {"flags": osdp_sys.FLAG_ENFORCE_SECURE, "scbk": key}


@contextmanager
def rs485() -> Iterator[tuple[int, str]]:
    """A line: the descriptor of its far end and the path of its near one."""
    far, near = pty.openpty()
    tty.setraw(near)
    tty.setraw(far)
    try:
        yield far, os.ttyname(near)
    finally:
        os.close(far)
        os.close(near)
