"""Random histories of the directory's delivery over a bad link; more by `python -m tests.sync.directory_pair 5000`."""

import pytest

from tests.sync.directory_pair import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("seed", range(25))
async def test_the_device_always_decides_from_one_of_centrals_versions(seed: int) -> None:
    await play(seed)
