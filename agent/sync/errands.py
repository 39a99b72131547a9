"""What the session wants of the store, done in order by one worker. A store that cannot is an answer, not a crash."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, assert_never

import msgspec
from msgspec import Struct

from agent.errors import DirectoryRefusedError, StoreError, StoreFullError
from agent.site_clock import ZONE_KEY
from agent.sync import exchange as ex
from agent.sync.ports import CommandPort, DirectoryPort, LossFacts, OutboxPort, RunFacts
from wire.messages import RunAck, RunState, Tomb
from wire.transfer import DirectoryRef

log = logging.getLogger(__name__)

RECONNECT_KEY: Final = "reconnect"
"""Under this name the directory's store keeps how central wants the device to come back."""
DIRECTORY_KEY: Final = "directory_key"
"""And the key that signs directories, where the device joined before it was told one."""
MAX_WAITING: Final = 64
"""Errands that may wait before no more frames are read."""

Errand = (
    ex.Load | ex.MoveCursor | ex.Rewind | ex.Reconcile | ex.StageBegin | ex.StageChunk | ex.StageEnd | ex.ApplyDelta
    | ex.ForgetCommand | ex.KeepReconnect | ex.KeepZone | ex.KeepDirectoryKey | ex.TakePresence
)  # fmt: skip

_Kept = ex.ForgetCommand | ex.KeepReconnect | ex.KeepZone | ex.KeepDirectoryKey | ex.TakePresence


class _Waiting(Struct, frozen=True):
    connection: int
    errand: Errand


