"""Both halves of the directory's delivery, the device's real files and a model of central's versions, over a bad link.

One thread, no clock. Frames are lost with the connection, hints are lost, pushes come twice and late; whatever happens,
what the device decides from is exactly one of central's versions, and it never goes back (S9). Once the faults stop it
is the newest (L2).
"""

import asyncio
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from agent.errors import DirectoryRefusedError, StoreError
from agent.store.directory import Directory
from agent.sync import exchange as ex
from agent.sync.staging import DirMessage, Staging
from central.sync.delivery import Delivery
from central.sync.exchange import DirectoryLoaded, LoadDirectory, Now, Offer, Send, Whole
from central.sync.exchange import Effects as CentralEffects
from tests.crashstates.recording import working_folder
from tests.fakes.issuing import PUBLIC, delta_of, sign
from tests.fakes.memory_outbox import DEVICE
from wire.codec import encode, for_agent, for_central
from wire.directory import DELTAS, Issue, directory_digest, row_text
from wire.limits import HEARTBEAT_S
from wire.message import Message
from wire.messages import Backlog, ClockReading, Hello
from wire.rows import DirectoryRow
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd, DirGot, DirResync, DirState
from wire.version import SPOKEN
from wire.vocabulary import ClockQuality, CredentialKind

EPOCH = "e1"
_to_agent = for_agent()
_to_central = for_central()
_BEAT_MS = int(HEARTBEAT_S * 1000)
_CHUNK_ROWS = 3
_FAR = 3


class BrokenPromiseError(AssertionError):
    """The device decides from what is none of central's versions, or went back, or does not get on."""


def row(number: int, member: str) -> DirectoryRow:
    """Return a credential of a member."""
    return DirectoryRow(key=Random(number).randbytes(16).hex(), kind=CredentialKind.HF_UID, member=member)


