"""Damage at rest: bits, sectors and whole files of a journal change while nothing runs; all of it must be noticed.

A bit in a part that means nothing (free space, a counter) may go unseen. Undetected is a loss, or an altered event or
promise, of which the start says nothing.
"""

import asyncio
import logging
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from agent.store import reading
from tests.crashstates.checks import Outcome, expected_promises, opened_journal
from tests.crashstates.claims import Claims
from tests.crashstates.explore import Tally
from tests.crashstates.recording import working_folder
from tests.crashstates.workloads import BUSY, PLAIN, Sayer, Script, day, event_key

FILES: Final = ("journal.db", "journal.db-wal", "journal.witness", "journal.runs")
KINDS: Final = ("flip", "flip", "flip", "byte", "truncate", "zero", "noise", "swap", "stale")
_SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class Image:
    """A journal's files after a while of work, those of a moment before, and what was claimed."""

    name: str
    files: dict[str, bytes]
    before: dict[str, bytes]
    claims: Claims


@dataclass(frozen=True, slots=True)
class Job:
    """Damages to try on the image of a name: `count` of them, by `seed`."""

    name: str
    count: int
    seed: int


def make_image(name: str) -> Image:
    """Work a while: `log` leaves most events in the log, `file` in the database, `closed` has no log at all."""
    with tempfile.TemporaryDirectory(prefix="doorstile-image-", dir=working_folder()) as scratch:
        folder, said = Path(scratch, "state"), Path(scratch, "said")
        before, files = asyncio.run(_work(folder, said, name))
        claims = Claims()
        for line in said.read_text().splitlines():
            claims.note(line.split())
    return Image(name, files, before, claims)


def explore(job: Job) -> Tally:
    """Do a job in this process."""
    logging.disable(logging.CRITICAL)
    image, tally, began = make_image(job.name), Tally(), perf_counter()
    with tempfile.TemporaryDirectory(prefix="doorstile-damage-", dir=working_folder()) as scratch:
        for kind, name, seed in damages(image, job):
            files = dict(image.files)
            files[name] = harm(kind, files[name], image.before.get(name, b""), seed)
            if files[name] == image.files[name]:
                tally.same += 1
                continue
            outcome = check(files, image.claims, Path(scratch, "state"))
            tally.states += 1
            tally.told["noticed" if outcome.told else "harmless"] += 1
            if outcome.wrong:
                tally.violations += 1
                tally.wrong = [*tally.wrong, f"{job.name}:{name}:{kind}:{seed}  {outcome.wrong[0]}"][:20]
    tally.seconds = perf_counter() - began
    return tally


def damages(image: Image, job: Job) -> Iterator[tuple[str, str, int]]:
    """Yield what to do to which file."""
    chance = random.Random(f"{job.name}{job.seed}")
    names = [name for name in FILES if name in image.files]
    weights = [4 if name.startswith("journal.db") else 1 for name in names]
    for _ in range(job.count):
        yield chance.choice(KINDS), chance.choices(names, weights)[0], chance.getrandbits(40)


def harm(kind: str, whole: bytes, before: bytes, seed: int) -> bytes:
    """Return a file's content with one damage."""
    chance, found = random.Random(seed), bytearray(whole)
    if not found:
        return whole
    at = chance.randrange(len(found))
    sector = at // _SECTOR * _SECTOR
    match kind:
        case "flip":
            found[at] ^= 1 << chance.randrange(8)
        case "byte":
            found[at] = chance.randrange(256)
        case "truncate":
            del found[chance.choice((at, sector)) :]
        case "zero":
            found[sector : sector + _SECTOR] = bytes(len(found[sector : sector + _SECTOR]))
        case "noise":
            found[sector : sector + _SECTOR] = chance.randbytes(len(found[sector : sector + _SECTOR]))
        case "swap":
            other = chance.randrange(len(found)) // _SECTOR * _SECTOR
            found[sector : sector + _SECTOR] = found[other : other + len(found[sector : sector + _SECTOR])]
        case "stale":
            return before
    return bytes(found)


def check(files: dict[str, bytes], claims: Claims, folder: Path) -> Outcome:
    """Open the damaged files; what was not acknowledged is there unchanged or declared lost, and the start says so."""
    folder.mkdir()
    for name, held in files.items():
        (folder / name).write_bytes(held)
    try:
        outcome = _compare(folder, claims)
    except Exception as fault:
        outcome = Outcome([f"does not open: {type(fault).__name__}: {fault}"])
    shutil.rmtree(folder)
    return outcome


def _compare(folder: Path, claims: Claims) -> Outcome:
    with opened_journal(folder) as opened:
        outcome = Outcome(told=list(opened.report.found))
        held = {(line.run, row.n): row for line in opened.lines for row in reading.rows(opened.connection, line.ord, 0)}
        declared = {(loss.run, n) for loss in reading.losses(opened.connection) for n in range(loss.first, loss.to + 1)}
        for (run, n), key in claims.durable.items():
            row = held.get((run, n))
            if row is not None and not (row.is_intact and row.text is not None and event_key(row.text) == key):
                outcome.wrong.append(f"event {n} of run {run} is altered")
            if row is None and n > claims.acking.get(run, 0) and (run, n) not in declared:
                outcome.wrong.append(f"event {n} of run {run} is lost without a word")
        promises = {promise.key: promise.outcome for promise in reading.promises(opened.connection)}
        if promises != expected_promises(claims, set(claims.tried), promises) and not outcome.told:
            outcome.wrong.append(f"promises are {promises} without a word")
    return outcome


async def _work(folder: Path, said: Path, name: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    say = Sayer(said)
    first = Script(folder, BUSY, say, 1)
    await day(first)
    await first.journal.close()
    script = Script(folder, PLAIN if name == "log" else BUSY, say, 2)
    await script.append(6)
    await script.append(opens="standing.grant")
    await script.rest()
    before = _files(folder)
    await day(script)
    await script.append(opens="standing.command")
    await script.rest()
    files = _files(folder)
    await script.journal.close()
    return before, _files(folder) if name == "closed" else files


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in FILES}
