"""The directory: one of central's versions, whole, or the one before."""

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from agent.errors import DirectoryRefusedError, StoreError
from agent.store import directory as module
from agent.store.directory import Directory
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from wire.directory import directory_digest, row_text
from wire.rows import DirectoryRow
from wire.transfer import DirChunk, DirectoryRef, DirEnd
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit


def _rows(count: int, *, is_active: bool = True) -> list[DirectoryRow]:
    chance = random.Random(count)
    keys = sorted(chance.randbytes(16).hex() for _ in range(count))
    return [
        DirectoryRow(key=key, kind=CredentialKind.HF_UID, member=f"m{i}", is_active=is_active)
        for i, key in enumerate(keys)
    ]


async def _stage(
    directory: Directory, rows: list[DirectoryRow], ver: int, *, digest: str | None = None
) -> DirectoryRef:
    chunks = [rows[at : at + 7] for at in range(0, len(rows), 7)]
    begin = begin_of(rows, snap=f"s{ver}", epoch="e1", ver=ver, chunks=len(chunks), digest=digest)
    await directory.stage_begin(begin, issued(begin))
    for i, chunk in enumerate(chunks):
        await directory.stage_chunk(chunk_of(chunk, snap=begin.snap, i=i))
    return await directory.stage_end(DirEnd(snap=begin.snap))


async def _begin(directory: Directory, rows: list[DirectoryRow], *, snap: str = "s", chunks: int = 2) -> None:
    begin = begin_of(rows, snap=snap, epoch="e1", ver=2, chunks=chunks)
    await directory.stage_begin(begin, issued(begin))


@pytest_asyncio.fixture
async def directory(tmp_path: Path) -> AsyncIterator[Directory]:
    opened = Directory.open(tmp_path)
    yield opened
    await opened.close()


async def test_new_directory_is_empty(directory: Directory) -> None:
    assert (directory.ref, directory.count(), directory.find("00" * 16), directory.found) == (None, 0, None, None)


async def test_snapshot_is_decided_from_once_it_is_complete_and_after_a_restart(tmp_path: Path) -> None:
    directory, rows = Directory.open(tmp_path), _rows(30)
    ref = await _stage(directory, rows, 1)
    assert ref == directory.ref == DirectoryRef("e1", 1, directory_digest(rows))
    assert [directory.find(row.key) for row in rows] == rows
    assert directory.find("ff" * 16) is None
    await directory.close()
    directory = Directory.open(tmp_path)
    assert (directory.ref, directory.count(), directory.find(rows[3].key)) == (ref, 30, rows[3])
    assert await directory.verify() is None
    await directory.close()


async def test_newer_snapshot_replaces_the_older_as_a_whole(directory: Directory) -> None:
    old, new = _rows(20), _rows(9)
    await _stage(directory, old, 1)
    await _stage(directory, new, 2)
    assert directory.count() == 9
    assert all(directory.find(row.key) is None for row in old)


async def test_empty_snapshot_is_a_directory_too(directory: Directory) -> None:
    await _stage(directory, _rows(5), 1)
    assert (await _stage(directory, [], 2)).ver == 2
    assert directory.count() == 0


async def test_old_directory_serves_until_the_new_one_is_complete(directory: Directory) -> None:
    rows = _rows(14, is_active=True)
    await _stage(directory, rows, 1)
    changed = _rows(14, is_active=False)
    await _begin(directory, changed)
    await directory.stage_chunk(chunk_of(changed[:7], snap="s"))
    assert directory.find(rows[0].key) == rows[0]
    assert directory.ref is not None
    assert directory.ref.ver == 1


async def test_snapshot_with_another_digest_is_refused_and_the_old_one_stays(directory: Directory) -> None:
    rows = _rows(10)
    ref = await _stage(directory, rows, 1)
    with pytest.raises(StoreError, match="was announced"):
        await _stage(directory, _rows(12), 2, digest="0" * 64)
    assert (directory.ref, directory.find(rows[0].key)) == (ref, rows[0])
    assert (await _stage(directory, _rows(12), 2)).ver == 2


async def test_snapshot_with_a_missing_chunk_is_refused(directory: Directory) -> None:
    rows = _rows(14)
    await _begin(directory, rows)
    await directory.stage_chunk(chunk_of(rows[:7], snap="s"))
    with pytest.raises(StoreError, match="14 and 0 in 2 were announced"):
        await directory.stage_end(DirEnd(snap="s"))
    assert directory.ref is None


