"""F01 to F09: the agent dies between two steps, at a place that the test names."""

import asyncio
import json
import os
from pathlib import Path
from typing import Final

from agent.identity import IDENTITY_FILE, load_identity
from agent.store.directory import Directory
from demo.processes import manage, output_of
from tests.processes.door_process import edges, is_on
from tests.processes.doors import door_command
from tests.processes.evidence import Record
from tests.processes.lab import GREEN, Lab, Place, Table, need
from tests.processes.proxy import Weather

TABLE: Final = Table()
_PLACE: Final = "DOORSTILE_TEST_DIE_AT"


async def _killed_at(place: Place, where: str) -> None:
    """Restart the agent so that it dies at a place, tap, and see it die."""
    await place.door.kill_agent()
    await place.door.clean_up()
    await place.restarted(**{_PLACE: where})
    await place.linked()
    await place.tap()
    await place.dies()


@TABLE.row(
    "F01", "no feedback, no pulse; the person presents again", "SIGKILL before the grant's commit", is_quick=True
)
async def before_commit(lab: Lab) -> str | None:
    async with lab.place() as place:
        await _killed_at(place, "grant before its commit")
        need(not place.page.count(GREEN), "green before the commit")
        need(not edges(place.door.line), "the line moved before the commit")
        need(not Record.of(place.door.state).grants(), "a grant that was never committed is on the disk")
        await place.restarted()
        await place.opens()
        await place.equal()
    return None


@TABLE.row(
    "F02", "the event is whole or absent; the chain verifies", "SIGKILL at write 1 to 4 of the log, and at its sync"
)
async def during_commit(lab: Lab) -> str | None:
    whole = 0
    async with lab.place() as place:
        disk = lab.disk(place)
        for op, nth in (("write", 1), ("write", 2), ("write", 3), ("write", 4), ("sync", 1)):
            await place.door.kill_agent()
            await place.door.clean_up()
            await place.restarted(**disk.env)
            before = len(Record.of(place.door.state).grants())
            disk.fails(op, "journal.db-wal", "kill", nth=nth)
            await place.tap()
            await place.dies()
            disk.heals()
            whole += len(Record.of(place.door.state).grants()) - before
        await place.restarted()
        await place.opens()
        await place.equal()
    return f"{whole} of 5 events whole, the others absent"


@TABLE.row(
    "F03", "outcome unknown, never fired after restart; visit kept", "SIGKILL after commit, before relay", is_quick=True
)
async def before_relay(lab: Lab) -> str | None:
    async with lab.place() as place:
        await _killed_at(place, "grant committed, relay not yet on")
        need(not edges(place.door.line), "the line moved")
        await place.restarted()
        record = await place.equal()
        need([how for _, how in record.passages()] == ["unknown"], f"passages: {record.passages()}")
        need(not edges(place.door.line), "the line moved after the restart")
    return None


