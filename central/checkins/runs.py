"""The runs that a device names in `hello`, compared with what central holds of them.

A device whose storage went back to an older state sends nothing wrong by itself: it only knows less than it told
before. That shows here, and nowhere else.
"""

from uuid import UUID

from django.db import transaction

from central.checkins.admission import MOST, NAME_CHARS, RUN_CHARS
from central.checkins.alerts import raise_alert
from central.checkins.models import Alert, Run
from central.devices.fencing import assert_current
from wire import chain
from wire.errors import RemoteProtocolError
from wire.messages import Hello, RunAck, RunState
from wire.vocabulary import ErrorCode


def register(device_id: UUID, session: int, hello: Hello) -> list[RunAck]:
    """Make the runs of `hello` known and return what central holds of each, in the order of `hello`.

    Raise FencedError or RevokedError where the session may not write, RemoteProtocolError where a run cannot be.
    """
    for told in hello.runs:
        _check(told)
    if len(hello.store) > NAME_CHARS:
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"store has {len(hello.store)} characters, at most {NAME_CHARS}")
    with transaction.atomic(durable=True):
        assert_current(device_id, session)
        held = {run.run: run for run in Run.objects.filter(device_id=device_id, run__in=[r.run for r in hello.runs])}
        _find_forgotten(device_id, hello)
        return [_register(device_id, hello.store, told, held.get(told.run)) for told in hello.runs]


def last_run(device_id: UUID) -> RunAck | None:
    """Return what central holds of the newest run that it has events of, in the journal that it learnt of last.

    A run that was announced and never sent says nothing about what central had before it was restored from a backup.
    """
    newest = Run.objects.filter(device_id=device_id).order_by("pk").last()
    if newest is None:
        return None
    run = Run.objects.filter(device_id=device_id, store=newest.store, upto__gt=0).order_by("ord").last()
    return None if run is None else RunAck(run.run, run.upto, run.head)


def _check(told: RunState) -> None:
    figures = (told.ord, told.last, told.acked, told.prev_n)
    if not all(0 <= figure <= MOST for figure in figures) or told.acked > told.last:
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"run {told.run[:40]!a} has a count that cannot be")
    if not 0 < len(told.run) <= RUN_CHARS or not told.run.isalnum():
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"run {told.run[:40]!a} is no run id")
    if not _is_digest(told.head) or (told.prev_head and not _is_digest(told.prev_head)):
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"run {told.run[:40]!a} has a head that is no SHA-256")


def _is_digest(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == chain.DIGEST_BYTES
    except ValueError:
        return False


def _register(device_id: UUID, store: str, told: RunState, held: Run | None) -> RunAck:
    if held is None:
        held = _create(device_id, store, told)
        _compare_previous(device_id, store, told)
    elif told.last < held.upto:
        detail = f"run {told.run}: events {told.last + 1} to {held.upto} are held here, the device knows {told.last}"
        raise_alert(device_id, Alert.Kind.STORAGE_WENT_BACK, f"{told.run}/{told.last}", detail)
    elif told.acked == held.upto and told.head != held.head:
        detail = f"run {told.run}: the chain at event {held.upto} is {held.head[:16]}… here, {told.head[:16]}… there"
        raise_alert(device_id, Alert.Kind.STORAGE_WENT_BACK, f"{told.run}/{told.acked}/{told.head[:16]}", detail)
    return RunAck(held.run, held.upto, held.head)


def _create(device_id: UUID, store: str, told: RunState) -> Run:
    prev_head = bytes.fromhex(told.prev_head)
    head = chain.genesis(str(device_id), store, told.run, told.ord, told.prev_n, prev_head).hex()
    if told.acked == 0 and told.head != head:
        # A journal that was salvaged into a new file keeps its runs, and their chains, as they began in the old one.
        detail = f"run {told.run}: begins at {told.head[:16]}…, expected {head[:16]}…; taken as the device says"
        raise_alert(device_id, Alert.Kind.CHAIN_ANCHORED_ANEW, f"{told.run}/0", detail)
        head = told.head
    return Run.objects.create(
        device_id=device_id, run=told.run, store=store, ord=told.ord, head=head, first_head=head, prev_n=told.prev_n,
        prev_head=told.prev_head,
    )  # fmt: skip


def _compare_previous(device_id: UUID, store: str, told: RunState) -> None:
    """Compare the end of the run before, as a new run states it, with what central holds of it."""
    held = Run.objects.filter(device_id=device_id, store=store, ord=told.ord - 1).exclude(run=told.run).last()
    if held is None or told.prev_n > held.upto:
        return
    if told.prev_n < held.upto:
        detail = f"run {held.run}: events {told.prev_n + 1} to {held.upto} are held here, the device forgot them"
        raise_alert(device_id, Alert.Kind.STORAGE_WENT_BACK, f"{held.run}/{told.prev_n}", detail)
    elif told.prev_head and told.prev_head != held.head:
        detail = f"run {held.run}: ends at {held.head[:16]}… here, run {told.run} says {told.prev_head[:16]}…"
        raise_alert(device_id, Alert.Kind.STORAGE_WENT_BACK, f"{held.run}/{told.prev_n}/{told.run}", detail)


def _find_forgotten(device_id: UUID, hello: Hello) -> None:
    """Find runs held here that are newer than, or in the place of, the newest one that the device knows."""
    if hello.more or not hello.runs:
        return
    newest = max(hello.runs, key=lambda told: told.ord)
    forgotten = Run.objects.filter(device_id=device_id, store=hello.store, ord__gte=newest.ord)
    for run in forgotten.exclude(run__in=[told.run for told in hello.runs]):
        detail = f"run {run.run}: events 1 to {run.upto} are held here, the device no longer knows that run"
        raise_alert(device_id, Alert.Kind.STORAGE_WENT_BACK, f"{run.run}/0", detail)
