"""Small values in the journal's `meta`, each under a seal: what has to outlast the loss of the file it is about."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from agent.store.db import seal

PUT: Final = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"
DIRECTORY: Final = "directory"
"""Which directory was declared good last, as `wire.transfer.DirectoryRef` in JSON."""
REVOKED: Final = "revoked"
"""Whether central has told the device that it may not work any more, `yes` or `no`."""

ANCHORS: Final = "anchors"
"""What the wall clock truly was in the last boots, as `wire.messages.Anchor` in JSON: central may not know it yet."""


def sealed(value: str) -> str:
    """Return a value as it is stored."""
    return f"{seal(value):08x} {value}"


def among(meta: Mapping[str, object]) -> dict[str, str]:
    """Return the values among the rows of `meta`; damaged ones are left out."""
    found = {}
    for name in (DIRECTORY, REVOKED, ANCHORS):
        text = meta.get(name)
        said, _, value = text.partition(" ") if isinstance(text, str) else ("", "", "")
        if said == f"{seal(value):08x}":
            found[name] = value
    return found


def stored(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the values of a journal file."""
    return among(dict(connection.execute("SELECT name, value FROM meta")))
