"""Bugs that a whole world in virtual time has to show: plants of other layers again, and of both sides together."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from unittest import mock

from tests.planted.door import PLANTED as DOOR
from tests.planted.doorway import PLANTED as DOORWAY
from tests.planted.linking import PLANTED as LINKING
from tests.planted.registry import PlantedBug
from tests.simulation.ledger import Ledger
from tests.simulation.scenario import Scenario, Step, draw
from tests.simulation.world import play

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
_ELSEWHERE: Final = {bug.name: bug for bug in (*DOOR, *DOORWAY, *LINKING)}


def _played(*scenarios: Scenario) -> Callable[[], str | None]:
    def catch() -> str | None:
        return next((seen[0] for scenario in scenarios if (seen := play(scenario).violations)), None)

    return catch


@contextmanager
def _unfenced() -> Iterator[None]:
    with mock.patch.object(Ledger, "_fence", return_value=None):
        yield


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
    _again("reset-on-accept", draw(4)),
    _again("refusal-retried-soon", draw(1)),
    _again("fire-invites", draw(2)),
    _again("lockdown-admits", draw(3)),
    _bug(
        "fence-missing",
        "a session goes on writing after a newer one was welcomed",
        "nothing from an older session takes effect",
        _unfenced,
        draw(7),
    ),
)
