"""Whole conversations: lines are frames, and `!` with a number of seconds lets time pass."""

from collections.abc import Iterable, Iterator

from agent.sync import exchange as ex
from agent.sync.errands import run_state
from agent.sync.session import Phase
from central.sync import exchange as central_ex
from tests.central_link.talk import HEAD, REF, RUN, at, batch, hello
from tests.central_link.talk import Talk as CentralTalk
from tests.fakes.issuing import begin_of, delta_of
from tests.fakes.model_central import NO_DIRECTORY, SERVER_MS
from tests.fuzz.target import Target, holds
from tests.sync.talk import Talk, unlock
from wire.codec import encode, for_agent, for_central
from wire.errors import RemoteProtocolError
from wire.limits import Limits, Reconnect
from wire.message import Message
from wire.messages import Ack, Bye, CommandDone, Error, Heartbeat, HeartbeatAck, Nack, RunAck, Tomb, Welcome
from wire.transfer import DirChunk, DirEnd
from wire.vocabulary import ClockQuality, DirectoryMode, ErrorCode, TombReason

_MAX_LINES = 200
_MAX_EFFECTS = 300
"""More from one input than any window or batch accounts for."""
_to_agent, _to_central = for_agent(), for_central()


def _lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:_MAX_LINES]


def _pause_ms(line: bytes) -> int | None:
    digits = line[1:3]
    return 1000 * int(digits) if line.startswith(b"!") and digits.isdigit() else None


class _AgentHarness:
    """An agent's session with thirty events in two runs; the store agrees with what the chain allows."""

    def __init__(self) -> None:
        self.talk = Talk(10, 20).open()
        self.executed: list[str] = []
        self.seen = len(self.talk.effects)

    def pause(self, ms: int) -> None:
        self.talk.tick(ms)
        self.settle()

    def hear(self, line: bytes) -> bool:
        """Take a frame as the connection would; False where the connection ends."""
        try:
            self.talk.receive(_to_agent.decode(line))
        except RemoteProtocolError as refusal:
            if refusal.close is not None:
                return False
            self.talk.feed(ex.Unreadable(self.talk.now_ms, refusal.code, refusal.detail))
        self.settle()
        return self.talk.state.phase is not Phase.CLOSING

    def settle(self) -> None:
        """Do what the session asks for, and check it."""
        while self.seen < len(self.talk.effects):
            effect = self.talk.effects[self.seen]
            self.seen += 1
            holds(len(self.talk.effects) < _MAX_LINES * _MAX_EFFECTS, "one input does not set off an endless round")
            self._perform(effect)
        flow = self.talk.state.flow
        holds(all(lane.window.sent <= lane.window.last for lane in flow.lanes), "nothing is sent that does not exist")
        holds(len(self.talk.state.orders.known) <= 300, "remembered commands are bounded")

    def _perform(self, effect: ex.Effect) -> None:
        talk = self.talk
        match effect:
            case ex.Load(run, after, max_events, max_bytes):
                items = talk.outbox.read_now(run, after, max_events, max_bytes)
                talk.feed(ex.Loaded(talk.now_ms, run, after, items))
            case ex.MoveCursor(run, upto, head):
                self._move(run, upto, head)
            case ex.Rewind(run, upto):
                self._rewind(run, upto)
            case ex.Reconcile():
                talk.feed(ex.Reconciled(talk.now_ms, 0))
            case ex.RunCommand(command, begin_before_ms):
                holds(command.id not in self.executed, "a command runs at most once")
                holds(begin_before_ms > talk.now_ms, "a command that is too old does not run")
                self.executed.append(command.id)
            case _:
                pass

    def _move(self, run: str, upto: int, head: bytes) -> None:
        memory = next((each for each in self.talk.outbox.memory if each.run == run), None)
        holds(memory is not None, "a cursor moves in a run of ours")
        assert memory is not None
        if upto > len(memory.texts) or memory.heads[upto] != head:
            trouble = ex.Trouble.WRONG_HEAD
            self.talk.feed(ex.CursorRefused(self.talk.now_ms, run, upto, trouble, "the chain says otherwise"))
            return
        sent = [last for name, _, last in self.talk.ranges if name == run]
        holds(upto <= max(sent, default=0) or self.talk.state.phase is Phase.LIVE, "only what was sent is acknowledged")
        memory.acked = max(memory.acked, upto)
        self.talk.feed(ex.CursorMoved(self.talk.now_ms, run, upto))

    def _rewind(self, run: str, upto: int) -> None:
        holds(upto >= 0, "no cursor goes below the beginning")
        self.talk.outbox.rewind_now(run, upto)
        memory = next(each for each in self.talk.outbox.memory if each.run == run)
        self.talk.feed(ex.Rewound(self.talk.now_ms, run_state(memory.facts), memory.acked))


