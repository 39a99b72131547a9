"""Bugs of the link: what is sent again, what is believed, and how often it is tried."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final
from unittest import mock
from uuid import UUID

from agent.sync import exchange as ex
from agent.sync import outflow
from agent.sync.backoff import ReconnectWait
from agent.sync.connect import reconnecting
from agent.sync.lanes import Lane
from agent.sync.orders import Orders
from agent.sync.outflow import Outflow
from agent.sync.parting import Fate, Parting
from agent.sync.pulse import Pulse
from central.sync import exchange as central_ex
from central.sync import orders
from central.sync.database import Database
from central.sync.exchange import Ingest
from central.sync.intake import Intake
from central.sync.lookout import Lookout
from central.sync.standing import Reader, Standing
from central.sync.switchboard import Notice, Switchboard
from tests.central_link.talk import HEAD, at, batch, live, sent
from tests.fakes.model_central import ModelCentral
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.sync.pair import Pair
from tests.sync.talk import Talk, unlock
from wire.chain import digest, splice, unsplice
from wire.events import number
from wire.limits import Limits, Reconnect
from wire.messages import Ack, Command, Events
from wire.vocabulary import CommandMode

_TEN_MINUTES_S = 600.0
_MOST_ATTEMPTS = 450
"""In ten minutes, with pauses of up to 4 s drawn evenly: 300 on average."""
_DEVICES = 200


@contextmanager
def _ahead_believed() -> Iterator[None]:
    real = Outflow.acked

    def acked(self: Outflow, ack: Ack) -> tuple[Outflow, ex.Effects]:
        lane = self.lane(ack.run)
        if lane is not None and ack.upto > lane.window.sent:
            return self, (ex.MoveCursor(ack.run, ack.upto, bytes.fromhex(ack.head)),)
        return real(self, ack)

    with mock.patch.object(Outflow, "acked", acked):
        yield


def _moves_ahead() -> str | None:
    talk = Talk(20).live().answer_loads()
    last = len(talk.outbox.current.texts)
    effects = talk.ack(last + 5)
    moved = [effect.upto for effect in effects if isinstance(effect, ex.MoveCursor) and effect.upto > last]
    return f"the cursor moves to {moved[0]}, {last} events exist" if moved else None


@contextmanager
def _renumbered() -> Iterator[None]:
    """What goes out again after a cut goes out as new events."""
    real = outflow._batches
    highest: dict[str, int] = {}

    def batches(flow: Outflow, run: str, items: Sequence[ex.Spliced]) -> list[ex.SendEvents]:
        made = []
        for sending in real(flow, run, items):
            first = max(sending.first, highest.get(run, 0) + 1)
            texts = tuple(_numbered(raw, first + at) for at, raw in enumerate(sending.spliced))
            highest[run] = first + len(texts) - 1
            made.append(ex.SendEvents(run, first, texts, sending.size))
        return made

    with mock.patch.object(outflow, "_batches", batches):
        yield


def _numbered(raw: bytes, n: int) -> bytes:
    parts = unsplice(raw)
    assert parts is not None
    text = number(n, parts[1].partition(b",")[2])
    return splice(text, digest(text))


def _differs_after_cuts() -> str | None:
    pair = Pair(central=ModelCentral(limits=Limits(batch_events=4, window=12)))
    pair.append(10)
    pair.connect()
    try:
        pair.deliver_up()
        pair.deliver_down()
        while pair.errands:
            pair.work()
        pair.cut()
        pair.heal()
    except AssertionError as fault:
        return f"central and device never agree: {str(fault)[:80]}"
    held, ours = pair.central.digests(), pair.outbox.digests()
    return None if held == ours else f"central holds {len(held)} events, the device made {len(ours)}"


@contextmanager
def _window_ignored() -> Iterator[None]:
    with mock.patch.object(Outflow, "room", property(lambda _: 1 << 20)):
        yield


def _floods() -> str | None:
    pair = Pair(central=ModelCentral(limits=Limits(batch_events=10, window=20)))
    pair.append(500)
    pair.connect()
    pair.deliver_up()
    pair.deliver_down()
    while pair.errands:
        pair.work()
    most = pair.in_flight_most
    return f"{most} events on the way, central allows 20" if most > 20 else None


@contextmanager
def _command_repeated() -> Iterator[None]:
    real = Orders.ordered

    def ordered(self: Orders, command: Command, pulse: Pulse, now_ms: int) -> tuple[Orders, ex.Effects]:
        return real(Orders(), command, pulse, now_ms)

    with mock.patch.object(Orders, "ordered", ordered):
        yield


def _runs_twice() -> str | None:
    talk = Talk(1).live()
    begun = [effect for _ in range(3) for effect in talk.receive(unlock()) if isinstance(effect, ex.RunCommand)]
    return f"one unlock ran {len(begun)} times" if len(begun) > 1 else None


def _dated_by_arrival(self: Pulse, command: Command, now_ms: int) -> int | None:
    return now_ms + command.ttl_ms


def _runs_late() -> str | None:
    talk = Talk(1).live()
    talk.now_ms += 25_000
    ran = [effect for effect in talk.receive(unlock(ttl_ms=10_000)) if isinstance(effect, ex.RunCommand)]
    return "an unlock that was 25 s on its way ran, its life is 10 s" if ran else None


# Reconnecting


def _evenly(self: ReconnectWait, parting: Parting, retry_state: Any) -> float:
    return float(min(self.values.cap_ms, self.values.min_ms * 2 ** min(retry_state.attempt_number, 10))) / 1000


def _pauses(parting: Parting, seed: int, for_s: float, values: Reconnect) -> list[float]:
    """Return when attempts are made in virtual time, all of which end alike."""
    passed, moments = 0.0, list[float]()

    class OverError(Exception):
        """The time is up."""

    async def attempt() -> Parting:
        moments.append(passed)
        return parting

    async def sleep(pause_s: float) -> None:
        nonlocal passed
        passed += pause_s
        if passed > for_s:
            raise OverError

    try:
        asyncio.run(reconnecting(attempt, ReconnectWait(Random(seed), values), sleep=sleep))
    except OverError:
        return moments
    raise AssertionError("the loop ended by itself")


def _comes_back_in_step() -> str | None:
    down = Parting(Fate.TRANSIENT, "down")
    tenths: dict[int, int] = {}
    for seed in range(_DEVICES):
        for moment in _pauses(down, seed, 20.0, Reconnect())[3:4]:
            tenths[int(moment * 10)] = tenths.get(int(moment * 10), 0) + 1
    most = max(tenths.values())
    return f"{most} of {_DEVICES} devices come back in one tenth of a second" if most > _DEVICES // 4 else None


def _hammers() -> str | None:
    """Central accepts, welcomes and closes at once, for ten minutes."""
    closed = Parting(Fate.TRANSIENT, "closed at once", lasted_s=0.01)
    count = len(_pauses(closed, 1, _TEN_MINUTES_S, Reconnect()))
    return f"{count} attempts in ten minutes, {_MOST_ATTEMPTS} are allowed" if count > _MOST_ATTEMPTS else None


def _hammers_refusal() -> str | None:
    count = len(_pauses(Parting(Fate.REFUSED, "revoked"), 1, _TEN_MINUTES_S, Reconnect()))
    return f"{count} attempts in ten minutes at a central that refuses" if count > 12 else None


# Central's half


@contextmanager
def _acknowledged_at_once() -> Iterator[None]:
    real = Intake.events

    def events(self: Intake, message: Events) -> tuple[Intake, central_ex.Effects]:
        intake, effects = real(self, message)
        early = [
            central_ex.Send(Ack(run=each.run, upto=each.first + len(each.raws) - 1, head=HEAD, window=1024))
            for each in effects
            if isinstance(each, Ingest)
        ]
        return intake, (*early, *effects)

    with mock.patch.object(Intake, "events", events):
        yield


def _acknowledges_uncommitted() -> str | None:
    said = [message for message in sent(live().say(batch(1, 3))) if isinstance(message, Ack)]
    return f"acknowledged up to {said[0].upto} before the commit" if said else None


def _goes_on_with_wrong_head() -> str | None:
    """The store refused an acknowledgement: its chain says otherwise."""
    talk = Talk(20).live().answer_loads().forget()
    talk.feed(ex.CursorRefused(talk.now_ms, talk.run, 10, ex.Trouble.WRONG_HEAD, "head differs"))
    lane = talk.state.flow.lane(talk.run)
    assert lane is not None
    return None if lane.is_stopped else "a run whose chain central has wrong goes on"


def _sends_late() -> str | None:
    """The host's clock was set back by as long as the command waited."""
    moment = at(65_000)
    waited = central_ex.Due("c1", "unlock", CommandMode.ONCE, 10_000, moment.wall_ms, {}, at(0).mono_ms)
    marked = [one for one in orders.ordered((waited,), moment) if isinstance(one, central_ex.MarkSent)]
    return "an unlock of 65 s ago, whose life is 10 s, is sent" if marked else None


