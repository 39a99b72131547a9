"""Changes of the directory: each is one whole version, in memory and on the medium, or it never was."""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.errors import DirectoryRefusedError, StoreError
from agent.store import canary, changes
from agent.store import directory as module
from agent.store.changes import CHANGES_NAME, Changes, Delta
from agent.store.directory import Directory
from agent.store.kept import Kept, mark_of
from tests.crashstates.recording import working_folder
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from wire.directory import directory_digest
from wire.rows import DirectoryRow
from wire.transfer import BookEntry, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import CredentialKind, DirectoryRefusal

pytestmark = pytest.mark.unit

SITE = BookEntry(key="site", item=msgspec.Raw(b'{"item":"site","id":"s","tz":"Europe/Madrid"}'))
POOL = BookEntry(key="zone/pool", item=msgspec.Raw(b'{"item":"zone","name":"pool","limit":20}'))


def _row(number: int, member: str = "m", **fields: object) -> DirectoryRow:
    key = random.Random(number).randbytes(16).hex()
    return replace(DirectoryRow(key=key, kind=CredentialKind.HF_UID, member=member), **fields)


OLD = [_row(n) for n in range(8)]
NEW = [OLD[0], _row(1, "changed"), *OLD[3:], _row(9)]


async def _snapshot(
    directory: Directory, rows: Sequence[DirectoryRow], ver: int = 1, book: Sequence[BookEntry] = ()
) -> None:
    begin = begin_of(rows, ver=ver, book=book)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(replace(chunk_of(rows), book=list(book)))
    await directory.stage_end(DirEnd(snap="s1"))


async def _apply(directory: Directory, delta: DirDelta) -> DirectoryRef:
    return await directory.apply(delta, issued(delta))


def _content(directory: Directory) -> dict[str, DirectoryRow]:
    keys = {row.key for row in (*OLD, *NEW)}
    return {key: row for key in keys if (row := directory.find(key)) is not None}


@pytest_asyncio.fixture
async def directory(tmp_path: Path) -> AsyncIterator[Directory]:
    opened = Directory.open(tmp_path)
    await _snapshot(opened, OLD)
    yield opened
    await opened.close()


async def test_change_is_decided_from_and_is_there_after_a_restart(directory: Directory, tmp_path: Path) -> None:
    ref = await _apply(directory, delta_of(OLD, NEW, first=1, to=4))
    for opened in (directory, Directory.open(shutil.copytree(tmp_path, tmp_path / "again"))):
        assert opened.ref == ref == DirectoryRef("epoch", 4, directory_digest(NEW))
        assert _content(opened) == {row.key: row for row in NEW}
        assert opened.count() == len(NEW)
        assert await opened.verify() is None
    await opened.close()


async def test_changes_add_up(directory: Directory, tmp_path: Path) -> None:
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await _apply(directory, delta_of(NEW, OLD, first=2, to=3))
    await _apply(directory, delta_of(OLD, [], first=3, to=4))
    await _apply(directory, delta_of([], NEW[:2], first=4, to=5))
    assert _content(directory) == {row.key: row for row in NEW[:2]}
    again = Directory.open(shutil.copytree(tmp_path, tmp_path / "again"))
    assert (again.ref, again.count(), _content(again)) == (directory.ref, 2, _content(directory))
    await again.close()


async def test_book_changes_with_the_rows(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD, book=[SITE])
    assert directory.book is not None
    assert directory.book.zones == {}
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2, book=([SITE], [SITE, POOL])))
    assert directory.book.zones["pool"].limit == 20
    await directory.close()
    again = Directory.open(tmp_path)
    assert again.book is not None
    assert again.book.zones == directory.book.zones
    await _apply(again, delta_of(NEW, NEW, first=2, to=3, book=([SITE, POOL], [SITE])))
    assert again.book is not None
    assert again.book.zones == {}
    await again.close()


async def test_change_from_a_version_to_itself_confirms_it(directory: Directory, tmp_path: Path) -> None:
    await _apply(directory, delta_of(OLD, OLD, first=1, to=1, issued_ms=1_900_000_000_000))
    assert directory.issue is not None
    assert directory.issue.issued_ms == 1_900_000_000_000
    again = Directory.open(shutil.copytree(tmp_path, tmp_path / "again"))
    assert again.issue == directory.issue
    await again.close()


