"""Open what a power cut left with the real code, and compare it with what was claimed."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.errors import IdentityError, StoreError
from agent.identity import IDENTITY_FILE, load_identity
from agent.store import reading, verify
from agent.store.db import MAX_N
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.store.opening import Opened, open_journal, roll_path, witness_path
from agent.store.roll import read_roll
from agent.store.witness import read_mark
from tests.crashstates.claims import Claims
from tests.crashstates.workloads import BUSY, changed_rows_of, event_key, identity_of, rows_of
from tests.store.samples import DEVICE, alarm
from wire.directory import directory_digest
from wire.rows import DirectoryRow


@dataclass(slots=True)
class Outcome:
    """`wrong` breaks a promise; `told` is what the start reported, which no power cut alone should bring about."""

    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


Check = Callable[[Path, Claims, bool], Outcome]


def check_journal(folder: Path, claims: Claims, is_thorough: bool) -> Outcome:
    """Every durable event is there, once, in order and unchanged; the chain verifies; nothing else changed.

    A thorough check goes on with the journal too, and opens it once more.
    """
    outcome = Outcome()
    try:
        with opened_journal(folder) as opened:
            outcome.told += opened.report.found if claims.runs else ()
            outcome.wrong += _chain(opened)
            outcome.wrong += _events(opened, claims)
        if is_thorough:
            outcome.wrong += asyncio.run(_go_on(folder))
    except (StoreError, ValueError, LookupError, TypeError, sqlite3.Error) as fault:
        outcome.wrong.append(f"does not open: {type(fault).__name__}: {fault}")
    return outcome


def check_directory(folder: Path, claims: Claims, is_thorough: bool) -> Outcome:
    """The directory is exactly one version, the newest that was reported or the one under way; so is a kept value."""
    return _check_rows(folder, claims, rows_of, is_thorough)


def check_changes(folder: Path, claims: Claims, is_thorough: bool) -> Outcome:
    """As for whole directories: a change is there as a whole or not at all."""
    return _check_rows(folder, claims, changed_rows_of, is_thorough)


def _check_rows(
    folder: Path, claims: Claims, content: Callable[[int], list[DirectoryRow]], is_thorough: bool
) -> Outcome:
    outcome = Outcome()
    directory = Directory.open(folder)
    try:
        if directory.found is not None:
            outcome.wrong.append(f"the directory is set aside: {directory.found}")
        ref = directory.ref
        version = str(ref.ver) if ref else ""
        if version not in claims.allowed("directory"):
            outcome.wrong.append(f"the directory has version {version or 'none'}, not {claims.allowed('directory')}")
        rows = [] if ref is None else content(ref.ver)
        if ref is not None and (
            ref.digest != directory_digest(rows) or directory.count() != len(rows)
            or any(directory.find(row.key) != row for row in rows)
        ):  # fmt: skip
            outcome.wrong.append(f"version {version} of the directory has other rows")
        found = directory._verified(directory._edition) if is_thorough else None
        if found is not None:
            outcome.wrong.append(f"the directory is damaged: {found}")
        kept = directory.get("version") or ""
        if kept not in claims.allowed("kept"):
            outcome.wrong.append(f"the kept value is {kept or 'gone'}, not one of {claims.allowed('kept')}")
    finally:
        directory._thread.shutdown()
        directory._edition.base.close()
        if directory._changes is not None:
            directory._changes.close()
    return outcome


def check_identity(folder: Path, claims: Claims, is_thorough: bool) -> Outcome:
    """The identity is the old or the new one, whole."""
    del is_thorough
    allowed = claims.allowed("identity")
    try:
        found = load_identity(folder)
    except IdentityError as fault:
        is_absent = not (folder / IDENTITY_FILE).exists() and "" in allowed
        return Outcome() if is_absent else Outcome([f"no identity: {fault}"])
    if any(
        found == replace(identity_of(int(version)), private_key=found.private_key) for version in allowed if version
    ):
        return Outcome()
    return Outcome([f"the identity is that of {found.central}, not one of {allowed}"])


CHECKS: Final[dict[str, Check]] = {
    "journal": check_journal,
    "plain": check_journal,
    "failing": check_journal,
    "directory": check_directory,
    "changes": check_changes,
    "identity": check_identity,
}
"""The check of each workload."""


@contextmanager
def opened_journal(folder: Path) -> Iterator[Opened]:
    """Open a journal as a start does, without its threads."""
    opened = open_journal(folder, DEVICE, BUSY)
    try:
        yield opened
    finally:
        opened.reader.close()
        opened.connection.close()
        opened.witness.close()
        opened.lock.release()


def _chain(opened: Opened) -> list[str]:
    mark, roll = read_mark(witness_path(opened.path)), read_roll(roll_path(opened.path))
    return list(verify.findings(opened.connection, mark, roll, MAX_N))


def _events(opened: Opened, claims: Claims) -> Iterator[str]:
    lines = {line.run: line for line in opened.lines}
    held: dict[str, dict[int, str]] = {}
    for line in opened.lines:
        held[line.run] = {}
        for row in reading.rows(opened.connection, line.ord, 0):
            if not row.is_intact or row.text is None:
                yield f"run {line.run}: event {row.n} is damaged"
                return
            held[line.run][row.n] = event_key(row.text)
        yield from _line(line, held[line.run], claims)
    by_run: dict[str, dict[int, str]] = defaultdict(dict)
    for (run, n), key in claims.durable.items():
        by_run[run][n] = key
    for run, durable in by_run.items():
        pruned = lines[run].pruned if run in lines else claims.acking.get(run, 0)
        for n, key in durable.items():
            if n > pruned and held.get(run, {}).get(n) != key:
                yield f"run {run}: durable event {n} ({key}) is lost"
                break
    yield from _promises(opened, held, claims)


def _line(line: reading.RunLine, held: dict[int, str], claims: Claims) -> Iterator[str]:
    """A run's cursors do not go beyond what was acknowledged, its rows have no gap, and nobody invented one."""
    acked = claims.acking.get(line.run, 0)
    if not line.pruned <= line.acked <= acked:
        yield f"run {line.run}: cursors {line.pruned} and {line.acked}, yet {acked} is acknowledged"
    if list(held) != list(range(line.pruned + 1, line.pruned + len(held) + 1)):
        yield f"run {line.run}: rows {list(held)} after {line.pruned}"
    invented = [key for key in held.values() if key not in claims.tried]
    if invented:
        yield f"run {line.run}: nobody wrote {invented}"