class _Board(Switchboard):
    """Keeps whom it was asked to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[UUID] = set()

    def to_device(self, device_id: UUID, notice: Notice) -> None:
        self.told.add(device_id)


def _hears_nothing_of_others() -> str | None:
    device, board = UUID(int=1), _Board()
    standing = Standing(frozenset({device}), frozenset(), {})
    with mock.patch.object(Reader, "read", return_value=standing):
        asyncio.run(Lookout(Database(1), board).look())
    return None if device in board.told else "a command of another process is told to nobody"


PLANTED: Final = (
    PlantedBug(
        "ack-ahead-accepted", "an acknowledgement of events that were never sent moves the cursor",
        "no event is deleted that central does not hold", "tests.planted.linking", _ahead_believed, _moves_ahead,
    ),
    PlantedBug(
        "wrong-head-ignored", "a run goes on although central's chain head is another",
        "altered history is seen", "tests.planted.linking", patched(Lane, "stopped", lambda lane: lane),
        _goes_on_with_wrong_head,
    ),
    PlantedBug(
        "resend-with-new-number", "what is sent again after a cut gets new numbers",
        "an event takes effect once, however often it is sent", "tests.planted.linking", _renumbered,
        _differs_after_cuts,
    ),
    PlantedBug(
        "window-ignored", "the whole backlog is sent without waiting for acknowledgements",
        "windows and memory stay within their bounds", "tests.planted.linking", _window_ignored, _floods,
    ),
    PlantedBug(
        "command-repeated", "a command that central sends again is run again",
        "an unlock takes effect at most once", "tests.planted.linking", _command_repeated, _runs_twice,
    ),
    PlantedBug(
        "command-dated-by-arrival", "a command's life is counted from its arrival",
        "no unlock begins after its time", "tests.planted.linking",
        patched(Pulse, "begin_before_ms", _dated_by_arrival), _runs_late,
    ),
    PlantedBug(
        "command-dated-by-wall-clock", "central goes by the wall clock alone for a command's age",
        "no unlock begins after its time", "tests.planted.linking",
        patched(orders, "_ages_ms", lambda command, now: (now.wall_ms - command.created_ms,)), _sends_late,
    ),
    PlantedBug(
        "backoff-without-jitter", "all devices wait equally long before they try again",
        "a fleet does not come back in one moment", "tests.planted.linking", patched(ReconnectWait, "_soon", _evenly),
        _comes_back_in_step,
    ),
    PlantedBug(
        "reset-on-accept", "a connection that was accepted counts as stable at once",
        "attempts are bounded whatever the server answers", "tests.planted.linking",
        patched(Parting, "was_stable", property(lambda self: self.lasted_s > 0)), _hammers,
    ),
    PlantedBug(
        "refusal-retried-soon", "a refusal is retried like a broken cable",
        "attempts are bounded whatever the server answers", "tests.planted.linking",
        patched(ReconnectWait, "_slow", lambda self, parting: self._random.uniform(0.1, 1.0)), _hammers_refusal,
    ),
    PlantedBug(
        "others-unheard", "central waits for a heartbeat to find a command of another process",
        "an unlock is sent while it lives", "tests.planted.linking", patched(Lookout, "_tell", lambda *_: None),
        _hears_nothing_of_others,
    ),
    PlantedBug(
        "ack-before-commit", "central acknowledges a batch before it is committed",
        "acknowledged means that it survives central's crash", "tests.planted.linking", _acknowledged_at_once,
        _acknowledges_uncommitted,
    ),
)  # fmt: skip
"""The layer of the link."""
