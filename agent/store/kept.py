"""Small values that can be fetched again, such as how central wants the device to come back; one JSON file."""

import logging
import os
from pathlib import Path

import msgspec

from agent.store.db import flush_folder

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(dict[str, str]).decode


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
