"""A look at the directory from outside, while the agent runs or after it died. Nothing is ever written."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec

from agent.errors import StoreError
from agent.store import canary, db
from agent.store.changes import CHANGES_NAME, Changes, ChangesDamagedError
from agent.store.directory import DIRECTORY_NAME
from agent.store.edition import Edition, edition_of
from agent.store.kept import Kept
from wire.directory import DirectoryTextError, Issue, read_row
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef


class Look:
    """One version of the directory, open for reading."""

    def __init__(self, edition: Edition, kept: Kept) -> None:
        self._edition = edition
        self.kept = kept
        self.book = canary.read_book(edition)

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory it is; None before the first snapshot."""
        return self._edition.ref

    @property
    def issue(self) -> Issue | None:
        """When and how central issued it; None before the first snapshot."""
        return self._edition.issue

    def find(self, key_hex: str) -> DirectoryRow | None:
        """Return the row of a keyed index, or None."""
        return self._edition.row(bytes.fromhex(key_hex))

    def rows(self) -> Iterator[DirectoryRow]:
        """Yield every row."""
        changed = self._edition.changed
        for key, text in self._edition.base.execute("SELECT key, row FROM credentials"):
            if key not in changed:
                yield read_row(text)
        yield from (read_row(text) for text in changed.values() if text is not None)


@contextmanager
def look(folder: Path) -> Iterator[Look]:
    """Open the directory of a state folder for reading; raise StoreError where there is none that can be read."""
    path = folder / DIRECTORY_NAME
    if not path.exists():
        raise StoreError(f"{path} does not exist: has this device ever run? name its folder with --state")
    try:
        with ExitStack() as open_files:
            base = edition_of(open_files.enter_context(closing(db.connect_reader(path))))
            beside = path.with_name(CHANGES_NAME)
            changes = None
            if beside.exists():
                changes = Changes(open_files.enter_context(closing(db.connect_reader(beside))))
            edition = (changes and changes.over(base)) or base
            yield Look(edition, Kept(folder / "kept.json"))
    except (sqlite3.Error, msgspec.DecodeError, ChangesDamagedError, DirectoryTextError) as fault:
        raise StoreError(
            f"{path} cannot be read ({fault}): restart the agent, it fetches the directory again"
        ) from fault
