"""One simulated world: three doors, central, and a scenario that is played to its end, healed and compared."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final
from unittest.mock import patch

from agent.identity import Identity
from agent.sync.connect import Endpoint
from central.sync.exchange import Terms
from central.sync.switchboard import What
from hardware.base import FaultReason, Medium, ReaderFault, Scan
from tests.fakes.issuing import PUBLIC
from tests.simulation import faults, verdict
from tests.simulation.card import Card
from tests.simulation.device import Device
from tests.simulation.doorside import CONTACT, PLAIN, TURNSTILE
from tests.simulation.hardware import Kernel
from tests.simulation.loop import VirtualLoop
from tests.simulation.members import MemberFile
from tests.simulation.reference import Site
from tests.simulation.scenario import DOORS, FAULT_KINDS, MEMBERS, SAFETY_MS, TOTAL_MS, Scenario, Step
from tests.simulation.site import Central
from tests.simulation.truth import Truth
from wire.codec import for_agent
from wire.credentials import credential_key
from wire.limits import Limits
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind

START_MS: Final = 1_800_000_000_000
CONVERGE_S: Final = 480.0
LOOK_EVERY_S: Final = 5.0
UNLOCK_TTL_MS: Final = 10_000
_decoder: Final = for_agent()  # making one takes milliseconds
_CHUNK_ROWS: Final = 5
_SCHEDULE_EVERY_S: Final = 5.0  # each look costs real time, and no door here has hours
_BEATS_S: Final = (15.0, 28.0, 28.0)
_LIMITS: Final = (Limits(), Limits(), Limits(batch_events=4, window=8), Limits(batch_events=3, window=3))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scenario."""

    scenario: Scenario
    hash: str
    violations: tuple[str, ...]
    trace: tuple[str, ...]
    counts: dict[str, int]
    simulated_s: float


