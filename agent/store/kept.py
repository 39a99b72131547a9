"""Small values beside the directory, such as how central wants the device to come back; one JSON file.

All can be fetched again but the mark: the version that was declared good last. It is written after the version itself
is on the medium, so a power cut between the two costs nothing, and a file that is lost later shows.
"""

import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from agent.store.db import flush_folder
from wire.transfer import DirectoryRef

log = logging.getLogger(__name__)

_MARK: Final = "directory"
_decode = msgspec.json.Decoder(dict[str, str]).decode
_decode_mark = msgspec.json.Decoder(DirectoryRef).decode


class Kept:
    """Names and values; a damaged file starts empty, a new one replaces the old as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = {}
        try:
            self._values = _decode(path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError, msgspec.DecodeError) as fault:
            log.warning("%s cannot be read (%s) and starts empty", path, fault)

    def get(self, name: str) -> str | None:
        """Return a value, or None."""
        return self._values.get(name)

    def put(self, name: str, value: str) -> None:
        """Keep a value durably; raise OSError and keep the old one where it cannot be written."""
        values = {**self._values, name: value}
        new = self._path.with_suffix(".new.json")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(values))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        flush_folder(self._path.parent)
        self._values = values

    def mark(self, ref: DirectoryRef) -> None:
        """Remember that this version is good and on the medium; one that cannot be written is tried with the next."""
        text = mark_of(ref)
        if self.get(_MARK) == text:
            return
        try:
            self.put(_MARK, text)
        except OSError as fault:
            log.warning("that version %d is in use cannot be kept: %s", ref.ver, fault)

    def is_behind(self, ref: DirectoryRef | None) -> bool:
        """Say whether a newer version of the same epoch than `ref` was declared good before."""
        return is_behind(ref, self.get(_MARK))


def mark_of(ref: DirectoryRef) -> str:
    """Return a version as it is remembered."""
    return msgspec.json.encode(ref).decode()


def is_behind(ref: DirectoryRef | None, mark: str | None) -> bool:
    """Say whether `mark` tells of a newer version of the same epoch than `ref`."""
    try:
        marked = None if mark is None else _decode_mark(mark)
    except msgspec.DecodeError as fault:
        log.warning("which directory was in use was kept as no such thing (%s)", fault)
        return False
    return marked is not None and ref is not None and ref.epoch == marked.epoch and ref.ver < marked.ver
