"""A session under test: feeds inputs, keeps the effects, and knows the usual messages."""

from collections.abc import Sequence
from typing import Any, TypeVar

from agent.sync import exchange as ex
from agent.sync.errands import tomb_of, waiting_runs
from agent.sync.session import State, step
from tests.fakes.issuing import PUBLIC
from tests.fakes.memory_outbox import DEVICE, MemoryOutbox
from tests.fakes.model_central import NO_DIRECTORY, SERVER_MS
from wire.limits import Limits, Reconnect
from wire.message import Message
from wire.messages import Ack, Backlog, ClockReading, Command, RunAck, Welcome
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CommandMode, DirectoryMode

START_MS = 1_000_000
E = TypeVar("E")


class Talk:
    """`outbox` says what exists; nothing reads or acknowledges it but the test."""

    def __init__(self, *counts: int, state: State | None = None) -> None:
        self.outbox = MemoryOutbox()
        for index, count in enumerate(counts):
            if index:
                self.outbox.restart()
            self.outbox.append(count)
        self.state = state or State()
        self.now_ms = START_MS
        self.effects: list[ex.Effect] = []

    @property
    def run(self) -> str:
        return self.outbox.current.run

    def open(
        self, directory: DirectoryRef | None = NO_DIRECTORY, *, key: bytes | None = PUBLIC, issued_ms: int = 0
    ) -> "Talk":
        greeting = ex.Greeting(
            device=DEVICE,
            store=self.outbox.store,
            boot="b" * 32,
            agent="test",
            runs=waiting_runs(self.outbox),
            losses=tuple(tomb_of(lost) for lost in self.outbox.losses()),
            clock=ClockReading(self.now_ms, SERVER_MS, ClockQuality.SYNCED),
            backlog=Backlog(0, 0, 0),
            directory=directory,
            issued_ms=issued_ms,
            directory_key=key,
        )
        self.feed(ex.Opened(self.now_ms, greeting))
        return self

    def welcome(self, **fields: Any) -> "Talk":
        """Welcome the device; by default central holds exactly what the device believes it holds."""
        held = [RunAck(facts.run, facts.acked, facts.head.hex()) for facts in self.outbox.runs()]
        base: dict[str, Any] = {
            "session": 1,
            "server_ms": SERVER_MS,
            "proto": 1,
            "runs": held,
            "limits": Limits(batch_events=10, window=30),
            "hb_s": 15.0,
            "ack_timeout_s": 20.0,
            "lease_s": 1000,
            "reconnect": Reconnect(),
            "dir": NO_DIRECTORY,
            "dir_mode": DirectoryMode.CURRENT,
            "last_run": held[-1],
        }
        self.receive(Welcome(**(base | fields)))
        return self

    def live(self, **fields: Any) -> "Talk":
        return self.open().welcome(**fields).forget()

    def receive(self, message: Message) -> list[ex.Effect]:
        return self.feed(ex.Received(self.now_ms, message))

    def feed(self, event: ex.Input) -> list[ex.Effect]:
        self.state, effects = step(self.state, event)
        self.effects += effects
        return list(effects)

    def tick(self, ms: int) -> list[ex.Effect]:
        self.now_ms += ms
        return self.feed(ex.Tick(self.now_ms))

    def answer_loads(self) -> "Talk":
        """Read whatever the session asks for, until it asks no more."""
        done = 0
        while done < len(self.effects):
            effect = self.effects[done]
            done += 1
            if isinstance(effect, ex.Load):
                items = self.outbox.read_now(effect.run, effect.after, effect.max_events, effect.max_bytes)
                self.feed(ex.Loaded(self.now_ms, effect.run, effect.after, items))
        return self

    def ack(self, upto: int, *, run: str | None = None, head: str | None = None, window: int = 30) -> list[ex.Effect]:
        name = run or self.run
        memory = next(each for each in self.outbox.memory if each.run == name)
        true_head = memory.heads[min(upto, len(memory.heads) - 1)].hex()
        return self.receive(Ack(run=name, upto=upto, head=true_head if head is None else head, window=window))

    def moved(self, upto: int, *, run: str | None = None) -> list[ex.Effect]:
        return self.feed(ex.CursorMoved(self.now_ms, run or self.run, upto))

    def forget(self) -> "Talk":
        self.effects = [effect for effect in self.effects if isinstance(effect, ex.Load)]
        return self

    def of(self, kind: type[E]) -> list[E]:
        return of(self.effects, kind)

    def said(self, kind: type[E]) -> list[E]:
        return said(self.effects, kind)

    @property
    def troubles(self) -> list[ex.Trouble]:
        return [report.trouble for report in self.of(ex.Report)]

    @property
    def ranges(self) -> list[tuple[str, int, int]]:
        """What was sent: run, first, last."""
        return [(sent.run, sent.first, sent.first + len(sent.spliced) - 1) for sent in self.of(ex.SendEvents)]


def of(effects: Sequence[ex.Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def said(effects: Sequence[ex.Effect], kind: type[E]) -> list[E]:
    return [effect.message for effect in of(effects, ex.Send) if isinstance(effect.message, kind)]


def unlock(id_: str = "c1", **fields: Any) -> Command:
    base: dict[str, Any] = {
        "id": id_,
        "name": "unlock",
        "mode": CommandMode.ONCE,
        "ttl_ms": 10_000,
        "age_ms": 0,
        "server_ms": SERVER_MS,
    }
    return Command(**(base | fields))