class World:
    """Everything there is."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = VirtualLoop()  # type: ignore[abstract] # what asyncio's tasks need is there
        self.truth = Truth(lambda: self.loop.now_ms, lambda: START_MS + self.loop.now_ms, Site())
        self.random = Random(f"world/{scenario.seed}")
        self.epoch = 1
        self.version = 0
        ids = [f"0192f0c1-0000-7000-8000-00000000000{i + 1}" for i in range(DOORS)]
        self.central = Central(self.loop, self._drawn("central"), self.truth, set(ids))
        self.central.terms = Terms(
            limits=self.random.choice(_LIMITS), hb_s=self.random.choice(_BEATS_S), directory_key=PUBLIC.hex(),
            chunk_rows=_CHUNK_ROWS,
        )  # fmt: skip
        self.members = [_Member(i) for i in range(MEMBERS)]
        self.doors = [self._door(name, id_) for name, id_ in zip("ABC", ids, strict=True)]
        self.clones: list[Device] = []
        self.truth.walked = {door.name: partial(_walked, door) for door in self.doors}
        self.snapshots: dict[str, list[tuple[Any, MemberFile]]] = {door.name: [] for door in self.doors}
        self._reads = 0

    def _drawn(self, name: str) -> Random:
        return Random(f"{name}/{self.scenario.seed}")

    def _door(self, name: str, id_: str) -> Device:
        random = self._drawn(f"door {name}")
        identity = Identity(
            device=id_, central="http://127.0.0.1:1", audience="central", kid="k", private_key="", name=name,
            credential_key=f"{random.getrandbits(256):064x}", site="site", time_zone="UTC",
            directory_key="" if name == "A" else PUBLIC.hex(),  # A joined before there was a key
        )  # fmt: skip
        card = Card(id_, random, self.truth, keep_events=random.choice((10_000, 10_000, 40)))
        device = Device(
            name, identity, card, MemberFile(), Kernel(self.loop, self.truth), self.truth, self.central.network,
            self.loop, random, has_lock=random.random() < 0.8, has_rtc=random.random() < 0.3,
            entry=self._drawn(f"entry {name}").choice((PLAIN, CONTACT, TURNSTILE)),
        )  # fmt: skip
        device.ntp_s = random.choice((2.0, 30.0, 120.0))
        device.wrong_ms = random.choice((0, 0, -14 * 86_400_000, -START_MS))
        return device

    # Playing

    def play(self) -> Outcome:
        """Play the scenario; return what became of it."""
        with _in_virtual_time(self):
            self._begin()
            for step in self.scenario.steps:
                self.loop.run_until(step.at_ms / 1000)
                self._perform(step)
            self.loop.run_until(SAFETY_MS / 1000)
            faults.heal(self)
            self._converge()
            verdict.final(self)
            self._end()
        truth = self.truth
        return Outcome(
            self.scenario, truth.hash, tuple(truth.violations), tuple(truth.lines), dict(truth.counts),
            self.loop.time(),
        )  # fmt: skip

    def _begin(self) -> None:
        self.publish()
        self.central.start()
        for door in self.doors:
            door.power_on()

    def _end(self) -> None:
        self.central.crash(down_s=None)
        for device in self.devices():
            device.take_away()
        self.loop.run_until(self.loop.time())

    def _perform(self, step: Step) -> None:
        self.truth.note("step", *step)
        if step.kind in FAULT_KINDS:
            self.truth.counts[f"fault {step.kind}"] += 1
            faults.strike(self, step)
        else:
            _ORDINARY[step.kind](self, step)
        verdict.bounds(self)

    def _converge(self) -> None:
        deadline_s = self.loop.time() + CONVERGE_S
        while self.loop.time() < deadline_s:
            self.loop.run_until(self.loop.time() + LOOK_EVERY_S)
            self._end_fires()
            if not verdict.unsettled(self):
                break
        else:
            for what in verdict.unsettled(self):
                self.truth.broken(f"{CONVERGE_S:.0f} s after the last fault: {what}")
        self.truth.note("settled")
        self.loop.run_until(max(self.loop.time(), TOTAL_MS / 1000))
        verdict.still_opens(self)

    def _end_fires(self) -> None:
        """Staff come to every door that still waits for them."""
        for door in self.doors:
            station = None if door.process is None else door.process.station
            if station is not None and station.state.around.is_fire:
                self.order(door, "release", what="fire")

    # What people and staff do

    def devices(self) -> Iterator[Device]:
        """Yield every device, clones among them."""
        yield from self.doors
        yield from self.clones

    def after(self, ms: float, what: Callable[[], object]) -> None:
        """Do something later."""
        self.loop.call_later(ms / 1000, what)

    def publish(self) -> None:
        """Make the members as they are the newest directory of every device."""
        self.version += 1
        for door in self.doors:
            key = door.identity.credential_key_bytes
            rows = sorted((member.row(key) for member in self.members if member.is_listed), key=lambda row: row.key)
            self.truth.site.publish(door.device, f"e{self.epoch}", self.version, rows)
            self.central.tell(door.device, What.DIRECTORY)

    def tap(self, step: Step) -> None:
        """A member presents a card."""
        self._scan(step, self.members[step.a].uid)

    def unknown_card(self, step: Step) -> None:
        """A stranger presents a card."""
        self._scan(step, bytes((4, 0xEE, step.a, step.b)))

    def _scan(self, step: Step, uid: bytes) -> None:
        door = self.doors[step.who]
        at_ms = door.kernel.read().mono_ms
        self.truth.counts["reads"] += 1
        door.present(Scan(("in", "out")[step.b], Medium.CARD_UID, uid, at_ms))

    def torn_read(self, step: Step) -> None:
        """A card is pulled away."""
        door = self.doors[step.who]
        self.truth.counts["reads"] += 1
        door.present(ReaderFault("in", FaultReason.TORN_READ, door.kernel.read().mono_ms))

    def unlock(self, step: Step) -> None:
        """Staff let somebody in from the dashboard."""
        self.order(self.doors[step.who], "unlock")

    def mode(self, step: Step) -> None:
        """Staff lock a door down, hold it open or lock it, for a minute."""
        self.order(self.doors[step.who], step.kind, for_s="60")

    def order(self, door: Device, name: str, **args: str) -> None:
        """Staff ask something of a door."""
        device = door.device
        command = f"{self.random.getrandbits(128):032x}"
        self.truth.counts["commands"] += 1
        if any(clone.device == device and not clone.is_gone for clone in self.clones):
            self.truth.excused_commands.add(command)
        if self.central.is_up and self.central.ledger.issue(command, device, UNLOCK_TTL_MS, name, **args):
            self.central.tell(device, What.COMMAND)

    def directory(self, step: Step) -> None:
        """Staff change something about a member."""
        self.members[step.a].change(step.b, START_MS + self.loop.now_ms)
        self.publish()

    def backup(self, _step: Step) -> None:
        """Central is backed up, and some cards are copied by somebody."""
        self.central.back_up()
        for door in self.doors:
            kept = self.snapshots[door.name]
            kept.append((door.card.image.copy(), door.members.copy()))


def _walked(door: Device) -> int:
    return door.side.walked


_ORDINARY: Final[dict[str, Callable[[World, Step], None]]] = {
    "tap": World.tap,
    "unknown_card": World.unknown_card,
    "torn_read": World.torn_read,
    "unlock": World.unlock,
    "lockdown": World.mode,
    "hold": World.mode,
    "lock": World.mode,
    "directory": World.directory,
    "backup": World.backup,
}


@dataclass
class _Member:
    """Somebody with a card."""

    number: int
    is_listed: bool = True
    is_active: bool = True
    is_revoked: bool = False
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None

    @property
    def uid(self) -> bytes:
        return bytes((4, 0x10, 0x20, self.number))

    def row(self, key: bytes) -> DirectoryRow:
        return DirectoryRow(
            key=credential_key(key, CredentialKind.HF_UID, self.uid),
            kind=CredentialKind.HF_UID,
            member=f"0192f0c1-0000-7000-8000-0000000001{self.number:02x}",
            is_active=self.is_active,
            is_revoked=self.is_revoked,
            valid_from_ms=self.valid_from_ms,
            valid_to_ms=self.valid_to_ms,
        )

    def change(self, how: int, true_ms: int) -> None:
        match how:
            case 0:
                self.is_revoked = not self.is_revoked
            case 1:
                self.is_active = not self.is_active
            case 2:
                self.valid_from_ms, self.valid_to_ms = true_ms - 60_000, true_ms + 300_000
            case 3:
                self.valid_from_ms, self.valid_to_ms = true_ms + 120_000, None
            case 4:
                self.is_listed = not self.is_listed
            case _:
                self.is_listed = self.is_active = True
                self.is_revoked, self.valid_from_ms, self.valid_to_ms = False, None, None


@contextmanager
def _in_virtual_time(world: World) -> Iterator[None]:
    """Let the product's shells meet this world instead of sockets and clocks; quiet their logs."""

    async def dial(_endpoint: Endpoint, token: str, **_: Any) -> Any:
        card = token.partition('"aud":"')[2].partition('"')[0]
        return await world.central.network.dial(card, token)

    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with ExitStack() as stack:
            stack.enter_context(patch("agent.sync.runner.dial", dial))
            stack.enter_context(patch("agent.sync.runner.warm", lambda: None))
            stack.enter_context(patch("agent.station.SCHEDULE_EVERY_S", _SCHEDULE_EVERY_S))
            stack.enter_context(patch("agent.sync.conversation.for_agent", lambda: _decoder))
            for module in ("connection", "consumer", "performing"):
                stack.enter_context(patch(f"central.sync.{module}.now", world.central.now))
            yield
    finally:
        logging.disable(level)


def play(scenario: Scenario) -> Outcome:
    """Play a scenario in a world of its own."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return World(scenario).play()
    finally:
        if was_collecting:
            gc.enable()
