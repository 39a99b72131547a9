"""How the process tells systemd that it lives (sd_notify(3)), and how it ends.

Expected faults stay inside the component that meets them. Anything else ends the process, and systemd starts it
again: there is no state worth saving in a program that no longer knows what it does.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

from wire.errors import DoorstileError

_MICROSECONDS: Final = 1_000_000
_HARDWARE_AGAIN_S: Final = 300


class StopError(DoorstileError):
    """The agent ends on purpose, so that the next start begins from what is on the disk."""


async def start_anew(fault: str) -> None:
    """End a process whose hardware could not be had, after a while: the next one holds none of its lines."""
    await asyncio.sleep(_HARDWARE_AGAIN_S)
    raise StopError(f"out of service for {_HARDWARE_AGAIN_S} s ({fault}); trying again from the start")


class Notifier:
    """The notification socket of a `Type=notify` unit; silent where systemd gave none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(watchdog_us) / _MICROSECONDS if watchdog_us.isdigit() else None

    def ready(self, status: str) -> None:
        """The door reads cards from now on."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """The process is going down on purpose."""
        self._send("STOPPING=1")

    async def feed_watchdog(self) -> None:
        """Tell systemd thrice per watchdog interval that the event loop turns; return at once without a watchdog."""
        if self.watchdog_s is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 3)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError:
                return  # the supervisor's trouble must not become the door's
