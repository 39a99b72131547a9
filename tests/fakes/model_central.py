"""Central as it should behave, as a model: no socket, no database, one device."""

from dataclasses import dataclass, field

from tests.fakes.issuing import begin_of, chunk_of
from wire.chain import digest, genesis, link, unsplice
from wire.directory import directory_digest
from wire.limits import Limits, Reconnect
from wire.message import Message
from wire.messages import (
    Ack,
    AuthOk,
    AuthRefresh,
    Command,
    CommandAck,
    CommandDone,
    CommandResult,
    Events,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Nack,
    RunAck,
    RunState,
    Tomb,
    Welcome,
)
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef, DirEnd, DirGot, DirResync, DirState
from wire.vocabulary import DirectoryMode
from wire.window import Gap, ReceiveWindow

SERVER_MS = 1_800_000_000_000
NO_DIRECTORY = DirectoryRef("epoch", 0, directory_digest(()))


@dataclass(slots=True)
class HeldRun:
    """What central holds of a run; `digests[n - 1]` is event n's, None where it was declared lost."""

    ord: int
    heads: list[bytes]
    digests: list[str | None] = field(default_factory=list)

    @property
    def upto(self) -> int:
        return len(self.digests)


@dataclass(slots=True)
class ModelCentral:
    """Commits, then acknowledges. `applied` counts how often each event took effect: never more than once."""

    limits: Limits = field(default_factory=Limits)
    reconnect: Reconnect = field(default_factory=Reconnect)
    hb_s: float = 15.0
    ack_timeout_s: float = 20.0
    lease_s: int = 12 * 3600
    directory: DirectoryRef = NO_DIRECTORY
    rows: tuple[DirectoryRow, ...] = ()
    now_ms: int = SERVER_MS
    session: int = 0
    hello: Hello | None = None
    runs: dict[str, HeldRun] = field(default_factory=dict)
    applied: dict[tuple[str, int], int] = field(default_factory=dict)
    lost: list[Tomb] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    results: dict[str, CommandResult] = field(default_factory=dict)

    def handle(self, message: Message) -> list[Message]:
        """Take a message, commit what it says, return the answers."""
        self.heard.append(message)
        match message:
            case Hello():
                return self._greet(message)
            case Events():
                return [self._take(message)]
            case Tomb():
                return [self._bury(message)]
            case Heartbeat():
                ack = HeartbeatAck(echo_mono_ms=message.mono_ms, server_ms=self.now_ms, dir_ver=self.directory.ver)
                return [ack]
            case AuthRefresh():
                return [AuthOk(lease_s=self.lease_s)]
            case DirResync():
                return self._snapshot()
            case CommandResult():
                self.results.setdefault(message.id, message)
                return [CommandDone(id=message.id)]
            case DirGot() | DirState() | CommandAck():
                return []
        return []

    def digests(self) -> dict[tuple[str, int], str]:
        """Return every event that central holds."""
        return {
            (run, n): value
            for run, held in self.runs.items()
            for n, value in enumerate(held.digests, 1)
            if value is not None
        }

    def forget_after(self, run: str, upto: int) -> None:
        """Central was restored from a backup that holds less."""
        held = self.runs[run]
        del held.digests[upto:]
        del held.heads[upto + 1 :]
        for n in [n for of, n in self.applied if of == run and n > upto]:
            del self.applied[run, n]

    def _greet(self, hello: Hello) -> list[Message]:
        last_run = self._last_run()
        self.hello = hello
        self.session += 1
        acks = [self._register(hello, state) for state in hello.runs]
        current = hello.dir == self.directory or self.directory == NO_DIRECTORY
        directory = hello.dir if current and hello.dir is not None else self.directory
        welcome = Welcome(
            session=self.session,
            server_ms=self.now_ms,
            proto=1,
            runs=acks,
            limits=self.limits,
            hb_s=self.hb_s,
            ack_timeout_s=self.ack_timeout_s,
            lease_s=self.lease_s,
            reconnect=self.reconnect,
            dir=directory,
            dir_mode=DirectoryMode.CURRENT if current else DirectoryMode.SNAPSHOT,
            last_run=last_run,
        )
        return [welcome, *([] if current else self._snapshot()), *self.commands]

    def _last_run(self) -> RunAck | None:
        """Runs without events do not count: they say nothing about what was lost before them."""
        told = [(run, held) for run, held in self.runs.items() if held.upto > 0]
        if not told:
            return None
        run, held = max(told, key=lambda item: item[1].ord)
        return RunAck(run, held.upto, held.heads[-1].hex())

    def _register(self, hello: Hello, state: RunState) -> RunAck:
        held = self.runs.get(state.run)
        if held is None:
            prev_head = bytes.fromhex(state.prev_head)
            h0 = genesis(hello.device, hello.store, state.run, state.ord, state.prev_n, prev_head)
            held = self.runs[state.run] = HeldRun(state.ord, [h0])
        return RunAck(state.run, held.upto, held.heads[-1].hex())

    def _take(self, events: Events) -> Message:
        held = self.runs[events.run]
        placed = ReceiveWindow(held.upto).place(events.first, len(events.ev))
        if isinstance(placed, Gap):
            return Nack(run=events.run, expect=placed.expect)
        for n, raw in enumerate(events.ev, events.first):
            self._check_and_hold(events.run, held, n, bytes(raw))
        return self._ack(events.run, held)

    def _check_and_hold(self, run: str, held: HeldRun, n: int, raw: bytes) -> None:
        parts = unsplice(raw)
        assert parts is not None, raw[:100]
        claimed, text = parts
        assert digest(text) == claimed or b'"shed"' in text, (run, n)
        if n <= held.upto:
            assert held.digests[n - 1] in (None, claimed.hex()), f"two digests for {run}/{n}"
            return
        assert n == held.upto + 1
        held.digests.append(claimed.hex())
        held.heads.append(link(held.heads[-1], claimed))
        self.applied[run, n] = self.applied.get((run, n), 0) + 1

    def _bury(self, tomb: Tomb) -> Message:
        held = self.runs[tomb.run]
        if tomb.first > held.upto + 1:
            return Nack(run=tomb.run, expect=held.upto + 1)
        if tomb.to > held.upto:
            self.lost.append(tomb)
            head = bytes.fromhex(tomb.head) if tomb.head else b"\0" * 32
            while held.upto < tomb.to:
                held.digests.append(None)
                held.heads.append(head)
        return self._ack(tomb.run, held)

    def _ack(self, run: str, held: HeldRun) -> Ack:
        return Ack(run=run, upto=held.upto, head=held.heads[-1].hex(), window=self.limits.window)

    def _snapshot(self) -> list[Message]:
        ref = self.directory
        begin = begin_of(self.rows, snap=f"s{self.session}", epoch=ref.epoch, ver=ref.ver, digest=ref.digest)
        return [begin, chunk_of(self.rows, snap=begin.snap), DirEnd(snap=begin.snap)]