def _agent(data: bytes) -> None:
    harness = _AgentHarness()
    for line in _lines(data):
        pause_ms = _pause_ms(line)
        if pause_ms is not None:
            harness.pause(pause_ms)
        elif not harness.hear(line):
            return


def _central(data: bytes) -> None:
    talk, now_ms = CentralTalk(), 0
    talk.give(central_ex.Connected(at(0)))
    for line in _lines(data):
        pause_ms = _pause_ms(line)
        if pause_ms is not None:
            now_ms += pause_ms
            _answer(talk, talk.give(central_ex.Tick(at(now_ms))), now_ms)
            continue
        try:
            event: central_ex.Input = central_ex.Received(at(now_ms), _to_central.decode(line))
        except RemoteProtocolError as refusal:
            event = central_ex.Unreadable(at(now_ms), refusal.code, refusal.detail, refusal.close)
        _answer(talk, talk.give(event), now_ms)
    closes = [index for index, effect in enumerate(talk.effects) if isinstance(effect, central_ex.Close)]
    holds(len(closes) <= 1, "a connection closes once")
    holds(not closes or closes[0] == len(talk.effects) - 1, "nothing is done after the close")


def _answer(talk: CentralTalk, effects: Iterable[central_ex.Effect], now_ms: int) -> None:
    """Do what the session asks of the database, as a model that holds what it is given."""
    done = list(effects)
    holds(len(done) <= _MAX_EFFECTS, "one message has a bounded effect")
    for effect in done:
        match effect:
            case central_ex.OpenSession():
                talk.give(central_ex.Opened(at(now_ms), 7, (RunAck(RUN, 0, HEAD),), None, REF))
            case central_ex.Ingest(run, first, raws):
                upto = max(0, first + len(raws) - 1)
                talk.give(central_ex.Ingested(at(now_ms), run, upto, bytes(32)))
            case central_ex.IngestTomb(tomb):
                holds(tomb.first <= tomb.to, "a declared loss has a beginning before its end")
            case _:
                pass


def _script(*messages: Message | bytes) -> bytes:
    return b"\n".join(message if isinstance(message, bytes) else encode(message) for message in messages)


def _agent_seeds() -> Iterator[bytes]:
    talk = Talk(10, 20).open().welcome()
    welcome = _welcome(talk)
    old, run = talk.outbox.memory[0], talk.outbox.memory[1]
    first = Ack(run=old.run, upto=10, head=old.heads[10].hex(), window=30)
    yield _script(welcome, first, Ack(run=run.run, upto=5, head=run.heads[5].hex(), window=30), b"!15", b"!30")
    yield _script(welcome, Ack(run=run.run, upto=999, head="00" * 32, window=1), Nack(run=old.run, expect=3))
    yield _script(welcome, unlock(), CommandDone(id="c1"), unlock(), unlock("c2", ttl_ms=1))
    begin = begin_of(snap="s", ver=3)
    yield _script(welcome, begin, DirChunk(snap="s", i=0), DirEnd(snap="s"), b"!99", delta_of((), (), first=3, to=4))
    beat = HeartbeatAck(echo_mono_ms=1_000_000, server_ms=SERVER_MS, dir_ver=9)
    yield _script(welcome, beat, Error(code=ErrorCode.CHAIN_BROKEN, ref=run.run), Bye(code=4503, retry_after_ms=1))


def _welcome(talk: Talk) -> Welcome:
    held = [RunAck(facts.run, facts.acked, facts.head.hex()) for facts in talk.outbox.runs()]
    return Welcome(
        session=1, server_ms=SERVER_MS, proto=1, runs=held, limits=Limits(batch_events=10, window=30), hb_s=15.0,
        ack_timeout_s=20.0, lease_s=1000, reconnect=Reconnect(), dir=NO_DIRECTORY, dir_mode=DirectoryMode.CURRENT,
        last_run=held[-1],
    )  # fmt: skip


def _central_seeds() -> Iterator[bytes]:
    greeting = hello()
    yield _script(greeting, batch(1, 3), batch(4, 2), b"!15")
    yield _script(greeting, batch(3, 2), Tomb(run=RUN, first=1, to=4, why=TombReason.PRUNED, count=4))
    yield _script(greeting, greeting, Heartbeat(mono_ms=1, wall_ms=1, q=ClockQuality.NONE, backlog=2**40))
    yield _script(batch(1, 1), b"{}", b'{"type":"nonsense"}', b"!99")


TARGETS = (
    Target("agent_session", "what central says, through a whole conversation", _agent, _agent_seeds),
    Target(
        "central_session",
        "what a device says, through a whole conversation",
        _central,
        _central_seeds,
    ),
)
