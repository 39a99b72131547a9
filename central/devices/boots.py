"""Which boot this process runs in: monotonic times of two processes compare within one boot of one host."""

import time
from functools import cache
from pathlib import Path
from typing import Final
from uuid import uuid4

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """Return the kernel's random id of this boot, 32 hex digits (random(4)); a process's own where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except OSError:
        return uuid4().hex


def mono_ms() -> int:
    """Return the monotonic time of this boot."""
    return time.monotonic_ns() // 1_000_000