@pytest.mark.parametrize(
    ("chunk", "complaint"),
    [
        (chunk_of(snap="s", i=1), "chunk 1 came where 0 was expected"),
        (chunk_of(snap="other"), "no snapshot 'other' was begun"),
        (chunk_of(_rows(1) * 2, snap="s"), "repeats a key"),
        (chunk_of([DirectoryRow(key="zz", kind=CredentialKind.HF_UID, member="m")], snap="s"), "hexadecimal"),
    ],
)
async def test_wrong_chunk_is_refused(directory: Directory, chunk: DirChunk, complaint: str) -> None:
    await _begin(directory, _rows(1), chunks=1)
    with pytest.raises(StoreError, match=complaint):
        await directory.stage_chunk(chunk)


async def test_end_without_a_beginning_is_refused(directory: Directory) -> None:
    with pytest.raises(StoreError, match="ask for a whole one"):
        await directory.stage_end(DirEnd(snap="s"))


async def test_snapshot_begun_again_starts_over(directory: Directory) -> None:
    rows = _rows(14)
    await _begin(directory, rows)
    await directory.stage_chunk(chunk_of(rows[:7], snap="s"))
    await _stage(directory, rows, 1)
    assert directory.count() == 14


async def test_what_a_cut_left_of_a_snapshot_is_removed(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _begin(directory, _rows(14))
    assert (tmp_path / "directory.new").exists()
    again = Directory.open(tmp_path)
    assert not (tmp_path / "directory.new").exists()
    assert again.ref is None
    await again.close()
    await directory.close()


async def test_flipped_bit_is_noticed_and_the_directory_starts_empty(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _stage(directory, _rows(200), 1)
    await directory.close()
    path = tmp_path / "directory.db"
    whole = path.read_bytes()
    chance = random.Random(11)
    noticed = 0
    for _ in range(40):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        directory = Directory.open(tmp_path)
        assert (directory.found is not None) == (directory.ref is None)
        if directory.found is None:
            assert [row for row in _rows(200) if directory.find(row.key) != row] == []
        noticed += directory.found is not None
        await directory.close()
    assert noticed > 10


async def test_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "directory.db").write_bytes(b"noise" * 3000)
    directory = Directory.open(tmp_path)
    assert directory.found
    assert (tmp_path / "quarantine" / "directory.db").read_bytes() == b"noise" * 3000
    assert (await _stage(directory, _rows(3), 1)).ver == 1
    await directory.close()


@pytest.mark.parametrize("ver", [2, 3])
async def test_no_older_version_takes_the_place_of_a_lost_one(tmp_path: Path, ver: int) -> None:
    """A card that was revoked in version 3 would open again by version 2, which central had signed as well."""
    directory = Directory.open(tmp_path)
    await _stage(directory, _rows(5), 3)
    await directory.close()
    (tmp_path / "directory.db").write_bytes(b"damaged")
    directory = Directory.open(tmp_path)
    assert (directory.found is not None, directory.ref) == (True, None)
    if ver == 3:
        assert (await _stage(directory, _rows(5), ver)).ver == 3
    else:
        with pytest.raises(DirectoryRefusedError, match="version 2 is older than what was in use"):
            await _stage(directory, _rows(4), ver)
        assert directory.ref is None
    await directory.close()


async def test_small_values_survive_a_new_directory_and_a_restart(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    assert directory.get("reconnect") is None
    await directory.put("reconnect", '{"min_ms":250}')
    await directory.put("other", "1")
    await _stage(directory, _rows(5), 1)
    assert directory.get("reconnect") == '{"min_ms":250}'
    await directory.close()
    directory = Directory.open(tmp_path)
    assert (directory.get("reconnect"), directory.get("other")) == ('{"min_ms":250}', "1")
    await directory.close()


async def test_damaged_small_values_start_empty(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_bytes(b"\xff{")
    directory = Directory.open(tmp_path)
    assert directory.get("reconnect") is None
    await directory.put("reconnect", "x")
    assert directory.get("reconnect") == "x"
    await directory.close()


async def test_change_of_shape_that_the_power_cut_short_is_rolled_back(tmp_path: Path) -> None:
    directory, rows = Directory.open(tmp_path / "live"), _rows(9)
    await _stage(directory, rows, 1)
    await directory.close()
    changing = sqlite3.connect(tmp_path / "live" / "directory.db", isolation_level=None)
    changing.execute("PRAGMA cache_spill=1")
    changing.execute("PRAGMA cache_size=1")
    changing.execute("BEGIN IMMEDIATE")
    changing.execute("DELETE FROM credentials")
    changing.execute("CREATE TABLE more AS SELECT randomblob(200000) AS noise")
    shutil.copytree(tmp_path / "live", tmp_path / "cut")
    changing.execute("ROLLBACK")
    changing.close()
    assert (tmp_path / "cut" / "directory.db-journal").stat().st_size > 0
    directory = Directory.open(tmp_path / "cut")
    assert directory.found is None
    assert [directory.find(row.key) for row in rows] == rows
    await directory.close()


def _damage(path: Path, key: str, text: bytes) -> None:
    """Write over a row in place, as a failing card does: under the connection that decisions are made from."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE credentials SET row = ? WHERE key = ?", (text, bytes.fromhex(key)))


async def test_damage_in_a_large_directory_is_found_at_leisure_and_nobody_is_known_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_CHECKED_AT_OPEN", 10)
    directory, rows = Directory.open(tmp_path), _rows(30, is_active=False)
    await _stage(directory, rows, 1)
    assert await directory.scrub() is None
    await directory.close()
    _damage(tmp_path / "directory.db", rows[3].key, row_text(replace(rows[3], is_active=True)))
    directory = Directory.open(tmp_path)
    assert (directory.found, directory.count()) == (None, 30)
    assert "do not match" in (await directory.scrub() or "")
    assert (directory.ref, directory.count(), directory.find(rows[3].key)) == (None, 0, None)
    assert (tmp_path / "quarantine" / "directory.db").exists()
    assert (await _stage(directory, rows, 1)).ver == 1
    assert (await directory.scrub(), directory.find(rows[3].key)) == (None, rows[3])
    await directory.close()


async def test_altered_row_is_not_decided_by_even_before_the_directory_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_CHECKED_AT_OPEN", 10)
    directory, rows = Directory.open(tmp_path), [replace(row, is_revoked=True) for row in _rows(30)]
    await _stage(directory, rows, 1)
    await directory.close()
    _damage(tmp_path / "directory.db", rows[3].key, row_text(replace(rows[3], is_revoked=False)))
    directory = Directory.open(tmp_path)
    assert (directory.found, directory.find(rows[4].key)) == (None, rows[4])
    with pytest.raises(StoreError, match="does not match its seal"):
        directory.find(rows[3].key)
    assert directory.suspicion.is_set()
    await directory.close()


async def test_row_under_the_key_of_another_is_not_decided_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_CHECKED_AT_OPEN", 10)
    directory, rows = Directory.open(tmp_path), _rows(30)
    await _stage(directory, rows, 1)
    await directory.close()
    with closing(sqlite3.connect(tmp_path / "directory.db", isolation_level=None)) as connection:
        connection.execute("UPDATE credentials SET key = ? WHERE key = ?", (bytes(16), bytes.fromhex(rows[3].key)))
    directory = Directory.open(tmp_path)
    with pytest.raises(StoreError, match="does not match its seal"):
        directory.find(bytes(16).hex())
    await directory.close()


async def test_change_of_an_altered_row_is_not_taken_and_raises_a_suspicion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_CHECKED_AT_OPEN", 10)
    directory, rows = Directory.open(tmp_path), _rows(30)
    await _stage(directory, rows, 1)
    await directory.close()
    _damage(tmp_path / "directory.db", rows[3].key, row_text(replace(rows[3], is_revoked=True)))
    directory = Directory.open(tmp_path)
    delta = delta_of(rows, [*rows[:3], *rows[4:]], first=1, to=2, epoch="e1")
    with pytest.raises(StoreError, match="does not match its seal"):
        await directory.apply(delta, issued(delta))
    assert directory.suspicion.is_set()
    await directory.close()


async def test_rows_of_an_older_agent_have_no_seals_and_are_decided_by(tmp_path: Path) -> None:
    directory, rows = Directory.open(tmp_path), _rows(3)
    await _stage(directory, rows, 1)
    await directory.close()
    with closing(sqlite3.connect(tmp_path / "directory.db", isolation_level=None)) as connection:
        connection.execute("UPDATE credentials SET seal = NULL")
    directory = Directory.open(tmp_path)
    assert [directory.find(row.key) for row in rows] == rows
    await directory.close()


async def test_row_that_cannot_be_read_raises_a_suspicion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_CHECKED_AT_OPEN", 10)
    directory, rows = Directory.open(tmp_path), _rows(30)
    await _stage(directory, rows, 1)
    await directory.close()
    _damage(tmp_path / "directory.db", rows[3].key, b"noise")
    directory = Directory.open(tmp_path)
    assert not directory.suspicion.is_set()
    with pytest.raises(StoreError, match="cannot be read"):
        directory.find(rows[3].key)
    assert directory.suspicion.is_set()
    assert await directory.scrub()
    assert (directory.find(rows[3].key), directory.suspicion.is_set()) == (None, False)
    await directory.close()
