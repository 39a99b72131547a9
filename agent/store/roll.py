"""The roll of runs, kept outside the database: which runs there are and how each began.

Written at each start, read when the database is damaged: rows carry only the ordinal of their run, and without its id
nothing could be sent or declared lost. Also tells a run's id that was altered.
"""

import os
from pathlib import Path
from zlib import crc32

import msgspec

from agent.store.db import flush_folder
from agent.store.reading import RunLine


class Listed(msgspec.Struct, frozen=True):
    """A run as it stood at the last start; heads are hex."""

    ord: int
    run: str
    prev_n: int
    prev_head: str
    acked: int
    acked_head: str
    acked_bytes: int


class Roll(msgspec.Struct, frozen=True):
    """All runs of a journal, oldest first."""

    store: str
    device: str
    runs: list[Listed]


_decode = msgspec.json.Decoder(Roll).decode


def write_roll(path: Path, store: str, device: str, lines: list[RunLine]) -> None:
    """Replace the roll as a whole; durable on return."""
    runs = [
        Listed(
            line.ord, line.run, line.prev_n, line.prev_head.hex(), line.acked, line.acked_head.hex(), line.acked_bytes
        )
        for line in lines
    ]
    text = msgspec.json.encode(Roll(store, device, runs))
    new = path.with_suffix(".runs.new")
    with new.open("wb") as file:
        file.write(b"%08x\n%s\n" % (crc32(text), text))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    flush_folder(path.parent)


def read_roll(path: Path) -> Roll | None:
    """Return the roll; None where it is missing or damaged."""
    try:
        checksum, text = path.read_bytes().split(b"\n")[:2]
        return _decode(text) if int(checksum, 16) == crc32(text) else None
    except (OSError, ValueError, msgspec.DecodeError):
        return None
