"""From a scenario that fails to a small one that fails in the same way."""

from collections.abc import Callable

from tests.simulation.scenario import Scenario, Step

Fails = Callable[[Scenario], bool]


def shrink(scenario: Scenario, fails: Fails, *, tries: int = 200) -> Scenario:
    """Return the scenario without the steps that the failure does not need, found in at most `tries` runs.

    Ever smaller pieces are left out while it still fails (Zeller's ddmin, without its second half).
    """
    steps = scenario.steps
    piece = max(1, len(steps) // 2)
    while tries > 0:
        steps, used, is_smaller = _without_pieces(scenario.seed, steps, piece, fails, tries)
        tries -= used
        if piece == 1 and not is_smaller:
            break
        piece = max(1, piece // 2)
    return Scenario(scenario.seed, steps)


def _without_pieces(
    seed: int, steps: tuple[Step, ...], piece: int, fails: Fails, tries: int
) -> tuple[tuple[Step, ...], int, bool]:
    used, start, is_smaller = 0, 0, False
    while start < len(steps) and used < tries:
        shorter = steps[:start] + steps[start + piece :]
        used += 1
        if fails(Scenario(seed, shorter)):
            steps, is_smaller = shorter, True
        else:
            start += piece
    return steps, used, is_smaller
