"""A disk that fails or is full: what was promised stays true, and nothing is written after a failed commit."""

import asyncio
import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agent.errors import CommitUnknownError, StoreBusyError, StoreFullError
from agent.store import db
from agent.store.journal import Journal
from agent.store.witness import Witness
from agent.store.writer import mark_path
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, pull


class Failing(sqlite3.Connection):
    """A connection whose next statements of a kind fail as the disk would make them fail."""

    faults: ClassVar[list[tuple[str, int]]] = []

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if self.faults and sql.startswith(self.faults[0][0]):
            _, code = self.faults.pop(0)
            fault = sqlite3.OperationalError(f"injected {code}")
            fault.sqlite_errorcode = code
            raise fault
        return super().execute(sql, *values)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return real(*args, factory=Failing, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    Failing.faults.clear()
    yield Failing.faults
    Failing.faults.clear()


@pytest.mark.unit
async def test_failed_commit_ends_the_journal_and_the_next_start_uses_a_new_file(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([begun("1", opens="grant.1"), alarm("kept")])
    run, watch = journal.run, asyncio.gather(journal.watch(), return_exceptions=True)
    faults.append(("COMMIT", sqlite3.SQLITE_IOERR_FSYNC))
    with pytest.raises(CommitUnknownError, match="outcome is unknown"):
        await journal.append(alarm("unknown"))
    assert isinstance((await watch)[0], CommitUnknownError)
    log_bytes = db.wal_of(tmp_path / "journal.db").read_bytes()
    with pytest.raises(CommitUnknownError):
        await journal.append(alarm("refused"))
    await journal.close()
    assert mark_path(tmp_path / "journal.db").exists()

    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert any("failed write" in found for found in journal.report.found)
    assert journal.report.quarantine is not None
    assert (Path(journal.report.quarantine) / "journal.db-wal").read_bytes() == log_bytes
    chain = Chain.of(journal, run)
    assert await pull(journal, run, chain) >= 2
    assert [promise.key for promise in journal.open_promises()] == ["grant.1"]
    assert not mark_path(tmp_path / "journal.db").exists()
    await journal.close()


@pytest.mark.unit
async def test_everything_queued_behind_a_failed_commit_is_refused(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, group_events=1))
    faults.append(("COMMIT", sqlite3.SQLITE_IOERR_WRITE))
    outcomes = await asyncio.gather(*(journal.append(alarm()) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(outcome, CommitUnknownError) for outcome in outcomes)
    await journal.close()


@pytest.mark.unit
async def test_full_disk_takes_the_reserve_and_the_append_succeeds(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (tmp_path / "journal.reserve").exists()
    faults.append(("COMMIT", sqlite3.SQLITE_FULL))
    assert (await journal.append(alarm("squeezed in"))).n == 1
    assert not (tmp_path / "journal.reserve").exists()
    await journal.close()


@pytest.mark.unit
async def test_full_disk_takes_the_reserve_to_send_again_what_central_lost(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([alarm("1"), alarm("2")])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, chain.upto, chain.head)
    faults.append(("COMMIT", sqlite3.SQLITE_FULL))
    assert await journal.rewind(journal.run, 0) is None
    assert journal.held()[0].acked == 0
    await journal.close()


@pytest.mark.unit
async def test_full_disk_with_nothing_to_spare_refuses_and_the_journal_stays_usable(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    faults += [("COMMIT", sqlite3.SQLITE_FULL)] * 3
    with pytest.raises(StoreFullError, match="unsent events are kept"):
        await journal.append(begun("1", opens="grant.1"))
    assert (await journal.append(begun("1", opens="grant.1"))).n == 1
    assert await journal.verify() == []
    await journal.close()


@pytest.mark.unit
async def test_full_disk_lets_acknowledged_events_go_first(tmp_path: Path, faults: list[tuple[str, int]]) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([alarm(str(i)) for i in range(20)])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, 20, chain.head)
    await journal.append(alarm("not acknowledged"))
    faults.append(("COMMIT", sqlite3.SQLITE_FULL))
    await journal.append(alarm("new"))
    assert journal._lines[journal.run].pruned == 20
    assert [event.n for event in await journal.read(journal.run, 20, 9, 1 << 16)] == [21, 22]
    await journal.close()


@pytest.mark.unit
async def test_foreign_writer_is_named_as_the_cause(tmp_path: Path, faults: list[tuple[str, int]]) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    faults.append(("BEGIN", sqlite3.SQLITE_BUSY))
    with pytest.raises(StoreBusyError, match="another process writes"):
        await journal.append(alarm())
    assert (await journal.append(alarm())).n == 1
    await journal.close()


@pytest.mark.unit
async def test_failed_checkpoint_ends_the_journal(tmp_path: Path, faults: list[tuple[str, int]]) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, checkpoint_frames=1))
    faults.append(("PRAGMA wal_checkpoint", sqlite3.SQLITE_IOERR_FSYNC))
    assert (await journal.append(alarm("durable before the checkpoint"))).n == 1
    with pytest.raises(CommitUnknownError):
        await journal.watch()
    await journal.close()


@pytest.mark.unit
async def test_witness_that_cannot_be_flushed_costs_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, checkpoint_frames=1))

    def refuse(_: Witness) -> None:
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(Witness, "flush", refuse)
    assert [(await journal.append(alarm())).n for _ in range(3)] == [1, 2, 3]
    monkeypatch.undo()
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.runs()[0].last == 3
    await journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(mounted)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a tmpfs needs root (Debian package: mount)")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.service
async def test_really_full_disk_keeps_every_acknowledged_append(small_disk: Path) -> None:
    limits = replace(QUICK, reserve_bytes=256 * 1024)
    journal = Journal.open(small_disk, device=DEVICE, limits=limits)
    written = 0
    try:
        while True:
            written = (await journal.append(begun("x" * 900))).n
    except StoreFullError:
        assert written > 500
    chain = Chain.of(journal, journal.run)
    assert await pull(journal, journal.run, chain) == written
    await journal.acknowledge(journal.run, written, chain.head)
    assert (await journal.append(begun("room again"))).n == written + 1
    assert await journal.verify() == []
    await journal.close()
    journal = Journal.open(small_disk, device=DEVICE, limits=limits)
    assert journal.report.found == ()
    await journal.close()
