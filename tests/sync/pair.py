"""The agent's session and a model of central, joined by a link that loses, cuts and delays. One thread, no I/O."""

from collections import deque
from dataclasses import dataclass, field

from agent.errors import StoreError
from agent.sync import exchange as ex
from agent.sync.errands import run_state, tomb_of, waiting_runs
from agent.sync.session import Phase, State, step
from tests.fakes.memory_outbox import DEVICE, MemoryOutbox
from tests.fakes.model_central import ModelCentral
from wire.codec import encode, encode_events, for_agent, for_central
from wire.message import Message
from wire.messages import Backlog, ClockReading, CommandResult, Heartbeat, RunAck
from wire.vocabulary import ClockQuality, CommandState

_to_agent = for_agent()
_to_central = for_central()


@dataclass(slots=True)
class Pair:
    """Effects wait in `errands` until a step does them; frames wait in `up` and `down` until they are delivered."""

    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    central: ModelCentral = field(default_factory=ModelCentral)
    state: State = field(default_factory=State)
    now_ms: int = 1_000_000
    up: deque[bytes] = field(default_factory=deque)
    down: deque[bytes] = field(default_factory=deque)
    errands: deque[ex.Effect] = field(default_factory=deque)
    reports: list[ex.Report] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    in_flight_most: int = 0

    @property
    def is_connected(self) -> bool:
        return self.state.phase is not Phase.IDLE

    def connect(self) -> None:
        assert not self.is_connected
        greeting = ex.Greeting(
            device=DEVICE,
            store=self.outbox.store,
            boot="b" * 32,
            agent="test",
            runs=waiting_runs(self.outbox),
            losses=tuple(tomb_of(lost) for lost in self.outbox.losses()),
            clock=ClockReading(self.now_ms, self.central.now_ms, ClockQuality.SYNCED),
            backlog=Backlog(0, 0, 0),
            directory=self.central.directory,
        )
        self.feed(ex.Opened(self.now_ms, greeting))

    def cut(self) -> None:
        """Whatever is on its way is lost; the store finishes what it was told."""
        self.up.clear()
        self.down.clear()
        if self.is_connected:
            self.feed(ex.Disconnected(self.now_ms))
        while self.errands:
            self._do(self.errands.popleft())

    def restart(self) -> None:
        """The agent's process dies and comes back: only the store remembers."""
        self.cut()
        self.state = State()
        self.outbox.restart()

    def append(self, count: int) -> None:
        self.outbox.append(count)
        run = self.outbox.current
        self.feed(ex.Grown(self.now_ms, run.run, len(run.texts)))

    def advance(self, ms: int) -> None:
        self.now_ms += ms
        self.central.now_ms += ms
        self.feed(ex.Tick(self.now_ms))

    def deliver_up(self) -> None:
        """Central gets the next frame and commits; its answers are on their way."""
        if self.up:
            for answer in self.central.handle(_to_central.decode(self.up.popleft())):
                self.down.append(encode(answer))

    def deliver_down(self) -> None:
        if self.down:
            self.feed(ex.Received(self.now_ms, _to_agent.decode(self.down.popleft())))

    def work(self) -> None:
        """The store does the next errand and answers."""
        if self.errands:
            answer = self._do(self.errands.popleft())
            if answer is not None:
                self.feed(answer)

    def settle(self, *, rounds: int = 10_000) -> None:
        """Let everything happen that can; time stands still."""
        for _ in range(rounds):
            if not (self.up or self.down or self.errands):
                return
            self.work()
            self.deliver_up()
            self.deliver_down()
        raise AssertionError("the pair does not come to rest")

    def heal(self) -> None:
        """Faults stop: connect until everything is acknowledged."""
        for _ in range(20):
            if not self.is_connected:
                self.connect()
            self.settle()
            if self.outbox.is_drained:
                return
            self.advance(20_001)
            self.settle()
        raise AssertionError(f"not drained: {self.reports[-3:]}")

    def feed(self, event: ex.Input) -> None:
        self.state, effects = step(self.state, event)
        self.in_flight_most = max(self.in_flight_most, self.state.flow.in_flight)
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: ex.Effect) -> None:
        match effect:
            case ex.Send(message):
                self._send(message)
            case ex.SendEvents(run, first, spliced, _):
                self.up.append(encode_events(run, first, list(spliced)))
            case ex.SendHeartbeat(mono_ms):
                self._send(Heartbeat(mono_ms=mono_ms, wall_ms=0, q=ClockQuality.SYNCED, backlog=0))
            case ex.Close():
                self.cut()
            case ex.Report():
                self.reports.append(effect)
            case ex.RunCommand(command):
                self.executed.append(command.id)
                done = CommandResult(id=command.id, state=CommandState.DONE)
                self.feed(ex.CommandFinished(self.now_ms, done))
            case ex.Load() | ex.MoveCursor() | ex.Rewind() | ex.Reconcile():
                self.errands.append(effect)
            case _:
                pass

    def _send(self, message: Message) -> None:
        self.up.append(encode(message))

    def _do(self, errand: ex.Effect) -> ex.Input | None:
        match errand:
            case ex.Load(run, after, max_events, max_bytes):
                items = self.outbox.read_now(run, after, max_events, max_bytes)
                return ex.Loaded(self.now_ms, run, after, items)
            case ex.MoveCursor(run, upto, head):
                try:
                    self.outbox.acknowledge_now(run, upto, head)
                except StoreError as fault:
                    return ex.CursorRefused(self.now_ms, run, upto, ex.Trouble.WRONG_HEAD, str(fault))
                self.outbox.lost = [lost for lost in self.outbox.lost if lost.run != run or lost.to > upto]
                return ex.CursorMoved(self.now_ms, run, upto)
            case ex.Rewind(run, upto):
                gone = self.outbox.rewind_now(run, upto)
                state = next(run_state(facts) for facts in self.outbox.held() if facts.run == run)
                return ex.Rewound(self.now_ms, state, upto, None if gone is None else tomb_of(gone))
            case ex.Reconcile(last_run, told):
                return self._reconcile(last_run, told)
        return None

    def _reconcile(self, last_run: RunAck | None, told: frozenset[str]) -> ex.Input:
        """Do what the worker does, without a loop."""
        moved, known_ord = 0, 0
        if last_run is not None:
            known_ord = next(facts.ord for facts in self.outbox.held() if facts.run == last_run.run)
        for facts in self.outbox.held():
            upto = last_run.upto if last_run is not None and facts.run == last_run.run else 0
            if facts.run not in told and facts.ord >= known_ord and upto < facts.acked:
                self.outbox.rewind_now(facts.run, upto)
                moved += 1
        return ex.Reconciled(self.now_ms, moved)
