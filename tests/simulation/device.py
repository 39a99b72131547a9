"""A device: hardware and card that last, and the product's own agent as a process on them that comes and goes."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

import msgspec

from agent import app
from agent.acting import Acting
from agent.clock import Clock, KernelTime
from agent.commanding import Commanding, remembered_results
from agent.core import screen
from agent.core.effects import Grant, Opening
from agent.core.station import FRESH_MS, Door
from agent.errors import StoreError
from agent.identity import Identity
from agent.reading import ReaderPlace
from agent.station import Station
from agent.store.journal import Journal
from agent.supervise import StopError
from agent.sync import exchange as ex
from agent.sync.connect import Endpoint
from agent.sync.runner import Link
from hardware.base import Buzzer, Light, Pulse, PulseEnd, ReaderEvent, Signal, Strike, Tone
from hardware.errors import HardwareError
from tests.simulation.disk import Card, CardJournal
from tests.simulation.forging import Forger
from tests.simulation.members import MemberDirectory, MemberFile
from tests.simulation.network import Network
from tests.simulation.truth import Truth
from wire.token import TokenClaims
from wire.vocabulary import Direction

PULSE_MS: Final = 3_000
BOOT_S: Final = 20.0
RESTART_S: Final = 3.0
READERS: Final = {"in": ReaderPlace("in", Direction.IN), "out": ReaderPlace("out", Direction.OUT)}
GREEN: Final = frozenset({screen.State.GRANTED_IN, screen.State.GRANTED_OUT})


@dataclass
class Kernel:
    """The clocks of a Pi without a battery: monotonic since boot, wall time wrong until NTP has come."""

    loop: asyncio.AbstractEventLoop
    truth: Truth
    boot: str = ""
    booted_s: float = 0.0
    off_ms: int = 0
    err_ms: int = 20
    is_synced: bool = False

    def read(self) -> KernelTime:
        """Return both clocks and NTP's state."""
        mono_ms = int((self.loop.time() - self.booted_s) * 1000 + 1e-4)
        wall_ms = max(0, self.truth.site.true_at(self.boot, mono_ms) + self.off_ms)
        return KernelTime(mono_ms, wall_ms, self.is_synced, self.err_ms if self.is_synced else None)

    def begin_boot(self, boot: str) -> None:
        """The power came back."""
        self.boot, self.booted_s = boot, self.loop.time()
        self.truth.site.booted[boot] = self.truth.true_ms()
        self.is_synced = False

    def sync(self) -> None:
        """NTP has come: right to within its stated error."""
        self.off_ms, self.is_synced = self.err_ms // 2, True


class Relay:
    """The strike: on for as long as a pulse lasts, off when its process dies."""

    name = "strike"
    ceiling_s = 10.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stop: asyncio.Future[None] | None = None
        self.is_stuck = False
        self.is_on = False
        self.on_ms = 0

    async def pulse(self, duration_s: float) -> Pulse:
        """Let through."""
        if self.is_stuck or self.is_on:
            raise HardwareError("the line is held by something else")
        started = self._loop.time()
        self._stop = self._loop.create_future()
        self.is_on = True
        try:
            async with asyncio.timeout(duration_s):
                await self._stop
            ended = PulseEnd.SWITCHED_OFF
        except TimeoutError:
            ended = PulseEnd.ELAPSED
        finally:
            self.is_on = False
            self.on_ms = int((self._loop.time() - started) * 1000)
        return Pulse(int(started * 1000), self.on_ms, ended)

    def off(self) -> None:
        """Switch off now."""
        self.is_on = False
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)

    def close(self) -> None:
        """Switch off."""
        self.off()


class _Dark:
    """Light and buzzer that nobody looks at."""

    def show(self, signal: Signal) -> None: ...

    def play(self, tone: Tone) -> None: ...

    def close(self) -> None: ...


