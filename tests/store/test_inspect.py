"""Looking at a journal from outside."""

from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store import db
from agent.store.inspect import inspect
from agent.store.journal import Journal
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, copied, pull
from wire.events import read_event

pytestmark = pytest.mark.unit


async def _busy(folder: Path) -> Journal:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    await journal.append_many([alarm(str(i)) for i in range(5)])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, 5, chain.head)
    await journal.append(begun("c", opens="cmd.c"))
    return journal


async def test_newest_events_are_shown_while_the_agent_runs(tmp_path: Path) -> None:
    journal = await _busy(tmp_path)
    with inspect(tmp_path) as inspector:
        tail = inspector.tail(2)
    assert [(event.run, event.n, event.is_acked) for event in tail] == [(journal.run, 5, True), (journal.run, 6, False)]
    await journal.close()


async def test_export_yields_every_event_in_order(tmp_path: Path) -> None:
    journal = await _busy(tmp_path)
    with inspect(tmp_path) as inspector:
        numbers = [read_event(event.text).n for event in inspector.export() if event.text]
    assert numbers == [1, 2, 3, 4, 5, 6]
    await journal.close()


async def test_verdict_counts_runs_promises_and_finds_nothing_wrong(tmp_path: Path) -> None:
    journal = await _busy(tmp_path)
    with inspect(tmp_path) as inspector:
        verdict = inspector.verify()
    assert verdict.is_sound
    assert [(run.run, run.rows, run.acked, run.last) for run in verdict.runs] == [(journal.run, 6, 5, 6)]
    assert [promise.key for promise in verdict.promises] == ["cmd.c"]
    assert (verdict.store, verdict.device) == (journal.store, DEVICE)
    await journal.close()


async def test_files_of_a_dead_agent_are_read_and_not_changed(tmp_path: Path) -> None:
    journal = await _busy(tmp_path / "live")
    folder = copied(tmp_path / "live", tmp_path / "dead")
    await journal.close()
    db.shm_of(folder / "journal.db").unlink()
    names = ("journal.db", "journal.db-wal", "journal.witness", "journal.runs")
    before = {name: (folder / name).read_bytes() for name in names}
    with inspect(folder) as inspector:
        assert inspector.verify().is_sound
        assert len(inspector.tail(100)) == 6
    assert {name: (folder / name).read_bytes() for name in names} == before


async def test_altered_event_is_named(tmp_path: Path) -> None:
    journal = await _busy(tmp_path)
    journal._opened.connection.execute("UPDATE events SET text = replace(text, 'boot-1', 'boot-2') WHERE place & 7 = 3")
    with inspect(tmp_path) as inspector:
        verdict = inspector.verify()
    assert [fault for fault in verdict.faults if "event 3 does not match its digest" in fault]
    await journal.close()


async def test_inspecting_cannot_write(tmp_path: Path) -> None:
    journal = await _busy(tmp_path)
    with inspect(tmp_path) as inspector, pytest.raises(Exception, match="readonly"):
        inspector._connection.execute("DELETE FROM events")
    await journal.close()


def test_missing_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist: .* name its folder with --state"), inspect(tmp_path):
        pass


async def test_unreadable_journal_is_named(tmp_path: Path) -> None:
    await (await _busy(tmp_path)).close()
    (tmp_path / "journal.db").write_bytes(b"not a database" * 500)
    with pytest.raises(StoreError, match="restart the agent to salvage it"), inspect(tmp_path) as inspector:
        inspector.verify()
