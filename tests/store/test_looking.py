"""A look at the directory from outside, while the agent that owns it runs."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agent.errors import StoreError
from agent.store.changes import CHANGES_NAME
from agent.store.directory import DIRECTORY_NAME, Directory
from agent.store.looking import look
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from wire.rows import DirectoryRow
from wire.transfer import BookEntry, DirEnd
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

BOOK = [BookEntry(key="site", item=msgspec.Raw(b'{"item":"site","id":"s","tz":"Europe/Madrid"}'))]
OLD = [DirectoryRow(key=f"{n:032x}", kind=CredentialKind.HF_UID, member=f"m{n}") for n in range(3)]
NEW = [replace(OLD[0], is_revoked=True), OLD[1], replace(OLD[0], key="f" * 32)]


async def _filled(folder: Path) -> Directory:
    directory = Directory.open(folder)
    begin = begin_of(OLD, ver=1, book=BOOK)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(replace(chunk_of(OLD), book=BOOK))
    await directory.stage_end(DirEnd(snap="s1"))
    return directory


def _written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


async def test_the_version_in_use_is_seen_and_nothing_is_written(tmp_path: Path) -> None:
    directory = await _filled(tmp_path)
    await directory.put("contact", "then")
    before = _written(tmp_path)
    with look(tmp_path) as seen:
        assert seen.ref == directory.ref
        assert sorted(seen.rows(), key=lambda row: row.key) == OLD
        assert seen.find(OLD[1].key) == OLD[1]
        assert seen.find("e" * 32) is None
        assert seen.book is not None
        assert seen.kept.get("contact") == "then"
    assert _written(tmp_path) == before
    await directory.close()


async def test_changes_since_the_snapshot_are_seen_while_the_agent_runs_and_after_it_died(tmp_path: Path) -> None:
    directory = await _filled(tmp_path)
    delta = delta_of(OLD, NEW, first=1, to=2, book=(BOOK, BOOK))
    await directory.apply(delta, issued(delta))
    _expect_newest(tmp_path, directory)
    await directory.close()
    _expect_newest(tmp_path, directory)


def _expect_newest(folder: Path, directory: Directory) -> None:
    with look(folder) as seen:
        assert seen.ref == directory.ref
        assert sorted(seen.rows(), key=lambda row: row.key) == NEW
        assert seen.find(OLD[2].key) is None


async def test_a_directory_before_the_first_snapshot_has_no_version(tmp_path: Path) -> None:
    await Directory.open(tmp_path).close()
    with look(tmp_path) as seen:
        assert (seen.ref, seen.book) == (None, None)


async def test_what_is_not_there_or_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has this device ever run"), look(tmp_path):
        pass
    await (await _filled(tmp_path)).close()
    (tmp_path / CHANGES_NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot be read"), look(tmp_path):
        pass
    (tmp_path / DIRECTORY_NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot be read"), look(tmp_path):
        pass
