"""`doorstile hardware test relay`: open the door once. It opens, so it is recorded first, as all that opens is."""

import getpass
import os
from collections.abc import Awaitable, Callable
from typing import Final

import click

from agent.commands.trying import HardwareFault, Named, Result, built, ended, needs_no_answer, run
from agent.errors import IdentityError, StoreError
from agent.store.types import JournalLimits
from agent.witnessing import as_owner_of, witnessed
from hardware.base import Hardware, Way
from hardware.keeper import Keeper
from hardware.profiles import SimulatedStrike, SimulatedTurnstile, outputs_only

_SIMULATED: Final = (SimulatedStrike, SimulatedTurnstile)
_NOT_RECORDED: Final = (
    "simulated: no door opens, so nothing is recorded. The lock is this command's\n"
    "own; that of a running agent is left alone."
)


@click.command("relay")
@click.option("--way", type=click.Choice([way.value for way in Way]), default=Way.IN.value, help="Of a turnstile.")
@click.option("--pulse-s", type=click.FloatRange(min=0, min_open=True), help="For how long [as the profile says].")
@click.option("--yes", "is_agreed", is_flag=True, help="Open the door without asking first.")
@click.option("--heard", type=click.Choice(["yes", "no"]), help="Whether it clicked and opened, instead of asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def relay(named: Named, way: str, pulse_s: float | None, is_agreed: bool, heard: str | None, as_json: bool) -> None:
    """Open the door once, as a grant would.

    Asks whether it did. The opening is in the door's journal before it happens, and at central when the agent is back.
    A simulated lock opens nothing, so nothing is recorded.
    """
    needs_no_answer(as_json, "--yes, and --heard yes or no", is_answered=is_agreed and heard is not None)
    profile = named.loaded()
    section = profile.strike or profile.turnstile
    if section is None:
        raise HardwareFault(f"profile {profile.name!r} has no lock; nothing can be opened")
    duration_s = pulse_s or section.pulse_s
    if not is_agreed:
        click.confirm(f"This opens the door for {duration_s:g} s. Go on?", abort=True, err=True)
    things = built(outputs_only(profile))
    keeper = Keeper.over(profile, things.reports)
    try:
        if isinstance(section, _SIMULATED):
            click.echo(_NOT_RECORDED, err=True)
            pulse = run(_opened(things, Way(way), duration_s))
        else:
            pulse = _recorded(named, lambda: _opened(things, Way(way), duration_s))
    finally:
        things.close()
        keeper.dismiss()
    told = heard or ("yes" if click.confirm("Did it click, and open?", err=True) else "no")
    ended(as_json, Result("relay", passed=told == "yes", detail=f"{pulse}, heard: {told}"))


def _recorded(named: Named, work: Callable[[], Awaitable[str]]) -> str:
    """Do it with a record before and after, as the state folder's owner."""
    config = named.settings()
    limits = JournalLimits(max_bytes=config.journal.max_mib << 20, keep_events=config.journal.keep_acknowledged)
    actor = f"relay test by {os.environ.get('SUDO_USER') or getpass.getuser()}"
    try:
        with as_owner_of(config.state_folder):
            return run(witnessed(config.state_folder, limits, actor, work))
    except (StoreError, IdentityError) as error:
        raise HardwareFault(f"{error}; nothing opens without a record, so see to that first") from error


async def _opened(things: Hardware, way: Way, duration_s: float) -> str:
    if things.turnstile is not None:
        done, what = await things.turnstile.release(way, duration_s), f"turnstile {way}"
    else:
        assert things.strike is not None
        done, what = await things.strike.pulse(duration_s), "strike"
    return f"{what} was on for {done.length_ms} ms"
