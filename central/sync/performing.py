"""Does what the session asks for: effects in, at most one input back for each."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError

from central.checkins.ingest import GapError, Ingested, UnknownRunError
from central.devices.fencing import FencedError, RevokedError
from central.sync import records
from central.sync.database import Database
from central.sync.exchange import (
    CheckToken,
    CommandMarked,
    CommandsLoaded,
    DirectoryLoaded,
    Effect,
    Ended,
    ExpireCommand,
    HeartbeatKept,
    Ingest,
    IngestTomb,
    Input,
    KeepAnchor,
    KeepDirState,
    KeepHeartbeat,
    KeepReply,
    LoadCommands,
    LoadDirectory,
    LoadPresence,
    MarkSent,
    Missing,
    Now,
    Opened,
    OpenSession,
    PresenceLoaded,
    ReplyKept,
    Report,
    TokenChecked,
    Unreadable,
)
from central.sync.exchange import Ingested as IngestedInput
from central.sync.switchboard import Switchboard
from wire.errors import DoorstileError, RemoteProtocolError
from wire.vocabulary import CloseCode, ErrorCode

RETRY_AFTER_MS: Final = 2_000
_IDLE_BEATS: Final = 3
"""After so many heartbeats that say that nothing waits, what is missing is missing for good."""
"""When a device should come back after the database failed."""

_log = logging.getLogger(__name__)


def now() -> Now:
    """Return this moment."""
    return Now(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)


class Performer:
    """The database's side of one connection. Faults of database and fences come back as inputs, bugs are raised."""

    def __init__(
        self,
        device_id: UUID,
        database: Database,
        switchboard: Switchboard,
        on_ingested: Callable[[], None] = lambda: None,
    ) -> None:
        self._device_id = device_id
        self._database = database
        self._switchboard = switchboard
        self._on_ingested = on_ingested
        self._session: records.Session | None = None
        self._idle_beats = 0
        self._performers: dict[type[Effect], Callable[[Any], Awaitable[Input | None]]] = {
            OpenSession: self._open_session,
            Ingest: self._ingest,
            IngestTomb: self._ingest_tomb,
            KeepAnchor: self._keep_anchor,
            KeepHeartbeat: self._keep_heartbeat,
            KeepDirState: self._keep_dir_state,
            LoadDirectory: self._load_directory,
            LoadPresence: self._load_presence,
            LoadCommands: self._load_commands,
            MarkSent: self._mark_sent,
            ExpireCommand: self._expire_command,
            KeepReply: self._keep_reply,
            CheckToken: self._check_token,
            Report: self._report,
        }

    @property
    def session_number(self) -> int:
        """The session's number; 0 before there is one."""
        return 0 if self._session is None else self._session.number

    async def perform(self, effect: Effect) -> Input | None:
        """Do one effect and return its answer, if it has one."""
        try:
            return await self._performers[type(effect)](effect)
        except FencedError as fault:
            return Ended(now(), CloseCode.SUPERSEDED, str(fault))
        except RevokedError as fault:
            return Ended(now(), CloseCode.REVOKED, str(fault))
        except UnknownRunError as fault:
            return Unreadable(now(), ErrorCode.UNEXPECTED, str(fault))
        except RemoteProtocolError as fault:
            return Unreadable(now(), fault.code, fault.detail, fault.close)
        except (DatabaseError, DoorstileError) as fault:
            _log.warning("device %s sent away: %s", self._device_id, fault)
            return Ended(now(), CloseCode.UNAVAILABLE, "central cannot do its work now", RETRY_AFTER_MS)

    async def close(self) -> None:
        """Note that the connection ended."""
        if self._session is None:
            return
        try:
            await self._database.run(records.close_session, self._session, now().wall_ms)
        except DatabaseError as fault:
            _log.warning("end of session %s not noted: %s", self._session, fault)

    @property
    def _current(self) -> records.Session:
        assert self._session is not None, "the session asked for work before it was opened"
        return self._session

    async def _open_session(self, effect: OpenSession) -> Input:
        opening = await self._database.run(records.open_session, self._device_id, effect.hello, now().wall_ms)
        self._session = opening.session
        level, other = (logging.WARNING if opening.clone_of else logging.INFO), opening.clone_of
        _log.log(
            level, "device %s: session %d, store %s, boot %s%s", self._device_id, opening.session.number,
            effect.hello.store, effect.hello.boot, f"; {other} was connected: a clone?" if other else "",
        )  # fmt: skip
        await self._switchboard.supersede(self._device_id, opening.session.number)
        return Opened(
            now(),
            opening.session.number,
            opening.runs,
            opening.last_run,
            opening.directory,
            opening.commands,
            opening.presence,
            opening.time_zone,
        )

    async def _ingest(self, effect: Ingest) -> Input:
        batch = (self._current, effect.run, effect.first, effect.raws)
        return await self._ingested(effect.run, self._database.run(records.ingest_batch, *batch))

    async def _ingest_tomb(self, effect: IngestTomb) -> Input:
        return await self._ingested(
            effect.tomb.run, self._database.run(records.ingest_tomb, self._current, effect.tomb)
        )

    async def _ingested(self, run: str, work: Awaitable[Ingested]) -> Input:
        try:
            done = await work
        except GapError as gap:
            return Missing(now(), run, gap.expect)
        if done.fresh:
            self._on_ingested()
        return IngestedInput(now(), run, done.upto, done.head, tuple(done.rejections))

    async def _keep_anchor(self, effect: KeepAnchor) -> None:
        await self._database.run(records.keep_anchor, self._current, effect.anchor)

    async def _keep_heartbeat(self, effect: KeepHeartbeat) -> Input:
        beat = effect.heartbeat
        directory, commands, presence = await self._database.run(
            records.keep_heartbeat, self._current, beat, effect.offset_ms, now().wall_ms
        )
        if beat.backlog == 0:
            self._idle_beats += 1
            if self._idle_beats == _IDLE_BEATS:
                await self._database.run(records.report_gaps, self._current)
        return HeartbeatKept(now(), beat.mono_ms, beat.dir_ver, directory, commands, presence, beat.pres_ver)

    async def _keep_dir_state(self, effect: KeepDirState) -> None:
        await self._database.run(records.keep_dir_state, self._current, effect.state)

    async def _load_directory(self, effect: LoadDirectory) -> Input:
        wanted = (self._device_id, effect.held, effect.takes_deltas, now().wall_ms)
        return DirectoryLoaded(now(), await self._database.run(records.load_directory, *wanted))

    async def _load_presence(self, effect: LoadPresence) -> Input:
        wanted = (self._device_id, effect.held, now().wall_ms)
        return PresenceLoaded(now(), await self._database.run(records.load_presence, *wanted))

    async def _load_commands(self, _effect: LoadCommands) -> Input:
        return CommandsLoaded(now(), await self._database.run(records.load_commands, self._current))

    async def _mark_sent(self, effect: MarkSent) -> Input | None:
        is_ours = await self._database.run(records.mark_sent, self._current, effect.command.id, now().wall_ms)
        return CommandMarked(now(), effect.command) if is_ours else None

    async def _expire_command(self, effect: ExpireCommand) -> None:
        await self._database.run(records.expire_command, self._current, effect.id, now().wall_ms)

    async def _keep_reply(self, effect: KeepReply) -> Input:
        reply = (effect.id, effect.state, effect.code, effect.out, now().wall_ms)
        is_known = await self._database.run(records.keep_reply, self._current, *reply)
        return ReplyKept(now(), effect.id, effect.is_result, is_known)

    async def _check_token(self, effect: CheckToken) -> Input:
        close, detail = await self._database.run(records.check_token, self._device_id, effect.token, now().wall_ms)
        if close is not None:
            _log.warning("device %s: new token refused: %s", self._device_id, detail)
        return TokenChecked(now(), close)

    async def _report(self, effect: Report) -> None:
        _log.warning("device %s: %s: %s", self._device_id, effect.what, effect.detail)
