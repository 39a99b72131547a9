"""Agent and central over a link that loses, cuts and delays: exactly once, in order, and drained when faults stop."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.model_central import ModelCentral
from tests.sync.pair import Pair
from wire.limits import Limits

pytestmark = pytest.mark.unit

_FAULTS = st.sampled_from(
    ["up", "up", "up", "down", "down", "down", "work", "work", "work", "cut", "restart", "lose", "restore", "prune"]
)
_MOVES = st.one_of(
    _FAULTS,
    st.tuples(st.just("append"), st.integers(1, 30)),
    st.tuples(st.just("advance"), st.sampled_from([1, 1_000, 15_000, 20_000])),
)
_LIMITS = st.builds(Limits, batch_events=st.integers(1, 8), window=st.integers(1, 20))


def _restore(pair: Pair, backup: dict[str, int]) -> None:
    """Central goes back to an older state of its own, and every connection with it."""
    pair.cut()
    for run, held in list(pair.central.runs.items()):
        if run not in backup:
            del pair.central.runs[run]
            for key in [key for key in pair.central.applied if key[0] == run]:
                del pair.central.applied[key]
        elif backup[run] < held.upto:
            pair.central.forget_after(run, backup[run])


def _play(pair: Pair, move: str | tuple[str, int], backup: dict[str, int]) -> dict[str, int]:
    if isinstance(move, tuple):
        name, value = move
        pair.append(value) if name == "append" else pair.advance(value)
    elif move == "restore":
        _restore(pair, backup)
        return {run: held.upto for run, held in pair.central.runs.items()}
    else:
        _MOVES_BY_NAME[move](pair)
    if not pair.is_connected:
        pair.connect()
    return backup


def _lose(pair: Pair) -> None:
    if pair.up:
        pair.up.popleft()


def _prune(pair: Pair) -> None:
    """Retention deletes everything that was acknowledged."""
    for run in pair.outbox.memory:
        run.pruned = run.acked


_MOVES_BY_NAME: dict[str, Callable[[Pair], None]] = {
    "up": Pair.deliver_up,
    "down": Pair.deliver_down,
    "work": Pair.work,
    "cut": Pair.cut,
    "restart": Pair.restart,
    "lose": _lose,
    "prune": _prune,
}


def _check_prefix(pair: Pair) -> None:
    ours = pair.outbox.digests()
    assert pair.central.digests().items() <= ours.items()
    assert set(pair.central.applied.values()) <= {1}


@given(limits=_LIMITS, moves=st.lists(_MOVES, max_size=60))
def test_every_event_arrives_exactly_once_whatever_the_link_does(
    limits: Limits, moves: list[str | tuple[str, int]]
) -> None:
    pair = Pair(central=ModelCentral(limits=limits))
    pair.append(5)
    backup: dict[str, int] = {}
    for move in moves:
        backup = _play(pair, move, backup)
        _check_prefix(pair)
    pair.heal()
    _check_prefix(pair)
    missing = pair.outbox.digests().keys() - pair.central.digests().keys()
    declared = {(tomb.run, n) for tomb in pair.central.lost for n in range(tomb.first, tomb.to + 1)}
    assert missing <= declared
    assert pair.in_flight_most <= limits.window or declared


def test_long_backlog_of_many_runs_drains_over_several_greetings() -> None:
    pair = Pair()
    for _ in range(150):
        pair.append(3)
        pair.outbox.restart()
    pair.heal()
    assert pair.central.digests() == pair.outbox.digests()
    assert pair.central.session == 3


def test_backup_from_between_two_greetings_misses_nothing_for_good() -> None:
    pair = Pair()
    for _ in range(70):
        pair.append(3)
        pair.outbox.restart()
    pair.append(3)
    pair.connect()
    pair.settle()
    backup = {run: held.upto for run, held in pair.central.runs.items()}
    pair.heal()
    _restore(pair, backup)
    pair.heal()
    assert pair.central.digests() == pair.outbox.digests()
    assert set(pair.central.applied.values()) == {1}


def test_central_restored_from_a_backup_gets_acknowledged_runs_again() -> None:
    pair = Pair()
    for _ in range(4):
        pair.append(10)
        pair.heal()
        pair.restart()
    pair.heal()
    first, second = pair.outbox.memory[:2]
    _restore(pair, {first.run: 10, second.run: 4})
    pair.connect()
    pair.settle()
    pair.heal()
    assert pair.central.digests() == pair.outbox.digests()
    assert set(pair.central.applied.values()) == {1}


def test_rows_that_retention_deleted_are_declared_lost_and_the_rest_goes_on() -> None:
    pair = Pair()
    pair.append(20)
    pair.heal()
    run = pair.outbox.current
    run.pruned = 12
    _restore(pair, {run.run: 5})
    pair.append(3)
    pair.heal()
    assert [(tomb.first, tomb.to) for tomb in pair.central.lost] == [(6, 12)]
    assert len(pair.central.digests()) == 23 - 7
    assert pair.outbox.losses() == []


@pytest.mark.parametrize("seed", range(6))
def test_long_life_full_of_faults_ends_with_both_sides_alike(seed: int) -> None:
    random = Random(seed)
    pair = Pair(central=ModelCentral(limits=Limits(batch_events=random.randint(1, 8), window=random.randint(1, 20))))
    backup: dict[str, int] = {}
    weights = {"up": 30, "down": 30, "work": 30, "cut": 2, "restart": 1, "lose": 1, "restore": 0.3, "prune": 0.3}
    for _ in range(400):
        move: str | tuple[str, int] = random.choices(list(weights), list(weights.values()))[0]
        if random.random() < 0.2:
            move = random.choice([("append", random.randint(1, 12)), ("advance", random.choice([1, 1_000, 16_000]))])
        backup = _play(pair, move, backup)
        _check_prefix(pair)
    pair.heal()
    missing = pair.outbox.digests().keys() - pair.central.digests().keys()
    assert missing <= {(tomb.run, n) for tomb in pair.central.lost for n in range(tomb.first, tomb.to + 1)}
