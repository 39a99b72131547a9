"""The power is cut while people pass: the disk keeps what was flushed, and of the rest whatever it likes.

Killing QEMU alone would be no power cut, because what the guest wrote stays with the host, flushed or not. So QEMU logs
every write and flush of the state's disk, and disks are built from the log as a cut at any place may have left them.
"""

import asyncio
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.errors import StoreError
from agent.store.inspect import inspect
from demo.world import Seed
from tests.crashstates.checks import Outcome
from tests.crashstates.claims import Claims
from tests.crashstates.powercut import Logged, cut_power, survivors, why_not
from tests.device.disklog import entries
from tests.device.door import CARD_READER, HEAD, OUTPUTS, PULSE_S, Bench, DataDisk, GuestDoor
from tests.device.table import Scale, Table
from tests.processes.evidence import Record
from tests.processes.lab import GREEN, NotRunError, need

TABLE: Final = Table()
PROFILE: Final = HEAD + CARD_READER + OUTPUTS.replace(f"pulse_s = {PULSE_S}", "pulse_s = 0.3")
_DISK_BYTES: Final = 136 << 20
"""More than one group of ext4's blocks: only then there is a second superblock for e2fsck to mend a torn one from."""
_SEED: Final = 5


@dataclass
class Greens:
    """Greens that were shown, each as the page names it, with the length of the disk's log at that moment."""

    log: Path
    seen: dict[str, int] = field(default_factory=dict)

    def note(self, view: dict[str, Any]) -> None:
        """Take in what the page shows."""
        if view["state"] in GREEN and "support" in view:
            self.seen.setdefault(view["support"], self.log.stat().st_size)

    def said(self, record: Record) -> list[tuple[int, list[str]]]:
        """Return them as claims: an event of the journal each."""
        keys = {f"{run[-2:]}-{n}": (run, n) for run, n in record.grants()}
        return [
            (at, ["durable", keys[words][0], str(keys[words][1]), ""])
            for words, at in self.seen.items()
            if words in keys
        ]


def check_greens(folder: Path, claims: Claims, _is_thorough: bool) -> Outcome:
    """Every green that was shown before the cut is in the journal, and the journal is whole."""
    try:
        with inspect(folder) as journal:
            wrong = [*journal.verify().faults]
        grants = Record.of(folder).grants()
    except StoreError as fault:
        return Outcome([str(fault)] if claims.durable else [])
    wrong += [f"green {n} of run {run} is lost" for run, n in claims.durable if (run, n) not in grants]
    return Outcome(wrong)


@TABLE.case("power-cut", "virtio disk, blklogwrites", "no green is lost by a power cut at any place")
async def power_cut(bench: Bench, scale: Scale) -> str:
    reason = why_not()
    if reason:
        raise NotRunError(reason)
    folder = bench.folder / "power"
    disk = await asyncio.to_thread(_new_disk, folder)
    base = await asyncio.to_thread(disk.image.read_bytes)
    assert disk.log is not None
    greens = Greens(disk.log)
    async with bench.door("power", PROFILE, disk=disk) as door:
        record = await _people_pass(door, greens, scale.greens)
        seed = door.seed
    said = greens.said(record)
    logged = Logged("greens", base, list(entries(await asyncio.to_thread(disk.log.read_bytes))), said)
    first = next(number for number, entry in enumerate(logged.entries, 1) if entry.end >= said[0][0])
    tally = await asyncio.to_thread(cut_power, logged, scale.cuts, _SEED, check=check_greens, first=first)
    need(not tally.violations, f"{tally.violations} of {tally.states} cuts lost something: {tally.wrong[:3]}")
    survived = await _goes_on(bench, logged, seed, folder)
    mended = sum(tally.told.values())
    flushes = sum(entry.is_flush for entry in logged.entries)
    return (
        f"{len(said)} greens, {len(logged.entries)} requests, {flushes} flushes; {tally.states} cuts: 0 lost greens"
        f"{f' ({mended} mended by e2fsck first, as at boot)' if mended else ''}; "
        f"a disk of them went on in a guest: {survived} greens at central, the next tap opened"
    )


def _new_disk(folder: Path) -> DataDisk:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "data.raw"
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", eager, image], check=True)
    return DataDisk(image, folder / "data.log")


async def _people_pass(door: GuestDoor, greens: Greens, count: int) -> Record:
    """Let people pass without a link, and let the machine die while the next one does; return what was recorded."""
    await door.start()
    await door.unlocks_by_card()
    await door.settled()
    await door.cut_link()
    door.page.on_seen = greens.note
    for _ in range(count):
        await door.unlocks_by_card()
    record = await door.collect()
    async with door.card_on_reader(door.card()):
        await asyncio.sleep(random.Random(count).uniform(0.2, 1.5))
        await door.guest.machine.kill()
    return record


async def _goes_on(bench: Bench, logged: Logged, seed: Seed, folder: Path) -> int:
    """Put a disk as the last cut may have left it into a fresh guest; return how many greens came to central."""
    image = folder / "cut.raw"
    await asyncio.to_thread(image.write_bytes, _cut_disk(logged))
    wanted = {(run, int(n)) for _, (_, run, n, _) in logged.said}
    async with bench.door("after", PROFILE, disk=DataDisk(image, is_used=True)) as door:
        door.know(seed)
        await door.start()
        await door.unlocks_by_card()
        _, found = await door.settled()
    need(found.is_equal, f"device and central differ after the cut: {len(found.missing)} missing")
    lost = wanted - found.central.keys()
    need(not lost, f"greens that central never heard of: {sorted(lost)[:3]}")
    return len(wanted)


def _cut_disk(logged: Logged) -> bytes:
    """Return a disk that kept what was flushed, and some sectors of what was not."""
    disk = bytearray(logged.base)
    flushed = max(number for number, entry in enumerate(logged.entries, 1) if entry.is_flush)
    for entry in logged.entries[:flushed]:
        disk[entry.at : entry.at + len(entry.written)] = entry.written
    return bytes(survivors(disk, logged.entries[flushed:], "sectors", random.Random(_SEED)))
