"""Doors and central agree on who is where, whatever happens to the link: the short form of the long run."""

import pytest

from tests.sync.presence_pair import violation

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_no_promise_is_broken(seed: int) -> None:
    assert [found for one in range(seed, seed + 10) if (found := violation(one)) is not None] == []
