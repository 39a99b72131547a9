"""Runs a target on an input and holds it to its time and memory."""

import time
import tracemalloc
from typing import Final

from tests.fuzz.target import Target, ViolationError

MOST_S: Final = 2.0
"""Of the processor, for 16 KiB: hundreds of times what the slowest parser takes, and a busy machine is no violation."""
MOST_BYTES: Final = 64 * 1024 * 1024


def watched(target: Target, data: bytes) -> None:
    """Run the target; raise ViolationError also where it takes too long."""
    begun_s = time.thread_time()
    target.run(data)
    took_s = time.thread_time() - begun_s
    if took_s > MOST_S:
        raise ViolationError(f"{target.name} took {took_s:.1f} s for {len(data)} bytes; nothing may hang")


def weighed(target: Target, data: bytes) -> int:
    """Run the target and return how many bytes it took at most; raise ViolationError above MOST_BYTES."""
    tracemalloc.start()
    try:
        target.run(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if most > MOST_BYTES:
        raise ViolationError(f"{target.name} took {most} bytes of memory for {len(data)} bytes of input")
    return most
