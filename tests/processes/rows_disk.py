"""F10 to F20: disks that are full, read-only, slow or lying, and files that were damaged at rest."""

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from agent.store import migrations
from agent.store.inspect import inspect
from agent.store.opening import JOURNAL_NAME
from agent.store.writer import mark_path
from demo.compare import Comparison, EventKey, compare
from demo.processes import stop
from tests.processes.doors import tapping
from tests.processes.evidence import Record
from tests.processes.lab import GREEN, OUT_OF_SERVICE, Lab, NotRunError, Place, Table, need
from tests.processes.proxy import FINE, Weather

TABLE: Final = Table()
_LOG: Final = JOURNAL_NAME + "-wal"
_STRANGER: Final = "0400000000BAD0"
_CUT: Final = Weather(refuses=True)


@contextlib.contextmanager
def _mounted(folder: Path, size_mib: int) -> Iterator[None]:
    """Put a tmpfs over a folder, with what the folder holds; raise NotRunError where mounting is not allowed."""
    aside = folder.with_suffix(".aside")
    folder.rename(aside)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise NotRunError(f"mounting a tmpfs needs root: {done.stderr.strip()}")
        shutil.copytree(aside, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@contextlib.asynccontextmanager
async def _on_tmpfs(lab: Lab, size_mib: int) -> AsyncIterator[Place]:
    async with lab.place() as place:
        await place.door.kill_agent()
        await place.door.clean_up()
        with _mounted(place.door.state, size_mib):
            await place.restarted()
            try:
                yield place
            finally:
                await place.door.kill_agent()


async def _nothing_lost(place: Place, *, within_s: float = 60.0) -> Comparison:
    """Wait until nothing waits; everything that the device holds is at central, unchanged and once."""
    await place.linked()
    await place.door.until("waiting", "0", within_s=within_s)
    await place.door.until("lock", "locked")
    await asyncio.sleep(0.5)
    await place.door.until("waiting", "0", within_s=within_s)
    found = await compare(place.door)
    wrong = (len(found.missing), len(found.different), found.twice, found.dead_letters)
    need(wrong == (0, 0, 0, 0), f"missing, changed, twice, rejected: {wrong}")
    return found


@TABLE.row("F10", "no grant without a record; alarm", "the log answers EROFS; start on a read-only file system")
async def read_only(lab: Lab) -> str | None:
    async with _on_tmpfs(lab, 24) as place:
        disk = lab.disk(place)
        await place.door.kill_agent()
        await place.restarted(**disk.env)
        await place.opens()
        disk.fails("write", _LOG, "erofs")
        shown = await place.stays_shut()
        code = await place.door.ended()
        need(code == 1, f"the agent ended with {code}")
        disk.heals()
        _remount(place.door.state, "ro")
        await place.door.launch()
        code = await place.door.ended()
        need(code == 1 and "check owner and mount" in place.door.log, f"exit {code}: {place.door.log[-200:]}")
        _remount(place.door.state, "rw")
        await place.restarted()
        await place.opens()
        await _nothing_lost(place)
    return f"shown instead of green: {shown}; it ends with the cause and works again with the medium"


@TABLE.row(
    "F11", "no grant without a record; the reserve goes first, unsent events never", "tmpfs filled to the last byte"
)
async def full_disk(lab: Lab) -> str | None:
    async with _on_tmpfs(lab, 8) as place:
        place.proxy.weather = _CUT
        place.proxy.reset()
        ballast = place.door.state / "ballast"
        greens_when_full = 0
        for _ in range(40):
            _fill(ballast)
            after = len(place.page.seen)
            await place.tap()
            view = await place.page.next_of(GREEN | OUT_OF_SERVICE, after=after)
            if view["state"] in OUT_OF_SERVICE:
                break
            greens_when_full += 1
        need(view["state"] in OUT_OF_SERVICE and view.get("code") == "E3", f"after filling the page showed {view}")
        need(not (place.door.state / "journal.reserve").exists(), "the reserve was kept")
        before = set(Record.of(place.door.state).events)
        ballast.unlink()
        await place.opens()
        place.proxy.weather = FINE
        found = await _nothing_lost(place)
        need(before <= set(found.central), "an unsent event was given up")
    return f"{greens_when_full} more grants from the reserve, then E3; no restart needed once there is room"


def _fill(ballast: Path) -> None:
    """Leave not one free byte."""
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


@TABLE.row(
    "F12", "deny, exit; the next start opens a new file and copies", "EIO from the log's next fdatasync", is_quick=True
)
async def failed_sync(lab: Lab) -> str | None:
    async with lab.place() as place:
        disk = lab.disk(place)
        await place.door.kill_agent()
        await place.restarted(**disk.env)
        await place.opens()
        await place.door.until("lock", "locked")
        disk.fails("sync", _LOG, "eio")
        await place.stays_shut(for_s=1.0)
        need(await place.door.ended() == 1, "the agent did not end with 1")
        log = place.door.state / _LOG
        written = log.read_bytes()
        need(mark_path(place.door.state / JOURNAL_NAME).exists(), "no mark for the next start")
        disk.heals()
        await place.restarted()
        need("set aside" in place.door.log or "marked after a failed write" in place.door.log, "the start says nothing")
        aside = sorted((place.door.state / "quarantine").glob(f"*/{_LOG}"))
        need(aside and aside[-1].read_bytes() == written, "the log was written after its sync had failed")
        await place.opens()
        await place.equal()
    return f"the old log of {len(written)} bytes lies in quarantine, unchanged"


def _flip(path: Path, *places: float) -> None:
    """Flip 32 bytes at each of some places, given as parts of the file's length."""
    content = bytearray(path.read_bytes())
    for part in places:
        at = max(100, int(len(content) * part))
        content[at : at + 32] = bytes(byte ^ 0xFF for byte in content[at : at + 32])
    path.write_bytes(content)


async def _visited(place: Place, taps: int) -> None:
    """Let strangers and members come while the link is cut."""
    place.proxy.weather = _CUT
    place.proxy.reset()
    async with tapping(place.door) as hands:
        for number in range(taps):
            await hands.do("tap", uid=_STRANGER if number % 2 else place.card())
            await asyncio.sleep(0.02)
    await place.door.until("lock", "locked")
    await asyncio.sleep(0.3)


async def _survives(place: Place, damage: Callable[[Path], None], *, is_clean_end: bool) -> str:
    """Damage the journal at rest: each event is at central in the end, or declared lost, and the start says so."""
    await place.linked()
    await _visited(place, 40)
    assert place.door.agent is not None
    await (stop(place.door.agent) if is_clean_end else place.door.kill_agent())
    await place.door.clean_up()
    before = set(Record.of(place.door.state).events)
    said = len(place.door.log)
    damage(place.door.state)
    await place.restarted()
    is_noticed = "journal:" in place.door.log[said:]
    await place.opens()
    lost = _declared(place)
    place.proxy.weather = FINE
    found = await _nothing_lost(place)
    silent = before - set(found.central) - lost
    need(not silent, f"{len(silent)} events vanished without a word: {sorted(silent)[:3]}")
    need(is_noticed or before <= set(found.central), "the damage was not noticed")
    return f"{len(before)} events before, {len(before - set(found.central))} lost and declared"


def _flipping(*places: float) -> Callable[[Path], None]:
    return lambda state: _flip(state / JOURNAL_NAME, *places)


def _declared(place: Place) -> set[EventKey]:
    with inspect(place.door.state) as journal:
        losses = journal.verify().losses
    return {(loss.run, n) for loss in losses for n in range(loss.first, loss.to + 1)}


@TABLE.row(
    "F13", "detected; quarantine, salvage, counts, a new run", "pages of the database corrupted at rest, three times"
)
async def corrupt_pages(lab: Lab) -> str | None:
    said = []
    async with lab.place() as place:
        for places in ((0.5,), (0.2, 0.8), (0.0, 0.3, 0.6, 0.9)):
            said.append(await _survives(place, _flipping(*places), is_clean_end=True))
    return "; ".join(said)


@TABLE.row(
    "F14", "detected; salvaged or declared lost", "one bit flipped in the live part of the log; its last tenth cut off"
)
async def corrupt_log(lab: Lab) -> str | None:
    def flip(state: Path) -> None:
        log = state / _LOG
        content = bytearray(log.read_bytes())
        content[_live_bytes(bytes(content)) * 9 // 10] ^= 1
        log.write_bytes(content)

    def cut(state: Path) -> None:
        log = state / _LOG
        with log.open("r+b") as file:
            file.truncate(_live_bytes(log.read_bytes()) * 9 // 10)

    async with lab.place() as place:
        flipped = await _survives(place, flip, is_clean_end=False)
        shortened = await _survives(place, cut, is_clean_end=False)
    return f"flip: {flipped}; cut: {shortened}"


def _live_bytes(log: bytes) -> int:
    """Return where the frames of the log's present generation end (sqlite.org/fileformat2.html, section 4)."""
    frame = 24 + int.from_bytes(log[8:12], "big")
    at = 32
    while log[at + 8 : at + 16] == log[16:24] and at + frame <= len(log):
        at += frame
    return at


@TABLE.row(
    "F15", "detected; what is gone is declared", "database deleted; log deleted; another device's database put in"
)
async def missing_files(lab: Lab) -> str | None:
    async with lab.place() as place, lab.place() as other:
        await other.opens()
        await other.door.until("lock", "locked")
        await other.door.kill_agent()

        def swap(state: Path) -> None:
            for name in (JOURNAL_NAME, _LOG):
                shutil.copy(other.door.state / name, state / name)

        deleted = await _survives(place, lambda state: (state / JOURNAL_NAME).unlink(), is_clean_end=True)
        without_log = await _survives(place, lambda state: (state / _LOG).unlink(), is_clean_end=False)
        swapped = await _survives(place, swap, is_clean_end=True)
    return f"database deleted: {deleted}; log deleted: {without_log}; swapped: {swapped}"


@TABLE.row(
    "F15", "an older copy is found out by central and reported", "the whole state folder set back to an older copy"
)
async def older_copy(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.opens()
        await place.equal()
        await place.door.kill_agent()
        copy = place.door.folder / "copy"
        shutil.copytree(place.door.state, copy, ignore=shutil.ignore_patterns("*.sock"))
        await place.restarted()
        await place.opens()
        await place.equal()
        await place.door.kill_agent()
        await place.door.clean_up()
        shutil.rmtree(place.door.state)
        copy.rename(place.door.state)
        said = len(place.door.log)
        await place.restarted()
        await place.linked()
        await place.opens()
        found = await _nothing_lost(place)
        lines = [line for line in place.door.log[said:].splitlines() if "storage_went_back" in line]
        need(lines, "neither side noticed that the storage went back")
        need(found.invented, "central should still hold what the device forgot")
    return lines[0].partition("storage_went_back: ")[2]


@TABLE.row(
    "F17", "bounded queue, `checking`, no double grant", "each fdatasync of the log takes 5 s; one card three times"
)
async def slow_disk(lab: Lab) -> str | None:
    async with lab.place(config="") as place:
        disk = lab.disk(place)
        await place.door.kill_agent()
        await place.restarted(**disk.env)
        await place.linked()
        disk.fails("sync", _LOG, "sleep", arg=5000)
        after, card = len(place.page.seen), place.card()
        for _ in range(3):
            await place.tap(card)
            await asyncio.sleep(0.2)
        await place.page.next_of(frozenset({"reading"}), after=after)
        await place.page.next_of(GREEN, after=after, within_s=12.0)
        disk.heals()
        await place.door.until("lock", "locked", within_s=15)
        record = await place.equal()
        need(len(record.grants()) == 1, f"{len(record.grants())} grants for one person")
    return None


@TABLE.row(
    "F18", "acknowledged rows go first, diagnostics become stubs, check-ins never", "a journal of 1 MiB, link cut"
)
async def quota(lab: Lab) -> str | None:
    config = "[door]\nhold_off_s = 0\n[journal]\nmax_mib = 1\n"
    async with lab.place(config=config) as place:
        place.proxy.weather = _CUT
        place.proxy.reset()
        async with tapping(place.door) as hands:
            for number in range(6000):
                await hands.do(
                    *(("torn",) if number < 400 else ("tap",)), **({} if number < 400 else {"uid": _STRANGER})
                )
                await asyncio.sleep(0.004)
                if place.page.seen and place.page.seen[-1]["state"] in OUT_OF_SERVICE:
                    break
        need(place.page.seen[-1].get("code") == "E3", f"{number} reads did not fill 1 MiB: {place.page.seen[-1]}")
        record = Record.of(place.door.state)
        stubs = len(list(record.of_kind("stub")))
        torn = len(list(record.of_kind("read_fault")))
        decisions = len(list(record.of_kind("decision")))
        need(stubs > 0, "nothing was shed")
        place.proxy.weather = FINE
        await _nothing_lost(place)
        await place.opens()
    return (
        f"{decisions} decisions kept, {stubs} diagnostics became stubs, {torn} whole; then E3 until central took them"
    )


@TABLE.row(
    "F19",
    "refuses to write and names both versions",
    "a journal with a migration that this agent does not know",
    is_quick=True,
)
async def newer_schema(lab: Lab) -> str | None:
    async with lab.place() as place:
        assert place.door.agent is not None
        await stop(place.door.agent)
        path = place.door.state / JOURNAL_NAME
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('journal', 'later', 'x')"
            )
            connection.commit()
        before = path.read_bytes()
        await place.door.launch()
        need(await place.door.ended() == 1, "the agent went on")
        need(path.read_bytes() == before, "the file was written")
        said = place.door.log.splitlines()[-1]
        versions = (migrations.JOURNAL.version + 1, migrations.JOURNAL.version)
        need(all(f"version {version}" in said for version in versions), said)
    return said.partition("stopped: ")[2]


@TABLE.row("F20", "the second exits, the first goes on", "a second agent on the same state folder", is_quick=True)
async def two_agents(lab: Lab) -> str | None:
    async with lab.place() as place:
        first = place.door.agent
        assert first is not None
        process = await asyncio.create_subprocess_exec(
            *_second(place), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            _, said = await process.communicate()
        need(process.returncode == 1, f"the second ended with {process.returncode}")
        need(str(first.pid) in said.decode(), "it does not say which process holds the folder")
        await place.opens()
        await place.equal()
    return said.decode().strip().splitlines()[-1].partition("stopped: ")[2]


def _second(place: Place) -> list[str]:
    return [sys.executable, "-m", "agent", *place.door.words]
