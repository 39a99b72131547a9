"""Whatever a door does to its journal, it behaves as a list would: a property test against a model."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.store.errors import AckRefusedError, DuplicatePromiseError
from agent.store.journal import Journal, Promise
from tests.store.samples import DEVICE, QUICK, Chain, alarm, begun, pull
from wire.events import read_event

KEYS = st.sampled_from(["grant.1", "grant.2", "cmd.a"])
LIMITS = replace(QUICK, keep_events=4, idle_s=0.005)


@dataclass
class Run:
    """A run as the model sees it."""

    last: int = 0
    acked: int = 0
    heads: list[bytes] = field(default_factory=list)


class JournalMachine(RuleBasedStateMachine):
    """Appends, acknowledgements, rewinds, promises and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.runs: dict[str, Run] = {}
        self.promises: dict[str, str | None] = {}

    @initialize()
    def start(self) -> None:
        self._open()

    def _open(self) -> None:
        self.journal = Journal.open(Path(self.folder.name), device=DEVICE, limits=LIMITS)
        assert self.journal.report.found == ()
        self.runs[self.journal.run] = Run(heads=[self.journal.runs()[-1].head])

    def _grown(self, count: int) -> None:
        run = self.runs[self.journal.run]
        chain = Chain(run.heads[-1], run.last)
        assert self.runner.run(pull(self.journal, self.journal.run, chain)) == count
        for n in range(run.last + 1, run.last + count + 1):
            assert read_event(chain.texts[n]).n == n
        run.last += count
        head = Chain(run.heads[-1], run.last - count)
        events = self.runner.run(self.journal.read(self.journal.run, head.upto, count, 1 << 20))
        for event in events:
            head.take(event.n, event.data)
            run.heads.append(head.head)

    @rule(count=st.integers(1, 6), size=st.integers(0, 700))
    def append(self, count: int, size: int) -> None:
        ids = self.runner.run(self.journal.append_many([alarm("x" * size)] * count))
        assert [event.n for event in ids] == [self.runs[self.journal.run].last + i + 1 for i in range(count)]
        self._grown(count)

    @rule(key=KEYS)
    def open_promise(self, key: str) -> None:
        if key in self.promises:
            with pytest.raises(DuplicatePromiseError):
                self.runner.run(self.journal.append(begun(key, opens=key)))
            return
        self.runner.run(self.journal.append(begun(key, opens=key)))
        self.promises[key] = None
        self._grown(1)

    @rule(key=KEYS, outcome=st.sampled_from(["", "done"]))
    def settle(self, key: str, outcome: str) -> None:
        self.runner.run(self.journal.append(begun(key, settles=key, outcome=outcome)))
        self.promises.pop(key, None)
        if outcome:
            self.promises[key] = outcome
        self._grown(1)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.runner.run(self.journal.forget(key))
        self.promises.pop(key, None)

    @rule(pick=st.integers(0, 50), upto=st.integers(0, 40), is_right=st.booleans())
    def acknowledge(self, pick: int, upto: int, is_right: bool) -> None:
        name, run = list(self.runs.items())[pick % len(self.runs)]
        if name not in self.journal._lines:
            return
        head = run.heads[upto] if upto <= run.last and is_right else b"\1" * 32
        if upto < run.acked or (upto <= run.last and is_right):
            self.runner.run(self.journal.acknowledge(name, upto, head))
            run.acked = max(run.acked, upto)
            return
        with pytest.raises(AckRefusedError):
            self.runner.run(self.journal.acknowledge(name, upto, head))

    @rule(upto=st.integers(0, 40))
    def rewind(self, upto: int) -> None:
        run = self.runs[self.journal.run]
        loss = self.runner.run(self.journal.rewind(self.journal.run, upto))
        if upto >= run.acked:
            assert loss is None
            return
        run.acked = loss.to if loss else upto
        if loss:
            assert (loss.first, loss.head) == (upto + 1, run.heads[loss.to])
            self.runner.run(self.journal.loss_acknowledged(self.journal.run, loss.to))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.journal.close())
        self._open()

    @rule()
    def let_it_rest(self) -> None:
        self.runner.run(asyncio.sleep(0.03))

    @invariant()
    def everything_unacknowledged_is_there(self) -> None:
        assert self.runner.run(self.journal.verify()) == []
        waiting = {name: run for name, run in self.runs.items() if run.acked < run.last}
        told = {run.run: run for run in self.journal.runs()}
        assert set(told) == set(waiting) | {self.journal.run}
        for name, run in waiting.items():
            assert (told[name].last, told[name].acked, told[name].head) == (run.last, run.acked, run.heads[run.acked])
            chain = Chain(run.heads[run.acked], run.acked)
            self.runner.run(pull(self.journal, name, chain))
            assert (chain.upto, chain.head) == (run.last, run.heads[-1])
        assert self.journal.backlog().events == sum(run.last - run.acked for run in self.runs.values())
        standing = {promise.key: promise.outcome for promise in self._standing()}
        assert standing == self.promises

    def _standing(self) -> list[Promise]:
        return self.journal.open_promises() + self.journal.settled_promises()

    def teardown(self) -> None:
        self.runner.run(self.journal.close())
        self.runner.close()
        self.folder.cleanup()


JournalMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJournalMachine = pytest.mark.unit(JournalMachine.TestCase)
