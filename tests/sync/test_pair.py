"""Agent and central over a link that loses, cuts and delays: exactly once, in order, and drained when faults stop."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.model_central import ModelCentral
from tests.sync.pair import Pair
from wire.limits import Limits

pytestmark = pytest.mark.unit

_FAULTS = st.sampled_from(
    ["up", "up", "up", "down", "down", "down", "work", "work", "work", "cut", "restart", "lose", "restore"]
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


_MOVES_BY_NAME: dict[str, Callable[[Pair], None]] = {
    "up": Pair.deliver_up,
    "down": Pair.deliver_down,
    "work": Pair.work,
    "cut": Pair.cut,
    "restart": Pair.restart,
    "lose": _lose,
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
    assert pair.central.digests() == pair.outbox.digests()
    assert set(pair.central.applied.values()) <= {1}
    assert pair.in_flight_most <= limits.window


def test_long_backlog_of_many_runs_drains_over_several_greetings() -> None:
    pair = Pair()
    for _ in range(150):
        pair.append(3)
        pair.outbox.restart()
    pair.heal()
    assert pair.central.digests() == pair.outbox.digests()
    assert pair.central.session == 3


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
