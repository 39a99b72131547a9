"""What is lost is declared, whatever central knew of it before."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from agent.store.errors import RowDamagedError
from agent.store.journal import Journal
from tests.store.samples import DEVICE, QUICK, begun

pytestmark = pytest.mark.unit


@pytest_asyncio.fixture
async def damaged(tmp_path: Path) -> Path:
    """Two runs; events 6 to 8 of the first, its end, are gone."""
    for _ in range(2):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        await journal.append_many([begun(str(i)) for i in range(8)])
        await journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM events WHERE place BETWEEN (1 << 40 | 6) AND (1 << 40 | 8)")
    return tmp_path


def _open(folder: Path) -> tuple[Journal, str]:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    run = journal.held()[0].run
    return journal, run


def _lost(journal: Journal) -> list[tuple[str, int, int]]:
    return [(loss.run, loss.first, loss.to) for loss in journal.losses()]


async def test_acknowledgement_within_a_declared_loss_has_nothing_to_be_compared_with(damaged: Path) -> None:
    journal, run = _open(damaged)
    assert _lost(journal) == [(run, 6, 8)]
    await journal.acknowledge(run, 7, b"\1" * 32)
    await journal.loss_acknowledged(run, 7)
    assert (journal.held()[0].acked, journal.held()[0].head) == (7, b"\1" * 32)
    assert _lost(journal) == [(run, 6, 8)]
    await journal.close()
    journal, _ = _open(damaged)
    assert (journal.report.found, _lost(journal)) == ((), [(run, 6, 8)])
    await journal.close()


async def test_loss_that_a_restored_central_forgot_is_declared_again(damaged: Path) -> None:
    journal, run = _open(damaged)
    head = journal.losses()[0].head
    assert head is not None
    await journal.acknowledge(run, 8, head)
    await journal.loss_acknowledged(run, 8)
    assert _lost(journal) == []
    assert await journal.rewind(run, 0) is None
    assert [event.n for event in await journal.read(run, 0, 50, 1 << 20)] == [1, 2, 3, 4, 5]
    with pytest.raises(RowDamagedError, match="event 6 of run"):
        await journal.read(run, 5, 50, 1 << 20)
    await journal.close()
    journal, _ = _open(damaged)
    assert _lost(journal) == [(run, 6, 8)]
    await journal.close()


async def test_loss_that_central_still_knows_is_not_asked_for_again(damaged: Path) -> None:
    journal, run = _open(damaged)
    head = journal.losses()[0].head
    assert head is not None
    await journal.acknowledge(run, 8, head)
    await journal.loss_acknowledged(run, 8)
    await journal.rewind(run, 0)
    await journal.acknowledge(run, 8, head)
    assert (journal.held()[0].acked, journal.held()[0].head) == (8, head)
    await journal.close()
