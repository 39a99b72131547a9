"""The link at work: journal, directory and commands on one side, central on the other, the session between.

Everything that the session wants from the store goes through one worker, in order. Frames from central are read only
while that worker and the sender keep up, so a flood is held back by TCP and nothing here grows without bound.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import msgspec

from agent.errors import StoreError
from agent.identity import Identity
from agent.site_clock import ZONE_KEY
from agent.sync import exchange as ex
from agent.sync.backoff import ReconnectWait
from agent.sync.bounds import bounded_reconnect
from agent.sync.connect import Endpoint, LinkError, LinkGate, dial, reconnecting
from agent.sync.conversation import Conversation
from agent.sync.errands import DIRECTORY_KEY, RECONNECT_KEY, Errand, Errands, tomb_of, waiting_runs
from agent.sync.parting import Fate, Parting, of_close
from agent.sync.ports import ClockPort, CommandPort, DirectoryPort, OutboxPort, PresencePort, Vitals
from agent.sync.session import remembering, step
from agent.sync.signature import read_key
from agent.sync.status import LinkStats, LinkStatus
from agent.sync.tokens import mint, warm
from agent.sync.vitals import backlog_of, heartbeat_of
from wire.codec import encode
from wire.limits import Reconnect
from wire.message import Message
from wire.messages import Anchor, AuthRefresh, ClockReading, Command, CommandResult
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CommandState

log = logging.getLogger(__name__)


class Link:
    """Keeps the device connected, for as long as `run` runs.

    `on_status`, `on_directory`, `on_server_time` and `on_revoked` are lists of callbacks, called on the loop; the
    third gets a `ServerTime`, the last whether central has revoked the device: at a refusal, and at each welcome.
    `remembered` are results of commands that central has not confirmed, `forms` what the readers yield.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        identity: Identity,
        *,
        outbox: OutboxPort,
        directory: DirectoryPort,
        commands: CommandPort,
        clock: ClockPort,
        random: Random,
        agent: str,
        vitals: Callable[[], Vitals] = Vitals,
        gate: LinkGate | None = None,
        presence: PresencePort | None = None,
        remembered: Sequence[CommandResult] = (),
        forms: tuple[str, ...] = (),
        is_desk: bool = False,
        keys: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._outbox = outbox
        self._directory = directory
        self._commands = commands
        self._clock = clock
        self._agent = agent
        self._vitals = vitals
        self._presence = presence
        self._forms = forms
        self._is_desk = is_desk
        self._keys = keys
        self.gate = gate or LinkGate()
        self._state = remembering(tuple(remembered))
        self._wait = ReconnectWait(random, self._kept_reconnect())
        self._errands = Errands(
            outbox=outbox, directory=directory, commands=commands, now_ms=self._now_ms, answer=self._answered
        )
        self._number = 0
        self._conversation: Conversation | None = None
        self._deferred: ex.Load | None = None
        self._parted: ex.Parted | None = None
        self._welcomed_ms: int | None = None
        self._nonce: str | None = None
        self._reason = "start"
        self._nudged = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self.status = LinkStatus(is_up=False, since_ms=self._now_ms(), words="not connected yet")
        self.stats = LinkStats()
        self.on_revoked: list[Callable[[bool], None]] = []
        self.on_status: list[Callable[[LinkStatus], None]] = []
        self.on_directory: list[Callable[[DirectoryRef], None]] = []
        self.on_server_time: list[Callable[[ex.ServerTime], None]] = []

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Connect and stay connected until cancelled; commands run as tasks of `tasks` and outlive a connection."""
        self._tasks = tasks
        self._outbox.on_grown.append(self._grown)
        await asyncio.to_thread(warm)
        worker = tasks.create_task(self._errands.run(), name="link-errands")
        try:
            await reconnecting(self._attempt, self._wait, sleep=self._pause)
        finally:
            worker.cancel()
            self._outbox.on_grown.remove(self._grown)

    def remember(self, results: Sequence[CommandResult]) -> None:
        """Name the results of commands that central has not confirmed; before `run`."""
        self._state = remembering(tuple(results))

    def anchor(self, anchor: Anchor) -> None:
        """Tell central what the wall clock truly was; now, and again on every connection."""
        self._feed(ex.AnchorKnown(self._now_ms(), anchor))

    def directory_lost(self, why: str) -> None:
        """Ask for a whole directory: the one that stood is damaged and set aside."""
        self._feed(ex.DirectoryLost(self._now_ms(), why))

    def nudge(self) -> None:
        """Cut the pause before the next attempt short."""
        self._nudged.set()

    # Attempts

    async def _attempt(self) -> Parting:
        self.stats.attempts += 1
        try:
            token = self._token()
            connection = await dial(
                self._endpoint, token, trusts_clock=self._clock.now().q is not ClockQuality.NONE, gate=self.gate
            )
        except LinkError as fault:
            parting = fault.parting
            if parting.nonce is not None or parting.fate is Fate.TOKEN:
                self._nonce = parting.nonce  # an attempt that did not get as far spends none
            self._went_down(parting)
            return parting
        self.gate.opened(connection)
        self._number += 1
        number = self._number
        conversation = Conversation(
            connection,
            feed=self._feed,
            now_ms=self._now_ms,
            room=self._errands.room,
            drained=self._drained,
        )
        self._conversation, self._parted, self._welcomed_ms, self._deferred = conversation, None, None, None
        try:
            self._feed(ex.Opened(self._now_ms(), self._greeting()))
            await conversation.run()
        finally:
            self.gate.closed(connection)
            self._conversation = None
            if self._presence is not None:
                self._presence.cut()
            assert number == self._number
            self._number += 1
            self._feed(ex.Disconnected(self._now_ms(), conversation.code))
        parting = self._parting(conversation.code)
        self._went_down(parting)
        return parting

    def _token(self) -> str:
        current = max(self._outbox.runs(), key=lambda facts: facts.ord)
        return mint(
            self._identity,
            wall_ms=self._clock.now().wall_ms,
            run=current.run,
            n=current.acked,
            head=current.head.hex(),
            nonce=self._nonce,
        )

    def _greeting(self) -> ex.Greeting:
        now, issue = self._clock.now(), self._directory.issue
        return ex.Greeting(
            device=self._identity.device,
            store=self._outbox.store,
            boot=self._clock.boot,
            agent=self._agent,
            runs=waiting_runs(self._outbox),
            losses=tuple(tomb_of(loss) for loss in self._outbox.losses()),
            clock=ClockReading(now.mono_ms, now.wall_ms, now.q),
            backlog=backlog_of(self._outbox.backlog(), now, self._clock.boot),
            directory=self._directory.ref,
            reason=self._reason,
            issued_ms=0 if issue is None else issue.issued_ms,
            directory_key=central_key(self._identity, self._directory),
            forms=self._forms,
            is_desk=self._is_desk,
            keys=self._keys(),
        )

    def _parting(self, code: int | None) -> Parting:
        lasted_s = 0.0 if self._welcomed_ms is None else (self._now_ms() - self._welcomed_ms) / 1000
        told = self._parted
        if told is None:
            return of_close(code, lasted_s=lasted_s)
        return of_close(
            code or told.code, retry_after_ms=told.retry_after_ms, spread_ms=told.spread_ms, lasted_s=lasted_s
        )

    async def _pause(self, pause_s: float) -> None:
        log.debug("next attempt in %.1f s", pause_s)
        self._nudged.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._nudged.wait()
        except TimeoutError:
            return

    def _kept_reconnect(self) -> Reconnect:
        kept = self._directory.get(RECONNECT_KEY)
        try:
            return Reconnect() if kept is None else bounded_reconnect(msgspec.json.decode(kept, type=Reconnect))
        except msgspec.DecodeError:
            return Reconnect()

    # The session and its effects

    def _feed(self, event: ex.Input) -> None:
        self._state, effects = step(self._state, event)
        for effect in effects:
            self._perform(effect)

    def _answered(self, number: int, event: ex.Input) -> None:
        if isinstance(event, ex.DirectoryStaged):
            for callback in self.on_directory:
                callback(event.ref)
        if number == self._number:
            self._feed(event)

    def _grown(self, run: str, last: int) -> None:
        self._feed(ex.Grown(self._now_ms(), run, last))

    def _drained(self) -> None:
        if self._deferred is not None:
            self._errands.put(self._number, self._deferred)
            self._deferred = None

    def _perform(self, effect: ex.Effect) -> None:
        match effect:
            case ex.Send() | ex.SendEvents() | ex.SendHeartbeat() | ex.RenewLease():
                self._send(effect)
            case ex.RunCommand():
                self._begin(effect)
            case ex.Load() if self._conversation is not None and self._conversation.is_full:
                self._deferred = effect
            case ex.Welcomed() | ex.ServerTime() | ex.Parted() | ex.Report():
                self._note(effect)
            case ex.TakePresence() | ex.PresenceTold():
                self._tell_presence(effect)
            case ex.Close() | ex.WakeAt():
                self._steer(effect)
            case _:
                self._run_errand(effect)

    def _run_errand(self, errand: Errand) -> None:
        if isinstance(errand, ex.KeepReconnect):
            if errand.values == self._wait.values:
                return
            self._wait.values = errand.values
        if isinstance(errand, ex.KeepZone) and errand.name == self._directory.get(ZONE_KEY):
            return
        self._errands.put(self._number, errand)

    def _tell_presence(self, effect: ex.TakePresence | ex.PresenceTold) -> None:
        if isinstance(effect, ex.TakePresence):
            if effect.message.steps:
                self._errands.put(self._number, effect)
            if self._presence is not None:
                self._presence.take(effect.message)
        elif self._presence is not None:
            self._presence.told(effect.asked_ms, is_current=effect.is_current)

    def _steer(self, effect: ex.Close | ex.WakeAt) -> None:
        if self._conversation is None:
            return
        if isinstance(effect, ex.WakeAt):
            self._conversation.wake_at(effect.at_ms)
        else:
            self._reason = effect.why
            self._conversation.close(effect.code, effect.why)

    def _send(self, effect: ex.Send | ex.SendEvents | ex.SendHeartbeat | ex.RenewLease) -> None:
        if self._conversation is None:
            return
        match effect:
            case ex.SendEvents():
                self.stats.events_sent += len(effect.spliced)
                self._conversation.send(effect)
            case ex.Send(message):
                self._conversation.send(encode(message))
            case ex.SendHeartbeat(mono_ms):
                self._conversation.send(encode(self._heartbeat(mono_ms)))
            case ex.RenewLease():
                self._conversation.send(encode(AuthRefresh(token=self._token())))

    def _heartbeat(self, mono_ms: int) -> Message:
        now = self._clock.now()
        return heartbeat_of(
            self._vitals(),
            mono_ms=mono_ms,
            now=now,
            backlog=backlog_of(self._outbox.backlog(), now, self._clock.boot),
            dir_ver=0 if self._directory.ref is None else self._directory.ref.ver,
            pres_ver=self._state.mirror.ver,
            reconnects=max(0, self.stats.welcomes - 1),
            rtt_ms=self.stats.rtt_ms,
        )

    def _note(self, effect: ex.Welcomed | ex.ServerTime | ex.Parted | ex.Report) -> None:
        match effect:
            case ex.Welcomed(session):
                self._came_up(session)
            case ex.ServerTime():
                self.stats.rtt_ms = effect.answered_ms - effect.asked_ms
                for callback in self.on_server_time:
                    callback(effect)
            case ex.Parted():
                self._parted = effect
            case ex.Report(trouble, detail):
                self.stats.reports += 1
                log.warning("link: %s: %s", trouble, detail)

    # Commands

    def _begin(self, effect: ex.RunCommand) -> None:
        assert self._tasks is not None
        command = effect.command
        self._tasks.create_task(self._carry_out(command, effect.begin_before_ms), name=f"command-{command.name}")

    async def _carry_out(self, command: Command, begin_before_ms: int) -> None:
        try:
            result = await self._commands.execute(command, begin_before_ms)
        except StoreError as fault:
            log.warning("command %s %s was not run: %s", command.name, command.id, fault)
            result = CommandResult(id=command.id, state=CommandState.FAILED, code="store", out=str(fault)[:200])
        self._feed(ex.CommandFinished(self._now_ms(), result))

    # What people see

    def _came_up(self, session: int) -> None:
        self._welcomed_ms = self._now_ms()
        self._nonce = None
        self._reason = "reconnect"
        self.stats.welcomes += 1
        down_s = (self._welcomed_ms - self.status.since_ms) / 1000
        log.info("connected to %s (session %d) after %.1f s", self._endpoint.central, session, down_s)
        for callback in self.on_revoked:
            callback(False)
        self._show(LinkStatus(is_up=True, since_ms=self._welcomed_ms, session=session))

    def _went_down(self, parting: Parting) -> None:
        if parting.is_revoked:
            for callback in self.on_revoked:
                callback(True)
        was_up = self.status.is_up
        is_news = was_up or self.status.words != parting.words
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "not connected to %s: %s", self._endpoint.central, parting.words)
        if was_up:
            self._show(LinkStatus(is_up=False, since_ms=self._now_ms(), words=parting.words))
        elif is_news:
            self._show(replace(self.status, words=parting.words))

    def _show(self, status: LinkStatus) -> None:
        self.status = status
        for callback in self.on_status:
            callback(status)

    def _now_ms(self) -> int:
        return self._clock.now().mono_ms


def central_key(identity: Identity, directory: DirectoryPort) -> bytes | None:
    """Return the key by which the device knows what central signed: pinned at enrolment, else at its first welcome."""
    return read_key(identity.directory_key or directory.get(DIRECTORY_KEY) or "")
