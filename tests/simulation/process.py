"""The product's own agent as a process on a simulated device, with somebody who watches what it does."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from agent import app, upkeep
from agent.acting import Acting, Lock, lock_of
from agent.clock import Clock
from agent.commanding import Commanding, remembered_results
from agent.core import screen
from agent.core.effects import Grant, Opening
from agent.core.station import FRESH_MS
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace
from agent.revocation import Revocation
from agent.station import Station
from agent.store.journal import Journal
from agent.sync import exchange as ex
from agent.sync.connect import Endpoint
from agent.sync.runner import Link
from agent.whereabouts import EVENTS_READ, Whereabouts
from hardware.base import Buzzer, Light, Strike, Turnstile
from tests.simulation.disk import CardJournal
from tests.simulation.doorside import PLAIN, TURNSTILE, ArmRelays, door_of
from tests.simulation.hardware import Dark
from tests.simulation.members import MemberDirectory
from wire.token import TokenClaims
from wire.vocabulary import Direction

if TYPE_CHECKING:
    from tests.simulation.device import Device

PULSE_MS: Final = 3_000
RELEASE_MS: Final = 500
TOLD_S: Final = 90.0
"""Within this time an agent has heard of a fire, however slow its disk is with what it heard before."""
READERS: Final = {"in": ReaderPlace("in", Direction.IN), "out": ReaderPlace("out", Direction.OUT)}
GREEN: Final = frozenset({screen.State.GRANTED_IN, screen.State.GRANTED_OUT})


class _WatchedActing(Acting):
    """The door's outputs, with somebody who looks at each pulse before it begins."""

    def __init__(self, process: "Process", lock: Lock | None, **parts: Any) -> None:
        super().__init__(lock, cast(Light, Dark()), cast(Buzzer, Dark()), **parts)
        self._process = process

    async def _pulsed(self, opening: Opening, *rest: Any) -> Any:
        self._process.about_to_open(opening)
        return await super()._pulsed(opening, *rest)

    async def _holding(self, begun: asyncio.Event) -> str:
        device = self._process.device
        device.truth.held(device.name)
        return await super()._holding(begun)


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


class Process:
    """The agent: its parts wired as the composition root wires them."""

    def __init__(self, device: "Device", name: str) -> None:
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
        self._began_s = device.loop.time()
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
        directory = self._directory = MemberDirectory(
            device.members, device.device, device.truth, lambda: device.card.is_full
        )
        clock = self._clock = Clock(device.kernel, boot=device.kernel.boot, has_rtc=device.has_rtc)
        acting = _WatchedActing(self, _lock(device), clock=clock, tasks=cast(asyncio.TaskGroup, self))
        acting.listeners.append(self._shown)
        sent = {line.run: line.acked for line in journal.held()}
        whereabouts = Whereabouts(clock, lambda: None, sent)
        whereabouts.remember(device.card.newest(EVENTS_READ))
        journal.on_durable.append(lambda event, draft: whereabouts.note(event, draft.at, draft.body))
        revocation = Revocation(directory, journal)
        station = Station(
            door_of(device.entry if device.has_lock else PLAIN, device.name, journal.run, _pulse_ms(device)),
            READERS,
            journal=journal,
            presenter=Presenter(
                directory,
                journal,
                clock,
                OneKey(device.identity.credential_key_bytes),
                is_revoked=lambda: revocation.is_revoked,
                presence=whereabouts,
            ),
            acting=acting,
            clock=clock,
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
            presence=whereabouts,
        )
        link.on_server_time.append(lambda told: clock.learn_server(told.asked_ms, told.answered_ms, told.server_ms))
        link.on_revoked.append(lambda is_revoked: revocation.told(is_revoked=is_revoked))
        parts = cast(
            app.Agent, SimpleNamespace(journal=journal, directory=directory, clock=clock, station=station, link=link)
        )
        await app._record_start(parts)
        self.station = station
        self.create_task(cast(Journal, journal).watch(), name="journal-watch")
        self.create_task(station.run(), name="station")
        device.side.report()
        self.create_task(station.keep_schedule(), name="schedule")
        self.create_task(revocation.keep(), name="revocation")
        self.create_task(link.run(cast(asyncio.TaskGroup, self)), name="link")
        self.create_task(upkeep.anchor_time(cast(Link, link), cast(Journal, journal), clock), name="anchor")

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
        device.truth.require(not self._knows_fire(), f"{device.name} opened in a fire")
        if isinstance(opening, Grant):
            late_ms = device.kernel.read().mono_ms - opening.read.at_mono_ms
            device.truth.require(late_ms <= FRESH_MS, f"{device.name} opened {late_ms} ms after the card was shown")
        self._opening = (opening, int(device.loop.time() * 1000))
        if device.pulse_trip is not None:
            device.loop.call_later(device.pulse_trip, device.crash)
            device.pulse_trip = None

    def _knows_fire(self) -> bool:
        since_s, now_s = self.device.side.fire_since_s, self.device.loop.time()
        return since_s is not None and now_s - max(since_s, self._began_s) > TOLD_S

    def _is_safe(self, opening: Opening) -> bool:
        if isinstance(opening, Grant):
            return self.device.card.is_safe(opening.event.run, opening.event.n)
        return opening.promise in self.device.card.image.promises

    def _shown(self, picture: screen.Screen) -> None:
        truth, device = self.device.truth, self.device
        if self._knows_fire():
            truth.require(picture.state is screen.State.FIRE, f"{device.name} shows {picture.state} in a fire")
        if picture.state in GREEN:
            device.side.invite(out=picture.state is screen.State.GRANTED_OUT)
            since_ms = None if self._opening is None else int(device.loop.time() * 1000) - self._opening[1]
            is_true = device.relay.is_on or (since_ms is not None and since_ms < PULSE_MS)
            truth.require(is_true, f"{device.name} shows {picture.state} while the way is closed")
        if picture.state is screen.State.CHECKED_IN:
            truth.require(not device.has_lock, f"{device.name} has a lock and says checked in")
        if picture.state is screen.State.DENIED or picture.state in GREEN:
            assert self.journal is not None
            n = int(picture.support.rpartition("-")[2] or 0)
            truth.require(n == 0 or device.card.is_safe(self.journal.run, n), f"{device.name} showed {n} too early")


def _lock(device: "Device") -> Lock | None:
    if not device.has_lock:
        return None
    if device.entry == TURNSTILE:
        return lock_of(None, cast(Turnstile, ArmRelays(device.relay)))
    return lock_of(cast(Strike, device.relay), None)


def _pulse_ms(device: "Device") -> int | None:
    if not device.has_lock:
        return None
    return RELEASE_MS if device.entry == TURNSTILE else PULSE_MS


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
