"""Damage at rest is always noticed, and costs no row that can still be read."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from agent.store import verify
from agent.store.errors import RowDamagedError
from agent.store.journal import Journal
from agent.store.opening import witness_path
from agent.store.witness import read_mark
from agent.store.writer import leave_mark
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, copied, pull
from wire.vocabulary import TombReason

pytestmark = pytest.mark.unit

BRIEF = replace(QUICK, tail_rows=4)


@dataclass
class Written:
    """A state folder as it was when the power went, and what it holds."""

    folder: Path
    texts: dict[tuple[str, int], bytes]
    acked: dict[str, int]


@pytest_asyncio.fixture
async def written(tmp_path: Path) -> AsyncIterator[Written]:
    """Two runs, the first checkpointed, the second in the log; both partly acknowledged."""
    texts: dict[tuple[str, int], bytes] = {}
    acked: dict[str, int] = {}
    for count in (40, 30):
        journal = Journal.open(tmp_path / "live", device=DEVICE, limits=QUICK)
        await journal.append_many([begun(str(i)) if i % 3 else alarm("x" * 200) for i in range(count)])
        chain = Chain.of(journal, journal.run)
        await pull(journal, journal.run, chain, max_events=count // 2)
        texts |= {(journal.run, n): text for n, text in chain.texts.items()}
        half = Chain.of(journal, journal.run)
        for event in await journal.read(journal.run, 0, count // 2, 1 << 20):
            half.take(event.n, event.data)
        await journal.acknowledge(journal.run, half.upto, half.head)
        acked[journal.run] = half.upto
        await journal.append(begun("last", opens=f"cmd.{count}"))
        texts[(journal.run, count + 1)] = b""
        if count == 40:
            await journal.close()
    await _witnessed(tmp_path / "live", journal.run, 31)
    copied(tmp_path / "live", tmp_path / "cut")
    await journal.close()
    yield Written(tmp_path / "cut", texts, acked)


async def _witnessed(folder: Path, run: str, n: int) -> None:
    """Wait for the witness, which follows the journal."""
    for _ in range(2000):
        mark = read_mark(witness_path(folder / "journal.db"))
        if mark is not None and (mark.run, mark.n) == (run, n):
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"the witness never saw event {n}")


async def _check(written: Written, folder: Path) -> Journal:
    """Open; every event must be there unchanged or, if it was not acknowledged, declared lost."""
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    assert await journal.verify() == [], journal.report
    held = await _held(journal)
    lost = {(loss.run, n) for loss in journal.losses() for n in range(loss.first, loss.to + 1)}
    for (run, n), text in written.texts.items():
        if (run, n) in held:
            assert text in (b"", held[run, n])
        elif n > written.acked[run]:
            assert (run, n) in lost, (run, n, journal.report)
    if lost:
        assert journal.report.found
    return journal


async def _held(journal: Journal) -> dict[tuple[str, int], bytes]:
    held: dict[tuple[str, int], bytes] = {}
    for line in list(journal._lines.values()):
        after = line.pruned
        while after < line.last:
            for event in (events := await journal.read(line.run, after, 500, 1 << 20)):
                held[line.run, event.n] = b'{"n":' + event.data.split(b'"n":', 1)[1]
            after = events[-1].n if events else after + 1
    return held


async def test_whole_folder_opens_without_a_finding(written: Written) -> None:
    journal = await _check(written, written.folder)
    assert journal.report.found == ()
    assert len(journal.open_promises()) == 2
    await journal.close()


def _flip(path: Path, at: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_flipped_bit_costs_no_row_unnoticed(written: Written, tmp_path: Path, name: str) -> None:
    size = (written.folder / name).stat().st_size
    assert size > 4096
    chance = random.Random(2026)
    for trial in range(60):
        folder = copied(written.folder, tmp_path / f"{name}.{trial}")
        _flip(folder / name, chance.randrange(size), chance.randrange(8))
        await (await _check(written, folder)).close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_truncation_costs_no_row_unnoticed(written: Written, tmp_path: Path, name: str) -> None:
    size = (written.folder / name).stat().st_size
    for trial, keep in enumerate([0, 1, 100, 2048, size // 3, size // 2, size - 2048, size - 1]):
        folder = copied(written.folder, tmp_path / f"{name}.{trial}")
        with (folder / name).open("r+b") as file:
            file.truncate(keep)
        await (await _check(written, folder)).close()
        shutil.rmtree(folder)


async def test_rows_behind_a_broken_log_frame_are_salvaged(written: Written) -> None:
    _flip(written.folder / "journal.db-wal", 40, 0)
    journal = await _check(written, written.folder)
    assert journal.report.found
    assert journal.report.lost == 0
    await journal.close()


DESTRUCTIONS: dict[str, Callable[[Path], object]] = {
    "journal deleted": lambda folder: (folder / "journal.db").unlink(),
    "log deleted": lambda folder: (folder / "journal.db-wal").unlink(),
    "journal emptied": lambda folder: (folder / "journal.db").write_bytes(b""),
    "both replaced by noise": lambda folder: (
        [(folder / name).write_bytes(random.Random(1).randbytes(9000)) for name in ("journal.db", "journal.db-wal")]
        and None
    ),
}


@pytest.mark.parametrize("how", DESTRUCTIONS)
async def test_destroyed_files_are_noticed_and_the_journal_goes_on(written: Written, how: str) -> None:
    DESTRUCTIONS[how](written.folder)
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    assert journal.report.found
    newest = max(run.ord for run in journal.runs())
    assert newest == 3
    assert {loss.why for loss in journal.losses()} <= {TombReason.CORRUPT}
    assert (await journal.append(alarm())).n == 1
    assert await journal.verify() == []
    await journal.close()


@pytest.mark.parametrize("left", [b"", bytes(4096), random.Random(1).randbytes(5000)])
async def test_first_start_that_the_power_cut_short_is_begun_again(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "journal.db").write_bytes(left)
    (tmp_path / "journal.db-wal").write_bytes(bytes(4120))
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (await journal.append(alarm())).n == 1
    assert journal.losses() == []
    await journal.close()


async def test_older_copy_put_back_is_noticed_and_its_missing_range_declared(written: Written, tmp_path: Path) -> None:
    older = copied(written.folder, tmp_path / "older")
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    run = journal.run
    await journal.append_many([alarm(str(i)) for i in range(7)])
    await journal.close()
    shutil.copy(witness_path(written.folder / "journal.db"), older)
    journal = await _check(written, older)
    assert any("older copy" in found for found in journal.report.found)
    assert [(loss.first, loss.to) for loss in journal.losses() if loss.run == run] == [(1, 7)]
    await journal.close()


async def test_journal_of_another_history_is_noticed(written: Written, tmp_path: Path) -> None:
    other = Journal.open(tmp_path / "other", device=DEVICE, limits=QUICK)
    await other.append(alarm("other"))
    await other.close()
    for name in ("journal.db", "journal.db-wal"):
        (written.folder / name).unlink()
    shutil.copy(tmp_path / "other" / "journal.db", written.folder)
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    assert any("swapped" in found for found in journal.report.found)
    assert any(loss.to == 31 for loss in journal.losses())
    await journal.close()


@pytest.mark.parametrize("sql", ["SET key = 'altered'", "SET outcome = 'done'", "SET n = n + 1"])
async def test_altered_promise_is_told_and_dropped(written: Written, sql: str) -> None:
    connection = sqlite3.connect(written.folder / "journal.db", isolation_level=None)
    connection.execute(f"UPDATE promises {sql} WHERE key = 'cmd.40'")
    connection.close()
    journal = await _check(written, written.folder)
    assert [found for found in journal.report.found if "does not match its seal" in found]
    assert [promise.key for promise in journal.open_promises()] == ["cmd.30"]
    assert journal.report.lost == 0
    await journal.close()


LOCKDOWN = "stands-lockdown:1:28800000:0:x"


@pytest.mark.parametrize(
    ("stood", "sql", "stands"),
    [
        (LOCKDOWN, "SET seal = seal + 1", LOCKDOWN),
        (LOCKDOWN, "SET key = 'stands-lockdown:1:1:1:x'", LOCKDOWN),
        (LOCKDOWN, "SET key = CAST(x'7374616e64732d6cff' AS TEXT)", "stands-lockdown:1:28800000:0:"),
        (LOCKDOWN, "SET n = 'x', run = x'00', outcome = 'done'", LOCKDOWN),
        ("stands-fire", "SET seal = 0", "stands-fire"),
        ("stands-mode:locked:60000:0:x", "SET seal = 0", "stands-mode:locked:28800000:0:x"),
        ("stands-mode:unlocked:60000:0:x", "SET seal = 0", None),
        ("hold:c1", "SET seal = 0", None),
    ],
)
async def test_what_kept_people_out_stands_though_its_promise_is_damaged(
    tmp_path: Path, stood: str, sql: str, stands: str | None
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(begun("before", opens=stood))
    await journal.close()
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute(f"UPDATE promises {sql}")
    connection.close()
    for _ in range(2):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        assert [promise.key for promise in journal.open_promises()] == ([] if stands is None else [stands])
        await journal.close()


async def test_damaged_mode_stands_beside_a_whole_lockdown(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(begun("a", opens=LOCKDOWN))
    await journal.append(begun("b", opens="stands-mode:locked:60000:0:x"))
    await journal.close()
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute("UPDATE promises SET key = 'stands-moda' WHERE key LIKE 'stands-mode%'")
    connection.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert sorted(promise.key for promise in journal.open_promises()) == [LOCKDOWN, "stands-mode:locked:28800000:0:x"]
    await journal.close()


@pytest.mark.parametrize("part", [b"CREATE TABLE runs", b"shed_bytes", b"tablelosses", b"promises (", b"format 3"])
async def test_damaged_description_of_the_tables_costs_no_row(written: Written, part: bytes) -> None:
    path = written.folder / "journal.db"
    at = path.read_bytes().index(part)
    for offset, bit in ((0, 7), (2, 6), (len(part) - 1, 0), (len(part) + 2, 2)):
        folder = copied(written.folder, written.folder.with_name(f"{offset}"))
        _flip(folder / "journal.db", at + offset, bit)
        journal = await _check(written, folder)
        assert journal.report.lost == 0
        await journal.close()


async def test_missing_witness_is_told_and_costs_nothing(written: Written) -> None:
    witness_path(written.folder / "journal.db").unlink()
    journal = await _check(written, written.folder)
    assert any("journal.witness missing" in found for found in journal.report.found)
    assert journal.report.lost == 0
    await journal.close()


async def test_torn_witness_slot_leaves_the_other(written: Written) -> None:
    path = witness_path(written.folder / "journal.db")
    before = read_mark(path)
    assert before is not None
    _flip(path, (0, 4096)[before.seq & 1] + 30, 2)
    older = read_mark(path)
    assert older is not None
    assert older.seq == before.seq - 1
    await (await _check(written, written.folder)).close()


async def test_marked_journal_is_copied_to_a_new_file_and_kept_aside(written: Written) -> None:
    leave_mark(written.folder / "journal.db", "EIO")
    before = (written.folder / "journal.db-wal").read_bytes()
    journal = await _check(written, written.folder)
    assert journal.report.quarantine is not None
    assert (Path(journal.report.quarantine) / "journal.db-wal").read_bytes() == before
    assert journal.report.lost == 0
    assert len(journal.open_promises()) == 2
    await journal.close()
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    await journal.close()


@pytest.mark.parametrize(
    "moved", [(), ("journal.db",), ("journal.db-wal",), ("journal.db", "journal.db-wal", "journal.db-shm")]
)
async def test_rebuild_cut_while_files_change_places_is_completed(written: Written, moved: tuple[str, ...]) -> None:
    finished = copied(written.folder, written.folder.with_name("finished"))
    leave_mark(finished / "journal.db", "EIO")
    await Journal.open(finished, device=DEVICE, limits=QUICK).close()
    shutil.copy(finished / "journal.db", written.folder / "journal.new")
    leave_mark(written.folder / "journal.db", "EIO")
    for name in moved:
        (written.folder / name).unlink()
    journal = await _check(written, written.folder)
    assert journal.report.lost == 0
    await journal.close()


async def test_quarantines_are_bounded(written: Written) -> None:
    for _ in range(5):
        leave_mark(written.folder / "journal.db", "EIO")
        await (await _check(written, written.folder)).close()
    folders = sorted(int(entry.name) for entry in (written.folder / "quarantine").iterdir())
    assert folders == [3, 4, 5]


async def test_damaged_row_that_the_link_meets_ends_the_journal_and_is_declared(written: Written) -> None:
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    run = next(iter(journal._lines))
    journal._opened.connection.execute("UPDATE events SET text = x'7b7d' WHERE place = (1 << 40 | 25)")
    with pytest.raises(Exception, match="event 25 of run"):
        await journal.read(run, 20, 50, 1 << 20)
    with pytest.raises(Exception, match="event 25 of run"):
        await journal.watch()
    await journal.close()
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    assert [(loss.run, loss.first, loss.to) for loss in journal.losses()] == [(run, 25, 25)]
    assert [event.n for event in await journal.read(run, 20, 50, 1 << 20)] == [21, 22, 23, 24]
    loss = journal.losses()[0]
    assert loss.head is not None
    await journal.acknowledge(run, 24, (await _head(journal, run, 24)))
    await journal.acknowledge(run, 25, loss.head)
    await journal.loss_acknowledged(run, 25)
    assert next(event.n for event in await journal.read(run, 25, 50, 1 << 20)) == 26
    await journal.close()
    journal = Journal.open(written.folder, device=DEVICE, limits=QUICK)
    assert (journal.report.found, journal.losses()) == ((), [])
    await journal.close()


@pytest_asyncio.fixture
async def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A journal too long to be read through at a start, nothing of it acknowledged; its folder and its run."""
    monkeypatch.setattr(verify, "_QUICK_CHECK_BYTES", 0)
    journal = Journal.open(tmp_path, device=DEVICE, limits=BRIEF)
    await journal.append_many([alarm("x" * 200) for _ in range(200)])
    run = journal.run
    await journal.close()
    return tmp_path, run


