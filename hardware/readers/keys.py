"""What an input device tells."""

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
