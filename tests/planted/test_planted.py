"""Every planted bug is caught, and no harness cries wolf."""

from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.planted.__main__ import tried
from tests.planted.registry import MODULES, PlantedBug, every_bug

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

LEAST = 12
_QUICK = [bug for bug in every_bug().values() if not bug.is_slow]


def _nothing() -> AbstractContextManager[None]:
    return nullcontext()


@pytest.mark.parametrize("bug", _QUICK, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: PlantedBug) -> None:
    verdict = tried(bug)
    assert verdict.is_caught, str(verdict)


def test_there_are_enough_of_them_in_every_layer() -> None:
    assert len(_QUICK) >= LEAST
    assert len(MODULES) >= 4


def test_a_bug_that_is_not_seen_has_escaped() -> None:
    harmless = PlantedBug("harmless", "nothing", "nothing", "tests.planted.door", _nothing, lambda: None)
    assert not tried(harmless).is_caught
    assert "ESCAPED" in str(tried(harmless))


def test_a_harness_that_cries_wolf_catches_nothing() -> None:
    wolf = PlantedBug("wolf", "nothing", "nothing", "tests.planted.door", _nothing, lambda: "always")
    assert not tried(wolf).is_caught
    assert "FALSE ALARM" in str(tried(wolf))


def test_a_crash_under_the_bug_counts_as_seen() -> None:
    calls: list[int] = []

    def catch() -> str | None:
        calls.append(1)
        if len(calls) > 1:
            raise AssertionError("broken")
        return None

    verdict = tried(PlantedBug("crash", "all", "all", "tests.planted.door", _nothing, catch))
    assert verdict.is_caught
    assert "broken" in str(verdict)
