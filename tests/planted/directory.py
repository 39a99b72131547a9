"""Bugs of the directory's delivery: what a device believes, and from what it would decide."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

import msgspec

from agent.errors import DirectoryRefusedError, StoreError
from agent.store import canary
from agent.store import directory as store
from agent.store.changes import CHANGES_NAME
from agent.store.edition import Edition
from agent.store.kept import Kept, mark_of
from agent.sync import exchange as ex
from agent.sync import staging
from agent.sync.staging import Staging
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.sync.directory_pair import BrokenPromiseError, play
from tests.sync.talk import Talk, of
from wire.directory import Issue, issue_of, row_text
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef, DirEnd
from wire.vocabulary import CredentialKind, DirectoryRefusal

_SEEDS: Final = 40
_real_objection: Final = Staging._objection


def _breaks_in_a_history() -> str | None:
    """Play histories of a device on a bad link until one breaks a promise."""
    for seed in range(_SEEDS):
        try:
            asyncio.run(play(seed))
        except BrokenPromiseError as broken:
            return f"history {seed}: {broken}"
    return None


def _older_is_fine(self: Staging, issue: Issue, sig: str) -> tuple[DirectoryRefusal, str] | None:
    found = _real_objection(self, issue, sig)
    return None if found is not None and found[0] is DirectoryRefusal.OLDER else found


def _stages_an_older_one() -> str | None:
    talk = Talk(0).open(DirectoryRef("epoch", 7, "bb"), issued_ms=2_000_000_000_000).welcome().forget()
    begun = of(talk.receive(begin_of(ver=3)), ex.StageBegin)
    return f"version {begun[0].message.ver} is staged over version 7" if begun else None


def _demands_ignored(self: Staging, issue: Issue, sig: str) -> tuple[DirectoryRefusal, str] | None:
    found = _real_objection(self, issue, sig)
    return None if found is not None and found[0] is DirectoryRefusal.NOT_UNDERSTOOD else found


def _takes_what_it_does_not_understand() -> str | None:
    talk = Talk(0).live()
    begun = of(talk.receive(begin_of(feat=["teleport"])), ex.StageBegin)
    return "a directory that demands 'teleport' is staged" if begun else None


def _gap_is_fine(self: Staging, delta: Any) -> tuple[Staging, ex.Effects]:
    return msgspec.structs.replace(self, delta=delta), (ex.ApplyDelta(delta, issue_of(delta, self.device)),)


def _changes_another_version() -> str | None:
    talk = Talk(0).open(DirectoryRef("epoch", 3, "aa")).welcome().forget()
    applied = of(talk.receive(delta_of((), (), first=5, to=6)), ex.ApplyDelta)
    return "a change of version 5 is applied to version 3" if applied else None


def _goes_back_where_changes_are_lost() -> str | None:
    with TemporaryDirectory() as name:
        return asyncio.run(_loses_its_changes(Path(name)))


_REMOVED = DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m")


async def _in_two_versions(folder: Path) -> DirectoryRef:
    """Leave a directory whose second version removes its one credential; return which that is."""
    directory = store.Directory.open(folder)
    begin, delta = begin_of([_REMOVED], ver=1), delta_of([_REMOVED], (), first=1, to=2)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(chunk_of([_REMOVED]))
    await directory.stage_end(DirEnd(snap=begin.snap))
    ref = await directory.apply(delta, issued(delta))
    await directory.close()
    return ref


async def _known_again(folder: Path, mark: str | None = None) -> str | None:
    directory = store.Directory.open(folder, mark)
    known = directory.find(_REMOVED.key)
    await directory.close()
    return None if known is None else "a credential that was removed is known again"


async def _loses_its_changes(folder: Path) -> str | None:
    await _in_two_versions(folder)
    (folder / CHANGES_NAME).unlink()
    return await _known_again(folder)


def _lost_with_its_mark() -> str | None:
    with TemporaryDirectory() as name:
        return asyncio.run(_loses_all_beside_it(Path(name)))


async def _loses_all_beside_it(folder: Path) -> str | None:
    ref = await _in_two_versions(folder)
    for lost in (CHANGES_NAME, "kept.json"):
        (folder / lost).unlink()
    return await _known_again(folder, mark_of(ref))


def _unsealed(self: Edition, key: bytes) -> bytes | None:
    found = self.base.execute("SELECT row FROM credentials WHERE key = ?", (key,)).fetchone()
    return None if found is None else bytes(found[0])


def _believes_an_altered_row() -> str | None:
    with TemporaryDirectory() as name:
        return asyncio.run(_alters_a_row(Path(name)))


async def _alters_a_row(folder: Path) -> str | None:
    rows = [DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m", is_revoked=True)]
    directory = store.Directory.open(folder)
    begin = begin_of(rows, ver=1)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(chunk_of(rows))
    await directory.stage_end(DirEnd(snap=begin.snap))
    await directory.close()
    altered = row_text(msgspec.structs.replace(rows[0], is_revoked=False))
    with closing(sqlite3.connect(folder / store.DIRECTORY_NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE credentials SET row = ?", (altered,))
    with mock.patch.object(store, "_ROWS_CHECKED_AT_OPEN", 0):
        directory = store.Directory.open(folder)
    try:
        found = directory.find(rows[0].key)
    except StoreError:
        return None
    finally:
        await directory.close()
    return None if found is None or found.is_revoked else "a card whose row was altered is not revoked any more"


def _mute(edition: Edition, present: Any, absent: Any) -> None:
    del edition, present, absent


def _decides_by_an_unreadable_book() -> str | None:
    base: Any = _Rows()
    edition = Edition(base, Issue(epoch="e", ver=1, digest=""), book={"zone/pool": b'{"item":"zone","is_open":false}'})
    try:
        canary.sing(edition, (), ())
    except DirectoryRefusedError:
        return None
    return "a version whose book cannot be read is declared good"


class _Rows:
    """A file without rows."""

    def execute(self, *_: object) -> "_Rows":
        return self

    def fetchone(self) -> None:
        return None


def _wrong(
    name: str, plant: Callable[[], Any], breaks: str, promise: str, catch: Callable[[], str | None]
) -> PlantedBug:
    return PlantedBug(name, breaks, promise, "tests.planted.directory", plant, catch)


PLANTED: Final = (
    _wrong(
        "directory-unsigned", patched(staging, "is_signed", lambda issue, sig, key: True),
        "the signature of a directory is not looked at", "only central says who may pass", _breaks_in_a_history,
    ),
    _wrong(
        "directory-digest-unchecked", patched(store, "_gives", lambda total, issue: True),
        "a change is taken whatever rows it leads to", "the directory is one of central's versions",
        _breaks_in_a_history,
    ),
    _wrong(
        "directory-rollback-accepted", patched(Staging, "_objection", _older_is_fine),
        "an older version takes the place of a newer one", "who was revoked stays revoked", _stages_an_older_one,
    ),
    _wrong(
        "directory-gap-accepted", patched(Staging, "_changed", _gap_is_fine),
        "a change is applied to another version than it was made for", "the directory is one of central's versions",
        _changes_another_version,
    ),
    _wrong(
        "directory-demand-ignored", patched(Staging, "_objection", _demands_ignored),
        "a directory is taken although it demands what the agent does not know",
        "a rule that restricts is not ignored by an older agent", _takes_what_it_does_not_understand,
    ),
    _wrong(
        "directory-mark-ignored", patched(Kept, "is_behind", lambda self, ref: False),
        "a directory is decided from although a newer one is lost", "who was revoked stays revoked",
        _goes_back_where_changes_are_lost,
    ),
    _wrong(
        "directory-note-ignored", patched(store, "is_behind", lambda ref, mark: False),
        "what the journal remembers of the directory is not asked for", "who was revoked stays revoked",
        _lost_with_its_mark,
    ),
    _wrong(
        "directory-seal-ignored", patched(Edition, "text", _unsealed),
        "the seal of a row is not compared", "nobody is let in by a row that was altered", _believes_an_altered_row,
    ),
    _wrong(
        "directory-canary-mute", patched(canary, "sing", _mute),
        "a new version is declared good without a decision from it", "a door does not decide by what it cannot read",
        _decides_by_an_unreadable_book,
    ),
)  # fmt: skip
"""The layer of the directory."""
