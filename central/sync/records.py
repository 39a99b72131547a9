"""What the link reads and writes in the database; each function is one short transaction, synchronous.

Every write names its session: FencedError where a newer one exists, RevokedError where the device may not connect.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction

from central.checkins import gaps, ingest, runs
from central.devices import commands, zones
from central.devices.boots import boot_id
from central.devices.fencing import MissingDeviceError, RevokedError, assert_current
from central.devices.models import Command, Device
from central.devices.tokens import Admitted, admit
from central.editions import offering
from central.parts import reported
from central.presence import sharing
from central.presence import versions as presence
from central.rotation import rotating
from central.sync import refusals
from central.sync.exchange import Due, Offer
from wire.messages import Anchor, Heartbeat, Hello, RunAck, Tomb
from wire.presence import PresDelta, PresenceRef
from wire.transfer import DirectoryRef, DirState
from wire.vocabulary import CloseCode, CommandMode, CommandState

_TEXT_CHARS: Final = 64
_MAX_READERS: Final = 8
_MAX_FORMS: Final = 64
_MAX_KEYS: Final = 4
_REFUSAL_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Session:
    """The only connection of a device that may write."""

    device_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that was just given, and what is held of the device's runs.

    `clone_of` names the journal and the boot that are connected under the same identity, where these are others.
    """

    session: Session
    runs: tuple[RunAck, ...]
    last_run: RunAck | None
    directory: DirectoryRef
    commands: tuple[Due, ...]
    clone_of: str
    presence: PresenceRef | None = None
    time_zone: str = ""


def moment(wall_ms: int) -> datetime:
    """Return the aware datetime of a wall time in ms since 1970."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC)


def open_session(device_id: UUID, hello: Hello, wall_ms: int) -> Opening:
    """Give the device a session newer than all others and register its runs."""
    now = moment(wall_ms)
    with transaction.atomic():
        device = Device.objects.select_for_update().filter(pk=device_id).first()
        if device is None:
            raise MissingDeviceError(f"device {device_id} does not exist; let it join again")
        if device.state != Device.State.ACTIVE:
            raise RevokedError(f"device {device_id} is {device.state}")
        clone_of = _other(device, hello, now)
        session = Session(device_id, device.session + 1)
        rotating.reported(device, [bare(key) for key in hello.keys[:_MAX_KEYS]], now)
        was = device.forms
        _greet(device, hello, session.number, now)
        if device.forms != was:
            reported.settle(device.door_id)
        _offer_again(device_id, hello)
    last_run = runs.last_run(device_id)
    held = tuple(runs.register(device_id, session.number, hello))
    directory, commands_due = offering.newest(device_id), load_commands(session)
    zone = Device.objects.values_list("door__site__time_zone", flat=True).get(pk=device_id)
    return Opening(
        session,
        held,
        last_run,
        directory,
        commands_due,
        clone_of,
        _presence(device_id),
        zone if zones.is_known(zone) else "",
    )


def _presence(device_id: UUID) -> PresenceRef:
    return presence.newest(Device.objects.values_list("door__site_id", flat=True).get(pk=device_id))


def _other(device: Device, hello: Hello, now: datetime) -> str:
    is_same = (device.store, device.boot) == (hello.store, hello.boot)
    return "" if is_same or not device.is_connected(now) else f"store {device.store}, boot {device.boot}"


def _greet(device: Device, hello: Hello, session: int, now: datetime) -> None:
    device.session = session
    device.agent = bare(hello.agent)
    device.store, device.boot = hello.store, hello.boot
    device.run = hello.runs[-1].run if hello.runs else ""
    device.connected_at = device.last_seen_at = now
    device.disconnected_at = None
    device.backlog, device.oldest_age_s = hello.backlog.events, hello.backlog.oldest_age_s
    device.is_desk, device.forms = hello.desk, sorted({bare(form) for form in hello.forms[:_MAX_FORMS]})
    device.save(
        update_fields=["session", "agent", "store", "boot", "run", "connected_at", "last_seen_at", "disconnected_at",
                       "backlog", "oldest_age_s", "is_desk", "forms", "key_ids"]
    )  # fmt: skip


def _offer_again(device_id: UUID, hello: Hello) -> None:
    """Commands whose frame was lost with the old connection go out again, while their life lasts."""
    lost = Command.objects.filter(device_id=device_id, state=Command.State.SENT)
    known = [command_id for command in hello.cmds if (command_id := _uuid(command.id)) is not None]
    lost.exclude(pk__in=known).update(state=Command.State.PENDING)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def close_session(session: Session, wall_ms: int) -> None:
    """Note that the device left, unless it is back already."""
    mine = Device.objects.filter(pk=session.device_id, session=session.number)
    mine.update(disconnected_at=moment(wall_ms))


def ingest_batch(session: Session, run: str, first: int, raws: list[bytes]) -> ingest.Ingested:
    """Commit a batch; raise GapError or UnknownRunError."""
    return ingest.ingest_events(session.device_id, session.number, run, first, raws)


def ingest_tomb(session: Session, tomb: Tomb) -> ingest.Ingested:
    """Commit a declared loss; raise GapError or UnknownRunError."""
    return ingest.ingest_tomb(session.device_id, session.number, tomb)


def keep_anchor(session: Session, anchor: Anchor) -> None:
    """Commit what the wall clock of a boot truly was."""
    ingest.ingest_anchor(session.device_id, session.number, anchor)


def keep_heartbeat(
    session: Session, heartbeat: Heartbeat, offset_ms: int, wall_ms: int
) -> tuple[DirectoryRef, tuple[Due, ...], PresenceRef | None]:
    """Record the device's health; return the newest directory, the commands that wait and the newest presence."""
    _update(
        session,
        last_seen_at=moment(wall_ms),
        backlog=heartbeat.backlog,
        oldest_age_s=heartbeat.oldest_age_s,
        door_state=bare(heartbeat.door),
        clock_offset_ms=offset_ms,
        health=_health(heartbeat),
    )
    return offering.newest(session.device_id), load_commands(session), _presence(session.device_id)