class Errands:
    """The worker. Answers of a connection that is gone are dropped; what the store did stays done."""

    def __init__(
        self,
        *,
        outbox: OutboxPort,
        directory: DirectoryPort,
        commands: CommandPort,
        now_ms: Callable[[], int],
        answer: Callable[[int, ex.Input], None],
    ) -> None:
        self._outbox = outbox
        self._directory = directory
        self._commands = commands
        self._now_ms = now_ms
        self._answer = answer
        self._has_asked = False
        self._waiting: deque[_Waiting] = deque()
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, connection: int, errand: Errand) -> None:
        """Add an errand of connection number `connection`; a later acknowledgement takes the place of an earlier."""
        if isinstance(errand, ex.MoveCursor) and self._merged(connection, errand):
            return
        self._waiting.append(_Waiting(connection, errand))
        self._has_work.set()
        if len(self._waiting) >= MAX_WAITING:
            self._has_room.clear()

    async def room(self) -> None:
        """Wait until few enough errands wait."""
        await self._has_room.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._has_work.wait()
            while self._waiting:
                waiting = self._waiting.popleft()
                if len(self._waiting) < MAX_WAITING:
                    self._has_room.set()
                answer = await self._done(waiting.errand)
                if answer is not None:
                    self._answer(waiting.connection, answer)
            self._has_work.clear()

    def _merged(self, connection: int, move: ex.MoveCursor) -> bool:
        for place in range(len(self._waiting) - 1, -1, -1):
            waiting = self._waiting[place]
            if not isinstance(waiting.errand, ex.Load | ex.MoveCursor) or waiting.connection != connection:
                return False
            if isinstance(waiting.errand, ex.MoveCursor) and waiting.errand.run == move.run:
                self._waiting[place] = _Waiting(connection, move)
                return True
        return False

    async def _done(self, errand: Errand) -> ex.Input | None:
        match errand:
            case ex.Load():
                return await self._load(errand)
            case ex.MoveCursor():
                return await self._move_cursor(errand)
            case ex.Rewind():
                return await self._rewind(errand.run, errand.upto)
            case ex.Reconcile():
                return await self._reconcile(errand.last_run, errand.told)
            case ex.StageBegin() | ex.StageChunk() | ex.StageEnd() | ex.ApplyDelta():
                return await self._stage(errand)
            case ex.ForgetCommand() | ex.KeepReconnect() | ex.KeepZone() | ex.KeepDirectoryKey() | ex.TakePresence():
                await self._keep(errand)
                return None
            case _:
                assert_never(errand)

    async def _load(self, load: ex.Load) -> ex.Input:
        try:
            items = await self._outbox.read(load.run, load.after, load.max_events, load.max_bytes)
        except StoreError as fault:
            log.warning("events of run %s cannot be read: %s", load.run, fault)
            items = ()
        return ex.Loaded(self._now_ms(), load.run, load.after, items)

    async def _move_cursor(self, move: ex.MoveCursor) -> ex.Input:
        try:
            await self._outbox.acknowledge(move.run, move.upto, move.head)
            await self._outbox.loss_acknowledged(move.run, move.upto)
        except StoreError as fault:
            return ex.CursorRefused(self._now_ms(), move.run, move.upto, ex.Trouble.WRONG_HEAD, str(fault))
        return ex.CursorMoved(self._now_ms(), move.run, move.upto)

    async def _rewind(self, run: str, upto: int) -> ex.Input:
        try:
            gone = await self._outbox.rewind(run, upto)
        except StoreFullError as fault:
            return ex.CursorRefused(self._now_ms(), run, upto, ex.Trouble.NO_ROOM, str(fault))
        except StoreError as fault:
            return ex.CursorRefused(self._now_ms(), run, upto, ex.Trouble.RANGE_LOST, str(fault))
        state = next(run_state(facts) for facts in self._outbox.held() if facts.run == run)
        return ex.Rewound(self._now_ms(), state, upto, None if gone is None else tomb_of(gone))

    async def _reconcile(self, last_run: RunAck | None, told: frozenset[str]) -> ex.Input:
        """Move the cursors of acknowledged runs back to where central (restored from a backup) stands.

        A last run that is unknown here (of a copy of the card, or from before the storage went back) says nothing
        about the others: all of them are named in the next `hello`, and `welcome` says where each stands. Events
        flow on the connection after that, as such a run may stay central's last for good.
        """
        held = self._outbox.held()
        known = None if last_run is None else next((facts for facts in held if facts.run == last_run.run), None)
        missing = ""
        if last_run is not None and known is None:
            missing = f"central knows run {last_run.run} up to {last_run.upto}, this device does not know it"
            if self._has_asked:
                self._has_asked = False
                return ex.Reconciled(self._now_ms(), 0, missing)
        moved = full = 0
        for facts in held:
            if facts.run in told or (known is not None and facts.ord < known.ord):
                continue
            upto = last_run.upto if last_run is not None and facts is known else 0
            if upto < facts.acked:
                try:
                    moved += await self._moved_back(facts.run, upto)
                except StoreFullError as fault:
                    log.warning("run %s cannot be sent again before there is room: %s", facts.run, fault)
                    full += 1
        self._has_asked = bool(missing) and moved > 0 and not full
        # Central's last run would be the current one as soon as events flow, and nobody would ask for these any more.
        return ex.Reconciled(self._now_ms(), moved + full, missing)

    async def _moved_back(self, run: str, upto: int) -> bool:
        try:
            await self._outbox.rewind(run, upto)
        except StoreFullError:
            raise
        except StoreError as fault:
            log.warning("run %s cannot be sent again from %d on: %s", run, upto, fault)
            return False
        return True

    async def _stage(self, errand: ex.StageBegin | ex.StageChunk | ex.StageEnd | ex.ApplyDelta) -> ex.Input | None:
        try:
            match errand:
                case ex.StageBegin(begin, issue):
                    await self._directory.stage_begin(begin, issue)
                    return None
                case ex.StageChunk(chunk):
                    await self._directory.stage_chunk(chunk)
                    return ex.ChunkStaged(self._now_ms(), chunk.snap, chunk.i)
                case ex.StageEnd(end):
                    return self._staged(await self._directory.stage_end(end))
                case ex.ApplyDelta(delta, issue):
                    return self._staged(await self._directory.apply(delta, issue))
        except DirectoryRefusedError as fault:
            return ex.DirectoryFailed(self._now_ms(), str(fault), fault.refusal)
        except StoreError as fault:
            return ex.DirectoryFailed(self._now_ms(), str(fault))

    def _staged(self, ref: DirectoryRef) -> ex.Input:
        issue = self._directory.issue
        return ex.DirectoryStaged(self._now_ms(), ref, 0 if issue is None else issue.issued_ms)

    async def _keep(self, errand: _Kept) -> None:
        try:
            match errand:
                case ex.ForgetCommand(id_):
                    await self._commands.forget(id_)
                case ex.KeepReconnect(values):
                    await self._directory.put(RECONNECT_KEY, msgspec.json.encode(values).decode())
                case ex.KeepZone(name):
                    await self._directory.put(ZONE_KEY, name)
                case ex.KeepDirectoryKey(key):
                    await self._directory.put(DIRECTORY_KEY, key.hex())
                case ex.TakePresence(message):
                    await self._outbox.learn_steps({f"{used.kind}:{used.key}": used.step for used in message.steps})
        except StoreError as fault:
            log.warning("not kept, and harmless (it comes again): %s", fault)


def waiting_runs(outbox: OutboxPort) -> tuple[RunState, ...]:
    """Return what `hello` names: runs with events or losses that central does not have, and the current one."""
    names = {facts.run for facts in outbox.runs()} | {loss.run for loss in outbox.losses()}
    return tuple(run_state(facts) for facts in outbox.held() if facts.run in names)


def run_state(facts: RunFacts) -> RunState:
    """Return a run as `hello` tells it."""
    return RunState(
        run=facts.run,
        ord=facts.ord,
        last=facts.last,
        acked=facts.acked,
        head=facts.head.hex(),
        prev_n=facts.prev_n,
        prev_head=facts.prev_head.hex(),
    )


def tomb_of(loss: LossFacts) -> Tomb:
    """Return a declared loss as it is told to central."""
    return Tomb(
        run=loss.run,
        first=loss.first,
        to=loss.to,
        why=loss.why,
        count=loss.to - loss.first + 1,
        head=None if loss.head is None else loss.head.hex(),
    )