class _WatchedActing(Acting):
    """The door's outputs, with somebody who looks at each pulse before it begins."""

    def __init__(self, process: "Process", relay: Relay | None, **parts: Any) -> None:
        super().__init__(cast(Strike | None, relay), cast(Light, _Dark()), cast(Buzzer, _Dark()), **parts)
        self._process = process

    async def _pulsed(self, opening: Opening, for_ms: int, post: Any, begun: asyncio.Event) -> Any:
        self._process.about_to_open(opening)
        return await super()._pulsed(opening, for_ms, post, begun)


class _WatchedLink(Link):
    """The link, with tokens that are not signed and somebody who counts."""

    def __init__(self, process: "Process", **parts: Any) -> None:
        super().__init__(**parts)
        self._process = process

    def _token(self) -> str:
        return self._process.token(self._nonce)

    async def _pause(self, pause_s: float) -> None:
        self._process.device.truth.paused(self._process.name, pause_s)
        await super()._pause(pause_s)

    async def _attempt(self) -> Any:
        self._process.device.truth.tried(self._process.name)
        return await super()._attempt()

    def _feed(self, event: ex.Input) -> None:
        forger = self._process.device.forger
        if forger is None or not isinstance(event, ex.Received):
            super()._feed(event)
            return
        for message in forger.forge(event.message, self._state.flow):
            super()._feed(ex.Received(event.now_ms, message))

    def _send(self, effect: ex.Send | ex.SendEvents | ex.SendHeartbeat | ex.RenewLease) -> None:
        if isinstance(effect, ex.SendEvents):
            flow, truth = self._state.flow, self._process.device.truth
            truth.note("send", self._process.name, effect.run[:6], effect.first, len(effect.spliced))
            most = flow.limits.window
            # A declared loss is one message, however many events it counts.
            has_losses = any(lane.tombs for lane in flow.lanes)
            is_within = has_losses or flow.in_flight <= most
            truth.require(is_within, f"{self._process.name}: {flow.in_flight} on the way, allowed {most}")
        super()._send(effect)

    def _note(self, effect: ex.Welcomed | ex.ServerTime | ex.Parted | ex.Report) -> None:
        if isinstance(effect, ex.Report):
            truth = self._process.device.truth
            truth.note("report", self._process.name, effect.trouble, effect.detail)
            truth.reports[effect.trouble] += 1
        super()._note(effect)


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
    relay: Relay = field(init=False)

    def __post_init__(self) -> None:
        """Mount the relay."""
        self.relay = Relay(self.loop)

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
            self.process = Process(self, f"{self.name}.{self.starts}")

    def crash(self) -> None:
        """Lose the process, or the power with it."""
        if self.process is None:
            return
        self.truth.note("crash", self.name, "power" if self.loses_power else "kill")
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

    def present(self, event: ReaderEvent) -> None:
        """Somebody stands at the door."""
        if self.process is not None and self.process.station is not None:
            self.reads += 1
            self.process.station.present(event)