@dataclass
class DirectoryPair:
    """`versions` are central's; `up` and `down` hold frames on their way."""

    folder: Path
    random: Random
    versions: list[dict[int, str]] = field(default_factory=lambda: [{}])
    now_ms: int = 1_000_000
    up: deque[bytes] = field(default_factory=deque)
    down: deque[bytes] = field(default_factory=deque)
    staging: Staging = field(default_factory=Staging)
    delivery: Delivery | None = None
    seen: int = -1
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = Directory.open(self.folder)

    # Central

    def change(self) -> None:
        """Staff change a few things."""
        new = dict(self.versions[-1])
        for _ in range(self.random.randrange(5)):
            number = self.random.randrange(12)
            new.pop(number, None)
            if self.random.random() < 0.7:
                new[number] = self.random.choice("abc")
        self.versions.append(new)
        if self.delivery is not None and self.random.random() < 0.5:  # else the hint is lost
            self._central(self.delivery.wanted(self.now_ms))

    def import_file(self) -> None:
        """Staff change much at once: central publishes it as several versions, one after the other."""
        for _ in range(self.random.randrange(2, 6)):
            self.change()

    def rows(self, ver: int) -> list[DirectoryRow]:
        """Return the rows of a version, in order of their keys."""
        return sorted((row(n, member) for n, member in self.versions[ver].items()), key=lambda each: each.key)

    def _offer(self, load: LoadDirectory) -> Offer:
        newest, held = len(self.versions) - 1, load.held
        if held is None or self.random.random() < 0.1:
            digest = directory_digest(self.rows(newest))
            issue = Issue(device=DEVICE, epoch=EPOCH, ver=newest, digest=digest, issued_ms=self.now_ms)
            return Offer(Whole(issue, sign(issue), list(map(row_text, self.rows(newest)))))
        to = newest if newest - held.ver < _FAR else held.ver + 1
        delta = delta_of(self.rows(held.ver), self.rows(to), first=held.ver, to=to, epoch=EPOCH, issued_ms=self.now_ms)
        return Offer(delta, is_last=to == newest)

    def _central(self, step: tuple[Delivery, CentralEffects]) -> None:
        self.delivery, effects = step
        for effect in effects:
            match effect:
                case Send(message):
                    self.down.append(encode(message))
                case LoadDirectory():
                    loaded = DirectoryLoaded(Now(self.now_ms, self.now_ms), self._offer(effect))
                    self._central(self.delivery.loaded(loaded))
                case _:
                    pass

    def _hear(self, message: Message) -> None:
        assert self.delivery is not None
        match message:
            case DirGot():
                self._central(self.delivery.got(message, self.now_ms))
            case DirState():
                if message.refused is not None:
                    self.refused.append(message.refused.code)
                self._central(self.delivery.settled(message, self.now_ms))
            case DirResync():
                self._central(self.delivery.given_up(self.now_ms))
            case _:
                raise AssertionError(message)

    # The device

    def connect(self) -> None:
        """A connection begins."""
        issue = self.directory.issue
        greeting = ex.Greeting(
            device=DEVICE, store="s", boot="b", agent="test", runs=(), losses=(),
            clock=ClockReading(self.now_ms, self.now_ms, ClockQuality.SYNCED), backlog=Backlog(0, 0, 0),
            directory=self.directory.ref, issued_ms=0 if issue is None else issue.issued_ms, directory_key=PUBLIC,
        )  # fmt: skip
        self.staging = self.staging.opened(greeting, self.now_ms)
        hello = Hello(
            device=DEVICE, store="s", boot="b", agent="test", proto=SPOKEN, runs=[], clock=greeting.clock,
            backlog=greeting.backlog, feat=[DELTAS], dir=greeting.directory,
        )  # fmt: skip
        newest = len(self.versions) - 1
        ref = DirectoryRef(EPOCH, newest, directory_digest(self.rows(newest)))
        self._central(Delivery.opened(hello, ref, self.now_ms, _CHUNK_ROWS))

    def cut(self) -> None:
        """The connection and everything on its way is gone."""
        self.up.clear()
        self.down.clear()
        self.delivery = None
        self.staging = self.staging.cut()

    async def restart(self) -> None:
        """The process dies; what was not committed is lost."""
        self.cut()
        await self.directory.close()
        self.directory = Directory.open(self.folder)
        self.staging = Staging()
        self.check()

    async def _device(self, step: tuple[Staging, ex.Effects]) -> None:
        self.staging, effects = step
        for effect in effects:
            if isinstance(effect, ex.Send):
                self.up.append(encode(effect.message))
            elif isinstance(effect, ex.StageBegin | ex.StageChunk | ex.StageEnd | ex.ApplyDelta):
                answer = await self._stored(effect)
                if answer is not None:
                    await self._device(self.staging.stored(answer))
        self.check()

    async def _stored(
        self, effect: ex.StageBegin | ex.StageChunk | ex.StageEnd | ex.ApplyDelta
    ) -> ex.ChunkStaged | ex.DirectoryStaged | ex.DirectoryFailed | None:
        try:
            match effect:
                case ex.StageBegin(begin, issue):
                    await self.directory.stage_begin(begin, issue)
                    return None
                case ex.StageChunk(chunk):
                    await self.directory.stage_chunk(chunk)
                    return ex.ChunkStaged(self.now_ms, chunk.snap, chunk.i)
                case ex.StageEnd(end):
                    ref = await self.directory.stage_end(end)
                case ex.ApplyDelta(delta, issue):
                    ref = await self.directory.apply(delta, issue)
        except DirectoryRefusedError as fault:
            return ex.DirectoryFailed(self.now_ms, str(fault), fault.refusal)
        except StoreError as fault:
            return ex.DirectoryFailed(self.now_ms, str(fault))
        assert self.directory.issue is not None
        return ex.DirectoryStaged(self.now_ms, ref, self.directory.issue.issued_ms)

    # What happens

    async def deliver_down(self) -> None:
        """The device gets the next frame; some come twice, some are stale or torn."""
        if not self.down:
            return
        frame = self.down.popleft()
        for each in self.bent(frame):
            message = _to_agent.decode(each)
            assert isinstance(message, DirBegin | DirChunk | DirEnd | DirDelta)
            await self._device(self.staging.received(message, self.now_ms))

    def bent(self, frame: bytes) -> list[bytes]:
        """Return what arrives of a frame: perhaps twice, perhaps an older one with it, perhaps changed on its way."""
        match self.random.randrange(12):
            case 0:
                return [frame, frame]
            case 1:
                return [encode(self.forged()), frame]
            case _:
                return [frame]

    def forged(self) -> DirMessage:
        """Return what a device must not take: stale, of another device, unsigned, or with other rows than signed."""
        newest = len(self.versions) - 1
        old = self.random.randrange(newest + 1)
        stale = delta_of(self.rows(0), self.rows(old), first=0, to=old, epoch=EPOCH, issued_ms=1)
        held = max(self.seen, 0)
        other = [row(99, "intruder")]
        near = delta_of(self.rows(held), other, first=held, to=newest + 1, epoch=EPOCH, issued_ms=self.now_ms)
        match self.random.randrange(4):
            case 0:
                return stale
            case 1:
                return msgspec.structs.replace(near, sig="A" * 86)
            case 2:
                return delta_of(
                    self.rows(held), other, first=held, to=newest, epoch=EPOCH, device="other", issued_ms=self.now_ms
                )
            case _:
                true = delta_of(self.rows(held), self.rows(newest), first=held, to=newest, epoch=EPOCH,
                                issued_ms=self.now_ms)  # fmt: skip
                return msgspec.structs.replace(true, put=[msgspec.Raw(row_text(other[0]))])

    def deliver_up(self) -> None:
        """Central gets the next frame."""
        if self.up:
            self._hear(_to_central.decode(self.up.popleft()))

    async def advance(self, ms: int) -> None:
        """Time passes; a heartbeat compares the versions."""
        self.now_ms += ms
        await self._device(self.staging.ticked(self.now_ms))
        if self.delivery is None:
            return
        self._central(self.delivery.ticked(self.now_ms))
        newest = len(self.versions) - 1
        ref = DirectoryRef(EPOCH, newest, directory_digest(self.rows(newest)))
        assert self.delivery is not None
        shown = 0 if self.directory.ref is None else self.directory.ref.ver
        if not self.up and not self.down:
            self._central(self.delivery.compared(ref, shown, self.now_ms))
            await self._device(self.staging.compared(newest, self.now_ms, self.now_ms))

    async def settle(self) -> None:
        """Let every frame arrive as it is."""
        self.random = Random(1)
        self.bent = lambda frame: [frame]  # type: ignore[method-assign]
        for _ in range(10_000):
            if not (self.up or self.down):
                return
            await self.deliver_down()
            self.deliver_up()
        raise BrokenPromiseError("the two never come to rest")

    async def heal(self) -> None:
        """Faults stop: the newest version must arrive."""
        for _ in range(60):
            if self.delivery is None:
                self.connect()
            await self.settle()
            if self.seen == len(self.versions) - 1:
                return
            await self.advance(_BEAT_MS)
        raise BrokenPromiseError(f"version {self.seen} of {len(self.versions) - 1} after faults stopped")

    def check(self) -> None:
        """The directory is one of central's versions, whole, and not an older one than before."""
        ref = self.directory.ref
        ver = -1 if ref is None else ref.ver
        if ver < self.seen:
            raise BrokenPromiseError(f"the directory went back from version {self.seen} to {ver}")
        self.seen = ver
        keys = {row(number, "").key for number in (*range(12), 99)}
        found = {key: each for key in keys if (each := self.directory.find(key)) is not None}
        if ref is not None and ver >= len(self.versions):
            raise BrokenPromiseError(f"version {ver} is none of central's")
        true = {} if ref is None else {each.key: each for each in self.rows(ver)}
        if found != true or self.directory.count() != len(true):
            raise BrokenPromiseError(f"version {ver} is not what central published under it")