CHANGED = delta_of(OLD, NEW, first=1, to=2)
BAD_BOOK = BookEntry(key="zone/pool", item=msgspec.Raw(b'{"item":"zone","name":"pool","closed":true}'))


@pytest.mark.parametrize(
    ("delta", "refusal"),
    [
        (delta_of(OLD, NEW, first=2, to=3), DirectoryRefusal.GAP),
        (delta_of(OLD, NEW, first=1, to=2, epoch="other"), DirectoryRefusal.GAP),
        (delta_of(OLD, NEW, first=1, to=2, digest="00" * 32), DirectoryRefusal.DIGEST),
        (replace(CHANGED, put=[]), DirectoryRefusal.DIGEST),
        (delta_of([*OLD, _row(33)], OLD, first=1, to=2), DirectoryRefusal.DIGEST),
        (delta_of(OLD, OLD, first=1, to=2, book=([POOL], [])), DirectoryRefusal.DIGEST),
        (delta_of(OLD, OLD, first=1, to=2, book=([], [SITE, BAD_BOOK])), DirectoryRefusal.CANARY),
        (replace(CHANGED, put=[msgspec.Raw(b"{}")]), DirectoryRefusal.INCOMPLETE),
        (replace(CHANGED, gone=["zz"]), DirectoryRefusal.INCOMPLETE),
        (replace(CHANGED, gone=[NEW[1].key]), DirectoryRefusal.INCOMPLETE),
        (replace(CHANGED, gone=[OLD[2].key] * 2), DirectoryRefusal.INCOMPLETE),
    ],
)  # fmt: skip
async def test_wrong_change_is_refused_and_nothing_of_it_is_seen(
    directory: Directory, tmp_path: Path, delta: DirDelta, refusal: DirectoryRefusal
) -> None:
    with pytest.raises(DirectoryRefusedError) as refused:
        await _apply(directory, delta)
    assert refused.value.refusal is refusal
    again = Directory.open(shutil.copytree(tmp_path, tmp_path / "again"))
    for opened in (directory, again):
        assert opened.ref == DirectoryRef("epoch", 1, directory_digest(OLD))
        assert _content(opened) == {row.key: row for row in OLD}
    await again.close()
    assert (await _apply(directory, delta_of(OLD, NEW, first=1, to=2))).ver == 2


