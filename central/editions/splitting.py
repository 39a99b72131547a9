"""A large change as several versions, each of which one delta holds, where that costs less than the whole directory.

Every version is one that a door may decide from, so only rows are parted: a row is decided by the book and by nothing
else in the directory, so in between each credential is as it was before or as it is after. What goes or lets in less
comes first. A change of the book stays in one piece with its rows.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from central.editions.lines import BOOK, with_key
from central.editions.models import Change
from wire.directory import DELTA_BYTES, DELTA_ROWS, DirectoryTextError, read_row

ROW_OVERHEAD: Final = 40
"""Bytes that a line has less than what is sent of it."""
MOST: Final = 10_000
"""Changes that are parted; each is kept, and a device keeps what changed since its last whole directory in memory."""
WORTH: Final = 4
"""A change is worth so many rows of a whole directory: it is hashed twice, and each delta is flushed and answered."""


def weight(name: str, text: bytes | memoryview | None) -> int:
    """Return about how many bytes a delta takes for a line."""
    return len(text or b"") + len(name) + ROW_OVERHEAD


def versions_of(changes: Sequence[Change], lines: int) -> list[list[Change]]:
    """Return the changes of each version, in order; `lines` is how many there are in the whole directory.

    One version, which may be too large for a delta, where parting them would cost more, or make no sense.
    """
    whole = list(changes)
    if len(whole) > MOST or len(whole) * WORTH > lines or any(change.kind == BOOK for change in whole):
        return [whole]
    return [whole] if len(_cut(whole)) <= 1 else _cut(sorted(whole, key=_lets_in))


def _cut(changes: Iterable[Change]) -> list[list[Change]]:
    """Return them in pieces within the bounds of a delta."""
    pieces: list[list[Change]] = []
    size = 0
    for change in changes:
        more = weight(change.name, change.now)
        if not pieces or len(pieces[-1]) >= DELTA_ROWS or size + more > DELTA_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(change)
        size += more
    return pieces


def _lets_in(change: Change) -> int:
    """Return 0 for a row that goes, 1 for one that nobody comes in by, 2 for any other.

    What goes comes first also because a card that moves from one row to another goes and comes under one index.
    """
    if change.now is None:
        return 0
    try:
        row = read_row(with_key("", bytes(change.now)))
    except DirectoryTextError:
        return 2
    return 1 if row.is_revoked or row.is_blocked or not row.is_active else 2
