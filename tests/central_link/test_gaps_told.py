"""What is missing for good is looked for once a connection, after a device said often enough that nothing waits."""

from typing import Any, cast
from uuid import UUID

import pytest

from central.sync import records
from central.sync.database import Database
from central.sync.exchange import KeepHeartbeat
from central.sync.performing import Performer
from central.sync.switchboard import Switchboard
from tests.central_link.talk import DEVICE, REF
from wire.messages import Heartbeat
from wire.vocabulary import ClockQuality

pytestmark = pytest.mark.unit


class Asked:
    """A database that notes what it is asked to do."""

    def __init__(self) -> None:
        self.looks = 0

    async def run(self, work: Any, *_: object) -> Any:
        self.looks += work is records.report_gaps
        return REF, (), None


async def _looks(*backlogs: int) -> int:
    database = Asked()
    performer = Performer(UUID(DEVICE), cast(Database, database), cast(Switchboard, None))
    performer._session = records.Session(UUID(DEVICE), 1)
    for backlog in backlogs:
        beat = Heartbeat(mono_ms=1, wall_ms=1, q=ClockQuality.NONE, backlog=backlog)
        await performer.perform(KeepHeartbeat(beat, 0))
    return database.looks


async def test_gaps_are_looked_for_once_nothing_waits_any_more() -> None:
    assert await _looks(0, 0) == 0
    assert await _looks(5, 0, 4, 0, 0) == 1
    assert await _looks(*[0] * 9, 3, 3, 0) == 1
    assert await _looks(*[1] * 9) == 0
