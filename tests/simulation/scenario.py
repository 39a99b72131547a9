"""What happens to a world: who presents what and when, and which faults strike. Drawn from one seed, as plain steps.

A step is a moment, a kind, a door and two numbers, so a scenario can be printed, cut down and played again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

SAFETY_MS: Final = 26 * 60_000
"""Faults strike up to here; afterwards the world heals."""
TOTAL_MS: Final = 30 * 60_000
DOORS: Final = 3
MEMBERS: Final = 12
READS: Final = (215, 235)
FAULTS: Final = (22, 34)


class Step(NamedTuple):
    """`kind` at door `who` (an index); what `a` and `b` mean depends on the kind."""

    at_ms: int
    kind: str
    who: int
    a: int = 0
    b: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world and what happens to it; the same scenario gives the same trace."""

    seed: int
    steps: tuple[Step, ...]

    @property
    def faults(self) -> tuple[Step, ...]:
        """The steps that are faults."""
        return tuple(step for step in self.steps if step.kind in FAULT_KINDS)


Draw = Callable[[Random], tuple[int, int]]


def _for(least_s: float, most_s: float) -> Draw:
    return lambda random: (int(random.uniform(least_s, most_s) * 1000), random.randrange(1 << 16))


# Kind: (weight, what `a` and `b` are). Where a fault lasts, `a` is for how long, in ms; `b` varies it.
FAULT_KINDS: Final[dict[str, tuple[int, Draw]]] = {
    "kill": (4, _for(0, 0)),
    "power_cut": (4, _for(0, 0)),
    "power_cut_wrong_clock": (3, _for(20, 400)),
    "cut_before_commit": (3, _for(0, 0)),
    "cut_in_commit": (4, _for(0, 0)),
    "cut_after_commit": (5, _for(0, 0)),
    "cut_in_pulse": (4, _for(0.05, 2.9)),
    "flush_error": (3, _for(0, 0)),
    "disk_full": (2, _for(5, 60)),
    "slow_flush": (3, _for(10, 60)),
    "storage_reverts": (1, _for(0, 0)),
    "storage_cloned": (1, _for(60, 300)),
    "rows_corrupt": (2, _for(0, 0)),
    "link_cut": (6, _for(0, 0)),
    "zombie_session": (4, _for(0, 0)),
    "half_open": (4, _for(10, 90)),
    "black_hole": (2, _for(10, 120)),
    "refused": (3, _for(5, 180)),
    "http_status": (4, _for(5, 120)),
    "accept_then_close": (4, _for(30, 420)),
    "slow_link": (3, _for(20, 180)),
    "forged": (5, _for(10, 120)),
    "clock_step": (3, _for(20, 300)),
    "central_killed": (3, _for(2, 120)),
    "central_cut_before_commit": (3, _for(0, 0)),
    "central_cut_after_commit": (4, _for(0, 0)),
    "central_restored": (1, _for(0, 0)),
    "database_down": (2, _for(2, 60)),
    "notices_lost": (3, _for(30, 300)),
    "relay_stuck": (2, _for(10, 120)),
    "reader_gone": (2, _for(5, 60)),
    "fire": (2, _for(20, 240)),
    "door_forced": (2, _for(0, 0)),
    "arms_stuck": (1, _for(5, 60)),
    "revoked": (3, _for(30, 420)),
}


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    random = Random(f"scenario/{seed}")
    steps = _visitors(random) + _staff(random) + _faults(random)
    return Scenario(seed, tuple(sorted(steps)))


def _visitors(random: Random) -> list[Step]:
    steps: list[Step] = []
    while len(steps) < random.randint(*READS):
        at_ms, who = random.randrange(2_000, SAFETY_MS), random.randrange(DOORS)
        kind = random.choices(("tap", "unknown_card", "torn_read", "crowd"), (80, 5, 5, 10))[0]
        for i in range(random.randint(3, 8) if kind == "crowd" else 1):
            what = "tap" if kind == "crowd" else kind
            steps.append(Step(at_ms + 300 * i, what, who, random.randrange(MEMBERS), random.randrange(2)))
    return steps


def _staff(random: Random) -> list[Step]:
    unlocks = [Step(random.randrange(SAFETY_MS), "unlock", random.randrange(DOORS)) for _ in range(8)]
    changes = [
        Step(random.randrange(SAFETY_MS), "directory", 0, random.randrange(MEMBERS), random.randrange(6))
        for _ in range(random.randint(4, 9))
    ]
    others = [
        Step(random.randrange(SAFETY_MS), random.choice(("lockdown", "hold", "lock")), random.randrange(DOORS))
        for _ in range(5)
    ]
    backups = [Step(at_ms, "backup", 0) for at_ms in range(60_000, SAFETY_MS, 120_000)]
    return unlocks + changes + others + backups


def _faults(random: Random) -> list[Step]:
    kinds = list(FAULT_KINDS)
    weights = [weight for weight, _ in FAULT_KINDS.values()]
    steps = []
    for kind in random.choices(kinds, weights, k=random.randint(*FAULTS)):
        a, b = FAULT_KINDS[kind][1](random)
        steps.append(Step(random.randrange(5_000, SAFETY_MS), kind, random.randrange(DOORS), a, b))
    return steps
