"""Central's database as a model: what `central.sync.records` does, without tables.

Functions are named as there, and admission, time, movements and visits are the product's own. Each call is one
transaction. A backup is a copy; what the device said and what was acknowledged meanwhile is not in it.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from central.checkins import visits
from central.checkins.admission import Admitted as Taken
from central.checkins.admission import admit, claimed_digest
from central.checkins.clock import Anchor, best, corrected_ms
from central.checkins.gaps import HeldRun, gaps
from central.checkins.ingest import GapError, Ingested, UnknownRunError
from central.checkins.movements import _Known, fact_of
from central.checkins.visits import ClosingRule, EventKey, Grant, Movement, Passage, Visit
from central.devices.claims import Refused, is_timely
from central.devices.fencing import FencedError, RevokedError
from central.devices.tokens import Admitted, Refusal
from central.sync.exchange import Due, Offer, Whole
from central.sync.records import Opening, Session
from tests.fakes.issuing import delta_of, sign
from tests.simulation.tables import OPEN, Held, Order, Tables
from tests.simulation.truth import Truth
from wire import chain, messages, transfer
from wire.directory import Issue, row_text
from wire.events import Event
from wire.messages import Heartbeat, Hello, Rejection, RunAck, RunState, Tomb
from wire.presence import PresDelta, PresenceRef
from wire.token import TokenClaims
from wire.transfer import DirectoryRef
from wire.vocabulary import CloseCode, CommandMode, CommandState, RejectCode
from wire.window import Gap, ReceiveWindow

SITE: Final = UUID("0192f0c1-0000-7000-8000-00000000000f")
NONCE_LIFE_MS: Final = 60_000
RESULT_WITHIN_MS: Final = 60_000
FAR: Final = 4
"""Versions that one change does not bridge."""
RULE: Final = ClosingRule(ZoneInfo("Europe/Madrid"))


class Ledger:
    """The database and what is done in it."""

    def __init__(self, truth: Truth, devices: set[str]) -> None:
        self._truth = truth
        self._devices = devices
        self._nonces: dict[str, tuple[str, int]] = {}
        self._seen: set[str] = set()
        self._connected: dict[str, int] = {}
        self.presence: PresenceRef | None = None
        self.tables = Tables()

    # Admission and sessions

    def _admit(self, token: str) -> Admitted | Refusal:
        now_ms = self._truth.true_ms()
        claims = msgspec.json.decode(token, type=TokenClaims)
        if claims.sub not in self._devices:
            return Refusal(403, Refused.REVOKED, "no such device")
        if claims.sub in self.tables.revoked:
            return Refusal(403, Refused.REVOKED, f"device {claims.sub} is revoked")
        if claims.jti in self._seen:
            return Refusal(401, Refused.REPLAYED, "seen before")
        self._seen.add(claims.jti)
        device, expires_ms = self._nonces.pop(claims.nonce or "", ("", 0))
        by_nonce = device == claims.sub and now_ms < expires_ms
        if not by_nonce and not is_timely(claims, now_ms / 1000):
            nonce = f"{len(self._seen):032x}"
            self._nonces[nonce] = (claims.sub, now_ms + NONCE_LIFE_MS)
            return Refusal(401, Refused.CLOCK, "the clock is off", nonce)
        return Admitted(UUID(claims.sub), SITE, "k", claims)

    def check_token(self, _device: UUID, token: str, _wall_ms: int) -> tuple[CloseCode | None, str]:
        """Return why a token sent inside a connection ends it, or None."""
        verdict = self._admit(token)
        if isinstance(verdict, Admitted):
            return None, ""
        return CloseCode.REVOKED if verdict.status == 403 else CloseCode.TOKEN, verdict.detail

    def open_session(self, device_id: UUID, hello: Hello, _wall_ms: int) -> Opening:
        """Give the device a session newer than all others and register its runs."""
        device, tables = str(device_id), self.tables
        self._shut_out(device)
        number = tables.sessions[device] = tables.sessions.get(device, 0) + 1
        self._connected[device] = number
        known = {command.id for command in hello.cmds}
        for order in tables.orders.values():
            if order.device == device and order.state == "sent" and order.id not in known:
                order.state = "pending"
        last_run = self._last_run(device)
        self._find_forgotten(device, hello)
        runs = tuple(self._register(device, hello.store, told) for told in hello.runs)
        self._truth.note("session", device[-4:], number)
        session = Session(device_id, number)
        return Opening(session, runs, last_run, self._truth.site.refs[device], self.load_commands(session), "")

    def _last_run(self, device: str) -> RunAck | None:
        """Return the newest run with events, in the journal that was learnt of last."""
        mine = [held for held in self.tables.runs.values() if held.device == device]
        told = [held for held in mine if held.store == mine[-1].store and held.upto > 0]
        last = max(told, key=lambda held: held.ord, default=None)
        return None if last is None else RunAck(last.run, last.upto, last.head.hex())

    def close_session(self, session: Session, _wall_ms: int) -> None:
        """Note that the device left, unless it is back already."""
        if self._connected.get(str(session.device_id)) == session.number:
            del self._connected[str(session.device_id)]

    def _register(self, device: str, store: str, told: RunState) -> RunAck:
        held = self.tables.runs.get((device, told.run))
        if held is None:
            head = chain.genesis(device, store, told.run, told.ord, told.prev_n, bytes.fromhex(told.prev_head))
            if told.acked == 0 and told.head != head.hex():
                self._alert(device, "chain_anchored_anew")
                head = bytes.fromhex(told.head)
            held = self.tables.runs[device, told.run] = Held(device, told.run, store, told.ord, told.prev_n, head)
            self._compare_previous(device, store, told)
        elif told.last < held.upto or (told.acked == held.upto and told.head != held.head.hex()):
            self._alert(device, "storage_went_back")
        return RunAck(held.run, held.upto, held.head.hex())

    def _compare_previous(self, device: str, store: str, told: RunState) -> None:
        for held in self._of(device, store):
            if held.ord == told.ord - 1 and held.run != told.run and told.prev_n < held.upto:
                self._alert(device, "storage_went_back")

    def _find_forgotten(self, device: str, hello: Hello) -> None:
        newest = max(told.ord for told in hello.runs)
        named = {told.run for told in hello.runs}
        for held in self._of(device, hello.store):
            if held.ord >= newest and held.run not in named and not hello.more:
                self._alert(device, "storage_went_back")

    def _of(self, device: str, store: str) -> list[Held]:
        return [held for held in self.tables.runs.values() if (held.device, held.store) == (device, store)]

    def _alert(self, device: str, kind: str) -> None:
        self._truth.note("alert", device[-4:], kind)
        self.tables.alerts.append((device, kind))

    def _enter(self, session: Session) -> str:
        device = str(session.device_id)
        self._shut_out(device)
        self._fence(device, session)
        newest = self.tables.sessions.get(device, 0)
        self._truth.require(session.number == newest, f"session {session.number} wrote after {newest} was welcomed")
        return device

    def _shut_out(self, device: str) -> None:
        if device in self.tables.revoked:
            raise RevokedError(f"device {device} is revoked")

    def _fence(self, device: str, session: Session) -> None:
        newest = self.tables.sessions.get(device, 0)
        if session.number != newest:
            raise FencedError(session.device_id, session.number, newest)

    # Events

    def ingest_batch(self, session: Session, run: str, first: int, raws: list[bytes]) -> Ingested:
        """Commit a batch."""
        device = self._enter(session)
        held = self._run(device, run)
        place = ReceiveWindow(held.upto).place(first, len(raws))
        if first < 1 or isinstance(place, Gap):
            raise GapError(run, first, held.upto + 1)
        rejections = [self._compared(held, n, raw) for n, raw in enumerate(raws[: place.skip], first)]
        told = [rejection for rejection in rejections if rejection is not None]
        fresh = raws[place.skip :]
        for n, raw in enumerate(fresh, first + place.skip):
            told += self._take(device, held, n, raw)
        if fresh:
            self._truth.committed_at(device, run, held.upto, held.head)
        return Ingested(held.upto, held.head, told, place.skip, len(fresh))

    def _compared(self, held: Held, n: int, raw: bytes) -> Rejection | None:
        ours = held.digests[n - 1]
        if ours is not None and ours != claimed_digest(raw):
            self._truth.broken(f"event {n} of run {held.run} was sent with two digests")
            return Rejection(n, RejectCode.DIGEST_CONFLICT)
        return None

    def _take(self, device: str, held: Held, n: int, raw: bytes) -> Iterator[Rejection]:
        taken = admit(n, raw)
        self._truth.require(held.upto == n - 1, f"run {held.run}: {n} after {held.upto}")
        held.digests.append(taken.digest)
        held.head = chain.link(held.head, taken.digest)
        if isinstance(taken, Taken):
            self._apply(device, held.run, taken)
            return
        held.rejected.add(n)
        self._truth.broken(f"event {n} of run {held.run} was rejected: {taken.code} {taken.detail}")
        yield Rejection(n, taken.code, taken.detail)

    def _apply(self, device: str, run: str, taken: Taken) -> None:
        assert taken.event is not None, "no event of the simulation is large enough to be a stub"
        key = EventKey(device, run, taken.n)
        self._truth.require(key not in self.tables.events, f"{key} took effect twice")
        self.tables.events[key] = (taken.event, taken)
        fact = fact_of(key, self._time_ms(device, taken.event), taken.body, taken.member)
        if fact is not None:
            self.tables.known[fact.of] = self.tables.known.get(fact.of, _Known()).told(fact)

    def _time_ms(self, device: str, event: Event) -> int:
        anchor = best(self.tables.anchors.get((device, event.boot), ()))
        return corrected_ms(event.q, event.mono_ms, event.wall_ms, anchor)

    def ingest_tomb(self, session: Session, tomb: Tomb) -> Ingested:
        """Commit a declared loss."""
        device = self._enter(session)
        held = self._run(device, tomb.run)
        if tomb.first > held.upto + 1:
            raise GapError(tomb.run, tomb.first, held.upto + 1)
        fresh = max(0, tomb.to - held.upto)
        if fresh:
            held.digests += [None] * fresh
            held.head = bytes.fromhex(tomb.head) if tomb.head else held.head
            self._truth.note("tomb", device[-4:], tomb.run[:6], tomb.first, tomb.to, tomb.why)
            true = self._truth.committed.get((device, tomb.run), 0)
            self._truth.committed[device, tomb.run] = max(true, tomb.to)
        return Ingested(held.upto, held.head, [], tomb.to - tomb.first + 1 - fresh, fresh)

    def _run(self, device: str, run: str) -> Held:
        held = self.tables.runs.get((device, run))
        if held is None:
            raise UnknownRunError(f"run {run} is not known")
        return held

    def keep_anchor(self, session: Session, anchor: messages.Anchor) -> None:
        """Commit what the wall clock of a boot truly was."""
        device = self._enter(session)
        known = self.tables.anchors.setdefault((device, anchor.boot), set())
        known.add(Anchor(anchor.err_ms, anchor.mono_ms, anchor.wall_ms))
        for key, (event, taken) in self.tables.events.items():
            if key.device == device and event.boot == anchor.boot:
                fact = fact_of(key, self._time_ms(device, event), taken.body, taken.member)
                if fact is not None:
                    self.tables.known[fact.of] = self.tables.known.get(fact.of, _Known()).told(fact)

    # Health, directory

    def keep_heartbeat(
        self, session: Session, _beat: Heartbeat, _offset_ms: int, _wall_ms: int
    ) -> tuple[DirectoryRef, tuple[Due, ...], PresenceRef | None]:
        """Record the device's health."""
        device = self._enter(session)
        return self._truth.site.refs[device], self.load_commands(session), self.presence

    def report_gaps(self, session: Session) -> None:
        """Note what neither side has any more."""
        device = str(session.device_id)
        mine = [held for held in self.tables.runs.values() if held.device == device]
        for gap in gaps(HeldRun(held.ord, held.run, held.prev_n, held.upto) for held in mine):
            self.tables.gaps.add((device, gap))

    def keep_dir_state(self, session: Session, _state: transfer.DirState) -> None:
        """Record which directory the device decides from."""
        self._enter(session)

    def load_presence(self, _device_id: UUID, _held: PresenceRef | None, _wall_ms: int) -> PresDelta | None:
        """Return what a device misses of who is where."""
        return None

    def load_directory(self, device_id: UUID, held: DirectoryRef | None, takes_deltas: bool, wall_ms: int) -> Offer:
        """Return what brings a device on: half of the way where several versions lie before it."""
        device, site = str(device_id), self._truth.site
        newest = site.refs[device]
        old = None if held is None else site.versions.get((device, held.epoch, held.ver))
        if held is None or old is None or held.epoch != newest.epoch or not takes_deltas:
            return Offer(self._whole(device, newest, wall_ms))
        to = newest.ver if newest.ver - held.ver < FAR else (held.ver + newest.ver) // 2
        new = site.versions[device, held.epoch, to]
        delta = delta_of(
            old.values(), new.values(), first=held.ver, to=to, epoch=held.epoch, issued_ms=wall_ms, device=device
        )
        return Offer(delta, is_last=to == newest.ver)

    def _whole(self, device: str, newest: DirectoryRef, wall_ms: int) -> Whole:
        issue = Issue(device=device, epoch=newest.epoch, ver=newest.ver, digest=newest.digest, issued_ms=wall_ms)
        return Whole(issue, sign(issue), list(map(row_text, self._truth.site.newest(device))))

    # Commands

    def issue(self, id_: str, device: str, ttl_ms: int, name: str = "unlock", **args: str) -> bool:
        """Create a command; False where the device is away and it is refused at once."""
        order = Order(id_, device, self._truth.true_ms(), ttl_ms, name=name, args=args)
        order.state = "pending" if device in self._connected else "refused"
        self.tables.orders[id_] = order
        self._truth.commands[id_] = (order.created_ms, ttl_ms)
        return order.state == "pending"

    def load_commands(self, session: Session) -> tuple[Due, ...]:
        """Return the commands that wait."""
        device = str(session.device_id)
        return tuple(
            Due(order.id, order.name, CommandMode.ONCE, order.ttl_ms, order.created_ms, {"actor": "staff"} | order.args)
            for order in self.tables.orders.values()
            if order.device == device and order.state == "pending"
        )

    def mark_sent(self, session: Session, id_: str, _wall_ms: int) -> bool:
        """Record that a command goes out now."""
        self._enter(session)
        order = self.tables.orders[id_]
        is_due = order.state == "pending"
        if is_due:
            order.state = "sent"
        return is_due

    def expire_command(self, session: Session, id_: str, _wall_ms: int) -> None:
        """Record that a command was too old to be sent."""
        self._enter(session)
        if self.tables.orders[id_].state in ("pending", "sent"):
            self.tables.orders[id_].state = "expired"

    def keep_reply(self, session: Session, id_: str, state: CommandState, _code: str, _out: str, _wall_ms: int) -> bool:
        """Record what the device said of a command."""
        self._enter(session)
        order = self.tables.orders.get(id_)
        if order is None:
            return False
        if state is CommandState.QUEUED:
            order.state = "queued" if order.state in ("pending", "sent") else order.state
        elif state is not CommandState.DUPLICATE and order.state in (*OPEN, "unknown", "expired"):
            order.state = state.value
        return True

    def sweep(self) -> None:
        """End commands that can no longer end by themselves."""
        now_ms = self._truth.true_ms()
        for order in self.tables.orders.values():
            over_ms = now_ms - order.created_ms - order.ttl_ms
            if order.state == "pending" and over_ms > 0:
                order.state = "expired"
            elif order.state in ("sent", "queued") and over_ms > RESULT_WITHIN_MS:
                order.state = "unknown"

    # Crashes and backups

    def restore(self, backup: Tables) -> None:
        """Go back to a backup; sessions never do, and open commands are void."""
        floor = {device: number + 1 for device, number in self.tables.sessions.items()}
        self.tables = backup.copy()
        self.tables.sessions = floor
        self._connected.clear()
        for order in self.tables.orders.values():
            order.state = "unknown" if order.state in OPEN else order.state

    def went_down(self) -> None:
        """The process is gone; nobody is connected."""
        self._connected.clear()

    # Visits

    def visits_as_they_came(self) -> dict[str, list[Visit]]:
        """Return the visits by member, from what was told in the order of arrival."""
        moved: dict[str, list[Movement]] = defaultdict(list)
        for key, known in self.tables.known.items():
            movement = visits.settle(key, known.grant, () if known.end is None else (known.end,))
            if movement is not None and known.member is not None:
                moved[known.member].append(movement)
        return _derived(moved)

    def visits_of_the_set(self) -> dict[str, list[Visit]]:
        """Return the visits by member, from the set of events alone, newest event first."""
        grants: dict[EventKey, Grant] = {}
        ends: dict[EventKey, list[Passage]] = defaultdict(list)
        members: dict[EventKey, str] = {}
        for key in sorted(self.tables.events, reverse=True):
            event, taken = self.tables.events[key]
            fact = fact_of(key, self._time_ms(key.device, event), taken.body, taken.member)
            if fact is None:
                continue
            if fact.member is not None and (isinstance(fact.said, Grant) or fact.of not in members):
                members[fact.of] = fact.member
            if isinstance(fact.said, Grant):
                grants[fact.of] = fact.said
            else:
                ends[fact.of].append(fact.said)
        moved: dict[str, list[Movement]] = defaultdict(list)
        for key, member in members.items():
            movement = visits.settle(key, grants.get(key), ends.get(key, ()))
            if movement is not None:
                moved[member].append(movement)
        return _derived(moved)


def _derived(moved: dict[str, list[Movement]]) -> dict[str, list[Visit]]:
    return {member: visits.derive(of_member, RULE) for member, of_member in moved.items()}
