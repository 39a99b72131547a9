"""Bugs that a whole world in virtual time has to show: plants of other layers again, and of both sides together."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from unittest import mock

from msgspec.structs import replace

from agent import revocation
from agent.core import station as core
from agent.core.state import Station
from agent.core.types import Facts
from agent.revocation import Revocation
from agent.store.notes import REVOKED
from agent.sync import parting
from tests.planted.door import PLANTED as DOOR
from tests.planted.doorway import PLANTED as DOORWAY
from tests.planted.doorway import patched
from tests.planted.linking import PLANTED as LINKING
from tests.planted.registry import PlantedBug
from tests.simulation import network
from tests.simulation.ledger import Ledger
from tests.simulation.scenario import Scenario, Step, draw
from tests.simulation.world import play
from wire.vocabulary import Reason

_BACKLOG: Final = Scenario(
    4,
    (
        Step(5_000, "refused", 0, 120_000),
        *(Step(10_000 + 4_000 * i, "tap", 0, i % 12, i % 2) for i in range(25)),
        Step(110_000, "forged", 0, 200_000),
        *(Step(140_000 + 10_000 * i, "link_cut", 0) for i in range(15)),
    ),
)
"""Many events wait behind a small window while somebody tells lies about them."""
_QUEUE: Final = Scenario(
    10, (Step(60_000, "slow_flush", 0, 60_000, 2), *(Step(61_000 + 100 * i, "tap", 0, i) for i in range(8)))
)
"""Eight people before a card that takes five seconds for each."""
_OLD_SESSION: Final = Scenario(
    1,
    (
        Step(50_000, "notices_lost", 0, 60_000),
        Step(60_000, "zombie_session", 0),
        *(Step(60_200 + 150 * i, "tap", 0, i) for i in range(10)),
    ),
)
"""What an old connection sent is under way when the next is welcomed, and nobody tells the old one."""
_SHUT_OUT: Final = Scenario(
    1,
    (
        Step(60_000, "revoked", 0, 200_000),
        Step(80_000, "refused", 0, 220_000),
        Step(90_000, "kill", 0),
        *(Step(110_000 + 10_000 * i, "tap", 0, i % 12, i % 2) for i in range(15)),
        *(Step(1_000_000 + 10_000 * i, "tap", 0, i % 12, i % 2) for i in range(15)),
    ),
)
"""A device is shut out, loses its link and its process, and after a while may work again."""
_SHUT_OUT_WHILE_FULL: Final = Scenario(
    1,
    (
        Step(57_000, "disk_full", 0, 8_000),
        Step(60_000, "revoked", 0, 300_000),
        Step(66_000, "refused", 0, 220_000),
        *(Step(68_000 + 1_000 * i, "unknown_card", 0, i) for i in range(5)),
        Step(80_000, "kill", 0),
        *(Step(110_000 + 10_000 * i, "tap", 0, i % 12) for i in range(12)),
    ),
)
"""It is shut out while its disk is full, and loses its process before the next try to keep that."""
_STRANGER: Final = Scenario(
    1, (Step(60_000, "http_status", 0, 60_000, 6), *(Step(70_000 + 10_000 * i, "tap", 0, i % 12) for i in range(9)))
)
"""Something on the way answers 403 in central's place."""
_ELSEWHERE: Final = {bug.name: bug for bug in (*DOOR, *DOORWAY, *LINKING)}


def _played(*scenarios: Scenario) -> Callable[[], str | None]:
    def catch() -> str | None:
        return next((seen[0] for scenario in scenarios if (seen := play(scenario).violations)), None)

    return catch


@contextmanager
def _unfenced() -> Iterator[None]:
    with mock.patch.object(Ledger, "_fence", return_value=None):
        yield


_real_own_refusal = core._own_refusal
_real_of_status = parting.of_status


def _closed_to_all(at: Station, facts: Facts) -> Reason | None:
    assert facts.row is not None
    return _real_own_refusal(at, facts) or core._closed_to(at, set(facts.row.rights))


def _told_once(self: Revocation, *, is_revoked: bool) -> None:
    if is_revoked and not self.is_revoked:
        self.is_revoked = True
        self._told.set()


async def _writes_in_turn(self: Revocation, said: str) -> None:
    await self._keeper.put(REVOKED, said)
    self._notes.note(REVOKED, said)


def _believes_anybody(status: int, headers: Mapping[str, str]) -> parting.Parting:
    told = _real_of_status(status, headers)
    return replace(told, is_revoked=True) if status == 403 else told


def _again(name: str, *scenarios: Scenario) -> PlantedBug:
    bug = _ELSEWHERE[name]
    return _bug(bug.name, bug.breaks, bug.promise, bug.plant, *scenarios)


def _bug(
    name: str, breaks: str, promise: str, plant: Callable[[], AbstractContextManager[object]], *scenarios: Scenario
) -> PlantedBug:
    catch = _played(*(scenarios or (draw(1),)))
    return PlantedBug(f"simulated-{name}", breaks, promise, "tests.simulation", plant, catch, is_slow=True)


PLANTED: Final[tuple[PlantedBug, ...]] = (
    _again("grant-before-record"),
    _again("command-run-again"),
    _again("stale-read-opens", _QUEUE),
    _again("ack-ahead-accepted", _BACKLOG),
    _again("resend-with-new-number"),
    _again("window-ignored"),
    _again("backoff-without-jitter"),
    _again("reset-on-accept", draw(2)),
    _again("refusal-retried-soon", draw(1)),
    _again("fire-invites", draw(12)),
    _again("lockdown-admits", draw(3)),
    _bug(
        "fence-missing",
        "a session goes on writing after a newer one was welcomed",
        "nothing from an older session takes effect",
        _unfenced,
        _OLD_SESSION,
    ),
    _again("revocation-unasked", _SHUT_OUT),
    _bug(
        "revocation-forgotten",
        "a restart forgets that central has revoked the device",
        "a revoked device lets nobody in, also after a restart without a link",
        patched(revocation, "is_kept_revoked", lambda _: False),
        _SHUT_OUT,
    ),
    _bug(
        "revocation-kept-in-turn",
        "the journal is not asked to keep a revocation while the file beside the directory takes nothing",
        "a revoked device lets nobody in, also after a restart without a link",
        patched(Revocation, "_write", _writes_in_turn),
        _SHUT_OUT_WHILE_FULL,
    ),
    _bug(
        "revocation-keeps-in",
        "a door that its device's revocation locks is locked to those who leave",
        "the way out is never ours to refuse",
        patched(core, "_own_refusal", _closed_to_all),
        _SHUT_OUT,
    ),
    _bug(
        "revocation-without-end",
        "a welcome does not end that the device is revoked",
        "a device that may work again lets members in",
        patched(Revocation, "told", _told_once),
        _SHUT_OUT,
    ),
    _bug(
        "revoked-by-anybody",
        "whatever answers 403 in central's place revokes the device",
        "only central itself shuts a device out",
        patched(network, "of_status", _believes_anybody),
        _STRANGER,
    ),
)