@TABLE.row(
    "F04", "line inactive within 1 s of death and at start", "SIGKILL with the relay on, then the unit's --outputs-off"
)
async def during_pulse(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.door.kill_agent()
        await place.restarted(**{_PLACE: "relay on"})
        await place.linked()
        await place.tap()
        await place.door.ended()
        need(is_on(place.door.line), "the kept line should be on now")
        died_ms = edges(place.door.line)[-1].at_ms
        await place.door.clean_up()
        off_ms = edges(place.door.line)[-1].at_ms - died_ms
        await place.restarted()
        need((await place.door.door())["lock"] == "locked", "unlocked after the restart")
        record = await place.equal()
        need([how for _, how in record.passages()] == ["unknown"], f"passages: {record.passages()}")
        need(off_ms <= 1000, f"off {off_ms} ms after the death: starting --outputs-off took that long on this machine")
    return f"off {off_ms} ms after the death; the real line: device-test"


@TABLE.row(
    "F05-F06", "sent again; central absorbs it", "SIGKILL before a batch is sent; on its acknowledgement", is_quick=True
)
async def before_send_and_ack(lab: Lab) -> str | None:
    async with lab.place() as place:
        for where in ("batch before it is sent", "acknowledgement received"):
            await place.door.kill_agent()
            await place.door.clean_up()
            place.door.env = {_PLACE: where}
            await place.door.launch()  # its own start is an event: it dies of the first batch
            await place.dies(within_s=30)
        await place.restarted()
        await place.opens()
        await place.equal()
    return None


@TABLE.row(
    "F07", "the cursor moves or not; no row is lost", "SIGKILL with the cursor in memory, and while it is written"
)
async def during_ack(lab: Lab) -> str | None:
    async with lab.place() as place:
        for where in ("acknowledgement taken, not yet written", "acknowledgement being written"):
            await place.door.kill_agent()
            await place.door.clean_up()
            place.door.env = {_PLACE: where}
            await place.door.launch()
            await place.dies(within_s=30)
        await place.restarted()
        await place.opens()
        await place.equal()
    return None


@TABLE.row(
    "F08",
    "the old directory or the new, never a mix, never none",
    "SIGKILL at a chunk, before and after the swap, before and after the commit of a change",
)
async def during_directory(lab: Lab) -> str | None:
    members = 30
    async with lab.place() as place:
        for where in _DIRECTORY_PLACES:
            await place.door.kill_agent()
            members += 1
            await output_of(manage("demo_seed", "--json", "--members", str(members)), env=place.door.central_env)
            if where.startswith("snapshot"):
                await output_of(manage("shell", "-c", _FORGET_TOTALS), env=place.door.central_env)
            place.door.env = {_PLACE: where}
            await place.door.launch()
            await place.dies(within_s=30)
            found = _directory_of(place)
            place.proxy.weather = Weather(refuses=True)
            await place.restarted()
            await place.opens()
            need(found >= 30, f"{found} credentials after a kill at {where!r}")
            place.proxy.weather = Weather()
            await place.linked()
        await place.equal()
    return None


_DIRECTORY_PLACES: Final = (
    "change before its commit",
    "change committed, not yet seen",
    "snapshot chunk arrived",
    "snapshot before the swap",
    "snapshot after the swap",
)
_FORGET_TOTALS: Final = "from central.editions.models import Total; Total.objects.all().delete()"
"""Without them central cannot tell what changed for a device, and sends it the whole."""


def _directory_of(place: Place) -> int:
    """Open the directory as the agent would and return how many credentials it holds."""
    directory = Directory.open(place.door.state)
    try:
        need(directory.found is None, f"the directory was damaged: {directory.found}")
        need(directory.ref is not None, "no directory at all")
        return directory.count()
    finally:
        directory._edition.base.close()
        if directory._changes is not None:
            directory._changes.close()


@TABLE.row(
    "F09",
    "the old identity or the new; the code is spent on success only",
    "SIGKILL at four places of `join`, then join",
)
async def during_enrolment(lab: Lab) -> str | None:
    async with lab.place(is_started=False) as place:
        state = place.door.folder / "fresh"
        words = ("join", "--central", place.door.central_url, "--code", await _fresh_code(place), "--yes")
        for where in (
            "enrolment answered, nothing kept",
            "identity half written",
            "identity before its swap",
            "identity after its swap",
        ):
            code = await _join(words, state, where)
            need(code == -9, f"join ended with {code} at {where!r}")
            if (state / IDENTITY_FILE).exists():
                load_identity(state)
        await output_of(door_command(*words, "--state", str(state)))
        device = load_identity(state).device
    return f"device {device[-6:]} after five attempts with one code; remote configuration does not exist yet"


async def _fresh_code(place: Place) -> str:
    """Return an enrolment code that nobody has used."""
    code: str = json.loads(await output_of(manage("demo_seed", "--json"), env=place.door.central_env))["code"]
    return code


async def _join(words: tuple[str, ...], state: Path, where: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *door_command(*words, "--state", str(state)),
        env={**os.environ, _PLACE: where},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        return await process.wait()