def _promises(opened: Opened, held: dict[str, dict[int, str]], claims: Claims) -> Iterator[str]:
    """Promises are those of the events that are there: both were written in one transaction."""
    there = {key for keys in held.values() for key in keys.values()}
    there |= claims.acked
    found = {promise.key: promise.outcome for promise in reading.promises(opened.connection)}
    expected = expected_promises(claims, there, found)
    if found != expected:
        yield f"promises are {found}, not {expected}"


def expected_promises(claims: Claims, there: set[str], found: Container[str]) -> dict[str, str | None]:
    """Return the promises that the events in `there` leave; those to be forgotten may be there still."""
    expected: dict[str, str | None] = {}
    for key, tried in claims.tried.items():
        if key in there and tried.opens:
            expected[tried.opens] = None
        if key in there and tried.settles:
            expected[tried.settles] = tried.outcome
    for name in claims.forgetting:
        if name not in found:
            expected.pop(name, None)
    return expected


async def _go_on(folder: Path) -> list[str]:
    """The journal takes new events, and the next start has nothing to tell."""
    wrong: list[str] = []
    journal = Journal.open(folder, device=DEVICE, limits=BUSY)
    wrong += [f"second start: {found}" for found in journal.report.found]
    await journal.append_many([alarm("after"), alarm("the cut")])
    wrong += await journal.verify()
    await journal.close()
    return wrong
