"""The worker between session and store: every answer of the store has a place in the conversation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from agent.errors import StoreError, StoreFullError
from agent.site_clock import ZONE_KEY
from agent.sync import exchange as ex
from agent.sync.errands import DIRECTORY_KEY, MAX_WAITING, Errand, Errands, waiting_runs
from tests.fakes.issuing import ISSUED_MS, PUBLIC, begin_of, chunk_of, delta_of, issued
from tests.fakes.link_parts import MemoryDirectoryStore, RecordingCommands
from tests.fakes.memory_outbox import Lost, MemoryOutbox
from wire.limits import Reconnect
from wire.messages import RunAck
from wire.rows import DirectoryRow
from wire.transfer import DirEnd
from wire.vocabulary import CredentialKind, DirectoryRefusal, TombReason

pytestmark = pytest.mark.unit

NOW_MS = 5
NONE_TOLD: frozenset[str] = frozenset()


@dataclass(slots=True)
class Desk:
    """The worker with everything in memory; `answers` are what the session would get."""

    errands: Errands
    outbox: MemoryOutbox
    directory: MemoryDirectoryStore
    commands: RecordingCommands
    answers: list[ex.Input] = field(default_factory=list)

    async def ask(self, errand: Errand) -> ex.Input | None:
        """Return the answer to one errand, None where there is none."""
        before = len(self.answers)
        self.errands.put(1, errand)
        self.errands.put(1, ex.ForgetCommand("end"))
        ends = self.commands.forgotten.count("end") + 1
        while self.commands.forgotten.count("end") < ends:
            await asyncio.sleep(0)
        return self.answers[before] if len(self.answers) > before else None


@contextlib.asynccontextmanager
async def desk(*counts: int) -> AsyncIterator[Desk]:
    outbox, directory, commands = MemoryOutbox(), MemoryDirectoryStore(), RecordingCommands()
    for index, count in enumerate(counts):
        if index:
            outbox.restart()
        outbox.append(count)
    answers: list[ex.Input] = []
    errands = Errands(
        outbox=outbox,
        directory=directory,
        commands=commands,
        now_ms=lambda: NOW_MS,
        answer=lambda _number, answer: answers.append(answer),
    )
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(errands.run())
        yield Desk(errands, outbox, directory, commands, answers)
        working.cancel()


def _acknowledge(outbox: MemoryOutbox) -> None:
    for run in outbox.memory:
        run.acked = len(run.texts)


async def test_acknowledgement_moves_the_cursor_and_settles_losses() -> None:
    async with desk(10) as at:
        run = at.outbox.current
        at.outbox.lost = [Lost(run.run, 2, 3, TombReason.CORRUPT, None), Lost(run.run, 8, 9, TombReason.CORRUPT, None)]
        answer = await at.ask(ex.MoveCursor(run.run, 5, run.heads[5]))
        assert answer == ex.CursorMoved(NOW_MS, run.run, 5)
        assert [lost.first for lost in at.outbox.lost] == [8]


async def test_acknowledgements_of_one_run_that_wait_become_one_and_those_of_others_stay() -> None:
    async with desk(3, 5) as at:
        old, new = at.outbox.memory
        for run, upto in ((old, 2), (new, 1), (old, 3), (new, 4)):
            at.errands.put(1, ex.MoveCursor(run.run, upto, run.heads[upto]))
        await at.ask(ex.MoveCursor(new.run, 5, new.heads[5]))
        assert at.answers == [ex.CursorMoved(NOW_MS, old.run, 3), ex.CursorMoved(NOW_MS, new.run, 5)]


async def test_acknowledgement_that_the_store_refuses_is_told() -> None:
    async with desk(3) as at:
        answer = await at.ask(ex.MoveCursor(at.outbox.current.run, 3, bytes(32)))
        assert isinstance(answer, ex.CursorRefused)
        assert "wrong head" in answer.detail


async def test_rewind_answers_with_the_run_and_what_is_gone() -> None:
    async with desk(10) as at:
        run = at.outbox.current
        run.acked, run.pruned = 8, 4
        answer = await at.ask(ex.Rewind(run.run, 2))
        assert isinstance(answer, ex.Rewound)
        assert (answer.upto, answer.state.acked, answer.state.last) == (2, 4, 10)
        assert answer.pruned is not None
        assert (answer.pruned.first, answer.pruned.to, answer.pruned.head) == (3, 4, run.heads[4].hex())


async def test_rewind_of_a_run_that_is_gone_stops_it() -> None:
    async with desk(1) as at:
        answer = await at.ask(ex.Rewind("f" * 16, 0))
        assert isinstance(answer, ex.CursorRefused)
        assert answer.trouble is ex.Trouble.RANGE_LOST


async def test_run_of_which_nothing_is_kept_is_declared_lost_and_greeted_with() -> None:
    async with desk(3, 1) as at:
        old = at.outbox.memory[0]
        old.acked = old.pruned = 3
        answer = await at.ask(ex.Rewind(old.run, 0))
        assert isinstance(answer, ex.Rewound)
        assert answer.pruned is not None
        assert (answer.pruned.first, answer.pruned.to) == (1, 3)
        assert [state.run for state in waiting_runs(at.outbox)] == [run.run for run in at.outbox.memory]


async def test_central_that_knows_nothing_gets_every_run_again() -> None:
    async with desk(3, 4, 0) as at:
        _acknowledge(at.outbox)
        assert await at.ask(ex.Reconcile(None, NONE_TOLD)) == ex.Reconciled(NOW_MS, 2)
        assert [run.acked for run in at.outbox.memory] == [0, 0, 0]


async def test_central_that_went_back_gets_what_came_after_its_last_run() -> None:
    async with desk(3, 4, 5, 0) as at:
        _acknowledge(at.outbox)
        second = at.outbox.memory[1].run
        assert await at.ask(ex.Reconcile(RunAck(second, 1, ""), NONE_TOLD)) == ex.Reconciled(NOW_MS, 2)
        assert [run.acked for run in at.outbox.memory] == [3, 1, 0, 0]


async def test_central_that_stands_where_it_stood_changes_nothing() -> None:
    async with desk(3, 0) as at:
        _acknowledge(at.outbox)
        first = at.outbox.memory[0].run
        assert await at.ask(ex.Reconcile(RunAck(first, 3, ""), NONE_TOLD)) == ex.Reconciled(NOW_MS, 0)


async def test_runs_that_hello_named_are_left_alone() -> None:
    async with desk(3, 4) as at:
        _acknowledge(at.outbox)
        told = frozenset(run.run for run in at.outbox.memory)
        assert await at.ask(ex.Reconcile(None, told)) == ex.Reconciled(NOW_MS, 0)


async def test_run_that_only_central_knows_is_told() -> None:
    async with desk(3) as at:
        answer = await at.ask(ex.Reconcile(RunAck("f" * 16, 3, ""), NONE_TOLD))
        assert isinstance(answer, ex.Reconciled)
        assert "f" * 16 in answer.missing


async def test_run_that_only_central_knows_says_nothing_about_the_others() -> None:
    async with desk(3, 4, 0) as at:
        _acknowledge(at.outbox)
        answer = await at.ask(ex.Reconcile(RunAck("f" * 16, 3, ""), NONE_TOLD))
        assert isinstance(answer, ex.Reconciled)
        assert (answer.moved, [run.acked for run in at.outbox.memory]) == (2, [0, 0, 0])


async def test_events_flow_on_the_connection_after_all_runs_were_named() -> None:
    async with desk(3, 4, 0) as at:
        for moved in (2, 0, 2):
            _acknowledge(at.outbox)
            answer = await at.ask(ex.Reconcile(RunAck("f" * 16, 3, ""), NONE_TOLD))
            assert isinstance(answer, ex.Reconciled)
            assert (answer.moved, bool(answer.missing)) == (moved, True)


async def test_run_that_cannot_go_back_does_not_hold_up_the_others() -> None:
    async with desk(3, 4, 0) as at:
        _acknowledge(at.outbox)
        at.outbox.faults.append(StoreError("damaged"))
        assert await at.ask(ex.Reconcile(None, NONE_TOLD)) == ex.Reconciled(NOW_MS, 1)


async def test_central_that_went_back_is_asked_again_once_there_is_room() -> None:
    async with desk(3, 4, 0) as at:
        _acknowledge(at.outbox)
        at.outbox.faults += [StoreFullError("no room")] * 2
        assert await at.ask(ex.Reconcile(None, NONE_TOLD)) == ex.Reconciled(NOW_MS, 2)
        assert await at.ask(ex.Reconcile(None, NONE_TOLD)) == ex.Reconciled(NOW_MS, 2)
        assert [run.acked for run in at.outbox.memory] == [0, 0, 0]


async def test_full_store_is_asked_again_whatever_run_central_knows() -> None:
    async with desk(3, 4, 0) as at:
        _acknowledge(at.outbox)
        at.outbox.faults.append(StoreFullError("no room"))
        last = RunAck("f" * 16, 3, "")
        for moved in (2, 1):
            answer = await at.ask(ex.Reconcile(last, NONE_TOLD))
            assert isinstance(answer, ex.Reconciled)
            assert answer.moved == moved


async def test_rewind_for_which_there_is_no_room_says_so() -> None:
    async with desk(3) as at:
        _acknowledge(at.outbox)
        at.outbox.faults.append(StoreFullError("no room"))
        answer = await at.ask(ex.Rewind(at.outbox.current.run, 0))
        assert isinstance(answer, ex.CursorRefused)
        assert answer.trouble is ex.Trouble.NO_ROOM


async def test_snapshot_without_a_beginning_fails() -> None:
    async with desk(0) as at:
        assert isinstance(await at.ask(ex.StageEnd(DirEnd(snap="s"))), ex.DirectoryFailed)
        begin = begin_of(snap="s", chunks=0, digest="wrong")
        assert await at.ask(ex.StageBegin(begin, issued(begin))) is None


async def test_directory_is_staged_changed_and_refused_with_its_reason() -> None:
    old, new = [DirectoryRow(key="0" * 32, kind=CredentialKind.HF_UID, member="m")], list[DirectoryRow]()
    begin = begin_of(old, ver=3)
    change = delta_of(old, new, first=3, to=4)
    async with desk(0) as at:
        assert await at.ask(ex.StageBegin(begin, issued(begin))) is None
        assert await at.ask(ex.StageChunk(chunk_of(old))) == ex.ChunkStaged(NOW_MS, "s1", 0)
        staged = ex.DirectoryStaged(NOW_MS, issued(begin).ref, ISSUED_MS)
        assert await at.ask(ex.StageEnd(DirEnd(snap="s1"))) == staged
        wrong = delta_of(old, new, first=3, to=4, digest="00")
        refused = await at.ask(ex.ApplyDelta(wrong, issued(wrong)))
        assert isinstance(refused, ex.DirectoryFailed)
        assert refused.code is DirectoryRefusal.DIGEST
        applied = ex.DirectoryStaged(NOW_MS, issued(change).ref, ISSUED_MS)
        assert await at.ask(ex.ApplyDelta(change, issued(change))) == applied


async def test_key_for_directories_is_kept() -> None:
    async with desk(0) as at:
        assert await at.ask(ex.KeepDirectoryKey(PUBLIC)) is None
        assert at.directory.kept == {DIRECTORY_KEY: PUBLIC.hex()}


async def test_time_zone_of_the_site_is_kept() -> None:
    async with desk(0) as at:
        assert await at.ask(ex.KeepZone("Europe/Berlin")) is None
        assert at.directory.kept == {ZONE_KEY: "Europe/Berlin"}


async def test_wishes_that_cannot_be_kept_do_no_harm() -> None:
    async with desk(0) as at:
        at.directory.faults.append(StoreError("full"))
        assert await at.ask(ex.KeepReconnect(Reconnect())) is None
        assert at.directory.kept == {}


async def test_room_ends_where_too_much_waits_and_comes_back() -> None:
    async with desk(1) as at:
        at.outbox.gate.clear()
        for _ in range(MAX_WAITING + 1):
            at.errands.put(1, ex.Load(at.outbox.current.run, 0, 1, 1000))
        waiting = asyncio.ensure_future(at.errands.room())  # noqa: TID251 - a test may wait on the side
        await asyncio.sleep(0)
        assert not waiting.done()
        at.outbox.gate.set()
        await waiting
