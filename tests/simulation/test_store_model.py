"""The modelled journal against the real one on a real file: whatever is done to both, both say the same."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.errors import StoreError
from agent.store.errors import AckBeyondError, AckHeadError, DuplicatePromiseError
from agent.store.journal import Journal
from tests.simulation.card import Card
from tests.simulation.disk import CardJournal
from tests.store.samples import DEVICE, QUICK, begun

T = TypeVar("T")

KEYS = st.sampled_from(["grant.1", "grant.2", "cmd.a"])
KEEP = 6
LIMITS = replace(QUICK, keep_events=KEEP, idle_s=0.005)
SETTLE_S = 0.05


class _Host:
    """A process that never dies."""

    name = "model"

    def __init__(self) -> None:
        self._jobs: set[asyncio.Task[None]] = set()

    def crash(self) -> None:
        raise AssertionError("nothing crashes here")

    def spawn(self, job: Coroutine[Any, Any, None], name: str) -> object:
        task = asyncio.get_running_loop().create_task(job, name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task


class StoreMachine(RuleBasedStateMachine):
    """Each rule does one thing to both journals and compares the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.card = Card(DEVICE, Random(1), None, keep_events=KEEP)
        self.card.commit_s = 0.0

    @initialize()
    def start(self) -> None:
        self._open()

    def _open(self) -> None:
        self.real = Journal.open(Path(self.folder.name), device=DEVICE, limits=LIMITS)
        assert self.real.report.found == ()
        self.model = CardJournal(self.card, _Host())

    def _names(self) -> list[tuple[str, str]]:
        """Return the runs that both know, by their place: ids are random."""
        return list(zip((r.run for r in self.real.held()), (m.run for m in self.model.held()), strict=True))

    def _both(self, real: Coroutine[Any, Any, Any], model: Coroutine[Any, Any, Any]) -> tuple[Any, Any]:
        answers = self._answer(real), self._answer(model)
        if isinstance(answers[0], StoreError) or isinstance(answers[1], StoreError):
            assert type(answers[0]) is type(answers[1]), answers
        return answers

    def _answer(self, work: Coroutine[Any, Any, T]) -> T | StoreError:
        try:
            return self.runner.run(work)
        except (AckBeyondError, AckHeadError, DuplicatePromiseError) as fault:
            return fault

    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        drafts = [begun("x")] * count
        real, model = self._both(self.real.append_many(drafts), self.model.append_many(drafts))
        assert [event.n for event in real] == [event.n for event in model]

    @rule(key=KEYS)
    def open_promise(self, key: str) -> None:
        draft = begun(key, opens=key)
        self._both(self.real.append(draft), self.model.append(draft))

    @rule(key=KEYS, outcome=st.sampled_from(["", "done"]))
    def settle(self, key: str, outcome: str) -> None:
        draft = begun(key, settles=key, outcome=outcome)
        self._both(self.real.append(draft), self.model.append(draft))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self._both(self.real.forget(key), self.model.forget(key))

    @rule(pick=st.integers(0, 9), upto=st.integers(0, 12), is_right=st.booleans())
    def acknowledge(self, pick: int, upto: int, is_right: bool) -> None:
        names = self._names()
        real, model = names[pick % len(names)]
        line = {held.run: held for held in self.model.held()}[model]
        heads = [b"\1" * 32, b"\1" * 32]
        if is_right and line.acked <= upto <= line.last:
            known = self.card.head_at(self.card.image.lines[model], upto)
            assert known is not None
            heads = [self._real_head(real, upto), known]
        self._both(self.real.acknowledge(real, upto, heads[0]), self.model.acknowledge(model, upto, heads[1]))

    def _real_head(self, run: str, upto: int) -> bytes:
        line = self.real._lines[run]
        known = self.real._look_up(line, upto, None, 0)[0]
        assert known is not None
        return known[0]

    @rule(pick=st.integers(0, 9), upto=st.integers(0, 12))
    def rewind(self, pick: int, upto: int) -> None:
        self._rest()
        names = self._names()
        real, model = names[pick % len(names)]
        ours, theirs = self._both(self.real.rewind(real, upto), self.model.rewind(model, upto))
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours.first, ours.to, ours.why) == (theirs.first, theirs.to, theirs.why)
            self._both(self.real.loss_acknowledged(real, ours.to), self.model.loss_acknowledged(model, ours.to))

    @rule()
    def restart(self) -> None:
        self._rest()
        self.runner.run(self.real.close())
        self.model._rest()
        self._open()

    def _rest(self) -> None:
        """Let both write what needs no flush, and delete what need not be kept."""
        self.runner.run(asyncio.sleep(SETTLE_S))
        self.model._rest()

    @invariant()
    def both_say_the_same(self) -> None:
        if not hasattr(self, "real"):
            return
        self._rest()
        real = [(r.ord, r.last, r.acked, r.prev_n) for r in self.real.held()]
        model = [(m.ord, m.last, m.acked, m.prev_n) for m in self.model.held()]
        assert real == model
        assert [r.ord for r in self.real.runs()] == [m.ord for m in self.model.runs()]
        assert self.real.backlog().events == self.model.backlog().events
        self._same_promises()
        for ours, theirs in self._names():
            self._same_events(ours, theirs)

    def _same_promises(self) -> None:
        for name in ("open_promises", "settled_promises"):
            real, model = getattr(self.real, name)(), getattr(self.model, name)()
            told = {(promise.key, promise.n, promise.outcome) for promise in real}
            assert told == {(promise.key, promise.n, promise.outcome) for promise in model}

    def _same_events(self, ours: str, theirs: str) -> None:
        after = {held.run: held.acked for held in self.real.held()}[ours]
        real, model = self._both(self.real.read(ours, after, 50, 1 << 16), self.model.read(theirs, after, 50, 1 << 16))
        assert [(event.n, event.data) for event in real] == [(event.n, event.data) for event in model]

    def teardown(self) -> None:
        self.runner.run(self.real.close())
        self.runner.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreMachine = pytest.mark.unit(StoreMachine.TestCase)
