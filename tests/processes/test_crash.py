"""The short form of `make crash`."""

from pathlib import Path

import pytest

from tests.processes.crash import crash_round

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 20


async def test_nothing_is_lost_or_doubled_when_agents_and_central_are_killed_under_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await crash_round(tmp_path, KILLS, seed=7)
    with capsys.disabled():
        print("\n  " + "\n  ".join(found.lines()))
    assert found.wrong == []
    assert (found.kills, found.lost, found.doubled, found.greens_missing) == (KILLS, 0, 0, 0)
    assert found.greens > KILLS, "the doors worked most of the time"
