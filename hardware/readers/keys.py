"""What an input device tells, and the face of one that is held. Pure."""

from typing import Protocol

from msgspec import Struct


class KeyMoved(Struct, frozen=True):
    """One EV_KEY event."""

    code: int
    value: int
    at_mono_ms: int


class KeysLost(Struct, frozen=True):
    """The kernel's buffer overflowed (SYN_DROPPED)."""

    at_mono_ms: int


KeyEvent = KeyMoved | KeysLost


class KeyPort(Protocol):
    """An open input device that nobody else hears."""

    def fileno(self) -> int: ...

    def read(self) -> list[KeyEvent]:
        """Return what waits, oldest first; empty when nothing does. OSError when the device has left."""

    def close(self) -> None:
        """Let go of the device. Idempotent."""