async def play(seed: int, steps: int = 60) -> DirectoryPair:
    """Play a random history and let it heal; raise BrokenPromiseError."""
    random = Random(seed)
    with tempfile.TemporaryDirectory(prefix="doorstile-pair-", dir=working_folder()) as scratch:
        pair = DirectoryPair(Path(scratch), random)
        try:
            for _ in range(steps):
                await _one(pair, random)
            pair.cut()
            await pair.heal()
        finally:
            await pair.directory.close()
        return pair


async def _one(pair: DirectoryPair, random: Random) -> None:
    match random.randrange(16):
        case 0 | 1:
            pair.change()
        case 2:
            pair.import_file()
        case 3:
            pair.cut()
        case 4:
            await pair.restart()
        case 5 | 6:
            await pair.advance(random.choice((50, 500, 5_000, 40_000)))
        case _ if pair.delivery is None:
            pair.connect()
        case 7 | 8 | 9 | 10 | 11:
            await pair.deliver_down()
        case _:
            pair.deliver_up()


def main(seeds: int) -> None:
    """Play so many histories: `python -m tests.sync.directory_pair SEEDS`."""
    for seed in range(seeds):
        asyncio.run(play(seed))
    print(f"{seeds} histories: the directory was always one of central's versions, and the newest at the end")


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]))
