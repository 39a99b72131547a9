"""F21 to F25: the clock is wrong, by the simulated clock of a running agent."""

from typing import Final

from agent.clock import RELEASED_MS
from tests.processes.evidence import Record
from tests.processes.lab import Lab, Place, Table, need
from tests.processes.rows_door import component

TABLE: Final = Table()
_YEAR_S: Final = 365 * 86_400


async def _at(place: Place, shift_s: int, synced: str) -> int:
    """Decide once with this clock; return the wall time that the decision's event tells."""
    await place.door.sim("clock", shift_s=str(shift_s), synced=synced)
    known = set(Record.of(place.door.state).grants())
    await place.opens()
    await place.door.until("lock", "locked")
    fresh = [event for key, event in Record.of(place.door.state).grants().items() if key not in known]
    need(len(fresh) == 1, f"{len(fresh)} new grants")
    return int(fresh[0]["wall_ms"])


@TABLE.row(
    "F21-F24",
    "the floor holds; events keep their order; nothing is lost",
    "clock at 1970, a year back and ahead, NTP late",
)
async def wrong_clocks(lab: Lab) -> str | None:
    async with lab.place() as place:
        true_ms = await _at(place, 0, "yes")
        place.proxy.reset()
        back_ms = await _at(place, -57 * _YEAR_S, "no")
        need(back_ms >= RELEASED_MS, f"an event of 1970: {back_ms}")
        await _at(place, -_YEAR_S, "no")
        ahead_ms = await _at(place, _YEAR_S, "yes")
        again_ms = await _at(place, 0, "yes")
        need(abs(again_ms - true_ms) < 120_000, "the clock did not come back")
        await place.equal()
    off_s = ((back_ms - true_ms) // 1000, (ahead_ms - true_ms) // 1000)
    return f"at 1970 events are {off_s[0]} s off, with an NTP that is wrong by a year and trusted {off_s[1]} s"


@TABLE.row(
    "F22",
    "a wrong clock does not lock the device out",
    "reconnect with a clock 400 days back, then ahead: central hands out a nonce",
)
async def wrong_clock_at_start(lab: Lab) -> str | None:
    async with lab.place() as place:
        for shift_s in (-400 * 86_400, 400 * 86_400):
            await place.door.sim("clock", shift_s=str(shift_s), synced="yes")
            place.proxy.reset()
            await place.door.until("link", "down")
            await place.door.until("link", "up", within_s=40)
        need("does not believe this device's clock" in place.door.log, "central never refused the clock")
        await place.opens()
        await place.equal()
    return "connected again both times"


@TABLE.row(
    "F25",
    "hours are those that the site's clock shows",
    "hours across both changes of the clock; the reference's own reading of them",
    is_quick=True,
)
async def daylight_saving(_lab: Lab) -> str | None:
    return await component("tests/rules/test_calendar.py", "tests/reference/test_reference.py")