@pytest.mark.parametrize("page", [b"\xff" * 2048, bytes(2048), b"\x02"], ids=["noise", "zeros", "kind"])
async def test_page_that_no_start_looks_at_is_found_by_the_link_and_salvaged_by_the_next_start(
    long: tuple[Path, str], page: bytes
) -> None:
    folder, run = long
    path = folder / "journal.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 2048 * 2048)
        file.write(page)
    journal = Journal.open(folder, device=DEVICE, limits=BRIEF)
    assert journal.report.found == ()
    list(journal.newest(1000))
    chain = Chain.of(journal, run)
    with pytest.raises(RowDamagedError, match="cannot be read"):
        await pull(journal, run, chain, max_events=20)
    with pytest.raises(RowDamagedError, match="cannot be read"):
        await journal.watch()
    with pytest.raises(RowDamagedError, match="cannot be read"):
        await journal.verify()
    await journal.close()
    journal = Journal.open(folder, device=DEVICE, limits=BRIEF)
    lost = [loss for loss in journal.losses() if loss.run == run]
    count = sum(loss.to - loss.first + 1 for loss in lost)
    assert (0 < count < 20, journal.report.lost) == (True, count)
    assert "cannot be read" in journal.report.found[0]
    assert await pull(journal, run, Chain.of(journal, run)) == lost[0].first - 1
    assert await journal.verify() == []
    await journal.close()


async def test_oldest_waiting_event_that_cannot_be_read_keeps_no_agent_from_starting(long: tuple[Path, str]) -> None:
    folder, run = long
    connection = sqlite3.connect(folder / "journal.db")
    connection.execute("UPDATE events SET text = x'7b22' WHERE place = (1 << 40 | 1)")
    connection.commit()
    connection.close()
    journal = Journal.open(folder, device=DEVICE, limits=BRIEF)
    assert (journal.report.found, journal.backlog().oldest) == ((), None)
    with pytest.raises(RowDamagedError, match="event 1 of run"):
        await journal.read(run, 0, 10, 1 << 20)
    await journal.close()
    journal = Journal.open(folder, device=DEVICE, limits=BRIEF)
    assert [(loss.first, loss.to) for loss in journal.losses()] == [(1, 1)]
    await journal.close()


async def _head(journal: Journal, run: str, n: int) -> bytes:
    chain = Chain.of(journal, run)
    while chain.upto < n:
        for event in await journal.read(run, chain.upto, n - chain.upto, 1 << 20):
            chain.take(event.n, event.data)
    return chain.head
