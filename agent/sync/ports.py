"""What the link needs from the rest of the agent; the store, the clock and the app satisfy these by their shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from agent.sync.exchange import Spliced
from wire.directory import Issue
from wire.events import Stamp
from wire.messages import Command, CommandResult
from wire.presence import PresDelta
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import ClockQuality, TombReason


class RunFacts(Protocol):
    """One run of the journal; `head` is h(acked)."""

    @property
    def run(self) -> str: ...
    @property
    def ord(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def acked(self) -> int: ...
    @property
    def head(self) -> bytes: ...
    @property
    def prev_n(self) -> int: ...
    @property
    def prev_head(self) -> bytes: ...


class LossFacts(Protocol):
    """Events that can never be sent."""

    @property
    def run(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def to(self) -> int: ...
    @property
    def why(self) -> TombReason: ...
    @property
    def head(self) -> bytes | None: ...


class WaitingFacts(Protocol):
    """What waits for an acknowledgement."""

    @property
    def events(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def oldest(self) -> Stamp | None: ...


class OutboxPort(Protocol):
    """The journal as the link sees it. Everything asynchronous may raise agent.errors.StoreError."""

    on_grown: list[Callable[[str, int], None]]

    @property
    def store(self) -> str:
        """The random id of the journal file."""

    def runs(self) -> Sequence[RunFacts]:
        """Return the unacknowledged runs, oldest first, and always the current one."""

    def held(self) -> Sequence[RunFacts]:
        """Return every run that the journal still knows, oldest first."""

    def losses(self) -> Sequence[LossFacts]:
        """Return declared losses that central has not acknowledged."""

    def backlog(self) -> WaitingFacts:
        """Return what waits."""

    async def read(self, run: str, after: int, max_events: int, max_bytes: int) -> Sequence[Spliced]:
        """Return the next events, at least one where there is one."""

    async def acknowledge(self, run: str, upto: int, head: bytes) -> None:
        """Move the cursor if `upto` is durable and `head` is h(upto)."""

    async def rewind(self, run: str, upto: int) -> LossFacts | None:
        """Move the cursor back; return what is no longer retained after `upto`."""

    async def learn_steps(self, uses: Mapping[str, int]) -> None:
        """Remember codes that were used at other doors, `KIND:INDEX` with the step."""

    async def loss_acknowledged(self, run: str, to: int) -> None:
        """Central knows of the losses of a run up to `to`."""


class DirectoryPort(Protocol):
    """The directory as the link fills it. Everything asynchronous may raise agent.errors.StoreError."""

    @property
    def ref(self) -> DirectoryRef | None: ...
    @property
    def issue(self) -> Issue | None: ...

    def get(self, name: str) -> str | None:
        """Return a kept value."""

    async def put(self, name: str, value: str) -> None:
        """Keep a value that can be fetched again."""

    async def stage_begin(self, begin: DirBegin, issue: Issue) -> None:
        """Begin a snapshot that central signed."""

    async def stage_chunk(self, chunk: DirChunk) -> None:
        """Take part of it."""

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        """Check it and decide from it; DirectoryRefusedError where it is wrong."""

    async def apply(self, message: DirDelta, issue: Issue) -> DirectoryRef:
        """Take a change that central signed, whole or not at all; DirectoryRefusedError where it is wrong."""


class PresencePort(Protocol):
    """Who is where, as the link hears it."""

    def take(self, delta: PresDelta) -> None:
        """Take in what central says of the site."""

    def told(self, asked_ms: int, *, is_current: bool) -> None:
        """Central named its version at `asked_ms` or later; it is the one that is here, or is not."""

    def cut(self) -> None:
        """The link is down."""


class CommandPort(Protocol):
    """Who carries out commands."""

    async def execute(self, command: Command, begin_before_ms: int) -> CommandResult:
        """Record, run and record the end of a command, at most once per id.

        It must not begin at or after `begin_before_ms` (monotonic): then its result is `expired`.
        """

    async def forget(self, id_: str) -> None:
        """Central recorded the result."""


class Moment(Protocol):
    """Both clocks at one moment."""

    @property
    def mono_ms(self) -> int: ...
    @property
    def wall_ms(self) -> int: ...
    @property
    def q(self) -> ClockQuality: ...


class ClockPort(Protocol):
    """The device's clock."""

    @property
    def boot(self) -> str: ...

    def now(self) -> Moment:
        """Return both clocks."""


class Vitals(Struct, frozen=True):
    """What the heartbeat tells besides the link's own figures."""

    wal_bytes: int = 0
    rss_bytes: int = 0
    disk_free_bytes: int = 0
    drops: int = 0
    readers: tuple[str, ...] = ()
    door: str = ""
    errors: int = 0
