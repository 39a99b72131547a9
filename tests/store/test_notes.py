"""Small values beside the events: kept over restarts and salvage, and never believed once they are damaged."""

import sqlite3
from pathlib import Path

import pytest

from agent.store.journal import Journal
from agent.store.notes import DIRECTORY, REVOKED
from agent.store.writer import leave_mark
from tests.store.samples import DEVICE, QUICK, alarm

pytestmark = pytest.mark.unit


async def noted(folder: Path) -> str | None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    found = journal.noted(DIRECTORY)
    await journal.append(alarm())
    await journal.close()
    return found


async def written(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    for value in ("one", "two", "two"):
        journal.note(DIRECTORY, value)
    assert journal.noted(DIRECTORY) == "two"
    await journal.close()


async def test_last_value_is_there_after_a_restart_and_after_a_salvage(tmp_path: Path) -> None:
    assert await noted(tmp_path) is None
    await written(tmp_path)
    assert await noted(tmp_path) == "two"
    leave_mark(tmp_path / "journal.db", "EIO")
    assert await noted(tmp_path) == "two"


async def test_each_value_is_kept_by_itself(tmp_path: Path) -> None:
    await written(tmp_path)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    journal.note(REVOKED, "yes")
    await journal.close()
    leave_mark(tmp_path / "journal.db", "EIO")
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (journal.noted(DIRECTORY), journal.noted(REVOKED)) == ("two", "yes")
    await journal.close()


async def test_value_rides_with_the_next_event(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    journal.note(DIRECTORY, "two")
    await journal.append(alarm())
    stored = sqlite3.connect(tmp_path / "journal.db").execute("SELECT value FROM meta WHERE name = 'directory'")
    assert stored.fetchone()[0].endswith(" two")
    await journal.close()


@pytest.mark.parametrize("value", ["two", "00000000 two", b"\x00", "", 7])
async def test_damaged_value_is_not_believed(tmp_path: Path, value: object) -> None:
    await written(tmp_path)
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'directory'", (value,))
    connection.close()
    assert await noted(tmp_path) is None
