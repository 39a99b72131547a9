"""The directory on the device: who may be known at this door. It can be fetched again, so damage costs only that.

Lookups are synchronous: one search in a WITHOUT ROWID tree, a few microseconds. A snapshot is built in a file of its
own by one named thread and renamed over the old one (`snapshot`); a delta is one transaction in a small file beside it
(`changes`). Either way decisions look at one immutable edition, which is swapped in one step: they never wait and
never see a mix. Small values that can be fetched again are kept in a file of their own.
"""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from agent.errors import DirectoryRefusedError, StoreError
from agent.store import canary, changes, db, snapshot
from agent.store.changes import CHANGES_NAME, MAX_CHANGED, Changes, ChangesDamagedError, Delta
from agent.store.edition import Edition, edition_of
from agent.store.kept import Kept, is_behind
from rules.book import Book
from wire.directory import DirectoryTextError, Issue, directory_hash, item_element, key_in
from wire.rows import DirectoryRow
from wire.sethash import SetHash
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import DirectoryRefusal

log = logging.getLogger(__name__)

DIRECTORY_NAME: Final = "directory.db"
_ROWS_CHECKED_AT_OPEN: Final = 20_000

T = TypeVar("T")


class Directory:
    """The directory that decisions are made from; its methods belong to one event loop.

    `found` says what was wrong when it was opened, None where nothing was. `suspicion` is set by a row that could not
    be read: time to `scrub`.
    """

    def __init__(
        self, path: Path, kept: Kept, edition: Edition, changed: Changes | None, book: Book | None, found: str | None
    ) -> None:
        self._path = path
        self._edition = edition
        self._base = edition.ref if changed is None else edition_of(edition.base).ref
        self._changes = changed
        self._book = book
        self._is_broken = False
        self._kept = kept
        self._staging: snapshot.Staging | None = None
        self._thread = ThreadPoolExecutor(1, "directory-writer")
        self._turn = asyncio.Lock()
        self.found = found
        self.suspicion = asyncio.Event()

    @classmethod
    def open(cls, folder: Path, mark: str | None = None) -> Self:
        """Open or create the directory of a state folder; an unreadable one is set aside and starts empty. Blocks.

        `mark` (`kept.mark_of`) is what somebody else remembers of the version that was declared good last: where it is
        newer than what is here, what is here is not used. Files beside the directory may be lost together.
        Raise SchemaError for a file of a newer agent, StoreError where the folder cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / DIRECTORY_NAME
        snapshot.remove(snapshot.staged(path))
        snapshot.roll_back(path)
        found = snapshot.damage(path, _ROWS_CHECKED_AT_OPEN) if path.exists() else None
        try:
            kept = Kept(path.with_name("kept.json"))
            edition, changed, book, found = _opened(path, kept, found, mark)
            if edition.ref is not None:
                kept.mark(edition.ref)
            return cls(path, kept, edition, changed, book, found)
        except (sqlite3.Error, OSError) as fault:
            raise StoreError(f"{path} cannot be opened ({fault}): check the card and its mount") from fault

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory this is; None before the first snapshot."""
        return self._edition.ref

    @property
    def issue(self) -> Issue | None:
        """What central signed of it, newest first; None before the first snapshot."""
        return self._edition.issue

    @property
    def book(self) -> Book | None:
        """The site's book, of the same version as the rows; None where the directory has none."""
        return self._book

    def find(self, key_hex: str) -> DirectoryRow | None:
        """Return what is known of a credential by its keyed index, or None. Raise StoreError where the file fails."""
        try:
            return self._edition.row(bytes.fromhex(key_hex))
        except (sqlite3.Error, DirectoryTextError) as fault:
            self.suspicion.set()
            raise StoreError(f"{self._path} cannot be read ({fault}): it is checked now") from fault

    def count(self) -> int:
        """Return the number of credentials."""
        return self._edition.count

    def get(self, name: str) -> str | None:
        """Return a small value that `put` kept, or None."""
        return self._kept.get(name)

    async def put(self, name: str, value: str) -> None:
        """Keep a small value durably; it survives a new directory. Raise StoreError where it cannot be written."""
        await self._work(partial(self._kept.put, name, value))

    async def verify(self) -> str | None:
        """Return what is wrong with the rows, None where they match their digest. For large directories, at leisure."""
        return await self._work(partial(self._verified, self._edition))

    async def scrub(self) -> str | None:
        """Read every row; return what is wrong and decide from nothing until there is a whole directory again.

        Return None where all is well. Raise StoreError where it cannot be set aside: then the old one stays.
        """
        async with self._turn:
            self.suspicion.clear()
            found = await self.verify()
            if found is None:
                return None
            old = self._edition
            self._edition, self._book = await self._work(self._begun_anew), None
            self._base, self._is_broken = None, False
            await self._work(old.base.close)
            return found

    async def stage_begin(self, begin: DirBegin, issue: Issue) -> None:
        """Begin a snapshot; one that was under way is dropped. `issue` is what central signed, already verified.

        Raise DirectoryRefusedError for an older version than was ever declared good here, also where that one is lost.
        """
        await self._drop()
        if self._kept.is_behind(issue.ref):
            why = f"version {issue.ver} is older than what was in use here before it was lost"
            raise DirectoryRefusedError(DirectoryRefusal.OLDER, why)
        staged = snapshot.staged(self._path)
        self._staging = await self._work(partial(snapshot.Staging, staged, begin, issue))

    async def stage_chunk(self, chunk: DirChunk) -> None:
        """Add the next chunk; raise StoreError, and drop the snapshot, where it is not the one expected."""
        staging = self._expect(chunk.snap)
        await self._checked(partial(staging.add, chunk))

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        """Check the snapshot and decide from it from now on; a wrong one raises StoreError and the old one stays."""
        async with self._turn:
            return await self._swapped(self._expect(end.snap))

    async def _swapped(self, staging: snapshot.Staging) -> DirectoryRef:
        edition, book = await self._checked(partial(staging.finish, self._path))
        old, self._edition, self._book = self._edition, edition, book
        self._base, self._staging, self._is_broken = edition.ref, None, False
        assert edition.ref is not None
        await self._work(partial(self._forget_changes, old.base))
        await self._work(partial(self._kept.mark, edition.ref))
        return edition.ref

    async def apply(self, message: DirDelta, issue: Issue) -> DirectoryRef:
        """Take a change and decide with it from now on; raise StoreError, and nothing is changed, where it is wrong.

        `issue` is what central signed, already verified.
        """
        async with self._turn:
            return await self._changed(message, issue)

    async def _changed(self, message: DirDelta, issue: Issue) -> DirectoryRef:
        edition = self._edition
        if edition.ref is None or (message.epoch, message.first) != (edition.ref.epoch, edition.ref.ver):
            raise DirectoryRefusedError(DirectoryRefusal.GAP, f"a change of version {message.first}, not of this one")
        try:
            self._edition, self._book = await self._work(partial(self._applied, edition, message, issue))
        except DirectoryTextError as fault:
            self.suspicion.set()
            raise StoreError(f"{self._path} cannot be read ({fault}): it is checked now") from fault
        return issue.ref

    async def close(self) -> None:
        """Drop a snapshot that is under way and close the files."""
        await self._drop()
        if self._changes is not None:
            await self._work(self._changes.close)
        self._thread.shutdown(wait=True)
        self._edition.base.close()

    def _applied(self, edition: Edition, message: DirDelta, issue: Issue) -> tuple[Edition, Book | None]:
        if self._is_broken or edition.total is None or self._base is None:
            raise StoreError("changes cannot be added to this file: a whole directory is needed")
        rows, book = _parts(message)
        with closing(db.connect_reader(self._path, is_immutable=True)) as reader:
            old = replace(edition, base=reader)
            total = _changed_total(old, rows, book)
            if total is None or not _gives(total, issue):
                why = f"the change to version {issue.ver} does not give the digest that was signed"
                raise DirectoryRefusedError(DirectoryRefusal.DIGEST, why)
            delta = Delta(issue, total, rows, book)
            new = changes.changed(old, delta)
            if len(new.changed) + len(new.book) > MAX_CHANGED:
                raise StoreError(f"more than {MAX_CHANGED} changes since the last snapshot: a new one costs less")
            present = [key for key, text in rows.items() if text is not None]
            sung = canary.sing(new, present, [key for key, text in rows.items() if text is None])
        self._write(self._base, delta)
        self._kept.mark(issue.ref)
        return replace(new, base=edition.base), sung

    def _write(self, base: DirectoryRef, delta: Delta) -> None:
        try:
            if self._changes is None:
                self._changes = Changes.open(self._path.with_name(CHANGES_NAME))
            self._changes.apply(base, delta)
        except sqlite3.Error:
            # Whether it is on the medium is unknown: nothing more is added to that file.
            self._is_broken = True
            raise

    def _begun_anew(self) -> Edition:
        self._close_changes()
        _set_aside(self._path)
        snapshot.create(self._path)
        return edition_of(db.connect_reader(self._path, is_immutable=True))

    def _close_changes(self) -> None:
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _forget_changes(self, old: sqlite3.Connection) -> None:
        old.close()
        self._close_changes()
        changes.remove(self._path.with_name(CHANGES_NAME))

    def _verified(self, edition: Edition) -> str | None:
        found = snapshot.damage(self._path, sys.maxsize)
        if found is not None or edition.issue is None or edition.total is None:
            return found
        with closing(db.connect_reader(self._path, is_immutable=True)) as reader:
            texts = (
                text for key, text in reader.execute("SELECT key, row FROM credentials") if key not in edition.changed
            )
            total = directory_hash(texts, edition.book.items())
        total = total.changed(text for text in edition.changed.values() if text is not None)
        return None if total.digest == edition.issue.digest else "its rows do not match their digest"

    def _expect(self, snap: str) -> snapshot.Staging:
        if self._staging is None or self._staging.snap != snap:
            raise StoreError(f"no snapshot {snap[:40]!a} was begun: ask for a whole one")
        return self._staging

    async def _checked(self, work: Callable[[], T]) -> T:
        try:
            return await self._work(work)
        except StoreError:
            await self._drop()
            raise

    async def _drop(self) -> None:
        if self._staging is not None:
            staging, self._staging = self._staging, None
            await self._work(staging.drop)

    async def _work(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as fault:
            raise StoreError(f"{self._path} cannot be written ({fault}): the directory in use stays") from fault


def _opened(
    path: Path, kept: Kept, found: str | None, mark: str | None
) -> tuple[Edition, Changes | None, Book | None, str | None]:
    """Return what the files hold; what cannot be trusted is set aside, and decisions begin with nothing."""
    beside = path.with_name(CHANGES_NAME)
    if found is not None:
        _set_aside(path)
    snapshot.create(path)
    base = edition_of(db.connect_reader(path, is_immutable=True))
    changed: Changes | None = None
    try:
        changed = Changes.open(beside) if beside.exists() else None
        edition = None if changed is None else changed.over(base)
        _check_mark(kept, edition or base, mark)
        if edition is None and changed is not None:
            changed.close()
            changed = None
        if changed is None:
            changes.remove(beside)
        return edition or base, changed, canary.read_book(edition or base), found
    except (sqlite3.DatabaseError, ChangesDamagedError, DirectoryTextError) as fault:
        # Without its changes the snapshot is an older version: a card that was revoked since would open again.
        if changed is not None:
            changed.close()
        base.base.close()
        return _opened(path, kept, f"its changes or its book: {fault}", mark)


def _check_mark(kept: Kept, edition: Edition, mark: str | None) -> None:
    if kept.is_behind(edition.ref) or is_behind(edition.ref, mark):
        raise ChangesDamagedError("a newer version was in use, and is lost")


def _parts(message: DirDelta) -> tuple[dict[bytes, bytes | None], dict[str, bytes | None]]:
    try:
        rows: dict[bytes, bytes | None] = {key_in(text): text for text in map(bytes, message.put)}
        gone = {bytes.fromhex(key) for key in message.gone}
    except (DirectoryTextError, ValueError) as fault:
        raise DirectoryRefusedError(DirectoryRefusal.INCOMPLETE, f"change to version {message.to}: {fault}") from fault
    book: dict[str, bytes | None] = {entry.key: bytes(entry.item) for entry in message.book_put}
    items = set(message.book_gone)
    if (len(rows) + len(gone - rows.keys()), len(book) + len(items - book.keys())) != (
        len(message.put) + len(message.gone), len(message.book_put) + len(message.book_gone)
    ):  # fmt: skip
        why = f"change to version {message.to} names a key twice"
        raise DirectoryRefusedError(DirectoryRefusal.INCOMPLETE, why)
    return rows | dict.fromkeys(gone), book | dict.fromkeys(items)


def _changed_total(
    edition: Edition, rows: Mapping[bytes, bytes | None], book: Mapping[str, bytes | None]
) -> SetHash | None:
    """Return the hash after a change; None where it deletes what is not there."""
    assert edition.total is not None
    was = {key: edition.text(key) for key in rows}
    had = {key: edition.book.get(key) for key in book}
    if any(was[key] is None for key, text in rows.items() if text is None):
        return None
    if any(had[key] is None for key, item in book.items() if item is None):
        return None
    added = [text for text in rows.values() if text is not None]
    added += [item_element(key, item) for key, item in book.items() if item is not None]
    removed = [text for text in was.values() if text is not None]
    removed += [item_element(key, item) for key, item in had.items() if item is not None]
    return edition.total.changed(added, removed)


def _gives(total: SetHash, issue: Issue) -> bool:
    return total.digest == issue.digest


def _set_aside(path: Path) -> None:
    """Keep one damaged directory for inspection, beside the journal's."""
    log.warning("%s is damaged and set aside; it will be fetched again", path)
    folder = path.parent / "quarantine"
    folder.mkdir(exist_ok=True)
    for part in (path, path.with_name(CHANGES_NAME)):
        if part.exists():
            part.rename(folder / part.name)
    snapshot.remove(path)
    changes.remove(path.with_name(CHANGES_NAME))
    db.flush_folder(path.parent)
