"""Each way in which the tables can disagree has its words, and a restart mends it."""

import sqlite3
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store import pages
from agent.store.inspect import inspect
from agent.store.journal import Journal
from agent.store.witness import read_mark
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, pull
from wire.vocabulary import CommandState

pytestmark = pytest.mark.unit


async def _closed(folder: Path) -> None:
    """Two runs of 10 and 6 events, 4 and 6 of them acknowledged."""
    for count, acked in ((10, 4), (6, 6)):
        journal = Journal.open(folder, device=DEVICE, limits=QUICK)
        await journal.append_many([begun(str(i)) for i in range(count)])
        chain = Chain.of(journal, journal.run)
        for event in await journal.read(journal.run, 0, acked, 1 << 20):
            chain.take(event.n, event.data)
        await journal.acknowledge(journal.run, acked, chain.head)
        await journal.close()


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("UPDATE events SET digest = zeroblob(32) WHERE place = (1 << 40) + 7", "event 7 does not match its digest"),
        ("UPDATE events SET prev = zeroblob(32) WHERE place = (1 << 40) + 7", "event 7 does not follow event 6"),
        ("UPDATE events SET place = (1 << 40) + 99 WHERE place = (1 << 40) + 10", "ends at event 99, the next run"),
        ("DELETE FROM events WHERE place = (1 << 40) + 7", "events 7 to 7 are missing"),
        ("DELETE FROM events WHERE place = (1 << 40) + 10", "ends at event 9, the next run began after event 10"),
        ("DELETE FROM events WHERE place = (2 << 40) + 6", "event 6, which was acknowledged, is missing"),
        (
            "UPDATE events SET prev = zeroblob(32) WHERE place = (1 << 40) + 1",
            "event 1 does not follow what was deleted",
        ),
        ("UPDATE runs SET acked = 5 WHERE ord = 1", "event 5 is not the one that was acknowledged"),
        ("UPDATE runs SET acked = 12 WHERE ord = 1", "ends at event 12, the next run"),
        ("UPDATE runs SET pruned = 5 WHERE ord = 1", "cursors 5, 4 and 10 are out of order"),
        ("UPDATE runs SET acked = 0 WHERE ord = 1", "heads at event 0 differ"),
        ("UPDATE runs SET prev_n = 9 WHERE ord = 2", "does not begin as its id, ordinal and the run before it say"),
        ("UPDATE runs SET run = 'feedfacefeedface' WHERE ord = 1", "is not the one that the roll names"),
        ("DELETE FROM runs WHERE ord = 2", "an older copy was put back, or rows are lost"),
        ("UPDATE meta SET value = 'feedfacefeedface' WHERE name = 'store'", "it was swapped"),
        ("UPDATE meta SET value = 'another' WHERE name = 'device'", "the roll names another"),
        ("UPDATE events SET text = 'text' WHERE place = (1 << 40) + 7", "event 7 does not match its digest"),
        ("UPDATE runs SET acked = 'noise' WHERE ord = 2", "cannot be read"),
        ("UPDATE runs SET prev_head = 'noise' WHERE ord = 2", "cannot be read"),
        ("DROP TABLE losses", "its tables are not as they were made"),
        ("ALTER TABLE runs RENAME COLUMN shed_bytes TO thed_bytes", "its tables are not as they were made"),
    ],
)
async def test_disagreement_is_named_and_mended_by_a_restart(tmp_path: Path, sql: str, complaint: str) -> None:
    await _closed(tmp_path)
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    assert connection.execute(sql).rowcount in (-1, 1)
    connection.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert [found for found in journal.report.found if complaint in found], journal.report.found
    assert await journal.verify() == []
    assert (await journal.append(alarm())).n == 1
    held = {run.run: run for run in journal.runs()}
    for run in held.values():
        chain = Chain(run.head, run.acked)
        lost = [loss for loss in journal.losses() if loss.run == run.run]
        while chain.upto < run.last:
            if not await pull(journal, run.run, chain):
                loss = next(one for one in lost if one.first == chain.upto + 1)
                assert loss.head is not None
                chain.head, chain.upto = loss.head, loss.to
    await journal.close()
    with inspect(tmp_path) as inspector:
        assert inspector.verify().is_sound
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    await journal.close()


async def test_every_row_is_found_in_the_bare_pages(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([begun("x" * 40 * (i % 9)) for i in range(300)])
    in_log = {row[0] & 0xFFFF for row in pages.rows(tmp_path / "journal.db")}
    await journal.close()
    in_file = {row[0] & 0xFFFF for row in pages.rows(tmp_path / "journal.db")}
    assert in_log == in_file == set(range(1, 301))


async def test_event_larger_than_a_page_survives_a_rebuild(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    run = journal.run
    await journal.append_many([alarm("x" * 9000), alarm("small")])
    await journal.close()
    (tmp_path / "journal.suspect").write_text("EIO")
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (journal.report.kept, journal.report.lost) == (2, 0)
    chain = Chain.of(journal, run)
    assert await pull(journal, run, chain) == 2
    assert len(chain.texts[1]) > 9000
    await journal.close()


async def test_command_that_ended_is_no_damage_and_is_remembered(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(begun("1", opens="unlock:1"))
    await journal.append(begun("1", settles="unlock:1", outcome=CommandState.DONE))
    await journal.close()
    with inspect(tmp_path) as inspector:
        assert inspector.verify().faults == ()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert journal.report.found == ()
    assert [promise.outcome for promise in journal.settled_promises()] == ["done"]
    await journal.close()


def test_noise_yields_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "noise.db"
    path.write_bytes(bytes(range(256)) * 64)
    path.with_name("noise.db-wal").write_bytes(b"\x0d" * 9000)
    assert list(pages.rows(path)) == []
    assert list(pages.rows(tmp_path / "missing.db")) == []


def test_witness_of_noise_is_none(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"zz" * 4000)
    assert read_mark(tmp_path / "w") is None


def test_state_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent.lock").mkdir()
    with pytest.raises(StoreError, match=r"agent.lock cannot be written"):
        Journal.open(tmp_path, device=DEVICE, limits=QUICK)