async def test_change_whose_trial_fails_unexpectedly_is_refused_like_a_wrong_one(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise OverflowError("year 292277026596 is out of range")

    monkeypatch.setattr(canary, "decide", failing)
    with pytest.raises(DirectoryRefusedError, match="OverflowError: year") as refused:
        await _apply(directory, CHANGED)
    assert refused.value.refusal is DirectoryRefusal.CANARY
    assert _content(directory) == {row.key: row for row in OLD}
    assert "Traceback" in caplog.text


async def test_change_before_the_first_snapshot_is_refused(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    with pytest.raises(DirectoryRefusedError, match="not of this one"):
        await _apply(directory, delta_of([], NEW, first=0, to=1))
    await directory.close()


async def test_snapshot_after_changes_stands_alone(directory: Directory, tmp_path: Path) -> None:
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await _snapshot(directory, OLD[:3], ver=3)
    assert _content(directory) == {row.key: row for row in OLD[:3]}
    assert not (tmp_path / CHANGES_NAME).exists()
    await _apply(directory, delta_of(OLD[:3], NEW, first=3, to=4))
    assert _content(directory) == {row.key: row for row in NEW}


async def test_changes_of_an_older_snapshot_are_removed(directory: Directory, tmp_path: Path) -> None:
    """The power went between the snapshot's new name and the removal of what changed before it."""
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    kept = shutil.copytree(tmp_path, tmp_path / "cut")
    await _snapshot(directory, OLD[:3], ver=3)
    shutil.copy(tmp_path / "directory.db", kept / "directory.db")
    again = Directory.open(kept)
    assert (again.found, again.ref, _content(again)) == (None, directory.ref, {row.key: row for row in OLD[:3]})
    assert not (kept / CHANGES_NAME).exists()
    await again.close()


def _emptied(beside: Path) -> None:
    beside.write_bytes(b"")


def _lost(beside: Path) -> None:
    beside.unlink()


def _nameless(beside: Path) -> None:
    with closing(sqlite3.connect(beside, isolation_level=None)) as connection:
        connection.execute("DELETE FROM meta")


def _rowless(beside: Path) -> None:
    with closing(sqlite3.connect(beside, isolation_level=None)) as connection:
        for table in ("meta", "credentials", "book"):
            connection.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("lose", [_emptied, _lost, _nameless, _rowless])
async def test_lost_changes_do_not_bring_back_who_was_revoked(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await directory.close()
    lose(tmp_path / CHANGES_NAME)
    again = Directory.open(tmp_path)
    assert again.found
    assert (again.ref, again.find(OLD[2].key)) == (None, None)
    await _snapshot(again, NEW, ver=2)
    await again.close()
    again = Directory.open(tmp_path)
    assert (again.found, _content(again)) == (None, {row.key: row for row in NEW})
    await again.close()


async def test_nameless_changes_are_damage_also_without_a_mark(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await directory.close()
    _nameless(tmp_path / CHANGES_NAME)
    (tmp_path / "kept.json").unlink()
    again = Directory.open(tmp_path)
    assert "does not say which snapshot" in (again.found or "")
    assert again.ref is None
    await again.close()


async def test_power_cut_between_a_change_and_its_mark_costs_nothing(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    mark = (tmp_path / "kept.json").read_bytes()
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await directory.close()
    (tmp_path / "kept.json").write_bytes(mark)
    again = Directory.open(tmp_path)
    assert (again.found, _content(again)) == (None, {row.key: row for row in NEW})
    await again.close()
    assert (tmp_path / "kept.json").read_bytes() != mark


async def test_mark_that_makes_no_sense_is_reported_and_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    await directory.put("directory", "[]")
    await directory.close()
    for is_odd in (True, False):
        caplog.clear()
        again = Directory.open(tmp_path)
        assert (again.found, again.count()) == (None, len(OLD))
        assert ("was kept as no such thing" in caplog.text) is is_odd
        await again.close()


async def test_mark_that_cannot_be_written_does_not_hold_a_change_up(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Kept, "put", full)
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    assert _content(directory) == {row.key: row for row in NEW}
    assert "cannot be kept: no room" in caplog.text


async def test_too_many_changes_ask_for_a_snapshot(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHANGED", 2)
    with pytest.raises(StoreError, match="a new one costs less"):
        await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    assert directory.ref == DirectoryRef("epoch", 1, directory_digest(OLD))


async def test_commit_that_fails_ends_the_changes_until_the_next_snapshot(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Changes, base: DirectoryRef, delta: Delta) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(Changes, "apply", fail)
        with pytest.raises(StoreError, match="disk I/O error"):
            await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    with pytest.raises(StoreError, match="a whole directory is needed"):
        await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await _snapshot(directory, OLD, ver=2)
    assert (await _apply(directory, delta_of(OLD, NEW, first=2, to=3))).ver == 3


async def test_flipped_bit_in_the_changes_is_noticed_and_the_directory_starts_empty(
    directory: Directory, tmp_path: Path
) -> None:
    """Without its changes the snapshot would let in who was revoked since."""
    await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await directory._work(lambda: directory._changes.close() if directory._changes else None)
    directory._changes = None
    whole, chance, noticed = (tmp_path / CHANGES_NAME).read_bytes(), random.Random(5), 0
    for number in range(60):
        kept = shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-{number}"))
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (kept / CHANGES_NAME).write_bytes(content)
        opened = Directory.open(kept)
        if opened.found is None:
            assert _content(opened) == {row.key: row for row in NEW}
        else:
            assert opened.ref is None
            assert (kept / "quarantine" / "directory.db").exists()
            noticed += 1
        await opened.close()
    assert noticed > 2


async def test_file_of_an_older_agent_serves_until_the_next_snapshot(tmp_path: Path) -> None:
    """It has no hash that could follow changes, so the first thing it gets is a whole directory."""
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    await directory.close()
    with sqlite3.connect(tmp_path / "directory.db") as file:
        digest = file.execute("SELECT value FROM meta WHERE name = 'seal'").fetchone()[0]
        file.execute("DELETE FROM meta WHERE name != 'directory'")
        file.execute("UPDATE meta SET value = ?", (f'{{"epoch":"epoch","ver":1,"digest":"{digest}"}}',))
        file.execute("DROP TABLE book")
        file.execute("ALTER TABLE credentials DROP COLUMN seal")
        file.execute("DELETE FROM _sqlite_migrations WHERE name IN ('book', 'seals')")
    file.close()
    directory = Directory.open(tmp_path)
    assert (directory.found, directory.ref) == (None, DirectoryRef("epoch", 1, digest))
    assert _content(directory) == {row.key: row for row in OLD}
    with pytest.raises(StoreError, match="a whole directory is needed"):
        await _apply(directory, delta_of(OLD, NEW, first=1, to=2))
    await _snapshot(directory, NEW, ver=2)
    assert _content(directory) == {row.key: row for row in NEW}
    await directory.close()


versions = st.lists(st.dictionaries(st.integers(0, 11), st.sampled_from("abc"), max_size=8), min_size=1, max_size=6)


@given(versions, st.integers(0, 2**32))
async def test_whatever_changes_come_the_directory_is_always_one_of_the_versions(
    contents: list[dict[int, str]], seed: int
) -> None:
    """Snapshots, changes, changes with a gap or a wrong digest, and restarts, in any order."""
    chance = random.Random(seed)
    history = [[_row(n, member) for n, member in sorted(content.items())] for content in contents]
    every = {row.key for rows in history for row in rows} | {_row(99).key}
    with tempfile.TemporaryDirectory(dir=working_folder()) as scratch:
        directory = Directory.open(Path(scratch))
        held: int | None = None
        for ver, rows in enumerate(history):
            match chance.randrange(4) if held is not None else 0:
                case 0:
                    await _snapshot(directory, rows, ver=ver)
                    held = ver
                case 1:
                    assert held is not None
                    await _apply(directory, delta_of(history[held], rows, first=held, to=ver))
                    held = ver
                case 2:
                    assert held is not None
                    wrong = delta_of(history[held], [*rows, _row(99)], first=held, to=ver, digest="0" * 64)
                    with pytest.raises(DirectoryRefusedError):
                        await _apply(directory, wrong)
                case _:
                    await directory.close()
                    directory = Directory.open(Path(scratch))
            expected = {} if held is None else {row.key: row for row in history[held]}
            assert {key: row for key in every if (row := directory.find(key)) is not None} == expected
            assert directory.count() == len(expected)
        assert await directory.verify() is None
        await directory.close()


def test_changes_are_of_their_snapshot_alone(tmp_path: Path) -> None:
    path = tmp_path / CHANGES_NAME
    Changes.open(path).close()
    assert path.exists()
    changes.remove(path)
    assert list(tmp_path.iterdir()) == []


def _lose_what_stands_beside(folder: Path) -> None:
    for path in (*folder.glob(f"{CHANGES_NAME}*"), folder / "kept.json"):
        path.unlink()


async def test_loss_of_the_changes_and_of_their_mark_shows_by_what_the_journal_remembers(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    ref = await _apply(directory, delta_of(OLD, [replace(OLD[0], is_revoked=True), *OLD[1:]], first=1, to=2))
    await directory.close()
    _lose_what_stands_beside(tmp_path)
    again = Directory.open(tmp_path, mark_of(ref))
    assert "a newer version was in use" in (again.found or "")
    assert (again.ref, again.find(OLD[0].key)) == (None, None)
    await _snapshot(again, OLD, ver=3)
    await again.close()
    again = Directory.open(tmp_path, mark_of(ref))
    assert (again.found, again.count()) == (None, len(OLD))
    await again.close()


@pytest.mark.parametrize(
    "mark", [None, "[]", mark_of(DirectoryRef("other", 9, "d")), mark_of(DirectoryRef("epoch", 1, ""))]
)
async def test_what_the_journal_remembers_of_no_newer_version_changes_nothing(tmp_path: Path, mark: str | None) -> None:
    directory = Directory.open(tmp_path)
    await _snapshot(directory, OLD)
    await directory.close()
    again = Directory.open(tmp_path, mark)
    assert (again.found, again.count()) == (None, len(OLD))
    await again.close()
