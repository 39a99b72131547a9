"""Files of a running agent that somebody removes or replaces: nothing is granted on them, and nothing is lost."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import CommitUnknownError, StoreBusyError, StoreError
from agent.store.footing import Footing
from agent.store.journal import Journal
from agent.store.lock import FolderLock
from agent.store.writer import mark_path
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, pull

pytestmark = pytest.mark.unit

FILES = ("journal.db", "journal.db-wal", "journal.db-shm")


async def refused(journal: Journal, message: str) -> None:
    """Append once more; the journal has to end for it, and close."""
    watch = asyncio.gather(journal.watch(), return_exceptions=True)
    with pytest.raises(CommitUnknownError, match=message):
        await journal.append(begun("last"))
    assert isinstance((await watch)[0], CommitUnknownError)
    with pytest.raises(CommitUnknownError):
        await journal.append(alarm("refused"))
    await journal.close()


@pytest.mark.parametrize("gone", [FILES, *[(file,) for file in FILES]])
async def test_what_was_written_to_a_removed_file_is_there_at_the_next_start(
    tmp_path: Path, gone: tuple[str, ...]
) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([begun("1", opens="grant.1"), alarm("kept")])
    run = journal.run
    for file in gone:
        (tmp_path / file).unlink()
    await refused(journal, f"{gone[0]} was removed or replaced while it was in use; the next start goes on with a copy")

    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert any(f"{gone[0]} was removed or replaced" in found for found in journal.report.found)
    assert (journal.report.kept, journal.report.lost) == (3, 0)
    assert await pull(journal, run, Chain.of(journal, run)) == 3
    assert [promise.key for promise in journal.open_promises()] == ["grant.1"]
    assert not mark_path(tmp_path / "journal.db").exists()
    await journal.close()


async def test_another_journal_in_place_of_the_open_one_is_left_alone(tmp_path: Path) -> None:
    """Somebody may have put a backup there: what it holds is theirs to decide."""
    folder = tmp_path / "door"
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    shutil.copy(folder / "journal.db", tmp_path / "backup.db")
    (tmp_path / "backup.db").rename(folder / "journal.db")
    await refused(journal, "journal.db was removed or replaced while it was in use; it could not be copied")
    assert not (folder / "journal.new").exists()


async def test_a_folder_that_is_gone_ends_the_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "door", device=DEVICE, limits=QUICK)
    shutil.rmtree(tmp_path / "door")
    await refused(journal, "could not be copied")


async def test_the_copy_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    (tmp_path / "journal.rebuild").mkdir()
    (tmp_path / "journal.db").unlink()
    await refused(journal, "it could not be copied")


async def test_files_that_are_where_they_were_are_no_trouble(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    (tmp_path / "journal.witness").unlink()
    (tmp_path / "agent.lock").unlink()
    for n in range(3):
        await journal.append(alarm(str(n)))
    await journal.close()


def test_a_lock_file_that_was_deleted_lets_no_second_agent_in(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / "agent.lock").unlink()
    with pytest.raises(StoreBusyError, match="in use by process unknown"):
        FolderLock(tmp_path)
    assert lock.is_ours()
    with pytest.raises(StoreBusyError, match=f"in use by process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


@contextmanager
def older_agent(folder: Path) -> Iterator[None]:
    """Hold the lock file alone, as agents did before."""
    (folder / "agent.lock").unlink(missing_ok=True)
    with (folder / "agent.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


async def test_an_agent_whose_folder_another_took_ends(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    with older_agent(tmp_path):
        await refused(journal, "was replaced, or another agent took it")


def test_an_older_agents_lock_is_heeded(tmp_path: Path) -> None:
    with older_agent(tmp_path), pytest.raises(StoreBusyError):
        FolderLock(tmp_path)
    FolderLock(tmp_path).release()


def test_a_folder_of_the_same_name_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    folder.mkdir()
    lock = FolderLock(folder)
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    assert not lock.is_ours()
    lock.release()


def test_a_folder_that_does_not_exist_is_no_busy_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check owner and mount"):
        FolderLock(tmp_path / "nowhere")


def test_the_lock_is_looked_at_once_a_second(tmp_path: Path) -> None:
    now, lock = [0.0], FolderLock(tmp_path)
    (tmp_path / "journal.db").touch()
    footing = Footing(tmp_path / "journal.db", lock, lambda: now[0])
    assert footing.trouble() == ""
    with older_agent(tmp_path):
        now[0] = 0.9
        assert footing.trouble() == ""
        now[0] = 1.0
        assert "another agent took it" in footing.trouble()
    lock.release()
