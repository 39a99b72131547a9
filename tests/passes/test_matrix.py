"""Nothing that is not a pass opens, and no code opens twice: the short form of `python -m tests.passes`."""

import pytest

from tests.passes.making import PassDoor, signed
from tests.passes.matrix import PHONE, Mutation, mutations
from tests.passes.replays import replay

pytestmark = pytest.mark.unit


def test_passes_that_hold_are_granted() -> None:
    assert PassDoor(PHONE.row()).decide(signed()).is_grant
    assert PassDoor(PHONE.row()).decide(PHONE.code()).is_grant


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_mutated_pass_is_denied_with_its_reason(mutation: Mutation) -> None:
    decision = PassDoor(PHONE.row()).decide(mutation.text)
    assert not decision.is_grant
    assert decision.reason is mutation.reason


def test_there_are_enough_mutations() -> None:
    assert len(mutations()) >= 200


def test_used_codes_are_never_accepted_again() -> None:
    tally = replay(300, seed=7)
    assert (tally.accepted, tally.replayed) == (0, 300)
    assert tally.granted >= 10
