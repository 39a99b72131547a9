"""What is compared while a world lives, and once it has healed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from agent.sync.errands import MAX_WAITING
from central.checkins.clock import best, corrected_ms
from tests.simulation.device import Device
from tests.simulation.process import PULSE_MS
from tests.simulation.scenario import Step
from tests.simulation.tables import OPEN
from tests.simulation.truth import OBEYED_MS, Key, _is_grant
from wire.vocabulary import ClockQuality

if TYPE_CHECKING:
    from tests.simulation.world import World

MAX_QUEUED: Final = 128
MAX_LINES: Final = 64
ANCHOR_SLACK_MS: Final = 10


def bounds(world: "World") -> None:
    """Nothing grows without bound, and no line is on without a process."""
    for device in world.devices():
        process = device.process
        _shut_out(world, device)
        if process is None:
            world.truth.require(not device.relay.is_on, f"{device.name}: the line is on and nobody holds it")
            continue
        world.truth.require(device.relay.on_ms <= PULSE_MS + 100, f"{device.name}: a pulse of {device.relay.on_ms} ms")
        if process.station is not None:
            waiting = process.station._queue.qsize()
            world.truth.require(waiting <= MAX_QUEUED, f"{device.name}: {waiting} things wait at the station")
        if process.link is not None:
            errands = len(process.link._errands._waiting)
            world.truth.require(errands <= 2 * MAX_WAITING, f"{device.name}: {errands} errands wait")


def _shut_out(world: "World", device: Device) -> None:
    """A door whose device is shut out does not stand open."""
    truth = world.truth
    is_told = truth.shut_out.holds(device.name, truth.true_ms(), for_ms=OBEYED_MS)
    truth.require(not (is_told and device.relay.is_held), f"{device.name} stands open though central has shut it out")


def unsettled(world: "World") -> list[str]:
    """Return what is not as it should be once faults have stopped."""
    return [what for door in world.doors for what in _unsettled_door(world, door)] + [
        f"command {order.id} is {order.state}"
        for order in world.central.ledger.tables.orders.values()
        if order.state in OPEN
    ]


def _unsettled_door(world: "World", door: Device) -> Iterator[str]:
    process = door.process
    if process is None or process.link is None or process.journal is None:
        yield f"{door.name} does not run"
        return
    if not process.link.status.is_up:
        yield f"{door.name} is not connected: {process.link.status.words}"
    for run in process.journal.runs():
        held = world.central.ledger.tables.runs.get((door.device, run.run))
        if run.acked < run.last and (held is None or held.upto < run.last):
            yield f"{door.name}: events {run.acked + 1} to {run.last} of run {run.run} wait"
        if run.acked < run.last and held is not None and held.upto == run.last:
            yield f"{door.name}: central has run {run.run} to {run.last}, acknowledged is {run.acked}"
    if door.members.ref != world.truth.site.refs[door.device]:
        yield f"{door.name} decides from {door.members.ref}, the newest is {world.truth.site.refs[door.device]}"


def still_opens(world: "World") -> None:
    """Somebody with the right to pass comes to each door."""
    member = world.members[0]
    member.change(5, 0)
    world.publish()
    world.loop.run_until(world.loop.time() + 20)
    for door in world.doors:
        before = _grants(world, door)
        world.tap(_tap_of(world, door))
        world.loop.run_until(world.loop.time() + 1)
        world.truth.require(_grants(world, door) == before + 1, f"{door.name} no longer lets members in")
    world.loop.run_until(world.loop.time() + 10)


def _tap_of(world: "World", door: Device) -> Step:
    return Step(world.loop.now_ms, "tap", world.doors.index(door), 0, 0)


def _grants(world: "World", door: Device) -> int:
    return sum(1 for fact in world.truth.facts.values() if fact.card == door.name and _is_grant(fact.draft))


def final(world: "World") -> None:
    """Compare both sides."""
    for what in unsettled(world):
        world.truth.broken(f"at the end: {what}")
    _same_events(world)
    _ended_grants(world)
    _times(world)
    ledger = world.central.ledger
    as_they_came, of_the_set = ledger.visits_as_they_came(), ledger.visits_of_the_set()
    for member in sorted(as_they_came.keys() | of_the_set.keys()):
        same = as_they_came.get(member, []) == of_the_set.get(member, [])
        world.truth.require(same, f"visits of {member} depend on the order of arrival")
        world.truth.counts["visits"] += len(of_the_set.get(member, []))


def _same_events(world: "World") -> None:
    truth, tables = world.truth, world.central.ledger.tables
    for (device, run, n), fact in truth.facts.items():
        held = tables.runs.get((device, run))
        ours = held.digests[n - 1] if held is not None and n <= held.upto else None
        if ours is None:
            is_known_loss = (device, run, n) in truth.lost or _is_declared(world, device, run, n)
            truth.require(is_known_loss, f"event {n} of run {run} ({fact.draft.kind}) never arrived")
        else:
            truth.require(ours == fact.digest, f"event {n} of run {run} arrived with another digest")
    for (device, run), held in tables.runs.items():
        for n in range(1, held.upto + 1):
            truth.require((device, run, n) in truth.facts, f"central has event {n} of run {run}, which never was")


def _is_declared(world: "World", device: str, run: str, n: int) -> bool:
    """True where central was told that the event is gone, or named it: it went by retention before a restore."""
    tables = world.central.ledger.tables
    held = tables.runs.get((device, run))
    if world.truth.counts["fault central_restored"] == 0:
        return False
    if held is not None and n <= held.upto:
        return True
    ord_ = world.truth.ords[device, run]
    return any(of == device and gap.first <= ord_ <= gap.last for of, gap in tables.gaps)


def _ended_grants(world: "World") -> None:
    truth = world.truth
    standing: set[Key] = {
        (door.device, promise.run, promise.n) for door in world.doors for promise in door.card.image.promises.values()
    }
    for key, fact in truth.facts.items():
        is_open = key in truth.lost or key in standing or key in truth.contested
        if _is_grant(fact.draft) and not is_open:
            truth.require(truth.ends[key] == 1, f"the grant {key} has {truth.ends[key]} ends")


def _times(world: "World") -> None:
    """A corrected time lies within the error that its anchor states."""
    truth, tables = world.truth, world.central.ledger.tables
    for key, (event, _) in tables.events.items():
        anchor = best(tables.anchors.get((key.device, event.boot), ()))
        if anchor is None or event.q is ClockQuality.SYNCED:
            continue
        corrected = corrected_ms(event.q, event.mono_ms, event.wall_ms, anchor)
        off_ms = abs(corrected - truth.site.true_at(event.boot, event.mono_ms))
        truth.require(
            off_ms <= anchor.err_ms + ANCHOR_SLACK_MS, f"{key} is {off_ms} ms off, its anchor says {anchor.err_ms}"
        )