class Process:
    """The agent: its parts wired as the composition root wires them."""

    def __init__(self, device: Device, name: str) -> None:
        self.device = device
        self.name = name
        self.station: Station | None = None
        self.link: Link | None = None
        self.journal: CardJournal | None = None
        self._directory: MemberDirectory | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._tokens = 0
        self._clock: Clock | None = None
        self._is_dead = False
        self._opening: tuple[Opening, int] | None = None
        self.create_task(self._main(), name="main")

    # What stands in for asyncio.TaskGroup: the first part that fails ends them all

    def create_task(self, job: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """Run a job for as long as the process lives."""
        task: asyncio.Task[Any] = self.device.loop.create_task(job, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._ended)
        if self._is_dead:
            task.cancel()
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None and not self._is_dead:
            self.device.exited(fault)

    def die(self) -> None:
        """Stop at once, wherever each part stands."""
        self._is_dead = True
        for part in (self.journal, self._directory):
            if part is not None:
                part.is_dead = True
        for task in list(self._tasks):
            task.cancel()

    async def _main(self) -> None:
        device = self.device
        journal = self.journal = CardJournal(device.card, _Host(self))
        directory = self._directory = MemberDirectory(device.members, device.device, device.truth)
        clock = self._clock = Clock(device.kernel, boot=device.kernel.boot, has_rtc=device.has_rtc)
        relay = device.relay if device.has_lock else None
        acting = _WatchedActing(self, relay, clock=clock, tasks=cast(asyncio.TaskGroup, self))
        acting.listeners.append(self._shown)
        station = Station(
            Door(device.name, journal.run, PULSE_MS if device.has_lock else None),
            READERS,
            journal=journal,
            directory=directory,
            acting=acting,
            clock=clock,
            credential_key=device.identity.credential_key_bytes,
        )
        link = self.link = _WatchedLink(
            self,
            endpoint=Endpoint(device.identity.central),
            identity=device.identity,
            outbox=journal,
            directory=directory,
            commands=Commanding(station, journal),
            clock=clock,
            random=Random(device.random.getrandbits(64)),
            agent="simulated",
            remembered=remembered_results(tuple(journal.settled_promises())),
        )
        link.on_server_time.append(lambda told: clock.learn_server(told.asked_ms, told.answered_ms, told.server_ms))
        parts = cast(app.Agent, SimpleNamespace(journal=journal, clock=clock, station=station, link=link))
        await app._record_start(parts)
        self.station = station
        self.create_task(cast(Journal, journal).watch(), name="journal-watch")
        self.create_task(station.run(), name="station")
        self.create_task(link.run(cast(asyncio.TaskGroup, self)), name="link")
        self.create_task(app._anchor_time(parts), name="anchor")

    def token(self, nonce: str | None) -> str:
        """Return a token as the product mints them, unsigned."""
        assert self._clock is not None
        self._tokens += 1
        at_s = self._clock.now().wall_ms // 1000
        claims = TokenClaims(
            iss=self.device.device,
            sub=self.device.device,
            aud=self.device.name,
            iat=at_s,
            nbf=at_s,
            exp=at_s + 60,
            jti=f"{self.name}/{self._tokens}",
            run="",
            n=0,
            head="",
            nonce=nonce,
        )
        return msgspec.json.encode(claims).decode()

    # What people see

    def about_to_open(self, opening: Opening) -> None:
        """The line goes on in this very moment."""
        device, journal = self.device, self.journal
        if device.relay.is_stuck or journal is None:
            return
        device.truth.opened(device.name, device.device, journal.run, opening, self._is_safe(opening))
        if isinstance(opening, Grant):
            late_ms = device.kernel.read().mono_ms - opening.read.at_mono_ms
            device.truth.require(late_ms <= FRESH_MS, f"{device.name} opened {late_ms} ms after the card was shown")
        self._opening = (opening, int(device.loop.time() * 1000))
        if device.pulse_trip is not None:
            device.loop.call_later(device.pulse_trip, device.crash)
            device.pulse_trip = None

    def _is_safe(self, opening: Opening) -> bool:
        if isinstance(opening, Grant):
            return self.device.card.is_safe(opening.event.run, opening.event.n)
        return opening.promise in self.device.card.image.promises

    def _shown(self, picture: screen.Screen) -> None:
        truth, device = self.device.truth, self.device
        if picture.state in GREEN:
            since_ms = None if self._opening is None else int(device.loop.time() * 1000) - self._opening[1]
            is_true = device.relay.is_on or (since_ms is not None and since_ms < PULSE_MS)
            truth.require(is_true, f"{device.name} shows {picture.state} while the way is closed")
        if picture.state is screen.State.CHECKED_IN:
            truth.require(not device.has_lock, f"{device.name} has a lock and says checked in")
        if picture.state is screen.State.DENIED or picture.state in GREEN:
            assert self.journal is not None
            n = int(picture.support.rpartition("-")[2] or 0)
            truth.require(n == 0 or device.card.is_safe(self.journal.run, n), f"{device.name} showed {n} too early")


@dataclass
class _Host:
    """The process as its card sees it."""

    process: Process

    @property
    def name(self) -> str:
        return self.process.device.name

    def crash(self) -> None:
        self.process.device.crash()

    def spawn(self, job: Coroutine[Any, Any, None], name: str) -> object:
        return self.process.create_task(job, name=name)