def report_gaps(session: Session) -> None:
    """Tell staff what neither side has any more, once a device says that nothing waits."""
    gaps.report_gaps(session.device_id)


def _health(heartbeat: Heartbeat) -> dict[str, Any]:
    readers = [bare(reader) for reader in heartbeat.readers[:_MAX_READERS]]
    return msgspec.structs.asdict(heartbeat) | {"door": bare(heartbeat.door), "readers": readers}


def bare(text: str) -> str:
    """Return a device's text within what a column holds: no NUL, at most 64 characters."""
    return text.replace("\0", "")[:_TEXT_CHARS]


def keep_dir_state(session: Session, state: DirState) -> None:
    """Record which directory the device decides from, and which it refused."""
    refused = state.refused
    why = "" if refused is None else refusals.told(refused)
    _update(
        session,
        dir_epoch=state.epoch,
        dir_ver=state.ver,
        dir_digest=bare(state.digest),
        dir_refused=why[:_REFUSAL_CHARS],
    )
    if refused is not None:
        refusals.alert(session.device_id, refused)


def _update(session: Session, **values: Any) -> None:
    """Write to the device's row in one statement that is its own fence."""
    mine = Device.objects.filter(pk=session.device_id, session=session.number, state=Device.State.ACTIVE)
    if mine.update(**values) == 0:
        with transaction.atomic():
            assert_current(session.device_id, session.number)


def load_directory(device_id: UUID, held: DirectoryRef | None, takes_deltas: bool, wall_ms: int) -> Offer:
    """Return what brings a device that has `held` to the newest directory."""
    return offering.offer(device_id, held, wall_ms, takes_deltas=takes_deltas)


def load_presence(device_id: UUID, held: PresenceRef | None, wall_ms: int) -> PresDelta | None:
    """Return what a device that has `held` misses of its site's presence."""
    return sharing.delta(device_id, held, wall_ms)


def load_commands(session: Session) -> tuple[Due, ...]:
    """Return the commands that wait, oldest first."""
    return tuple(
        Due(
            id=str(command.id),
            name=command.name,
            mode=CommandMode(command.mode),
            ttl_ms=command.ttl_ms,
            created_ms=int(command.created_at.timestamp() * 1000),
            args=command.args,
            made_mono_ms=command.mono_ms if command.boot == boot_id() else None,
        )
        for command in commands.due(session.device_id)
    )


def mark_sent(session: Session, command_id: str, wall_ms: int) -> bool:
    """Record that a command goes out now; False where it ended meanwhile."""
    with transaction.atomic():
        assert_current(session.device_id, session.number)
        return commands.mark_sent(session.device_id, UUID(command_id), moment(wall_ms))


def expire_command(session: Session, command_id: str, wall_ms: int) -> None:
    """Record that a command was too old to be sent."""
    with transaction.atomic():
        assert_current(session.device_id, session.number)
        commands.mark_expired(session.device_id, UUID(command_id), moment(wall_ms))


def keep_reply(session: Session, command_id: str, state: CommandState, code: str, out: str, wall_ms: int) -> bool:
    """Record what the device said of a command; False where it has no such command."""
    known = _uuid(command_id)
    if known is None:
        return False
    with transaction.atomic():
        assert_current(session.device_id, session.number)
        return commands.record_reply(session.device_id, known, state, moment(wall_ms), code=code, out=out)


def check_token(device_id: UUID, token: str, wall_ms: int) -> tuple[CloseCode | None, str]:
    """Return why a token sent inside a connection ends it, or None, and a detail for the log."""
    verdict = admit(token, audience=settings.AUDIENCE, now=moment(wall_ms))
    if isinstance(verdict, Admitted):
        if verdict.device_id == device_id:
            return None, ""
        return CloseCode.TOKEN, "the token is another device's"
    return CloseCode.REVOKED if verdict.status == 403 else CloseCode.TOKEN, f"{verdict.reason}: {verdict.detail}"


def end_outlived(wall_ms: int) -> int:
    """End commands of before this boot that act once; return how many."""
    return commands.outlived(moment(wall_ms))


def sweep(wall_ms: int) -> int:
    """End commands that can no longer end by themselves; return how many."""
    return commands.sweep(moment(wall_ms))
