"""Give an OSDP reader a key of its own: from the key that it left the factory with, or from the one that it has.

A reader in its install mode speaks under SCBK-D, the key that stands in the standard; libosdp, told so, opens that
channel once and sends the new key in it by osdp_KEYSET (IEC 60839-11-5, 6.12). The key is on the disk before it is
sent, so that a power cut in between costs no reader, and counts only once the reader answers by it.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hardware import profiles
from hardware.base import MonoClock, monotonic_ms
from hardware.errors import HardwareError
from hardware.readers.osdp_bus import OsdpBus
from hardware.readers.osdp_cards import KEY_BYTES
from hardware.readers.osdp_reader import REFRESH_S, OpenLine, load_key
from hardware.readers.serial_port import SerialPort

SECURE_WITHIN_MS: Final = 10_000
SETTLES_MS: Final = 500
"""A reader stores a key and begins its channel anew within this time."""


async def give_key(
    part: profiles.OsdpReader,
    *,
    open_port: OpenLine = SerialPort,
    mono_ms: MonoClock = monotonic_ms,
    within_ms: int = SECURE_WITHIN_MS,
) -> None:
    """Give the reader of a section a random key, and leave that in its `key_file`, for the agent's user alone.

    A second run goes on where the first stopped. HardwareError, with the remedy, where the reader does not take it.
    """
    path = Path(part.key_file)
    made = path.with_name(f"{path.name}.new")
    try:
        old, key = _keys(path, made)
        line = _Line(part, open_port, mono_ms, within_ms)
        if old is None or not await line.told(old, key):
            await line.installed(key)
        if not await line.answers(key):
            raise HardwareError(
                f"reader {part.name!r} on {part.device} does not answer by a new key; check cable, address and baud, "
                "put it into its install mode (its manual says how), and run this again"
            )
        _replace(made, path)
    except OSError as error:
        raise HardwareError(
            f"reader {part.name!r}: {error.strerror or error} ({error.filename or part.device}); stop what holds the "
            "line, systemctl stop doorstile-agent, and run this again as root"
        ) from error


class _Line:
    """The line to one reader, opened anew for each conversation."""

    def __init__(self, part: profiles.OsdpReader, open_port: OpenLine, mono_ms: MonoClock, within_ms: int) -> None:
        self._part = part
        self._open_port = open_port
        self._mono_ms = mono_ms
        self._within_ms = within_ms

    async def answers(self, key: bytes) -> bool:
        """Say whether the reader opens a channel by this key and no other."""
        return await self._talk(key, lambda bus: None)

    async def told(self, old: bytes, new: bytes) -> bool:
        """Send a new key through the channel of the old one; False where there is no such channel."""
        return await self._talk(old, lambda bus: bus.set_key(new))

    async def installed(self, key: bytes) -> bool:
        """Send a key through the channel of a reader in install mode; False where there is none."""
        return await self._talk(key, lambda bus: None, is_install=True)

    async def _talk(self, key: bytes, say: Callable[[OsdpBus], None], *, is_install: bool = False) -> bool:
        """Wait for a channel, say something in it, and let it work for a moment."""
        port = self._open_port(self._part.device, self._part.baud, self._mono_ms)
        try:
            bus = OsdpBus(port, self._part.address, key, self._part.name, is_install=is_install)
            if not await self._refreshed(bus, self._within_ms, lambda: bus.is_secure):
                return False
            say(bus)
            await self._refreshed(bus, SETTLES_MS, lambda: False)
            return True
        finally:
            port.close()

    async def _refreshed(self, bus: OsdpBus, for_ms: int, is_enough: Callable[[], bool]) -> bool:
        until_ms = self._mono_ms() + for_ms
        while self._mono_ms() < until_ms:
            bus.refresh()
            if is_enough():
                return True
            await asyncio.sleep(REFRESH_S)
        return False


def _keys(path: Path, made: Path) -> tuple[bytes | None, bytes]:
    """Return the key that the reader had, None where it had none, and the one that it gets, which is on the disk."""
    if not made.exists():
        _write(made, secrets.token_bytes(KEY_BYTES))
    return load_key(path) if path.exists() else None, load_key(made)


def _write(path: Path, key: bytes) -> None:
    """Write a key durably, for the folder's owner alone: who runs this may be root."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(fd, owner.st_uid, owner.st_gid)
        os.write(fd, key.hex().encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    _flush(path.parent)


def _replace(made: Path, path: Path) -> None:
    made.replace(path)
    _flush(path.parent)


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
