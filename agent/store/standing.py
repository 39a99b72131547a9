"""What keeps people out, written down twice: as promises, and as the list of them.

A lockdown, a locked door and a fire stand as promises in rows of their own. A row that is gone tells nothing, so the
list of those rows stands in the journal's `meta`, changed in the same transaction, and in the witness, shortened. An
agent before the list wrote neither: the witness of such a one has none, and then the list counts for nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from agent.core import modes
from agent.core.surroundings import FIRE_PROMISE
from agent.store import notes, reading
from agent.store.db import seal

LIST: Final = "stands"
"""Under which name the list stands in `meta`."""
_FIND: Final = "SELECT key FROM promises WHERE outcome IS NULL"
_PARTS: Final = 2
"""What a shortened key keeps: the kind, and the level or mode."""
_decode = msgspec.json.Decoder(tuple[int, list[str]]).decode

Row = tuple[Any, ...]


def among(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the promises among these that keep people out, in order."""
    return tuple(sorted(key for key in keys if key.startswith(modes.STANDS)))


def stored(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return those of a journal file."""
    return among(key for (key,) in connection.execute(_FIND))


def write(connection: sqlite3.Connection, keys: tuple[str, ...]) -> None:
    """Write the list; inside the caller's transaction."""
    connection.execute(notes.PUT, (LIST, msgspec.json.encode((seal(*keys), keys)).decode()))


def read(text: object) -> tuple[str, ...] | None:
    """Return a list as it was written; None where it is missing or damaged."""
    try:
        sealed, keys = _decode(text) if isinstance(text, str) else (None, [])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return tuple(keys) if sealed == seal(*keys) else None


def brief(keys: Iterable[str]) -> list[str]:
    """Return the keys without names and times: short enough for the witness, enough to keep people out by."""
    return sorted({":".join(key.split(":")[:_PARTS]) for key in keys})


def findings(connection: sqlite3.Connection, told: object) -> Iterator[str]:
    """Yield where the promises are not those of the list, `told` being its text."""
    keys, found = read(told), stored(connection)
    if keys is None:
        yield "the list of what keeps people out is gone or damaged"
    elif keys != found:
        for key in sorted(set(keys) ^ set(found)):
            yield f"promise {key[:48]!r} is {'missing' if key in keys else 'not listed'}"


def trusted(connection: sqlite3.Connection) -> list[Row]:
    """Return the promises as they can be trusted: of a damaged one only that people may have been kept out.

    What stands is one of its kind, so a damaged one beside a whole one tells nothing more.
    """
    whole: list[Row] = []
    doubted: dict[str, Row] = {}
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    for key, *fields, sealed in reading.readable(connection, "SELECT key, run, n, outcome, seal FROM promises"):
        if seal(key, *fields) == sealed:
            whole.append((key, *fields, sealed))
        elif isinstance(key, str) and (kept := key if key == FIRE_PROMISE else modes.doubted(key)):
            run, n = fields[0] if isinstance(fields[0], str) else "", fields[1] if isinstance(fields[1], int) else 0
            doubted[kind_of(kept)] = (kept, run, n, None, seal(kept, run, n, None))
    connection.text_factory = str
    kinds = {kind_of(row[0]) for row in whole}
    return whole + [row for kind, row in doubted.items() if kind not in kinds]


def remembered(promises: Iterable[Row], *lists: Iterable[str] | None) -> list[Row]:
    """Return promises in place of those that a list names and that are gone, as doubtful ones are (`modes.doubted`).

    What stands is one of its kind, so a kind that is there is not looked at. Where no list can be read, nobody knows
    what stood, and a lockdown does.
    """
    known = [keys for keys in lists if keys is not None]
    kinds = {kind_of(row[0]) for row in promises}
    found: dict[str, Row] = {}
    for key in [key for keys in known for key in keys] if known else [modes.STANDS]:
        kept = key if key == FIRE_PROMISE else modes.doubted(key)
        if kept is not None and kind_of(kept) not in kinds:
            found.setdefault(kind_of(kept), (kept, "", 0, None, seal(kept, "", 0, None)))
    return list(found.values())


def kind_of(key: str) -> str:
    """Return what a promise is about; of each kind one stands."""
    return key.partition(":")[0]
