"""Enrolment codes as people type them."""

import pytest

from wire.enrolment import normalise_code

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("typed", ["K7QM-2RXD", "k7qm2rxd", " K7QM 2RXD ", "k7-qm-2r-xd"])
def test_a_code_may_be_typed_in_any_way(typed: str) -> None:
    assert normalise_code(typed) == "K7QM2RXD"


def test_look_alikes_are_one() -> None:
    assert normalise_code("O0-Il1") == "00111"
