"""A device: hardware and card that last, and the product's own agent as a process on them that comes and goes."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agent.errors import StoreError
from agent.identity import Identity
from agent.supervise import StopError
from hardware.base import InputChange, ReaderEvent
from tests.simulation.card import Card
from tests.simulation.doorside import PLAIN, Doorside
from tests.simulation.forging import Forger
from tests.simulation.hardware import Kernel, Relay
from tests.simulation.members import MemberFile
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.truth import Truth

BOOT_S: Final = 20.0
RESTART_S: Final = 3.0


@dataclass
class Device:
    """One door."""

    name: str
    identity: Identity
    card: Card
    members: MemberFile
    kernel: Kernel
    truth: Truth
    network: Network
    loop: asyncio.AbstractEventLoop
    random: Random
    has_lock: bool = True
    has_rtc: bool = False
    process: "Process | None" = None
    ntp_s: float = 5.0
    wrong_ms: int = 0
    pulse_trip: float | None = None
    loses_power: bool = False
    is_gone: bool = False
    forger: Forger | None = None
    fork: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    starts: int = 0
    boots: int = 0
    entry: str = PLAIN
    relay: Relay = field(init=False)
    side: Doorside = field(init=False)

    def __post_init__(self) -> None:
        """Mount the relay, and the leaf or the arms."""
        self.relay = Relay(self.loop)
        walks = Random(f"walks {self.name} {self.random.getrandbits(32)}")
        self.side = Doorside(self.entry, self.loop, walks, lambda: self.kernel.read().mono_ms, self.sense)

    @property
    def device(self) -> str:
        """The device's id."""
        return self.identity.device

    def power_on(self) -> None:
        """Boot, with whatever wall clock there is, and start the agent."""
        self.boots += 1
        self.kernel.begin_boot(f"{self.name}-{self.boots}")
        self.kernel.off_ms = self.wrong_ms
        self.loop.call_later(self.ntp_s, self._ntp, self.kernel.boot)
        self.start()

    def _ntp(self, boot: str) -> None:
        if boot == self.kernel.boot:
            self.kernel.sync()

    def start(self) -> None:
        """Start the agent, unless it runs or the device was taken away."""
        if self.process is None and not self.is_gone:
            self.starts += 1
            self.truth.note("start", self.name, self.starts)
            self.truth.counts["starts while shut out"] += self.truth.shut_out.word(self.name).is_shut_out is True
            self.process = Process(self, f"{self.name}.{self.starts}")

    def crash(self) -> None:
        """Lose the process, or the power with it."""
        if self.process is None:
            return
        self.truth.note("crash", self.name, "power" if self.loses_power else "kill")
        self.truth.shut_out.died(self.name, self.truth.true_ms())
        process, self.process = self.process, None
        process.die()
        self.relay.is_on = False
        self.network.cut(self.name)
        if self.loses_power:
            self.card.power_cut()
            self.loop.call_later(BOOT_S, self._boot_again)
        else:
            self.loop.call_later(RESTART_S, self.start)

    def _boot_again(self) -> None:
        if self.process is None and not self.is_gone:
            self.power_on()

    def exited(self, why: BaseException) -> None:
        """The agent ended itself; the supervisor starts it again."""
        self.truth.note("exit", self.name, type(why).__name__, why)
        if not isinstance(why, StoreError | StopError):
            self.truth.broken(f"{self.name} failed: {why!r}")
        loses_power, self.loses_power = self.loses_power, False
        self.crash()
        self.loses_power = loses_power

    def take_away(self) -> None:
        """Unplug it for good."""
        self.is_gone = True
        self.crash()

    def sense(self, change: InputChange) -> None:
        """An input says something."""
        if self.process is not None and self.process.station is not None:
            self.process.station.sense(change)

    def present(self, event: ReaderEvent) -> None:
        """Somebody stands at the door."""
        if self.process is not None and self.process.station is not None:
            self.reads += 1
            self.process.station.present(event)
