"""The journal as the link sees it, in memory: real chain, real checks, no disk."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.errors import StoreError
from wire.chain import digest, genesis, link, splice
from wire.events import Stamp
from wire.vocabulary import TombReason

DEVICE = "0192f0c1-0000-7000-8000-000000000001"
STORE = "aaaaaaaaaaaaaaaa"


@dataclass(frozen=True, slots=True)
class Item:
    n: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    run: str
    first: int
    to: int
    why: TombReason
    head: bytes | None


@dataclass(frozen=True, slots=True)
class Facts:
    run: str
    ord: int
    last: int
    acked: int
    head: bytes
    prev_n: int
    prev_head: bytes


@dataclass(frozen=True, slots=True)
class InWaiting:
    events: int
    bytes: int
    oldest: Stamp | None = None


@dataclass(slots=True)
class MemoryRun:
    """One run: `heads[n]` is h(n); rows up to `pruned` are gone."""

    run: str
    ord: int
    prev_n: int
    prev_head: bytes
    texts: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    acked: int = 0
    pruned: int = 0

    @property
    def facts(self) -> Facts:
        head = self.heads[self.acked]
        return Facts(self.run, self.ord, len(self.texts), self.acked, head, self.prev_n, self.prev_head)


class MemoryOutbox:
    """Satisfies `agent.sync.ports.OutboxPort`; the `*_now` methods do the same without a loop."""

    def __init__(self, *, device: str = DEVICE, store: str = STORE) -> None:
        self.device = device
        self.store = store
        self.on_grown: list[Callable[[str, int], None]] = []
        self.lost: list[Lost] = []
        self.steps: dict[str, int] = {}
        self.memory: list[MemoryRun] = []
        self.faults: list[StoreError] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.restart()

    def restart(self) -> str:
        """Begin a new run, as a new process does."""
        ord_ = len(self.memory) + 1
        prev = self.memory[-1] if self.memory else None
        prev_n, prev_head = (len(prev.texts), prev.heads[-1]) if prev else (0, b"")
        run = f"{ord_:016x}"
        h0 = genesis(self.device, self.store, run, ord_, prev_n, prev_head)
        self.memory.append(MemoryRun(run, ord_, prev_n, prev_head, heads=[h0]))
        return run

    @property
    def current(self) -> MemoryRun:
        return self.memory[-1]

    def append(self, count: int = 1, *, size: int = 0) -> None:
        """Add events to the current run and tell the link."""
        run = self.current
        for _ in range(count):
            text = b'{"n":%d,"kind":"alarm","body":{"code":"%s"}}' % (len(run.texts) + 1, b"x" * size)
            run.texts.append(text)
            run.heads.append(link(run.heads[-1], digest(text)))
        for callback in list(self.on_grown):
            callback(run.run, len(run.texts))

    def digests(self) -> dict[tuple[str, int], str]:
        """Return what central should hold in the end."""
        return {(run.run, n): digest(text).hex() for run in self.memory for n, text in enumerate(run.texts, 1)}

    @property
    def is_drained(self) -> bool:
        return all(run.acked == len(run.texts) for run in self.memory)

    def runs(self) -> Sequence[Facts]:
        return [facts for facts in self.held() if facts.acked < facts.last or facts.run == self.current.run]

    def held(self) -> Sequence[Facts]:
        return [run.facts for run in self.memory]

    def losses(self) -> Sequence[Lost]:
        return list(self.lost)

    def backlog(self) -> InWaiting:
        return InWaiting(sum(len(run.texts) - run.acked for run in self.memory), 0)

    def read_now(self, run: str, after: int, max_events: int, max_bytes: int) -> list[Item]:
        found = self._run(run)
        items: list[Item] = []
        size = 0
        for n in range(after + 1, min(after + max_events, len(found.texts)) + 1):
            if n <= found.pruned or any(lost.run == run and lost.first <= n <= lost.to for lost in self.lost):
                break
            text = found.texts[n - 1]
            data = splice(text, digest(text))
            size += len(data) + 1
            if items and size > max_bytes:
                break
            items.append(Item(n, data))
        return items

    def acknowledge_now(self, run: str, upto: int, head: bytes) -> None:
        found = self._run(run)
        if upto > len(found.texts):
            raise StoreError(f"ahead: {upto}")
        if upto < found.acked:
            return
        if head != found.heads[upto]:
            raise StoreError(f"wrong head at {upto}")
        found.acked = upto

    def rewind_now(self, run: str, upto: int) -> Lost | None:
        found = self._run(run)
        if upto >= found.acked:
            return None
        found.acked = max(upto, found.pruned)
        if upto >= found.pruned:
            return None
        lost = Lost(run, upto + 1, found.pruned, TombReason.PRUNED, found.heads[found.pruned])
        self.lost.append(lost)
        return lost

    async def read(self, run: str, after: int, max_events: int, max_bytes: int) -> list[Item]:
        await self._turn()
        return self.read_now(run, after, max_events, max_bytes)

    async def acknowledge(self, run: str, upto: int, head: bytes) -> None:
        await self._turn()
        self.acknowledge_now(run, upto, head)

    async def rewind(self, run: str, upto: int) -> Lost | None:
        await self._turn()
        return self.rewind_now(run, upto)

    async def learn_steps(self, uses: Mapping[str, int]) -> None:
        self.steps |= uses

    async def loss_acknowledged(self, run: str, to: int) -> None:
        self.lost = [lost for lost in self.lost if lost.run != run or lost.to > to]

    async def _turn(self) -> None:
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)

    def _run(self, run: str) -> MemoryRun:
        for found in self.memory:
            if found.run == run:
                return found
        raise StoreError(f"unknown run {run}")
