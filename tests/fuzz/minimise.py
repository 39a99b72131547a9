"""The smallest set of inputs that reaches every step between two lines of the product that any of them reaches."""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.fuzz.target import Target

_ROOT: Final = Path(__file__).parent.parent.parent
_OURS: Final = ("agent", "rules", "wire", "hardware", "provisioning", "central")
_WATCHED: Final = tuple(f"{_ROOT / name}/" for name in _OURS)

Step = tuple[str, int, int]


def minimal(target: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Return inputs, smallest first, each of which takes a step that none before it took."""
    seen: set[Step] = set()
    chosen = []
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        new = _steps(target, data) - seen
        if new:
            seen |= new
            chosen.append(data)
    return chosen


def _steps(target: Target, data: bytes) -> set[Step]:
    steps: set[Step] = set()

    def follow(frame: FrameType) -> Any:
        name, last = frame.f_code.co_filename, frame.f_lineno

        def local(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            steps.add((name, last, frame.f_lineno))
            last = frame.f_lineno
            return local

        return local

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return follow(frame) if frame.f_code.co_filename.startswith(_WATCHED) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        target.run(data)
    finally:
        sys.settrace(before)
    return steps
