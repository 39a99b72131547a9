"""Steps of passes: used once, durable with the decision, never going back, bounded."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agent.core.types import Use
from agent.store.errors import StepUsedError
from agent.store.journal import Journal
from agent.store.steps import DOUBTED, KEPT, Steps
from agent.store.types import Draft
from tests.store.samples import DEVICE, QUICK, alarm, begun

pytestmark = pytest.mark.unit

PASS = "pass_rotating:0011"
OTHER = "pass_rotating:0022"
ONCE = "pass_signed:0011"


def using(name: str, step: int) -> Draft:
    return msgspec.structs.replace(alarm("shown"), uses=Use(name, step))


async def test_step_is_used_once_and_earlier_ones_never(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(using(PASS, 100))
    for step in (100, 99, 1):
        with pytest.raises(StepUsedError, match=f"step {step}"):
            await journal.append(using(PASS, step))
    await journal.append(using(PASS, 101))
    await journal.append(using(OTHER, 100))
    assert (journal.last_step(PASS), journal.last_step(OTHER), journal.last_step(ONCE)) == (101, 100, 0)
    assert journal.runs()[-1].last == 3
    await journal.close()


async def test_two_presentations_in_one_commit_use_a_step_once(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    done = await asyncio.gather(*(journal.append(using(PASS, 7)) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(one, StepUsedError) for one in done) == 1
    await journal.close()


async def test_used_steps_survive_a_restart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(using(PASS, 100))
    await journal.learn_steps({OTHER: 90, PASS: 3})
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (journal.last_step(PASS), journal.last_step(OTHER)) == (100, 90)
    for name, step in ((PASS, 100), (OTHER, 90)):
        with pytest.raises(StepUsedError):
            await journal.append(using(name, step))
    await journal.close()


async def test_refused_event_uses_nothing_up(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(begun("c1", opens="grant:1"))
    drafts = [begun("c1", opens="grant:1"), using(PASS, 5)]
    with pytest.raises(Exception, match="begun before"):
        await journal.append_many(drafts)
    assert journal.last_step(PASS) == 0
    await journal.close()


async def test_altered_step_is_noticed_and_salvage_keeps_the_others(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(using(PASS, 100))
    await journal.append(using(OTHER, 100))
    await journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection, connection:
        connection.execute("UPDATE steps SET step = 1 WHERE name = ?", (PASS,))
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert any("used step" in found for found in journal.report.found)
    assert journal.last_step(OTHER) == 100
    await journal.close()


def test_full_memory_drops_the_lowest_steps_and_refuses_what_lies_below() -> None:
    steps = Steps(kept=16)
    for number in range(40):
        steps.apply(steps.moved({f"pass_rotating:{number}": 1000 + number}))
        assert sum(f"pass_rotating:{other}" in steps._steps for other in range(number + 1)) <= 16
    assert all(steps.last(f"pass_rotating:{number}") >= 1000 + number for number in range(40))
    assert steps.last("pass_rotating:never shown") >= 1000 + 40 - 17
    assert steps.last(ONCE) == 0, "the floor of one kind says nothing of another"


def test_steps_never_go_back_whatever_is_learned() -> None:
    steps = Steps([(PASS, 50)])
    assert steps.moved({PASS: 50}).puts == {}
    assert steps.moved({PASS: 49}).puts == {}
    steps.apply(steps.moved({PASS: 60}))
    assert steps.last(PASS) == 60


async def test_memory_on_disk_is_bounded(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.learn_steps({f"pass_rotating:{number}": number + 1 for number in range(KEPT + 500)})
    await journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        assert connection.execute("SELECT count(*) FROM steps").fetchone()[0] <= KEPT + 1


async def _damaged(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    await journal.append(using(PASS, 100))
    assert not journal.is_doubtful
    await journal.close()
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("UPDATE steps SET seal = seal + 1")


async def test_doubt_about_used_codes_is_remembered_until_a_clock_settles_it(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    for _ in range(3):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        assert journal.is_doubtful
        await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.settle_doubt(120)
    await journal.close()
    for _ in range(2):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        assert (journal.report.found, journal.is_doubtful) == ((), False)
        assert (journal.last_step(DOUBTED), journal.last_step(PASS), journal.last_step(ONCE)) == (120, 120, 0)
        with pytest.raises(StepUsedError):
            await journal.append(using(PASS, 120))
        await journal.close()


async def test_damage_after_a_settled_doubt_is_doubted_again(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.settle_doubt(120)
    await journal.close()
    (tmp_path / "journal.witness").unlink()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    seen = [journal.is_doubtful]
    await journal.settle_doubt(130)
    seen.append(journal.is_doubtful)
    assert seen == [True, False]
    await journal.close()
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    assert (journal.is_doubtful, journal.last_step(DOUBTED)) == (False, 130)
    await journal.close()
