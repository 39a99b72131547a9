"""How each fault of a scenario strikes, and how the world heals."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.store.types import Promise
from hardware.base import FaultReason, InputRole, ReaderFault
from tests.simulation.card import Trip
from tests.simulation.device import Device
from tests.simulation.forging import Forger
from tests.simulation.hardware import Kernel
from tests.simulation.network import Weather
from tests.simulation.scenario import Step
from tests.simulation.site import CentralTrip
from wire.events import PassageBody

if TYPE_CHECKING:
    from tests.simulation.world import World

STATUSES: Final = (200, 301, 302, 307, 400, 401, 403, 404, 407, 408, 426, 429, 451, 500, 502, 503, 504, 511)
CLOSE_CODES: Final = (
    1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013, 1015, 3000,
    4400, 4401, 4403, 4408, 4409, 4413, 4426, 4429, 4503, 4999,
)  # fmt: skip
WRONG_CLOCKS_MS: Final = (-14 * 86_400_000, -365 * 86_400_000, 365 * 86_400_000, -1_800_000_000_000, 3_600_000)
SLOW_FLUSHES_S: Final = (0.4, 1.5, 5.0)
CLONE_BEHIND_S: Final = 2.0


def strike(world: "World", step: Step) -> None:
    """Let a fault happen."""
    _STRIKES[step.kind](world, world.doors[step.who], step)


def heal(world: "World") -> None:
    """Every fault stops; what it broke stays broken until the product mends it."""
    central = world.central
    world.truth.note("heal")
    for clone in world.clones:
        _lose_unsent(world, clone)
        clone.take_away()
    central.trip, central.is_database_down = None, False
    central.hear(deaf=False)
    central.start()
    central.let_work(*(door.device for door in world.doors))
    for door in world.doors:
        central.network.over(door.name).clear()
        door.card.trip, door.card.is_full, door.card.commit_s = None, False, 0.004
        door.relay.is_stuck, door.pulse_trip, door.loses_power = False, None, False
        door.forger = None
        door.side.become(InputRole.FIRE, is_active=False)
        door.side.become(InputRole.BUSY, is_active=False)
        door.kernel.sync()
        door.ntp_s = 1.0
        if door.process is None:
            door.power_on()
        door.present(ReaderFault("in", FaultReason.READER_BACK, 0))
        central.network.cut(door.name)


# The device


def _kill(_world: "World", door: Device, _step: Step) -> None:
    door.loses_power = False
    door.crash()


def _power_cut(_world: "World", door: Device, _step: Step) -> None:
    door.loses_power = True
    door.crash()


def _power_cut_wrong_clock(world: "World", door: Device, step: Step) -> None:
    door.wrong_ms = WRONG_CLOCKS_MS[step.b % len(WRONG_CLOCKS_MS)]
    door.ntp_s = step.a / 1000
    _power_cut(world, door, step)


def _tripping(trip: Trip) -> Callable[["World", Device, Step], None]:
    def arm(_world: "World", door: Device, step: Step) -> None:
        door.card.trip = trip
        door.loses_power = step.b % 2 == 0

    return arm


def _cut_in_pulse(_world: "World", door: Device, step: Step) -> None:
    door.pulse_trip = step.a / 1000
    door.loses_power = step.b % 2 == 0


def _disk_full(world: "World", door: Device, step: Step) -> None:
    door.card.is_full = True
    world.truth.shut_out.full(door.name, world.truth.true_ms() + step.a)
    world.after(step.a, lambda: setattr(door.card, "is_full", False))


def _slow_flush(world: "World", door: Device, step: Step) -> None:
    door.card.commit_s = SLOW_FLUSHES_S[step.b % len(SLOW_FLUSHES_S)]
    world.after(step.a, lambda: setattr(door.card, "commit_s", 0.004))


def _storage_reverts(world: "World", door: Device, step: Step) -> None:
    """The card acknowledged writes and shows an older state after the next power cut."""
    kept = world.snapshots[door.name]
    if not kept or door.process is None:
        return
    image, members = kept[-1 - step.b % len(kept)]
    _power_cut(world, door, step)
    now = door.card.image
    for run, line in now.lines.items():
        then = image.lines.get(run)
        for n in range(1 + (then.last if then is not None else 0), line.last + 1):
            world.truth.lost.add((door.device, run, n))
            fact = world.truth.facts.get((door.device, run, n))
            if fact is not None and isinstance(fact.draft.body, PassageBody):
                body = fact.draft.body
                world.truth.contested.add((door.device, body.of_run, body.of_n))
    _contest(world, door, image.promises.values())
    world.truth.shut_out.reverted(door.name, world.truth.true_ms())
    world.truth.unsure_modes.add(door.name)
    door.card.image = image.copy()
    door.members.issue, door.members.rows = members.issue, dict(members.rows)
    world.truth.excused_commands |= set(world.truth.commands)


def _contest(world: "World", door: Device, promises: Iterable[Promise]) -> None:
    for promise in promises:
        world.truth.contested.add((door.device, promise.run, promise.n))


def _storage_cloned(world: "World", door: Device, step: Step) -> None:
    """Somebody runs a copy of the card in another Pi for a while."""
    if any(not clone.is_gone for clone in world.clones):
        return
    number = len(world.clones)
    card = door.card.forked(world.random)
    clone = Device(
        f"{door.name}-clone{number}", door.identity, card, door.members.copy(), Kernel(world.loop, world.truth),
        world.truth, world.central.network, world.loop, world.random, has_lock=door.has_lock, entry=door.entry,
    )  # fmt: skip
    world.truth.shut_out.cloned(door.name, clone.name, world.truth.true_ms())
    clone.fork = {run: line.last for run, line in card.image.lines.items()}
    _contest(world, door, card.image.promises.values())
    world.truth.excused_commands |= set(world.truth.commands)
    world.clones.append(clone)
    world.truth.walked[clone.name] = lambda: clone.side.walked
    world.truth.unsure_modes.add(clone.name)
    world.after(CLONE_BEHIND_S * 1000, clone.power_on)
    world.after(step.a, lambda: _unplug(world, clone))


def _unplug(world: "World", clone: Device) -> None:
    if not clone.is_gone:
        _lose_unsent(world, clone)
        clone.take_away()


def _lose_unsent(world: "World", clone: Device) -> None:
    """What only the copy knew is gone with it."""
    for key, fact in world.truth.facts.items():
        if fact.card == clone.name:
            world.truth.lost.add(key)


def _rows_corrupt(world: "World", door: Device, step: Step) -> None:
    _power_cut(world, door, step)
    world.truth.whereabouts.doubted.add(door.name)
    if door.card.corrupt(1 + step.b % 5):
        world.truth.excused_commands |= set(world.truth.commands)


def _relay_stuck(world: "World", door: Device, step: Step) -> None:
    door.relay.is_stuck = True
    world.after(step.a, lambda: setattr(door.relay, "is_stuck", False))


def _reader_gone(world: "World", door: Device, step: Step) -> None:
    door.present(ReaderFault("in", FaultReason.READER_MISSING, 0))
    world.after(step.a, lambda: door.present(ReaderFault("in", FaultReason.READER_BACK, 0)))


def _clock_step(world: "World", door: Device, step: Step) -> None:
    """NTP is lost and the wall clock jumps; after a while NTP is back."""
    kernel = door.kernel
    kernel.is_synced = False
    kernel.off_ms += WRONG_CLOCKS_MS[step.b % len(WRONG_CLOCKS_MS)]
    world.after(step.a, kernel.sync)


# The way


def _link_cut(world: "World", door: Device, _step: Step) -> None:
    world.central.network.cut(door.name)


def _zombie_session(world: "World", door: Device, _step: Step) -> None:
    world.central.network.over(door.name).latency_s = 2.0
    world.after(1_500, lambda: world.central.network.cut(door.name, zombie=True))
    world.after(1_600, lambda: setattr(world.central.network.over(door.name), "latency_s", 0.02))


def _weather(**fixed: object) -> Callable[["World", Device, Step], None]:
    """Return a fault that changes the weather for a while."""

    def change(world: "World", door: Device, step: Step) -> None:
        weather = world.central.network.over(door.name)
        before = {name: getattr(weather, name) for name in fixed}
        for name, value in fixed.items():
            chosen = value[step.b % len(value)] if isinstance(value, tuple) else value
            setattr(weather, name, chosen)
        if "status" in fixed or "closes_with" in fixed or "is_down" in fixed:
            world.central.network.cut(door.name)
        usual = {name: False if value is True else value for name, value in before.items()}
        usual |= {"status": None} if "status" in fixed else {}
        usual |= {"closes_with": None} if "closes_with" in fixed else {}
        usual |= {"latency_s": 0.02} if "latency_s" in fixed else {}
        world.after(step.a, partial(_set, weather, usual))

    return change


def _set(weather: Weather, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(weather, name, value)


def _half_open(world: "World", door: Device, step: Step) -> None:
    name = ("silent_up", "silent_down")[step.b % 2]
    _weather(**{name: True})(world, door, step)


def _forged(world: "World", door: Device, step: Step) -> None:
    door.forger = Forger(world.random, world.truth, door.device)
    world.after(step.a, lambda: setattr(door, "forger", None))


# Central


def _central_killed(world: "World", _door: Device, step: Step) -> None:
    world.central.crash(down_s=step.a / 1000)


def _central_tripping(trip: CentralTrip) -> Callable[["World", Device, Step], None]:
    def arm(world: "World", _door: Device, _step: Step) -> None:
        world.central.trip = trip

    return arm


def _central_restored(world: "World", _door: Device, step: Step) -> None:
    world.central.restore(1 + step.b % 3)
    world.epoch += 1
    world.publish()


def _database_down(world: "World", _door: Device, step: Step) -> None:
    world.central.is_database_down = True
    world.after(step.a, lambda: setattr(world.central, "is_database_down", False))


def _notices_lost(world: "World", _door: Device, step: Step) -> None:
    world.central.hear(deaf=True)
    world.after(step.a, lambda: world.central.hear(deaf=False))


def _revoked(world: "World", door: Device, step: Step) -> None:
    """The operator shuts a device out, and after a while lets it work again."""
    world.central.revoke(door.device)
    world.after(step.a, lambda: world.central.let_work(door.device))


def _fire(world: "World", door: Device, step: Step) -> None:
    door.side.become(InputRole.FIRE, is_active=True)
    world.after(step.a, lambda: door.side.become(InputRole.FIRE, is_active=False))
    world.after(step.a + 5_000, lambda: world.order(door, "release", what="fire"))


def _door_forced(_world: "World", door: Device, _step: Step) -> None:
    door.side.walk(out=False)


def _arms_stuck(world: "World", door: Device, step: Step) -> None:
    door.side.become(InputRole.BUSY, is_active=True)
    world.after(step.a, lambda: door.side.become(InputRole.BUSY, is_active=False))


_STRIKES: Final[dict[str, Callable[["World", Device, Step], None]]] = {
    "kill": _kill,
    "power_cut": _power_cut,
    "power_cut_wrong_clock": _power_cut_wrong_clock,
    "cut_before_commit": _tripping(Trip.BEFORE),
    "cut_in_commit": _tripping(Trip.TORN),
    "cut_after_commit": _tripping(Trip.AFTER),
    "cut_in_pulse": _cut_in_pulse,
    "flush_error": _tripping(Trip.EIO),
    "disk_full": _disk_full,
    "slow_flush": _slow_flush,
    "storage_reverts": _storage_reverts,
    "storage_cloned": _storage_cloned,
    "rows_corrupt": _rows_corrupt,
    "link_cut": _link_cut,
    "zombie_session": _zombie_session,
    "half_open": _half_open,
    "black_hole": _weather(is_silent=True, silent_up=True, silent_down=True),
    "refused": _weather(is_down=True),
    "http_status": _weather(status=STATUSES),
    "accept_then_close": _weather(closes_with=CLOSE_CODES),
    "slow_link": _weather(latency_s=(0.3, 1.0, 4.0, 12.0)),
    "forged": _forged,
    "clock_step": _clock_step,
    "central_killed": _central_killed,
    "central_cut_before_commit": _central_tripping(CentralTrip.BEFORE),
    "central_cut_after_commit": _central_tripping(CentralTrip.AFTER),
    "central_restored": _central_restored,
    "database_down": _database_down,
    "notices_lost": _notices_lost,
    "relay_stuck": _relay_stuck,
    "reader_gone": _reader_gone,
    "fire": _fire,
    "door_forced": _door_forced,
    "arms_stuck": _arms_stuck,
    "revoked": _revoked,
}
